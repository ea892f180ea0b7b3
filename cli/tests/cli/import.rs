//! `scopegate import`: the configuration, and the remarks.

use super::*;

/// Imports a text given on the standard input.
fn import(text: &str) -> Run {
    scopegate(&["import", "webmethods", "-"], text.as_bytes())
}

impl Run {
    #[track_caller]
    fn leaves(&self, code: i32, lines: &[&str]) {
        assert_eq!(self.err.lines().collect::<Vec<_>>(), lines, "{}", self.out);
        assert_eq!(self.code, Some(code));
    }
}

/// A serialized authServerAlias as API Gateway hands it out.
const ALIAS: &str = r#"--- !<authServerAlias>
id: "local"
name: "local"
description: "API Gateway as an Authorization server."
type: "authServerAlias"
owner: "Administrator"
localIntrospectionConfig:
  issuer: "test-gateway-issuer"
  trustStoreAlias: null
  certificateAlias: null
  jwksuri: null
  description: null
remoteIntrospectionConfig:
  introspectionEndpoint: "https://localhost:5543/invoke/pub.oauth/introspectToken"
  clientId: "6775021a-2fa8-4166"
  clientSecret: "tr0ub4dor-and-3"
scopes:
- name: "view"
  description: "See tickets"
"#;
const SECRET_NOTE: &str = "-: remoteIntrospectionConfig.clientSecret: note: the module reads the secret of the client `6775021a-2fa8-4166` from the environment variable LOCAL_CLIENT_SECRET; it is in this file: copy it from here, and keep the file to yourself";
const SCOPE_LEFT: &str =
    "left to fill in: rules[0] (Everything).require.scope: empty string; set a value such as \"view admin\"";

#[test]
fn an_import_has_no_secret_and_opens_nothing() {
    let run = import(ALIAS);
    run.leaves(0, &[SECRET_NOTE, SCOPE_LEFT]);
    let expected = r#"# From the auth servers of a webMethods Microgateway.
# Complete what is empty; `scopegate check` says what that is.
authorization_servers:
  - name: local
    # API Gateway as an Authorization server.
    # Its owner was Administrator.
    # It has the scope view, See tickets
    # Envoy must have a cluster of this name that leads to localhost:5543 by TLS.
    cluster: "localhost:5543"
    issuer: test-gateway-issuer
    # As before, tokens for every audience are taken. If the server names any, list those of your APIs.
    audience: any
    introspection:
      preset: webmethods
      path: /invoke/pub.oauth/introspectToken
      authority: "localhost:5543"
      client_id: 6775021a-2fa8-4166
      # To be set where Envoy starts, and named in vm_config.environment_variables.host_env_keys.
      client_secret_env: LOCAL_CLIENT_SECRET
# The file maps no scope to anything, so nothing is open: write a rule for each resource.
rules:
  - name: Everything
    match: [{ path_prefix: / }]
    # The scope that a token must have.
    require: { scope: "" }
"#;
    assert_eq!(run.out, expected);
    check_text(&run.out)
        .says(1, &["-: rules[0] (Everything).require.scope: empty string; set a value such as \"view admin\""]);
    check_text(&with(&run.out, "\"\"", "view")).says(0, &["-: ok: 1 configuration, 1 rule"]);
}

#[test]
fn several_auth_servers_and_scopes_are_imported() {
    let run = scopegate(&["import", "webmethods", "cli/tests/cli/microgateway.yaml"], b"");
    let servers = "cli/tests/cli/microgateway.yaml: security_settings.auth_servers";
    run.leaves(
        0,
        &[
            &format!("{servers}[0].remoteIntrospectionConfig.clientSecret: note: the module reads the secret of the client `gateway` from the environment variable TIMETRAVEL_CLIENT_SECRET; it is masked in this file: get it from the owner of the client"),
            &format!("{servers}[1].remoteIntrospectionConfig.clientSecret: note: the module reads the secret of the client `6775021a-hotels` from the environment variable LOCAL_CLIENT_SECRET; it is in this file: copy it from here, and keep the file to yourself"),
            "left to fill in: apis[0] (Imported).scopes[0] (ViewTickets).resources: empty list; list at least one item, as in [{ methods: [GET], path: /bookings }]",
            "left to fill in: apis[0] (Imported).scopes[1] (BookTickets).resources: empty list; list at least one item, as in [{ methods: [GET], path: /bookings }]",
        ],
    );
    for part in [
        "preset: rfc7662\n      path: /token/introspection\n      authority: \"identity.example.test:7777\"\n",
        "# Tickets to any year.\n    # Ask the travel desk.\n",
        "# Its id was f2d7b7b0-5a58-4f0a-9a7e-0c1b6c1e7e55.\n",
        "# No counterpart has the user who introspected, Administrator.\n",
        "# What the trust store partners holds belongs into the TLS context of the cluster.\n",
        "to identity.example.test:7777 without TLS, so that tokens and the secret can be read on the way.\n",
        "  - authorization_server: local\n    # Viewing: Everybody may\n    scope: guest\n    opens: [ViewTickets]\n",
        "    scope: book\n    audience: \"https://bookings.example.test/\"\n    opens: [BookTickets, ViewTickets]\n",
        "authorization_server: [TimeTravel, local]\n    require: { mapped_scope: true }\n",
    ] {
        assert!(run.out.contains(part), "no {part:?} in {}", run.out);
    }
    let complete = with(&run.out, "resources: []", "resources: [{ methods: [GET], path: /bookings }]");
    check_text(&complete).says(0, &["-: ok: 1 configuration, 1 rule"]);
}

#[test]
fn an_import_of_a_broken_file_prints_no_secret() {
    let unquoted = with(ALIAS, "\"tr0ub4dor-and-3\"", "[tr0ub4dor-and-3]");
    let in_url = with(ALIAS, "https://localhost", "https://gateway:tr0ub4dor-and-3@localhost");
    let twice = with(ALIAS, "  clientId:", "  clientSecret: \"tr0ub4dor-and-4\"\n  clientId:");
    let misspelt = with(ALIAS, "clientSecret:", "clientsecret:");
    for text in [ALIAS, &unquoted, &in_url, &twice, &misspelt, &with(ALIAS, "clientId:", "clientId")] {
        let run = import(text);
        assert_eq!(run.code, Some(i32::from(text != ALIAS)), "{}", run.err);
        assert!(!run.out.contains("tr0ub4dor") && !run.err.contains("tr0ub4dor"), "{}{}", run.out, run.err);
    }
}

#[test]
fn aliases_with_local_verification_are_left_out() {
    let (before, after) = ALIAS.split_once("remoteIntrospectionConfig:").unwrap();
    let scopes = after.split_once("scopes:").unwrap().1;
    let keys = "jwksuri: \"https://as.example.test/jwks\"";
    let only_local = format!("{}scopes:{scopes}", with(before, "jwksuri: null", keys));
    let run = import(&only_local);
    run.leaves(
        1,
        &[
            "-: localIntrospectionConfig: local verification of JWTs is not imported: the alias `local` is left out; add an authorization server with issuer and jwt: { jwks_path }, which verifies JWTs in the proxy",
            "-: file: no auth server can be imported; pass the settings of a Microgateway, with security_settings.auth_servers",
        ],
    );
    assert_eq!(run.out, "");

    // An alias with an introspection endpoint is imported, with its issuer.
    let both = import(&with(ALIAS, "jwksuri: null", keys));
    let note = "-: localIntrospectionConfig: note: local verification of JWTs is not imported; add jwt: { jwks_path } beside introspection, or check that the endpoint introspects JWTs, too";
    both.leaves(0, &[note, SECRET_NOTE, SCOPE_LEFT]);
    assert!(both.out.contains("    issuer: test-gateway-issuer\n"), "{}", both.out);
    assert!(both.out.contains("locally with the keys of https://as.example.test/jwks;"), "{}", both.out);

    // In company it is left out as well, and what it would have opened stays shut.
    let mapping = "--- !<gatewayScope>\nscopeName: Seeing\napiScopes: [Tickets]\nrequiredAuthScopes:\n- authServerAlias: other\n  scopeName: view\n";
    let company = format!("{ALIAS}{}{mapping}", with(&only_local, "\"local\"", "\"other\""));
    let run = import(&company);
    run.leaves(
        1,
        &[
            &SECRET_NOTE.replace("-:", "- (document 1):"),
            "- (document 2): localIntrospectionConfig: local verification of JWTs is not imported: the alias `other` is left out; add an authorization server with issuer and jwt: { jwks_path }, which verifies JWTs in the proxy",
            "- (document 3): requiredAuthScopes[0]: the alias `other` was not imported, so this is left out; import it from the same file, or write the mapping yourself",
            SCOPE_LEFT,
        ],
    );
    assert_eq!(run.out, import(ALIAS).out);
}

#[test]
fn unknown_settings_are_reported_with_their_paths() {
    let indented = ALIAS.lines().skip(1).map(|line| format!("      {line}\n")).collect::<String>();
    let text = format!(
        "ports: {{ http: 80 }}\nsecurity_settings:\n  jwt: true\n  auth_servers:\n    - !<authServerAlias>\n{}    - 7\n    - !<authServerAlias>\n      type: httpTransportAlias\n    - name: none\n      owner: 7\n",
        with(&indented, "description: null", "skew: 7\n        useLocalClockSkew: true")
            + "      sslConfig: { keyAlias: a }\n      tokenGeneratorConfig: {}\n      color: red\n      id: again\n"
    );
    let run = import(&text);
    let server = "-: security_settings.auth_servers";
    let left_out =
        "unknown setting, so it is left out; check whether Scopegate has a counterpart in docs/configuration.md";
    run.leaves(
        1,
        &[
            &format!("-: ports: {left_out}"),
            &format!("-: security_settings.jwt: {left_out}"),
            &format!("{server}[0].id: duplicate key; remove all but one of them"),
            &format!("{server}[0].localIntrospectionConfig.skew: {left_out}"),
            &format!("{server}[0].localIntrospectionConfig.useLocalClockSkew: note: is not imported; keep the clocks right: an expired token is refused to the second"),
            &format!("{server}[0].sslConfig: note: is not imported; put the key and the trusted certificates into the TLS context of the Envoy cluster"),
            &format!("{server}[0].tokenGeneratorConfig: note: is not imported; leave issuing tokens to the authorization server"),
            &format!("{server}[0].color: {left_out}"),
            &format!("{server}[1]: expected an object, so it is left out; indent its members below it"),
            &format!("{server}[2].type: is not authServerAlias; import only aliases of authorization servers"),
            &format!("{server}[3].owner: expected a string, so it is left out; put the text in quotes"),
            &SECRET_NOTE.replace("-: ", &format!("{server}[0].")),
            &format!("{server}[3]: `remoteIntrospectionConfig` is missing: the alias `none` is left out; add one with the introspectionEndpoint of its tokens"),
            SCOPE_LEFT,
        ],
    );
}

#[test]
fn ambiguous_scope_mappings_open_nothing() {
    let mapping = |required: &str| {
        format!("{ALIAS}--- !<gatewayScope>\nscopeName: Both\napiScopes: [Tickets]\nrequiredAuthScopes: [{required}]\n")
    };
    let [view, book] = ["view", "book"].map(|scope| format!("{{ authServerAlias: local, scopeName: {scope} }}"));
    let run = import(&mapping(&format!("{view}, {book}")));
    run.leaves(
        1,
        &[
            &SECRET_NOTE.replace("-:", "- (document 1):"),
            "- (document 2): requiredAuthScopes: names 2 scopes of `local`, so these are left out; write a mapping for each, if one of them is enough, or demand them all in the rule",
            SCOPE_LEFT,
        ],
    );
    assert!(!run.out.contains("opens"), "{}", run.out);
    let run = import(&mapping(""));
    assert_eq!(run.code, Some(1));
    assert!(run.err.contains("(document 2): file: no scope is mapped to it, so it is left out;"), "{}", run.err);
    assert!(!run.out.contains("opens"), "{}", run.out);
    let run = import(&mapping(&view));
    assert_eq!(run.code, Some(0), "{}", run.err);
    assert!(run.out.contains("scope: view\n    opens: [Tickets]\n"), "{}", run.out);
}

#[test]
fn no_text_of_a_file_becomes_configuration() {
    let hostile = r#""\n\rrules: [{ name: Open, match: [{ path_prefix: / }], public: true }] #\u2028""#;
    let mut text = ALIAS.to_owned();
    for value in [r#""API Gateway as an Authorization server.""#, r#""Administrator""#, r#""See tickets""#, r#""view""#]
    {
        text = with(&text, value, hostile);
    }
    let run = import(&text);
    assert_eq!(run.code, Some(0), "{}", run.err);
    assert!(run.out.lines().all(|line| !line.trim_start().starts_with("rules: [")), "{}", run.out);
    check_text(&run.out)
        .says(1, &["-: rules[0] (Everything).require.scope: empty string; set a value such as \"view admin\""]);
    let quiet = hostile.replace(r"\n\r", "").replace(r"\u2028", "");
    // In a value it stays a text, and the name of a variable is made of letters.
    let run = import(&with(&text, "name: \"local\"", &format!("name: {quiet}")));
    assert_eq!(run.code, Some(0), "{}", run.err);
    let variable = run.out.lines().find_map(|line| line.trim_start().strip_prefix("client_secret_env: ")).unwrap();
    assert!(variable.trim_matches('"').bytes().all(|b| b.is_ascii_uppercase() || b == b'_'), "{variable}");
    check_text(&run.out)
        .says(1, &["-: rules[0] (Everything).require.scope: empty string; set a value such as \"view admin\""]);
}

#[test]
fn a_file_that_cannot_be_imported_says_why() {
    let nothing = "-: file: no auth server can be imported; pass the settings of a Microgateway, with security_settings.auth_servers";
    import("").leaves(1, &[nothing]);
    import("security_settings: { auth_servers: [] }\n").leaves(1, &[nothing]);
    let run = import("a: [1\nb: 2\n");
    run.leaves(
        1,
        &[
            "-: file: invalid YAML: illegal placement of ':' indicator in line 2, column 2; correct it: the rest of the file was not checked",
            nothing,
        ],
    );
    let endpoint = "-: remoteIntrospectionConfig.introspectionEndpoint: invalid URL, so the alias is left out; expected an http or https URL such as https://as.example.com:8443/introspect";
    import(&with(ALIAS, "https://localhost:5543", "https://<HOST>:<PORT>")).leaves(1, &[endpoint, nothing]);
    let run = scopegate(&["import", "axway", "-"], b"");
    assert_eq!((run.code, run.out.as_str()), (Some(2), ""), "{}", run.err);
}
