use super::*;
use crate::cache::CacheSettings;
use crate::policy::Audience;

mod apis;
mod combinations;
mod rules;
mod servers;
mod values;

/// The configuration of the README, with `edit` replaced by `with` in its text.
fn problems(edit: &str, with: &str) -> Vec<String> {
    assert!(edit.is_empty() || GOOD.contains(edit), "nothing to edit: {edit}");
    let text = GOOD.replacen(edit, with, 1);
    match Config::parse(text.as_bytes(), &environment) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

fn environment(variable: &str) -> Option<String> {
    (variable == "GATEWAY_SECRET").then(|| "s3cret".to_owned())
}

const GOOD: &str = r#"{
  "authorization_servers": [
    { "name": "main", "cluster": "identity_server", "issuer": "http://127.0.0.1:9400", "audience": "any",
      "introspection": { "path": "/token/introspection", "client_id": "gateway",
                         "client_secret_env": "GATEWAY_SECRET", "timeout": "1s" } }
  ],
  "cache": { "capacity": 10000, "max_ttl": "60s", "inactive_ttl": "5s" },
  "upstream": { "authorization": "remove", "headers": { "x-auth-subject": "sub", "x-auth-scope": "scope" } },
  "realm": "bookings",
  "rules": [
    { "name": "View", "match": [ { "methods": ["GET"], "path": "/bookings" } ], "require": { "scope": "view" } },
    { "name": "Cancel", "match": [ { "methods": ["DELETE"], "path": "/bookings/{id}" } ],
      "require": { "any_scope": ["cancel", "admin"] } },
    { "name": "Health", "match": [ { "path": "/healthz" } ], "public": true }
  ]
}"#;

#[test]
fn a_whole_configuration_is_read() {
    let config = Config::parse(GOOD.as_bytes(), &environment).unwrap();
    assert_eq!(config.servers.len(), 1);
    assert_eq!(config.servers[0].introspection.as_ref().unwrap().authority, "127.0.0.1:9400");
    assert_eq!(config.servers[0].tokens.audience, Audience::Any);
    assert_eq!(config.cache, CacheSettings::default());
    assert_eq!(config.policy.rules.len(), 3);
    assert_eq!(config.errors.realm, "bookings");
}

#[test]
fn valid_edits_have_no_problem() {
    for (edit, with) in [
        ("", ""),
        (r#""capacity": 10000"#, r#""capacity": 10000.0"#),
        (r#""max_ttl": "60s""#, r#""max_ttl": "0s""#),
        (r#""audience": "any""#, r#""audience": ["a", "b"]"#),
        (r#""scope": "view""#, r#""scope": "view audit""#),
        (r#"{ "scope": "view" }"#, r#"{ "authenticated": true }"#),
        (r#"{ "scope": "view" }"#, r#"{ "scope": "view", "any_scope": ["a", "b"] }"#),
        (r#""realm": "bookings""#, r#""realm": "b", "require": { "scope": "APIManagerScope" }"#),
        (
            r#""realm": "bookings""#,
            r#""realm": "b", "bearer": { "max_bytes": 4096 }, "paths": { "allow_encoded_slash": true }"#,
        ),
        (r#""realm": "bookings","#, ""),
    ] {
        assert_eq!(problems(edit, with), Vec::<String>::new(), "{edit} -> {with}");
    }
}

#[test]
fn all_problems_are_found_at_once() {
    let text = r#"{
        "authorization_servers": [ { "name": "a", "cluster": 7, "introspection": { "path": "x", "client_id": "g" } },
                                   { "name": "a", "audience": "any" } ],
        "cache": { "max_ttl": "forever", "capacity": 0 },
        "rules": [ { "name": "r", "match": [ { "methods": ["get"], "path": "x" } ], "require": { "scope": "a\"" } },
                   { "match": [], "colour": "red" } ]
    }"#;
    let problems = Config::parse(text.as_bytes(), &|_| None).unwrap_err();
    let paths: Vec<&str> = problems.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "authorization_servers[0] (a).cluster",
            "authorization_servers[0] (a)",
            "authorization_servers[0] (a).introspection.path",
            "authorization_servers[0] (a).introspection",
            "authorization_servers[1] (a)",
            "authorization_servers[1] (a)",
            "authorization_servers[1] (a).name",
            "cache.capacity",
            "cache.max_ttl",
            "rules[0] (r).match[0].methods[0]",
            "rules[0] (r).match[0].path",
            "rules[0] (r).require.scope",
            "rules[1].colour",
            "rules[1]",
            "rules[1].match",
            "rules[1]",
        ]
    );
    assert!(problems.iter().all(|problem| !problem.problem.is_empty() && !problem.hint.is_empty()));
}

#[test]
fn a_rule_names_one_of_several_servers() {
    let two = GOOD.replacen("\"authorization_servers\": [", "\"authorization_servers\": [{ \"name\": \"second\", \"cluster\": \"c\", \"audience\": \"any\", \"introspection\": { \"path\": \"/i\", \"client_id\": \"g\", \"client_secret\": \"s\" } },", 1);
    let found = Config::parse(two.as_bytes(), &environment).unwrap_err();
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    let expected = "rules[0] (View): `authorization_server` is missing, and several are configured; name the one whose tokens the rule accepts, or list several of: second, main";
    assert_eq!(found[0], expected);
    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn invalid_documents_have_whole_messages() {
    let struct_or_text = "write the configuration as a google.protobuf.Struct, or as JSON text in a StringValue";
    let known = "known keys: authorization_servers, cache, upstream, realm, errors, bearer, paths, log, require, apis, scope_mappings, applications, rules, mode, unknown_tokens";
    let object = "expected an object with keys such as `authorization_servers`";
    for (text, problem, hint) in [
        ("", "invalid JSON: EOF while parsing a value at line 1 column 0".to_owned(), struct_or_text),
        ("{", "invalid JSON: EOF while parsing an object at line 1 column 1".to_owned(), struct_or_text),
        ("realm: x", "invalid JSON: expected value at line 1 column 1".to_owned(), struct_or_text),
        ("[]", format!("{object}, found a list"), known),
        ("null", format!("{object}, found null"), known),
    ] {
        let problems = Config::parse(text.as_bytes(), &|_| None).unwrap_err().to_string();
        assert_eq!(problems, format!("configuration: {problem}; {hint}"), "{text}");
    }
}

#[test]
fn the_fingerprint_covers_document_and_secrets_only() {
    let fingerprint = |text: &str, secret: &str| {
        let secret = secret.to_owned();
        Config::parse(text.as_bytes(), &move |_| Some(secret.clone())).unwrap().fingerprint
    };
    let reordered =
        GOOD.replacen(r#""max_ttl": "60s", "inactive_ttl": "5s""#, r#""inactive_ttl": "5s", "max_ttl": "60s""#, 1);
    assert_ne!(reordered, GOOD);
    assert_eq!(fingerprint(GOOD, "a"), fingerprint(&reordered, "a"));
    assert_ne!(fingerprint(GOOD, "a"), fingerprint(GOOD, "b"));
    assert_ne!(fingerprint(GOOD, "a"), fingerprint(&GOOD.replace("9400", "9401"), "a"));
}

#[test]
fn a_configuration_prints_no_secret() {
    let config = Config::parse(GOOD.as_bytes(), &environment).unwrap();
    let printed = format!("{config:?}");
    assert!(!printed.contains("s3cret") && !printed.contains("Basic "), "{printed}");
}

#[test]
fn more_than_32_headers_are_refused_once() {
    let headers: Vec<String> = (0..33).map(|n| format!("\"x-{n}\": \"sub\"")).collect();
    let found = problems(r#""x-auth-subject": "sub", "x-auth-scope": "scope""#, &headers.join(","));
    assert_eq!(found, ["upstream.headers: too many keys: 33; set at most 32 keys, as in { x-auth-subject: sub }"]);
}

#[test]
fn the_callout_host_is_the_issuers_or_clusters() {
    let authority = |edit: &str, with: &str| {
        let text = GOOD.replacen(r#""issuer": "http://127.0.0.1:9400", "#, "", 1).replacen(edit, with, 1);
        let config = Config::parse(text.as_bytes(), &environment);
        config
            .map(|config| config.servers[0].introspection.as_ref().unwrap().authority.clone())
            .map_err(|problems| problems.to_string())
    };
    assert_eq!(authority("", "").as_deref(), Ok("identity_server"));
    assert_eq!(authority("identity_server", "outbound|443||as.example.com").as_deref(), Ok("as.example.com"));
    assert_eq!(authority(r#""client_id""#, r#""authority": "as:81", "client_id""#).as_deref(), Ok("as:81"));
    let problem = "authorization_servers[0] (main).introspection: no Host for callouts can be derived from `issuer` or `cluster`; set introspection.authority to the host by which the server knows itself, such as as.example.com";
    assert_eq!(authority("identity_server", "the cluster"), Err(problem.to_owned()));
}

#[test]
fn a_long_response_body_is_refused() {
    let body = "x".repeat(8193);
    let with = format!(
        r#""realm": "x", "errors": {{ "responses": {{ "default": {{ "content_type": "text/plain", "body": "{body}" }} }} }}"#
    );
    let expected = "errors.responses.default.body: too long: 8193 bytes; shorten it to 8192 bytes, such as \"{error_description}\"";
    assert_eq!(problems(r#""realm": "bookings""#, &with), [expected]);
}

#[test]
fn a_problem_causes_no_follow_up_problems() {
    // The rule and the application refer to an API that has a problem of its own.
    let with = r#""realm": "x", "apis": [{ "name": "shop", "errors": "nice" }],
        "applications": [{ "name": "a", "clients": [{ "client_id": "c" }], "apis": ["shop"], "rules": ["View"] }]"#;
    let text = GOOD.replacen(r#""realm": "bookings""#, with, 1).replacen(
        r#""name": "View""#,
        r#""name": "View", "api": "shop""#,
        1,
    );
    let found = Config::parse(text.as_bytes(), &environment).unwrap_err().to_string();
    let expected = "apis[0] (shop).errors: invalid `nice`; expected one of: rfc6750, axway, netiq, netiq-hide, webmethods, problem+json";
    assert_eq!(found, expected);
}

#[test]
fn positions_lead_to_the_values() {
    let text = GOOD.replacen(r#""scope": "view""#, r#""scopes": "view""#, 1);
    let problems = Config::parse(text.as_bytes(), &environment).unwrap_err();
    let positions: Vec<&[usize]> = problems.iter().map(|problem| problem.position.as_slice()).collect();
    assert_eq!(positions, [&[4, 0, 2, 0]]);
}

#[test]
fn the_required_audience_follows_the_preset() {
    let google = |audience: &str| {
        let text = format!(
            r#"{{"authorization_servers":[{{"name":"g","cluster":"oauth2.googleapis.com","audience":{audience},
                "introspection":{{"preset":"google-tokeninfo"}}}}],
                "rules":[{{"name":"r","match":[{{"path":"/"}}],"require":{{"authenticated":true}}}}]}}"#
        );
        Config::parse(text.as_bytes(), &environment).map(|_| ()).map_err(|problems| problems.to_string())
    };
    assert!(google(r#"["id"]"#).is_ok());
    let expected = "authorization_servers[0] (g): `audience: any` would accept tokens of every client of this server; list the client ids whose tokens are meant for this API, as in audience: [web]";
    assert_eq!(google(r#""any""#), Err(expected.to_owned()));
    let github = problems(
        r#""audience": "any",
      "introspection": { "path": "/token/introspection""#,
        r#""audience": ["x"],
      "introspection": { "preset": "github""#,
    );
    assert_eq!(
        github,
        [
            "authorization_servers[0] (main): responses of this server name no audience, so no token would match the list in `audience`; write audience: any, and require client_ids or a scope in the rules"
        ]
    );
}

#[test]
fn rules_inherit_unset_settings_from_their_api() {
    let text = r#"{"authorization_servers":[
          {"name":"a","cluster":"c","audience":"any","introspection":{"path":"/","client_id":"g","client_secret":"s"}},
          {"name":"b","cluster":"c","audience":"any","introspection":{"path":"/","client_id":"g","client_secret":"s"}}],
        "errors":"netiq",
        "apis":[{"name":"x","authorization_server":"b","require":{"scope":"APIManagerScope"},"errors":"axway","cors_preflight":true}],
        "rules":[{"name":"own","api":"x","match":[{"path":"/1"}],"authorization_server":["a","b"],"errors":"webmethods","cors_preflight":false},
                 {"name":"lent","api":"x","match":[{"path":"/2"}]},
                 {"name":"none","match":[{"path":"/3"}],"authorization_server":"a","require":{"authenticated":true}}]}"#;
    let config = Config::parse(text.as_bytes(), &environment).unwrap_or_else(|problems| panic!("{problems}"));
    let facts: Vec<_> = config
        .policy
        .rules
        .iter()
        .map(|rule| {
            let crate::policy::Access::Protected { servers, requirement, .. } = &rule.access else {
                panic!("protected")
            };
            let scopes = requirement.scopes(None).len();
            (servers.clone(), scopes, rule.cors_preflight, rule.errors.base, rule.errors.realm.clone())
        })
        .collect();
    use crate::response::Vendor;
    assert_eq!(
        facts,
        [
            (vec![0, 1], 1, false, Vendor::Webmethods, "api".to_owned()),
            (vec![1], 1, true, Vendor::Axway, "DefaultRealm".to_owned()),
            (vec![0], 0, false, Vendor::Netiq, "api".to_owned()),
        ]
    );
}
