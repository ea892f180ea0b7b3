//! Problems of rules and requirements.

use super::problems;

#[test]
fn problems_of_rules_have_whole_messages() {
    for (edit, with, expected) in EDITS {
        assert_eq!(problems(edit, with), *expected, "{edit} -> {with}");
    }
}

/// Edits of the good configuration, and every problem that each causes.
const EDITS: &[(&str, &str, &[&str])] = &[
    (
        r#"["GET"]"#,
        r#""GET""#,
        &[
            "rules[0] (View).match[0].methods: expected a list such as [GET, POST], found a string; write the items in brackets",
        ],
    ),
    (r#"["GET"]"#, "[]", &["rules[0] (View).match[0].methods: empty list; list at least one item, as in [GET, POST]"]),
    (
        r#"["cancel", "admin"]"#,
        "[]",
        &["rules[1] (Cancel).require.any_scope: empty list; list at least one item, as in [view, admin]"],
    ),
    (
        r#""name": "Health","#,
        r#""name": "Health", "mode": true,"#,
        &[r#"rules[2] (Health).mode: expected a string such as "enforce", found a boolean; put the value in quotes"#],
    ),
    (
        r#""scope": "view""#,
        r#""scope": "a b!\\""#,
        &[
            r#"rules[0] (View).require.scope: `b!\\` contains `\\`; a scope token has printable ASCII characters without space, " and \ (RFC 6749 §3.3), such as bookings:view"#,
        ],
    ),
    (
        r#""scope": "view""#,
        r#""scope": "a  b""#,
        &[
            r#"rules[0] (View).require.scope: empty scope token; separate scope tokens by one space, as in "view admin""#,
        ],
    ),
    (
        r#""cancel", "admin""#,
        r#""cancel", "a b""#,
        &[
            r#"rules[1] (Cancel).require.any_scope[1]: `a b` contains ` `; a scope token has printable ASCII characters without space, " and \ (RFC 6749 §3.3), such as bookings:view"#,
        ],
    ),
    (
        r#"{ "scope": "view" }"#,
        "{}",
        &[
            "rules[0] (View).require: empty requirement; name a scope, as in { scope: view }, or write { authenticated: true } to accept any active token",
        ],
    ),
    (
        r#"{ "scope": "view" }"#,
        r#"{ "scope": "view", "authenticated": true }"#,
        &[
            "rules[0] (View).require: `authenticated` has no effect beside other keys; remove `authenticated`: every other key requires an active token, too",
        ],
    ),
    (
        r#", "public": true"#,
        "",
        &[
            "rules[2] (Health): `require` or `public: true` is missing; set what the rule requires, as in require: { scope: view }, or public: true to accept requests without a token",
        ],
    ),
    (
        r#""public": true"#,
        r#""public": false"#,
        &["rules[2] (Health).public: `false` has no effect; write true, or omit the key"],
    ),
    (
        r#""public": true"#,
        r#""public": true, "require": { "scope": "x" }"#,
        &[
            "rules[2] (Health): `public` and `require` exclude each other; remove one of them; public: true accepts requests without a token",
        ],
    ),
    (
        r#""public": true"#,
        r#""public": true, "authorization_server": "main""#,
        &[
            "rules[2] (Health).authorization_server: `authorization_server` has no effect in a public rule; remove it, or `public`",
        ],
    ),
    (
        r#""name": "Cancel""#,
        r#""name": "Can\ncel""#,
        &[
            r#"rules[1] (Can\ncel).name: invalid name `Can\ncel`; expected at most 128 characters without control characters, such as "View bookings""#,
        ],
    ),
    (
        r#""name": "Cancel""#,
        r#""name": "View""#,
        &[r#"rules[1] (View).name: duplicate name `View`; give each rule its own name, such as "View-2""#],
    ),
    (
        r#"{ "path": "/healthz" }"#,
        "{}",
        &["rules[2] (Health).match[0]: no condition; set at least one; to match every request write path_prefix: /"],
    ),
    (
        r#"[ { "path": "/healthz" } ]"#,
        "[]",
        &["rules[2] (Health).match: empty list; list at least one item, as in [{ methods: [GET], path: /bookings }]"],
    ),
    (
        r#""path": "/healthz""#,
        r#""path": "/healthz", "path_prefix": "/""#,
        &[
            "rules[2] (Health).match[0]: `path` and `path_prefix` exclude each other; remove one of them; path matches one path, path_prefix also the paths below it",
        ],
    ),
    (
        r#""path": "/healthz""#,
        r#""path": "/health/*""#,
        &[
            "rules[2] (Health).match[0].path: invalid path pattern `/health/*`; `*` matches nothing here: write {name} for one segment, as in /bookings/{id}, or use path_prefix: /bookings",
        ],
    ),
    (
        r#""path": "/healthz""#,
        r#""path": "healthz""#,
        &["rules[2] (Health).match[0].path: invalid path pattern `healthz`; start it with /, as in /bookings"],
    ),
    (
        r#""path": "/healthz""#,
        r#""path": "/a%2Fb""#,
        &[
            "rules[2] (Health).match[0].path: invalid path pattern `/a%2Fb`; remove %2F, or set paths: { allow_encoded_slash: true }",
        ],
    ),
    (
        r#""path": "/healthz""#,
        r#""path": "/a/../b""#,
        &[
            "rules[2] (Health).match[0].path: invalid path pattern `/a/../b`; requests with such a path are refused: write the normalized path, such as /bookings",
        ],
    ),
    (
        r#""path": "/healthz""#,
        r#""hosts": ["a:b"]"#,
        &[
            "rules[2] (Health).match[0].hosts[0]: invalid host pattern `a:b`; expected api.example.com, *.example.com or, to match the port too, api.example.com:8443",
        ],
    ),
    (
        r#"["GET"]"#,
        r#"["get"]"#,
        &[
            "rules[0] (View).match[0].methods[0]: invalid method `get`; methods are case-sensitive: write [GET, POST]; to match every method omit `methods`",
        ],
    ),
    (
        r#"{ "methods": ["GET"], "path": "/bookings" }"#,
        r#"{ "path_prefix": "/" }"#,
        &[
            "rules[1] (Cancel): this rule never applies: `View` above matches all of its requests; move it up, narrow the rule above, or remove it",
            "rules[2] (Health): this rule never applies: `View` above matches all of its requests; move it up, narrow the rule above, or remove it",
        ],
    ),
    (
        r#""require": { "scope": "view" }"#,
        r#""require": { "scope": "view" }, "authorization_server": "other""#,
        &[
            "rules[0] (View).authorization_server: unknown authorization server `other`; add it to `authorization_servers`, or write one of: main",
        ],
    ),
    (
        r#"{ "scope": "view" }"#,
        r#"{ "claims": { "a": {} } }"#,
        &[
            "rules[0] (View).require.claims.a: no test; write { equals: sales }, { one_of: [sales, support] } or { exists: true }",
        ],
    ),
    (
        r#"{ "scope": "view" }"#,
        r#"{ "claims": { "a": { "equals": null } } }"#,
        &[
            "rules[0] (View).require.claims.a.equals: a claim cannot be compared with null; expected a string, a number, true, false, or a list of these, such as [sales, 7]",
        ],
    ),
    (
        r#"{ "scope": "view" }"#,
        r#"{ "claims": { "a..b": { "exists": true } } }"#,
        &[
            r#"rules[0] (View).require.claims.a..b: invalid path of a claim `a..b`; expected names separated by dots, such as realm_access.roles; write a dot inside a name as \."#,
        ],
    ),
    (
        r#"{ "scope": "view" }"#,
        r#"{ "scope_template": "read" }"#,
        &[
            "rules[0] (View).require.scope_template: invalid template of a scope token `read`; use {method}, {host} or the {name} of a segment of the rule's path in it, as in {method}:bookings",
        ],
    ),
    (
        r#"{ "scope": "view" }"#,
        r#"{ "scope_template": "{method} x" }"#,
        &[
            "rules[0] (View).require.scope_template: invalid template of a scope token `{method} x`; use {method}, {host} or the {name} of a segment of the rule's path in it, as in {method}:bookings",
        ],
    ),
    (
        r#"{ "scope": "view" }"#,
        r#"{ "scope_template": "{id}" }"#,
        &[
            "rules[0] (View): the scope template needs `{id}`, which not every path of the rule has; add it to each path, as in path: /bookings/{id}, or remove it from the template",
        ],
    ),
    (
        r#"{ "scope": "view" }"#,
        r#"{ "mapped_scope": true }"#,
        &["rules[0] (View).require.mapped_scope: the rule belongs to no API; name one of `apis`, as in api: bookings"],
    ),
    (
        r#"{ "scope": "view" }"#,
        r#"{ "authorization_server": "x" }"#,
        &[
            "rules[0] (View).require.authorization_server: unknown authorization server `x`; add it to `authorization_servers`, or write one of: main",
        ],
    ),
    (
        r#"{ "scope": "view" }"#,
        r#"{ "any": [] }"#,
        &[
            "rules[0] (View).require.any: empty list; list at least one item, as in [{ scope: view }, { roles: [manager] }]",
        ],
    ),
    (
        r#"{ "scope": "view" }"#,
        r#"{ "any": [ {} ] }"#,
        &[
            "rules[0] (View).require.any[0]: empty requirement; name a scope, as in { scope: view }, or write { authenticated: true } to accept any active token",
        ],
    ),
    (
        r#"{ "scope": "view" }"#,
        r#"{ "roles": [] }"#,
        &["rules[0] (View).require.roles: empty list; list at least one item, as in [manager]"],
    ),
    (
        r#""name": "View","#,
        r#""name": "View", "authorization_server": ["main", "main"],"#,
        &[
            "rules[0] (View).authorization_server: duplicate authorization server; name each once, as in [main, partners]",
        ],
    ),
    (
        r#""public": true"#,
        r#""public": true, "application": "any""#,
        &["rules[2] (Health).application: `application` has no effect in a public rule; remove it, or `public`"],
    ),
    (
        r#""scope": "view""#,
        r#""scope": ["view", "admin"]"#,
        &[
            r#"rules[0] (View).require.scope: expected a string such as "view admin", found a list; to accept any of several scopes use any_scope: [view, admin]"#,
        ],
    ),
    (
        r#""scope": "view""#,
        r#""scopes": "view""#,
        &[
            "rules[0] (View).require.scopes: unknown key; did you mean `scope`? known keys: scope, any_scope, scope_template, mapped_scope, roles, any_role, client_ids, audience, claims, authorization_server, all, any, authenticated",
        ],
    ),
    (
        r#""path": "/healthz""#,
        r#""path": {"a": 1}"#,
        &[
            r#"rules[2] (Health).match[0].path: expected a string such as "/bookings/{id}", found an object; write one string instead of the object"#,
        ],
    ),
    (
        r#""public": true"#,
        r#""public": "yes""#,
        &["rules[2] (Health).public: expected true or false, found a string; write true or false without quotes"],
    ),
    (
        r#""cancel", "admin""#,
        r#""cancel", 7"#,
        &[
            r#"rules[1] (Cancel).require.any_scope[1]: expected a string such as "view", found a number; put the value in quotes"#,
        ],
    ),
    (
        r#"{ "name": "Health", "#,
        "{ ",
        &["rules[2]: `name` is missing; name the rule for logs, as in name: View bookings"],
    ),
    (
        r#""name": "View","#,
        r#""name": "View", "authorization_server": "mian","#,
        &[
            "rules[0] (View).authorization_server: unknown authorization server `mian`; did you mean `main`? add it to `authorization_servers`, or write one of: main",
        ],
    ),
    (
        r#""path": "/healthz""#,
        r#""path": "/healthz?a""#,
        &[
            "rules[2] (Health).match[0].path: invalid path pattern `/healthz?a`; remove the query, which is not matched: write /bookings",
        ],
    ),
    (
        r#""path": "/healthz""#,
        r#""path_prefix": "/healthz/""#,
        &[
            "rules[2] (Health).match[0].path_prefix: invalid path pattern `/healthz/`; remove the last /: a prefix always ends at a segment boundary, as in path_prefix: /bookings",
        ],
    ),
    (
        r#""path": "/healthz""#,
        r#""path": "/a b""#,
        &[
            "rules[2] (Health).match[0].path: invalid path pattern `/a b`; percent-encode spaces and characters outside ASCII, as in /my%20bookings",
        ],
    ),
    (
        r#""path": "/healthz""#,
        r#""path": "/{a}/{a}""#,
        &[
            "rules[2] (Health).match[0].path: invalid path pattern `/{a}/{a}`; give each {name} its own name, as in /tenants/{tenant}/bookings/{id}",
        ],
    ),
    (
        r#""path": "/healthz""#,
        r#""path": "/{a""#,
        &[
            "rules[2] (Health).match[0].path: invalid path pattern `/{a`; {name} stands for one whole segment, as in /bookings/{id}; use letters, digits, - and _ in the name",
        ],
    ),
];
