//! Problems of APIs, scope mappings and applications.

use super::problems;

#[test]
fn problems_of_apis_and_applications_have_whole_messages() {
    for (edit, with, expected) in EDITS {
        assert_eq!(problems(edit, with), *expected, "{edit} -> {with}");
    }
}

/// Edits of the good configuration, and every problem that each causes.
const EDITS: &[(&str, &str, &[&str])] = &[
    (
        r#""name": "View","#,
        r#""name": "View", "api": "x","#,
        &["rules[0] (View).api: unknown API `x`; add it to `apis`"],
    ),
    (
        r#""realm": "bookings""#,
        r#""realm": "bookings", "scope_mappings": [ { "scope": "a", "opens": ["b"] } ]"#,
        &["scope_mappings: no API is configured; add the APIs, as in apis: [{ name: bookings }]"],
    ),
    (
        r#""realm": "bookings""#,
        r#""realm": "bookings", "apis": [ { "name": "x" } ], "scope_mappings": [ { "scope": "a", "opens": ["b"] } ]"#,
        &["scope_mappings[0].opens[0]: unknown API or API scope `b`; add it to `apis`, or write one of: x"],
    ),
    (
        r#""realm": "bookings""#,
        r#""realm": "bookings", "apis": [ { "name": "x", "scopes": [ { "name": "x", "resources": [ { "path": "/" } ] } ] } ], "scope_mappings": [ { "scope": "a", "opens": ["x"] } ]"#,
        &[
            "scope_mappings[0].opens[0]: `x` is the name of several APIs or API scopes; give each of them its own name, such as ViewBookings",
        ],
    ),
    (
        r#""realm": "bookings""#,
        r#""realm": "bookings", "applications": [ { "name": "a", "clients": [ { "client_id": "c" } ], "apis": ["x"] } ]"#,
        &["applications[0] (a).apis[0]: unknown API `x`; add it to `apis`"],
    ),
    (
        r#""realm": "bookings""#,
        r#""realm": "bookings", "applications": [ { "name": "a", "clients": [ { "client_id": "c" }, { "client_id": "c" } ] } ]"#,
        &[
            "applications[0] (a).clients[1]: client `c` already belongs to `a`; remove it from one of them: a client belongs to one application",
        ],
    ),
    (
        r#""realm": "bookings""#,
        r#""realm": "bookings", "applications": [ { "name": "unknown", "clients": [ { "client_id": "c" } ] } ]"#,
        &["applications[0] (unknown).name: `unknown` marks unregistered clients; choose another name, such as shop"],
    ),
    (
        r#""realm": "bookings""#,
        r#""realm": "bookings", "applications": [ { "name": "a", "clients": [ { "client_id": "c" } ], "rules": ["Veiw"] } ]"#,
        &[
            "applications[0] (a).rules[0]: unknown rule `Veiw`; did you mean `View`? add it to `rules`, or write one of: Cancel, Health, View",
        ],
    ),
    (
        r#""realm": "bookings""#,
        r#""realm": "bookings", "apis": [ { "name": "bookings" } ], "applications": [ { "name": "a", "clients": [ { "client_id": "c" } ], "apis": ["booking"] } ]"#,
        &[
            "applications[0] (a).apis[0]: unknown API `booking`; did you mean `bookings`? add it to `apis`, or write one of: bookings",
        ],
    ),
];
