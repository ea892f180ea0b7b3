use super::*;
use crate::cache::CacheSettings;
use crate::policy::Audience;

mod policies;

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
fn the_configuration_of_the_contract_is_read() {
    let config = Config::parse(GOOD.as_bytes(), &environment).unwrap();
    assert_eq!(config.servers.len(), 1);
    assert_eq!(config.servers[0].introspection.as_ref().unwrap().authority, "127.0.0.1:9400");
    assert_eq!(config.servers[0].tokens.audience, Audience::Any);
    assert_eq!(config.cache, CacheSettings::default());
    assert_eq!(config.policy.rules.len(), 3);
    assert_eq!(config.errors.realm, "bookings");
}

#[test]
fn every_way_to_be_wrong_is_refused_with_path_problem_and_hint() {
    let server = "list the authorization servers whose tokens are accepted";
    for (edit, with, expected) in [
        // Keys.
        (
            r#""realm""#,
            r#""realms""#,
            "realms: unknown key; known here: authorization_servers, cache, upstream, realm, errors, bearer, paths, log, require, apis, scope_mappings, applications, rules, mode, unknown_tokens",
        ),
        (r#""realm""#, r#""realm": "x", "realm""#, "realm: duplicate key; keep one of them"),
        (r#""capacity": 10000"#, r#""capacity": 1, "capacity": 2"#, "cache.capacity: duplicate key; keep one of them"),
        (
            r#""x-auth-subject": "sub""#,
            r#""x-auth-subject": "sub", "x-auth-subject": "x""#,
            "upstream.headers.x-auth-subject: duplicate key; keep one of them",
        ),
        (
            r#""authorization_servers""#,
            r#""authorization_server""#,
            &format!("configuration: `authorization_servers` is missing; {server}"),
        ),
        // Kinds.
        (r#""realm": "bookings""#, r#""realm": 7"#, "realm: expected a string, found a number; write a string here"),
        (r#""realm": "bookings""#, r#""realm": """#, "realm: is empty; give it a value"),
        (
            r#""realm": "bookings""#,
            r#""realm": "a\"b""#,
            "realm: `a\\\"b` is no realm; at most 128 printable ASCII characters without \" and \\",
        ),
        (r#"["GET"]"#, r#""GET""#, "rules[0].match[0].methods: expected a list, found a string; write a list here"),
        (r#"["GET"]"#, "[]", "rules[0].match[0].methods: is empty; list at least one, or leave the key out"),
        (
            r#"["cancel", "admin"]"#,
            "[]",
            "rules[1].require.any_scope: is empty; list at least one, or leave the key out",
        ),
        // Numbers and durations.
        (
            r#""capacity": 10000"#,
            r#""capacity": 0"#,
            "cache.capacity: `0` is out of bounds; a whole number from 1 to 1000000",
        ),
        (
            r#""capacity": 10000"#,
            r#""capacity": 1.5"#,
            "cache.capacity: `1.5` is out of bounds; a whole number from 1 to 1000000",
        ),
        (
            r#""capacity": 10000"#,
            r#""capacity": -1"#,
            "cache.capacity: `-1` is out of bounds; a whole number from 1 to 1000000",
        ),
        (
            r#""capacity": 10000"#,
            r#""capacity": "many""#,
            "cache.capacity: expected a whole number, found a string; write a whole number here",
        ),
        (
            r#""max_ttl": "60s""#,
            r#""max_ttl": "1 minute""#,
            "cache.max_ttl: `1 minute` is no duration; from 0s to 24h, such as \"500ms\", \"30s\", \"5m\"",
        ),
        (
            r#""max_ttl": "60s""#,
            r#""max_ttl": 60"#,
            "cache.max_ttl: expected a duration with its unit, found a number; write a string from 0s to 24h, such as \"500ms\", \"30s\", \"5m\"",
        ),
        (
            r#""max_ttl": "60s""#,
            r#""max_ttl": "48h""#,
            "cache.max_ttl: `48h` is out of bounds; from 0s to 24h, such as \"500ms\", \"30s\", \"5m\"",
        ),
        (
            r#""timeout": "1s""#,
            r#""timeout": "0s""#,
            "authorization_servers[0].introspection.timeout: `0s` is out of bounds; from 10ms to 30s, such as \"500ms\", \"30s\", \"5m\"",
        ),
        // What is not enforced, and how much is asked.
        (
            r#""realm": "bookings","#,
            r#""mode": "report","#,
            "mode: `report` is not among them; write one of: enforce, report_only",
        ),
        (
            r#""name": "Health","#,
            r#""name": "Health", "mode": true,"#,
            "rules[2].mode: expected a string, found a boolean; write a string here",
        ),
        (
            r#""realm": "bookings","#,
            r#""unknown_tokens": "many","#,
            "unknown_tokens: `many` says nothing of how many; write unlimited, or { per_second: 200, burst: 2000 }",
        ),
        (
            r#""realm": "bookings","#,
            r#""unknown_tokens": {"per_second": 0},"#,
            "unknown_tokens.per_second: `0` is out of bounds; a whole number from 1 to 1000000",
        ),
        (
            r#""inactive_ttl": "5s" },
  "upstream": { "authorization": "remove", "headers": { "x-auth-subject": "sub""#,
            r#""stale_if_error": "5m" },
  "upstream": { "authorization": "remove", "headers": { "x-auth-stale": "sub""#,
            "configuration: cache.stale_if_error marks requests by x-auth-stale, which upstream.headers has for something else; name another header for it there, such as x-auth-age: stale",
        ),
        // Servers.
        (
            r#""audience": "any","#,
            r#""audience": "any", "circuit_breaker": {"failures": 1001},"#,
            "authorization_servers[0].circuit_breaker.failures: `1001` is out of bounds; a whole number from 0 to 1000",
        ),
        (
            r#""audience": "any","#,
            r#""audience": "any", "circuit_breaker": {"open_for": "50ms"},"#,
            "authorization_servers[0].circuit_breaker.open_for: `50ms` is out of bounds; from 100ms to 300s, such as \"500ms\", \"30s\", \"5m\"",
        ),
        (
            r#""audience": "any","#,
            r#""audience": "any", "circuit_breaker": {"half": 1},"#,
            "authorization_servers[0].circuit_breaker.half: unknown key; known here: failures, open_for",
        ),
        (
            r#""audience": "any","#,
            r#""audience": "any", "max_callouts": 0,"#,
            "authorization_servers[0].max_callouts: `0` is out of bounds; a whole number from 1 to 10000",
        ),
        (
            r#""audience": "any","#,
            r#""audience": "any", "fallback_clusters": ["second", "second"],"#,
            "authorization_servers[0].fallback_clusters: `second` is there already; name each cluster once",
        ),
        (
            r#""audience": "any","#,
            r#""audience": "any", "fallback_clusters": ["2", "3", "4", "5"],"#,
            "authorization_servers[0].fallback_clusters: are too many; name 3 at most",
        ),
        (
            r#""max_ttl": "60s""#,
            r#""stale_if_error": "2h""#,
            "cache.stale_if_error: `2h` is out of bounds; from 0s to 1h, such as \"500ms\", \"30s\", \"5m\"",
        ),
        (
            r#""audience": "any","#,
            "",
            "authorization_servers[0]: `audience` is missing; write `any`, or list the audiences that tokens must be meant for",
        ),
        (
            r#""audience": "any""#,
            r#""audience": "api""#,
            "authorization_servers[0].audience: `api` stands alone; write any, or a list: [api]",
        ),
        (
            r#""audience": "any""#,
            r#""audience": []"#,
            "authorization_servers[0].audience: is empty; list at least one, or leave the key out",
        ),
        (
            r#""path": "/token/introspection""#,
            r#""path": "http://as/introspect""#,
            "authorization_servers[0].introspection.path: `http://as/introspect` is no path; start it with /, without scheme and host: the cluster leads to the server",
        ),
        (
            r#""client_secret_env": "GATEWAY_SECRET""#,
            r#""client_secret_env": "NOT_SET""#,
            "authorization_servers[0].introspection.client_secret_env: the environment variable `NOT_SET` is not set for the module; set it where Envoy starts and name it in vm_config.environment_variables.host_env_keys",
        ),
        (
            r#""client_secret_env": "GATEWAY_SECRET""#,
            r#""client_secret_env": "s3cret!""#,
            "authorization_servers[0].introspection.client_secret_env: is no name of an environment variable; write the name of the variable here, not the secret",
        ),
        (
            r#""realm""#,
            r#""re\nalm": "", "realm""#,
            "re\\nalm: unknown key; known here: authorization_servers, cache, upstream, realm, errors, bearer, paths, log, require, apis, scope_mappings, applications, rules, mode, unknown_tokens",
        ),
        (
            r#""client_secret_env": "GATEWAY_SECRET","#,
            "",
            "authorization_servers[0].introspection: has no client secret; set client_secret_env (or client_secret)",
        ),
        (
            r#""client_secret_env""#,
            r#""client_secret": "x", "client_secret_env""#,
            "authorization_servers[0].introspection: has both `client_secret` and `client_secret_env`; keep one of them",
        ),
        // Upstream.
        (r#""remove""#, r#""drop""#, "upstream.authorization: `drop` is not among them; write one of: remove, keep"),
        (
            r#""x-auth-scope""#,
            r#""authorization""#,
            "upstream.headers.authorization: is no header to set; choose a header of its own, such as x-auth-subject: this one has a meaning for the transport",
        ),
        (
            r#""x-auth-scope""#,
            r#""x_auth_subject""#,
            "upstream.headers.x_auth_subject: `x_auth_subject` names the same header as an earlier one; keep one of them",
        ),
        (
            r#""x-auth-scope""#,
            r#""x auth""#,
            "upstream.headers.x auth: is no header to set; use letters, digits and -, such as x-auth-subject",
        ),
        // Rules.
        (
            r#""scope": "view""#,
            r#""scope": "a b!\\""#,
            "rules[0].require.scope: `b!\\\\` contains `\\\\`; a scope token has printable ASCII characters without space, \" and \\ (RFC 6749 §3.3)",
        ),
        (
            r#""scope": "view""#,
            r#""scope": "a  b""#,
            "rules[0].require.scope: has an empty scope token; separate scope tokens by one space",
        ),
        (
            r#""cancel", "admin""#,
            r#""cancel", "a b""#,
            "rules[1].require.any_scope[1]: `a b` contains ` `; a scope token has printable ASCII characters without space, \" and \\ (RFC 6749 §3.3)",
        ),
        (
            r#"{ "scope": "view" }"#,
            "{}",
            "rules[0].require: demands nothing; name a scope, or write authenticated: true for any active token",
        ),
        (
            r#"{ "scope": "view" }"#,
            r#"{ "scope": "view", "authenticated": true }"#,
            "rules[0].require: `authenticated` says less than what is beside it; remove `authenticated`",
        ),
        (
            r#", "public": true"#,
            "",
            "rules[2]: says neither `require` nor `public: true`; say what the rule demands: nothing is implied",
        ),
        (
            r#""public": true"#,
            r#""public": false"#,
            "rules[2].public: `false` says nothing; write true, or leave the key out",
        ),
        (
            r#""public": true"#,
            r#""public": true, "require": { "scope": "x" }"#,
            "rules[2]: has both `public` and `require`; keep one of them",
        ),
        (
            r#""public": true"#,
            r#""public": true, "authorization_server": "main""#,
            "rules[2].authorization_server: has no use in a public rule; remove this or `public`",
        ),
        (
            r#""name": "Cancel""#,
            r#""name": "Can\ncel""#,
            "rules[1].name: `Can\\ncel` is no name; at most 128 characters, none of them a control character",
        ),
        (
            r#""name": "Cancel""#,
            r#""name": "View""#,
            "rules[1].name: `View` is the name of two; give each rule a name of its own",
        ),
        (
            r#"{ "path": "/healthz" }"#,
            "{}",
            "rules[2].match[0]: has no condition; for every request write path_prefix: /",
        ),
        (r#"[ { "path": "/healthz" } ]"#, "[]", "rules[2].match: is empty; list at least one, or leave the key out"),
        (
            r#""path": "/healthz""#,
            r#""path": "/healthz", "path_prefix": "/""#,
            "rules[2].match[0]: has both `path` and `path_prefix`; keep one of them",
        ),
        (
            r#""path": "/healthz""#,
            r#""path": "/health/*""#,
            "rules[2].match[0].path: `/health/*` is no path pattern; `*` is no wildcard here: write {name} for one segment, or path_prefix",
        ),
        (
            r#""path": "/healthz""#,
            r#""path": "healthz""#,
            "rules[2].match[0].path: `healthz` is no path pattern; start it with /",
        ),
        (
            r#""path": "/healthz""#,
            r#""path": "/a%2Fb""#,
            "rules[2].match[0].path: `/a%2Fb` is no path pattern; %2F needs paths.allow_encoded_slash: true",
        ),
        (
            r#""path": "/healthz""#,
            r#""path": "/a/../b""#,
            "rules[2].match[0].path: `/a/../b` is no path pattern; no request with such a path is let in: write the plain path",
        ),
        (
            r#""path": "/healthz""#,
            r#""hosts": ["a:b"]"#,
            "rules[2].match[0].hosts[0]: `a:b` is no host pattern; write api.example.com, *.example.com or, if the port counts, api.example.com:8443",
        ),
        (
            r#"["GET"]"#,
            r#"["get"]"#,
            "rules[0].match[0].methods[0]: `get` is no method; methods are case-sensitive: write GET, POST, …; for every method leave `methods` out",
        ),
        (
            r#"{ "methods": ["GET"], "path": "/bookings" }"#,
            r#"{ "path_prefix": "/" }"#,
            "rules[1]: never applies: `View` above matches all of its requests; move it up, narrow the rule above, or remove it",
        ),
        (
            r#""require": { "scope": "view" }"#,
            r#""require": { "scope": "view" }, "authorization_server": "other""#,
            "rules[0].authorization_server: there is no authorization server `other`; known: main",
        ),
    ] {
        let found = problems(edit, with);
        assert!(
            found.iter().any(|found| found == expected),
            "{edit} -> {with}:\n{}\nnot\n{expected}",
            found.join("\n")
        );
    }
}

#[test]
fn a_good_edit_is_no_problem() {
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
fn all_problems_come_in_one_go() {
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
            "authorization_servers[0].cluster",
            "authorization_servers[0]",
            "authorization_servers[0].introspection.path",
            "authorization_servers[0].introspection",
            "authorization_servers[1]",
            "authorization_servers[1]",
            "authorization_servers[1].name",
            "cache.capacity",
            "cache.max_ttl",
            "rules[0].match[0].methods[0]",
            "rules[0].match[0].path",
            "rules[0].require.scope",
            "rules[1].colour",
            "rules[1]",
            "rules[1].match",
            "rules[1]",
        ]
    );
    assert!(problems.iter().all(|problem| !problem.problem.is_empty() && !problem.hint.is_empty()));
}

#[test]
fn with_several_servers_a_rule_names_its_own() {
    let two = GOOD.replacen("\"authorization_servers\": [", "\"authorization_servers\": [{ \"name\": \"second\", \"cluster\": \"c\", \"audience\": \"any\", \"introspection\": { \"path\": \"/i\", \"client_id\": \"g\", \"client_secret\": \"s\" } },", 1);
    let found = Config::parse(two.as_bytes(), &environment).unwrap_err();
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    let expected = "rules[0]: `authorization_server` is missing, and there are several; name the one whose tokens it takes, or list them: second, main";
    assert_eq!(found[0], expected);
    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn what_is_not_a_document_says_so() {
    for (text, starts) in [
        ("", "configuration: is not JSON: EOF"),
        ("{", "configuration: is not JSON: EOF"),
        ("realm: x", "configuration: is not JSON: expected value"),
        ("[]", "configuration: expected an object, found a list"),
        ("null", "configuration: expected an object, found null"),
    ] {
        let problems = Config::parse(text.as_bytes(), &|_| None).unwrap_err().to_string();
        assert!(problems.starts_with(starts), "{text}: {problems}");
    }
}

#[test]
fn the_fingerprint_follows_the_document_and_its_secrets_only() {
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
fn a_great_many_headers_are_refused_at_once() {
    let headers: Vec<String> = (0..33).map(|n| format!("\"x-{n}\": \"sub\"")).collect();
    let found = problems(r#""x-auth-subject": "sub", "x-auth-scope": "scope""#, &headers.join(","));
    assert_eq!(found, ["upstream.headers: has 33 keys; keep 32 at most"]);
}

#[test]
fn the_host_of_a_callout_is_the_issuers_or_the_clusters() {
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
    assert!(authority("identity_server", "the cluster").unwrap_err().contains("set introspection.authority"));
}
