//! Servers' dialects, requirements, APIs, applications, error profiles: each way to be wrong, and what is said.

use super::{environment, problems};
use crate::config::Config;

const INTROSPECTION: &str = r#""client_secret_env": "GATEWAY_SECRET", "timeout": "1s""#;
const VIEW: &str = r#"{ "scope": "view" }"#;
const REALM: &str = r#""realm": "bookings""#;
const RULE: &str = r#""name": "View","#;

#[test]
fn every_way_to_be_wrong_is_refused_with_path_problem_and_hint() {
    let introspection = "authorization_servers[0].introspection";
    let with = |more: &str| format!("{INTROSPECTION}, {more}");
    for (edit, with, expected) in [
        // Dialects.
        (INTROSPECTION, with(r#""preset": "nobody""#), format!("{introspection}.preset: there is no preset `nobody`; known: ")),
        (INTROSPECTION, with(r#""answer": { "aktive": 1 }"#), format!("{introspection}.answer.aktive: unknown key; known here: active, ")),
        (INTROSPECTION, with(r#""answer": { "active": "maybe" }"#), format!("{introspection}.answer.active: `maybe` is not among them; write one of: boolean, boolean_or_string, status")),
        (INTROSPECTION, with(r#""answer": { "invalid_statuses": [200] }"#), format!("{introspection}.answer.invalid_statuses[0]: `200` is out of bounds; a whole number from 204 to 499")),
        (INTROSPECTION, with(r#""answer": { "invalid_statuses": [302] }"#), format!("{introspection}.answer.invalid_statuses[0]: `302` says nothing about a token; write 204 or a status from 400 to 499")),
        (INTROSPECTION, with(r#""answer": { "roles": ["a..b"] }"#), format!("{introspection}.answer.roles[0]: `a..b` is no path of a claim; ")),
        (INTROSPECTION, with(r#""request": { "method": "GET" }"#), format!("{introspection}.request.method: a GET has no body; write token_in: query or authorization, or method: POST")),
        (INTROSPECTION, with(r#""request": { "token_in": "authorization" }"#), format!("{introspection}: the token is in the Authorization header, and so are the credentials of our client; ")),
        (INTROSPECTION, with(r#""request": { "parameters": { "a": 1 } }"#), format!("{introspection}.request.parameters.a: expected a string, found a number; ")),
        (r#""path": "/token/introspection""#, r#""preset": "keycloak""#.to_owned(), format!("{introspection}: `path` is missing; the path of the introspection endpoint, such as /realms/REALM/")),
        // Who we are.
        (INTROSPECTION, with(r#""client_authentication": "none""#), format!("{introspection}.client_secret_env: has no use with this client_authentication; ")),
        (INTROSPECTION, r#""client_authentication": "private_key_jwt""#.to_owned(), format!("{introspection}: has no private key; set private_key_env (or private_key)")),
        (INTROSPECTION, r#""client_authentication": "private_key_jwt", "private_key": "-----BEGIN""#.to_owned(), format!("{introspection}: the private key cannot be used; ")),
        (INTROSPECTION, with(r#""client_authentication": "bearer""#), format!("{introspection}: `token` is missing; ")),
        (INTROSPECTION, with(r#""client_authentication": "bearer", "token": { "path": "/t", "client_authentication": "none" }"#), format!("{introspection}.token.client_authentication: cannot obtain a token; ")),
        (INTROSPECTION, with(r#""token": { "path": "/t" }"#), format!("{introspection}.token: has no use here; ")),
        (r#""client_id": "gateway","#, r#""client_id": "a:b", "client_authentication": "client_secret_basic_raw","#.to_owned(), format!("{introspection}: client_id has a colon, which HTTP Basic cannot carry as it is; ")),
        // Requirements.
        (VIEW, r#"{ "claims": { "a": {} } }"#.to_owned(), "rules[0].require.claims.a: tests nothing; ".to_owned()),
        (VIEW, r#"{ "claims": { "a": { "equals": null } } }"#.to_owned(), "rules[0].require.claims.a.equals: cannot be compared with a claim; ".to_owned()),
        (VIEW, r#"{ "claims": { "a..b": { "exists": true } } }"#.to_owned(), "rules[0].require.claims.a..b: is no path of a claim; ".to_owned()),
        (VIEW, r#"{ "scope_template": "read" }"#.to_owned(), "rules[0].require.scope_template: `read` is no template of a scope token; ".to_owned()),
        (VIEW, r#"{ "scope_template": "{method} x" }"#.to_owned(), "rules[0].require.scope_template: `{method} x` is no template of a scope token; ".to_owned()),
        (VIEW, r#"{ "scope_template": "{id}" }"#.to_owned(), "rules[0]: a scope template asks for `{id}`, which not every path of the rule names; ".to_owned()),
        (VIEW, r#"{ "mapped_scope": true }"#.to_owned(), "rules[0].require.mapped_scope: there is no API whose mapping it could be; name the API of the rule: api".to_owned()),
        (VIEW, r#"{ "authorization_server": "x" }"#.to_owned(), "rules[0].require.authorization_server: there is no authorization server `x`; known: main".to_owned()),
        (VIEW, r#"{ "any": [] }"#.to_owned(), "rules[0].require.any: is empty; ".to_owned()),
        (VIEW, r#"{ "any": [ {} ] }"#.to_owned(), "rules[0].require.any[0]: demands nothing; ".to_owned()),
        (VIEW, r#"{ "roles": [] }"#.to_owned(), "rules[0].require.roles: is empty; ".to_owned()),
        // APIs, mappings, applications.
        (RULE, format!(r#"{RULE} "api": "x","#), "rules[0].api: there is no API `x`; name one of `apis`".to_owned()),
        (RULE, format!(r#"{RULE} "authorization_server": ["main", "main"],"#), "rules[0].authorization_server: names an authorization server twice; name each once".to_owned()),
        (REALM, format!(r#"{REALM}, "scope_mappings": [ {{ "scope": "a", "opens": ["b"] }} ]"#), "scope_mappings: there is no API to map scopes to; name the APIs in `apis`".to_owned()),
        (REALM, format!(r#"{REALM}, "apis": [ {{ "name": "x" }} ], "scope_mappings": [ {{ "scope": "a", "opens": ["b"] }} ]"#), "scope_mappings[0].opens[0]: there is no API and no API scope `b`; ".to_owned()),
        (REALM, format!(r#"{REALM}, "apis": [ {{ "name": "x", "scopes": [ {{ "name": "x", "resources": [ {{ "path": "/" }} ] }} ] }} ], "scope_mappings": [ {{ "scope": "a", "opens": ["x"] }} ]"#), "scope_mappings[0].opens[0]: `x` names more than one API or API scope; ".to_owned()),
        (REALM, format!(r#"{REALM}, "applications": [ {{ "name": "a", "clients": [ {{ "client_id": "c" }} ], "apis": ["x"] }} ]"#), "applications[0].apis[0]: there is no API `x`; ".to_owned()),
        (REALM, format!(r#"{REALM}, "applications": [ {{ "name": "a", "clients": [ {{ "client_id": "c" }}, {{ "client_id": "c" }} ] }} ]"#), "applications[0].clients[1]: `c` is a client of `a` already; a client belongs to one application".to_owned()),
        (r#""public": true"#, r#""public": true, "application": "any""#.to_owned(), "rules[2].application: has no use in a public rule; remove this or `public`".to_owned()),
        // Errors.
        (REALM, format!(r#"{REALM}, "errors": "nice""#), "errors: `nice` is not among them; write one of: rfc6750, axway, netiq, netiq-hide, webmethods, problem+json".to_owned()),
        (REALM, format!(r#"{REALM}, "errors": {{ "responses": {{ "expired": {{ "status": 401 }} }} }}"#), "errors.responses.expired: is no outcome of a decision; known: default, ambiguous_target, ".to_owned()),
        (REALM, format!(r#"{REALM}, "errors": {{ "responses": {{ "default": {{ "status": 200 }} }} }}"#), "errors.responses.default.status: `200` is out of bounds; a whole number from 400 to 599".to_owned()),
        (REALM, format!(r#"{REALM}, "errors": {{ "responses": {{ "default": {{ "body": "x" }} }} }}"#), "errors.responses.default.body: its type is not said; ".to_owned()),
        (REALM, format!(r#"{REALM}, "errors": {{ "responses": {{ "default": {{ "content_type": "text/plain", "body": "{{token}}" }} }} }}"#), "errors.responses.default.body: there is no placeholder `{token}`; ".to_owned()),
        (REALM, format!(r#"{REALM}, "errors": {{ "responses": {{ "default": {{ "content_type": "application/json", "body": "x" }} }} }}"#), "errors.responses.default.body: is not JSON when it is filled in; ".to_owned()),
        // Credentials and what goes upstream.
        (REALM, format!(r#"{REALM}, "bearer": {{ "schemes": ["Basic"] }}"#), "bearer.schemes[0]: `Basic` is no scheme for bearer tokens; ".to_owned()),
        (REALM, format!(r#"{REALM}, "bearer": {{ "query": "a b" }}"#), "bearer.query: `a b` is no name of a query parameter; ".to_owned()),
        (REALM, format!(r#"{REALM}, "bearer": {{ "header": "cookie" }}"#), "bearer.header: is no header for a token; ".to_owned()),
        (r#""x-auth-subject": "sub""#, r#""x-auth-subject": "a..b""#.to_owned(), "upstream.headers.x-auth-subject: `a..b` is no property of a token; ".to_owned()),
        (r#""authorization": "remove""#, r#""filter_state": { "a b": "sub" }"#.to_owned(), "upstream.filter_state.a b: is no name for filter state; ".to_owned()),
    ] {
        let found = problems(edit, &with);
        assert!(found.iter().any(|one| one.starts_with(&expected)), "{edit} -> {with}:\n{}\nnot\n{expected}", found.join("\n"));
    }
}

#[test]
fn what_one_kind_of_server_cannot_say_is_not_demanded_of_it() {
    let google = |audience: &str| {
        let text = format!(
            r#"{{"authorization_servers":[{{"name":"g","cluster":"oauth2.googleapis.com","audience":{audience},
                "introspection":{{"preset":"google-tokeninfo"}}}}],
                "rules":[{{"name":"r","match":[{{"path":"/"}}],"require":{{"authenticated":true}}}}]}}"#
        );
        Config::parse(text.as_bytes(), &environment).map(|_| ()).map_err(|problems| problems.to_string())
    };
    assert!(google(r#"["id"]"#).is_ok());
    assert!(google(r#""any""#).unwrap_err().contains("would let tokens of every client of this server in"));
    let github = problems(
        r#""audience": "any",
      "introspection": { "path": "/token/introspection""#,
        r#""audience": ["x"],
      "introspection": { "preset": "github""#,
    );
    assert_eq!(
        github,
        [
            "authorization_servers[0]: this server names no audience, so no token would meet the list in `audience`; write audience: any, and demand client ids or scopes in the rules"
        ]
    );
}

#[test]
fn an_api_lends_its_rules_what_they_do_not_say_themselves() {
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

/// A configuration of two servers with more members each, a rule that takes both, and more at the top.
fn of_two(first: &str, second: &str, require: &str, top: &str) -> Vec<String> {
    let server = |name: &str, more: &str| {
        format!(r#"{{"name":"{name}","cluster":"c.test","issuer":"https://as.test","audience":"any",{more}}}"#)
    };
    let text = format!(
        r#"{{"authorization_servers":[{},{}],{top}
            "rules":[{{"name":"r","match":[{{"route":"x"}}],"authorization_server":["a","b"],"require":{require}}}]}}"#,
        server("a", first),
        server("b", second),
    );
    match Config::parse(text.as_bytes(), &environment) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn what_would_open_more_than_it_says_is_refused() {
    const ASKS: &str = r#""introspection":{"path":"/i","client_id":"g","client_secret":"s"}"#;
    const VIEW: &str = r#"{"scope":"view"}"#;
    const JWT: &str = r#""jwt":{"jwks_path":"/jwks"}"#;
    let introspection = |more: &str| format!(r#""introspection":{{{more}}}"#);
    let plain = r#""path":"/i","client_id":"g","client_secret":"s""#;
    assert_eq!(of_two(ASKS, ASKS, VIEW, ""), Vec::<String>::new());
    let whose =
        r#"{"any":[{"authorization_server":"a","client_ids":["web"]},{"authorization_server":"b","scope":"x"}]}"#;
    assert_eq!(of_two(ASKS, ASKS, whose, ""), Vec::<String>::new());
    for (first, second, require, top, expected) in [
        (ASKS.to_owned(), ASKS, r#"{"client_ids":["web"]}"#, "", "client_ids are demanded of tokens of several"),
        (ASKS.to_owned(), JWT, VIEW, "", "takes tokens of one issuer both with and without asking"),
        (
            r#""jwt":{"jwks_path":"/jwks","types":["JWT"]}"#.to_owned(),
            JWT,
            VIEW,
            "",
            "an ID token of any client would do",
        ),
        (r#""jwt":{"jwks_path":"/jwks","introspect":true}"#.to_owned(), ASKS, VIEW, "", "there is no `introspection`"),
        (
            ASKS.to_owned(),
            ASKS,
            VIEW,
            r#""bearer":{"query":"access_token"},"#,
            "rules follow Envoy's routes, and tokens",
        ),
        (
            introspection(&format!(r#"{plain},"answer":{{"invalid_statuses":[401]}}"#)),
            ASKS,
            VIEW,
            "",
            "would call every token bad while our client is refused",
        ),
        (
            introspection(&format!(r#"{plain},"answer":{{"active":"status"}}"#)),
            ASKS,
            VIEW,
            "",
            "every answer with status 200 would do",
        ),
        (
            introspection(&format!(r#"{plain},"request":{{"parameters":{{"token":"x"}}}}"#)),
            ASKS,
            VIEW,
            "",
            "is the name that carries the token",
        ),
        (
            introspection(&format!(
                r#"{plain},"client_authentication":"client_secret_post","request":{{"token_in":"query"}}"#
            )),
            ASKS,
            VIEW,
            "",
            "would stand in the URI",
        ),
        (
            ASKS.to_owned(),
            ASKS,
            VIEW,
            r#""errors":{"responses":{"unavailable":{"status":401}}},"#,
            "would blame the caller for our trouble",
        ),
        (
            ASKS.to_owned(),
            ASKS,
            r#"{"claims":{"n":{"equals":9007199254740993}}}"#,
            "",
            "is too large to be compared exactly",
        ),
    ] {
        let found = of_two(&first, second, require, top);
        assert!(found.iter().any(|one| one.contains(expected)), "{expected}: {found:?}");
    }
}

#[test]
fn a_jwt_that_says_its_keys_nowhere_or_twice_is_refused() {
    const ASKS: &str = r#""introspection":{"path":"/i","client_id":"g","client_secret":"s"}"#;
    let of = |jwt: &str| of_two(&format!(r#""jwt":{{{jwt}}}"#), ASKS, r#"{"scope":"view"}"#, "");
    let mixed = "takes tokens of one issuer both with and without asking";
    for (jwt, expected) in [
        (
            "",
            "jwt: says nowhere where the server's keys are; write jwks_path, such as /jwks, or discovery: openid or oauth",
        ),
        (r#""jwks_path":"/jwks","discovery":"openid""#, "jwt: says twice where the server's keys are"),
        (r#""discovery":"rfc8414""#, "jwt.discovery: `rfc8414` is no kind of discovery; write openid"),
        (r#""discovery":"/a b""#, "jwt.discovery: `/a b` is no path"),
        (r#""discovery":"openid""#, mixed),
        (r#""discovery":"/metadata""#, mixed),
    ] {
        let found = of(jwt);
        assert!(found.len() == 1 && found[0].contains(expected), "{expected}: {found:?}");
    }
}
