//! Problems of keys, values, and settings at the top of a configuration.

use super::problems;

#[test]
fn problems_of_keys_and_values_have_whole_messages() {
    for (edit, with, expected) in EDITS {
        assert_eq!(problems(edit, with), *expected, "{edit} -> {with}");
    }
}

/// Edits of the good configuration, and every problem that each causes.
const EDITS: &[(&str, &str, &[&str])] = &[
    (
        r#""realm""#,
        r#""realms""#,
        &[
            "realms: unknown key; did you mean `realm`? known keys: authorization_servers, cache, upstream, realm, errors, bearer, paths, log, require, apis, scope_mappings, applications, rules, mode, unknown_tokens",
        ],
    ),
    (r#""realm""#, r#""realm": "x", "realm""#, &["realm: duplicate key; remove all but one of them"]),
    (
        r#""capacity": 10000"#,
        r#""capacity": 1, "capacity": 2"#,
        &["cache.capacity: duplicate key; remove all but one of them"],
    ),
    (
        r#""x-auth-subject": "sub""#,
        r#""x-auth-subject": "sub", "x-auth-subject": "x""#,
        &[
            "upstream.headers.x-auth-subject: duplicate key; remove all but one of them",
            "upstream.headers.x-auth-subject: `x-auth-subject` is the same header as an earlier one; remove one of them: many applications treat - and _ alike",
        ],
    ),
    (
        r#""authorization_servers""#,
        r#""authorization_server""#,
        &[
            "authorization_server: unknown key; did you mean `authorization_servers`? known keys: authorization_servers, cache, upstream, realm, errors, bearer, paths, log, require, apis, scope_mappings, applications, rules, mode, unknown_tokens",
            "configuration: `authorization_servers` is missing; list the servers whose tokens are accepted, as in authorization_servers: [{ name: main, cluster: identity_server, audience: any, introspection: { path: /introspect } }]",
        ],
    ),
    (
        r#""realm": "bookings""#,
        r#""realm": 7"#,
        &[r#"realm: expected a string such as "bookings", found a number; put the value in quotes"#],
    ),
    (r#""realm": "bookings""#, r#""realm": """#, &[r#"realm: empty string; set a value such as "bookings""#]),
    (
        r#""realm": "bookings""#,
        r#""realm": "a\"b""#,
        &[
            r#"realm: invalid realm `a\"b`; expected at most 128 printable ASCII characters without " and \, such as "bookings""#,
        ],
    ),
    (
        r#""capacity": 10000"#,
        r#""capacity": 0"#,
        &["cache.capacity: invalid `0`; expected a whole number from 1 to 1000000, such as 10000"],
    ),
    (
        r#""capacity": 10000"#,
        r#""capacity": 1.5"#,
        &["cache.capacity: invalid `1.5`; expected a whole number from 1 to 1000000, such as 10000"],
    ),
    (
        r#""capacity": 10000"#,
        r#""capacity": -1"#,
        &["cache.capacity: invalid `-1`; expected a whole number from 1 to 1000000, such as 10000"],
    ),
    (
        r#""capacity": 10000"#,
        r#""capacity": "many""#,
        &[
            "cache.capacity: expected a whole number such as 10000, found a string; write it without quotes, from 1 to 1000000",
        ],
    ),
    (
        r#""max_ttl": "60s""#,
        r#""max_ttl": "1 minute""#,
        &[
            r#"cache.max_ttl: invalid `1 minute`; expected a whole number and its unit (ms, s, m or h), from 0s to 24h, such as "60s""#,
        ],
    ),
    (
        r#""max_ttl": "60s""#,
        r#""max_ttl": 60"#,
        &[
            r#"cache.max_ttl: expected a duration such as "60s", found a number; write a whole number and its unit (ms, s, m or h), from 0s to 24h"#,
        ],
    ),
    (
        r#""max_ttl": "60s""#,
        r#""max_ttl": "48h""#,
        &[
            r#"cache.max_ttl: invalid `48h`; expected a whole number and its unit (ms, s, m or h), from 0s to 24h, such as "60s""#,
        ],
    ),
    (
        r#""realm": "bookings","#,
        r#""mode": "report","#,
        &["mode: invalid `report`; did you mean `report_only`? expected one of: enforce, report_only"],
    ),
    (
        r#""realm": "bookings","#,
        r#""unknown_tokens": "many","#,
        &["unknown_tokens: invalid `many`; expected unlimited, or a limit such as { per_second: 200, burst: 2000 }"],
    ),
    (
        r#""realm": "bookings","#,
        r#""unknown_tokens": {"per_second": 0},"#,
        &["unknown_tokens.per_second: invalid `0`; expected a whole number from 1 to 1000000, such as 200"],
    ),
    (
        r#""inactive_ttl": "5s" },
  "upstream": { "authorization": "remove", "headers": { "x-auth-subject": "sub""#,
        r#""stale_if_error": "5m" },
  "upstream": { "authorization": "remove", "headers": { "x-auth-stale": "sub""#,
        &[
            "cache.stale_if_error: sets the header x-auth-stale, which upstream.headers sets to another value; add another header for it to upstream.headers, such as x-auth-age: stale",
        ],
    ),
    (
        r#""max_ttl": "60s""#,
        r#""stale_if_error": "2h""#,
        &[
            r#"cache.stale_if_error: invalid `2h`; expected a whole number and its unit (ms, s, m or h), from 0s to 1h, such as "60s""#,
        ],
    ),
    (
        r#""realm""#,
        r#""re\nalm": "", "realm""#,
        &[
            r#"re\nalm: unknown key; did you mean `realm`? known keys: authorization_servers, cache, upstream, realm, errors, bearer, paths, log, require, apis, scope_mappings, applications, rules, mode, unknown_tokens"#,
        ],
    ),
    (r#""remove""#, r#""drop""#, &["upstream.authorization: invalid `drop`; expected one of: remove, keep"]),
    (
        r#""x-auth-scope""#,
        r#""authorization""#,
        &[
            "upstream.headers.authorization: invalid header name; choose a header of its own, such as x-auth-subject: this one has a meaning for the transport",
        ],
    ),
    (
        r#""x-auth-scope""#,
        r#""x_auth_subject""#,
        &[
            "upstream.headers.x_auth_subject: `x_auth_subject` is the same header as an earlier one; remove one of them: many applications treat - and _ alike",
        ],
    ),
    (
        r#""x-auth-scope""#,
        r#""x auth""#,
        &["upstream.headers.x auth: invalid header name; use letters, digits and -, such as x-auth-subject"],
    ),
    (
        r#""realm": "bookings""#,
        r#""realm": "bookings", "errors": "nice""#,
        &["errors: invalid `nice`; expected one of: rfc6750, axway, netiq, netiq-hide, webmethods, problem+json"],
    ),
    (
        r#""realm": "bookings""#,
        r#""realm": "bookings", "errors": { "responses": { "expired": { "status": 401 } } }"#,
        &[
            "errors.responses.expired: unknown outcome of a decision; known outcomes: default, ambiguous_target, no_rule, no_credentials, invalid_request, invalid_token, insufficient_scope, unregistered_client, insufficient_privileges, too_many_unknown_tokens, unavailable",
        ],
    ),
    (
        r#""realm": "bookings""#,
        r#""realm": "bookings", "errors": { "responses": { "default": { "status": 200 } } }"#,
        &["errors.responses.default.status: invalid `200`; expected a whole number from 400 to 599, such as 403"],
    ),
    (
        r#""realm": "bookings""#,
        r#""realm": "bookings", "errors": { "responses": { "default": { "body": "x" } } }"#,
        &[
            "errors.responses.default.body: a body needs a `content_type`; set content_type beside it, as in content_type: application/json",
        ],
    ),
    (
        r#""realm": "bookings""#,
        r#""realm": "bookings", "errors": { "responses": { "default": { "content_type": "text/plain", "body": "{token}" } } }"#,
        &[
            "errors.responses.default.body: unknown placeholder `{token}`; known placeholders: status, error, error_description, realm, scope",
        ],
    ),
    (
        r#""realm": "bookings""#,
        r#""realm": "bookings", "errors": { "responses": { "default": { "content_type": "application/json", "body": "x" } } }"#,
        &[
            r#"errors.responses.default.body: not valid JSON once the placeholders are replaced; put placeholders inside strings, as in {"error":"{error}"}, or set another content_type"#,
        ],
    ),
    (
        r#""realm": "bookings""#,
        r#""realm": "bookings", "bearer": { "schemes": ["Basic"] }"#,
        &[
            "bearer.schemes[0]: invalid scheme `Basic`; expected Bearer, or a scheme of your applications for bearer tokens, such as OAuth",
        ],
    ),
    (
        r#""realm": "bookings""#,
        r#""realm": "bookings", "bearer": { "query": "a b" }"#,
        &[
            "bearer.query: invalid name of a query parameter: `a b`; use letters, digits, _, - and ., such as access_token",
        ],
    ),
    (
        r#""realm": "bookings""#,
        r#""realm": "bookings", "bearer": { "header": "cookie" }"#,
        &[
            "bearer.header: invalid header name; choose a header of its own, such as x-auth-subject: this one has a meaning for the transport",
        ],
    ),
    (
        r#""x-auth-subject": "sub""#,
        r#""x-auth-subject": "a..b""#,
        &[
            "upstream.headers.x-auth-subject: invalid `a..b`; expected the path of a claim, such as claims.department, or one of: client_id, owner, scope, roles, issuer, audience, expires_at, application, authorization_server, stale",
        ],
    ),
    (
        r#""authorization": "remove""#,
        r#""filter_state": { "a b": "sub" }"#,
        &[
            "upstream.filter_state.a b: invalid name of filter state; use letters, digits, ., _ and -, as in scopegate.client_id: client_id",
        ],
    ),
    (
        r#""realm": "bookings""#,
        r#""realm": ["x"]"#,
        &[r#"realm: expected a string such as "bookings", found a list; write one string instead of the list"#],
    ),
    (
        r#""realm": "bookings""#,
        r#""realm": null"#,
        &[r#"realm: expected a string such as "bookings", found null; set a value"#],
    ),
    (
        r#""realm": "bookings""#,
        r#""realm": "bookings", "bearer": 7"#,
        &[
            "bearer: expected an object with keys such as `schemes`, found a number; known keys: schemes, header, query, cookie, max_bytes",
        ],
    ),
    (
        r#""realm": "bookings""#,
        r#""realm": "bookings", "errors": 7"#,
        &[
            "errors: expected an object with keys such as `profile`, found a number; known keys: profile, realm, responses",
        ],
    ),
    (
        r#"{ "x-auth-subject": "sub", "x-auth-scope": "scope" }"#,
        r#"["x-auth-subject"]"#,
        &["upstream.headers: expected an object such as { x-auth-subject: sub }, found a list; write keys with values"],
    ),
    (
        r#"{ "x-auth-subject": "sub", "x-auth-scope": "scope" }"#,
        "{}",
        &["upstream.headers: empty object; set at least one key, as in { x-auth-subject: sub }"],
    ),
    (
        r#""realm": "bookings""#,
        r#""realm": "bookings", "bearer": { "header": "x-auth-scope" }"#,
        &[
            "bearer.header: upstream.headers sets this header to another value; read the token from another header, such as x-access-token",
        ],
    ),
];
