//! Problems of settings that are valid one by one and unsafe together, and of `jwt`.

use super::environment;
use crate::config::Config;

/// The problems of two servers with these members, a rule that accepts tokens of both, and members at the top.
fn problems_of_two(first: &str, second: &str, require: &str, top: &str) -> Vec<String> {
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
fn safe_combinations_are_accepted() {
    let whose =
        r#"{"any":[{"authorization_server":"a","client_ids":["web"]},{"authorization_server":"b","scope":"x"}]}"#;
    for require in [VIEW, whose] {
        assert_eq!(problems_of_two(INTROSPECTION, INTROSPECTION, require, ""), Vec::<String>::new(), "{require}");
    }
}

#[test]
fn unsafe_combinations_are_refused_with_whole_messages() {
    for (first, second, require, top, expected) in COMBINATIONS {
        let found = problems_of_two(first, second, require, top);
        assert_eq!(found, *expected, "{first} {second} {require} {top}");
    }
}

const INTROSPECTION: &str = r#""introspection":{"path":"/i","client_id":"g","client_secret":"s"}"#;
const VIEW: &str = r#"{"scope":"view"}"#;

type Combination = (&'static str, &'static str, &'static str, &'static str, &'static [&'static str]);

/// Members of the first and of the second server, a requirement, members at the top, and every problem.
const COMBINATIONS: &[Combination] = &[
    (
        r#""jwt":{}"#,
        INTROSPECTION,
        VIEW,
        "",
        &[
            "authorization_servers[0] (a).jwt: `jwks_path` or `discovery` is missing; set where the server's keys are, as in jwks_path: /jwks, or discovery: openid to read it from the server's metadata",
        ],
    ),
    (
        r#""jwt":{"jwks_path":"/jwks","discovery":"openid"}"#,
        INTROSPECTION,
        VIEW,
        "",
        &[
            "authorization_servers[0] (a).jwt: `jwks_path` and `discovery` exclude each other; remove one of them; discovery: openid reads the path from the server's metadata",
        ],
    ),
    (
        r#""jwt":{"discovery":"rfc8414"}"#,
        INTROSPECTION,
        VIEW,
        "",
        &[
            "authorization_servers[0] (a).jwt.discovery: invalid `rfc8414`; expected the path of the metadata, such as /.well-known/openid-configuration, or one of: openid, oauth",
        ],
    ),
    (
        r#""jwt":{"discovery":"/a b"}"#,
        INTROSPECTION,
        VIEW,
        "",
        &[
            "authorization_servers[0] (a).jwt.discovery: invalid path `/a b`; expected a path without scheme and host, such as /.well-known/openid-configuration: the cluster leads to the server",
        ],
    ),
    (
        r#""jwt":{"discovery":"openid"}"#,
        INTROSPECTION,
        VIEW,
        "",
        &[
            "rules[0] (r): tokens of one issuer would be accepted both with and without introspection; set jwt: { introspect: true } in both authorization servers, or name one of them in the rule",
        ],
    ),
    (
        r#""jwt":{"discovery":"/metadata"}"#,
        INTROSPECTION,
        VIEW,
        "",
        &[
            "rules[0] (r): tokens of one issuer would be accepted both with and without introspection; set jwt: { introspect: true } in both authorization servers, or name one of them in the rule",
        ],
    ),
    (
        INTROSPECTION,
        INTROSPECTION,
        r#"{"client_ids":["web"]}"#,
        "",
        &[
            "rules[0] (r): `client_ids` applies to tokens of several authorization servers, which may use the same ids; set the server beside the ids, as in any: [{ authorization_server: main, client_ids: [web] }]",
        ],
    ),
    (
        INTROSPECTION,
        r#""jwt":{"jwks_path":"/jwks"}"#,
        VIEW,
        "",
        &[
            "rules[0] (r): tokens of one issuer would be accepted both with and without introspection; set jwt: { introspect: true } in both authorization servers, or name one of them in the rule",
        ],
    ),
    (
        r#""jwt":{"jwks_path":"/jwks","types":["JWT"]}"#,
        r#""jwt":{"jwks_path":"/jwks"}"#,
        VIEW,
        "",
        &[
            "authorization_servers[0] (a): with `jwt.types: [JWT]` and `audience: any`, an ID token of any client would be valid; list the audiences of access tokens, as in audience: [api], or remove JWT from jwt.types",
        ],
    ),
    (
        r#""jwt":{"jwks_path":"/jwks","introspect":true}"#,
        INTROSPECTION,
        VIEW,
        "",
        &[
            "authorization_servers[0] (a): `jwt.introspect` is true, and `introspection` is missing; set it, as in introspection: { path: /introspect, client_id: gateway, client_secret_env: GATEWAY_SECRET }",
        ],
    ),
    (
        INTROSPECTION,
        INTROSPECTION,
        VIEW,
        r#""bearer":{"query":"access_token"},"#,
        &[
            "configuration: rules match Envoy's routes, which may depend on the header, query or cookie that a token is removed from; match `path` instead of `route`, or remove bearer.header, bearer.query and bearer.cookie",
        ],
    ),
    (
        r#""introspection":{"path":"/i","client_id":"g","client_secret":"s","answer":{"invalid_statuses":[401]}}"#,
        INTROSPECTION,
        VIEW,
        "",
        &[
            "authorization_servers[0] (a).introspection: 401 or 403 in answer.invalid_statuses would make every token invalid while the gateway's own credentials are refused; remove both, as in invalid_statuses: [400]",
        ],
    ),
    (
        r#""introspection":{"path":"/i","client_id":"g","client_secret":"s","answer":{"active":"status"}}"#,
        INTROSPECTION,
        VIEW,
        "",
        &[
            "authorization_servers[0] (a).introspection.answer.active: any response with status 200 would make a token valid; name the members of every response for a valid token, as in required_members: [sub]",
        ],
    ),
    (
        r#""introspection":{"path":"/i","client_id":"g","client_secret":"s","request":{"parameters":{"token":"x"}}}"#,
        INTROSPECTION,
        VIEW,
        "",
        &[
            "authorization_servers[0] (a).introspection.request.parameters.token: `token` is the parameter that holds the token; remove it, or set another token_parameter, such as access_token",
        ],
    ),
    (
        r#""introspection":{"path":"/i","client_id":"g","client_secret":"s","client_authentication":"client_secret_post","request":{"token_in":"query"}}"#,
        INTROSPECTION,
        VIEW,
        "",
        &[
            "authorization_servers[0] (a).introspection: the gateway's credentials would be in the URI, and so in access logs; write client_authentication: client_secret_basic, or request: { method: POST, token_in: form }",
        ],
    ),
    (
        INTROSPECTION,
        INTROSPECTION,
        VIEW,
        r#""errors":{"responses":{"unavailable":{"status":401}}},"#,
        &[
            "errors.responses.unavailable: a 4xx status would blame the client for a failure of the authorization server; set a status from 500 to 599, as in status: 503",
        ],
    ),
    (
        INTROSPECTION,
        INTROSPECTION,
        r#"{"claims":{"n":{"equals":9007199254740993}}}"#,
        "",
        &[
            r#"rules[0] (r).require.claims.n.equals: the number is too large to be compared exactly; let the server send the claim as a string, and compare it with one, such as "9007199254740993""#,
        ],
    ),
    (
        r#""jwt":{"jwks_path":"/jwks","algorithms":["RS255"]}"#,
        INTROSPECTION,
        VIEW,
        "",
        &[
            "authorization_servers[0] (a).jwt.algorithms[0]: invalid `RS255`; did you mean `RS256`? expected one of: RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA",
        ],
    ),
    (
        r#""jwt":{"jwks_path":"/jwks","refresh":"2h","max_age":"1h"}"#,
        INTROSPECTION,
        VIEW,
        "",
        &[
            "authorization_servers[0] (a).jwt: `refresh` is not less than `max_age`, so keys would be dropped before they are fetched again; set a longer max_age, as in refresh: 5m, max_age: 24h",
        ],
    ),
    (
        r#""jwt":{"jwks_path":"/jwks","answer":{"active":"status"}}"#,
        INTROSPECTION,
        VIEW,
        "",
        &[
            "authorization_servers[0] (a).jwt.answer.active: has no effect for JWTs; remove it, or move it to introspection.answer",
            "rules[0] (r): tokens of one issuer would be accepted both with and without introspection; set jwt: { introspect: true } in both authorization servers, or name one of them in the rule",
        ],
    ),
    (
        r#""token_prefix":"a_""#,
        INTROSPECTION,
        VIEW,
        "",
        &[
            "authorization_servers[0] (a): `introspection` or `jwt` is missing; set how tokens are verified, as in introspection: { path, client_id, client_secret_env }, jwt: { jwks_path }, or both",
        ],
    ),
    (
        r#""introspection":{"path":"/i","client_authentication":"private_key_jwt","client_id":"g"}"#,
        INTROSPECTION,
        VIEW,
        "",
        &[
            "authorization_servers[0] (a).introspection: `private_key_env` is missing; name the environment variable that holds it, as in private_key_env: GATEWAY_KEY, or set private_key",
        ],
    ),
    (
        INTROSPECTION,
        INTROSPECTION,
        r#"{"mapped_scope":true}"#,
        r#""apis":[{"name":"x"}],"#,
        &["rules[0] (r).require.mapped_scope: the rule belongs to no API; name one of `apis`, as in api: bookings"],
    ),
];
