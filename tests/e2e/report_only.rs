//! `mode: report_only`: what would be refused passes, is counted and logged, and is cleaned all the same.

use serde_json::json;

use crate::support::fixtures::configurations::{bookings, gateway};
use crate::support::*;

fn server() -> ScriptedServer {
    ScriptedServer::start(|request| match request.form_value("token") {
        Some("good") => Script::json(json!({ "active": true, "scope": "view", "client_id": "web" })),
        Some("weak") => Script::json(json!({ "active": true, "scope": "other", "client_id": "web" })),
        Some("trouble") => Script::status(500),
        _ => Script::json(json!({ "active": false })),
    })
}

#[test]
fn what_would_be_refused_passes_and_is_counted_logged_and_cleaned() {
    let (server, upstream) = (server(), Upstream::start());
    let mut configuration = bookings();
    configuration["mode"] = json!("report_only");
    let envoy = gateway(configuration, server.addr(), &upstream).concurrency(1).start();
    let request = |path: &str| Request::get(path).header("x-auth-client-id", "root").header("X_Auth_Client_Id", "root");
    let get = |request: Request| send(envoy.addr("main"), &request).status;
    let tokens = ["good", "weak", "bad", "trouble"].map(|token| get(request("/bookings").bearer(token)));
    let without = ["/bookings", "/nowhere", "/a//b", "/healthz"].map(|path| get(request(path)));
    assert_eq!((tokens, without), ([200; 4], [200; 4]));
    let seen: Vec<_> = upstream.requests().iter().map(|request| request.header("x-auth-client-id")).collect();
    assert_eq!(seen, [Some("web".to_owned()), None, None, None, None, None, None, None]);
    for request in upstream.requests() {
        assert!(request.headers_named("x_auth_client_id").is_empty() && request.header("authorization").is_none());
    }
    let outcomes =
        ["insufficient_scope", "invalid_token", "unavailable", "no_credentials", "no_rule", "ambiguous_target"];
    for outcome in outcomes {
        envoy.assert_counter(&format!("scopegate.reported.outcome.{outcome}"), 1);
    }
    envoy.assert_counter("scopegate.decisions.outcome.permitted", 1);
    envoy.assert_counter("scopegate.decisions.outcome.invalid_token", 0);
    let log = envoy.log();
    for line in [
        "NOTHING IS REFUSED for rules `View`, `Health`, and requests that no rule matches",
        "rule `View`: passes, and would be refused with 401 if the mode were enforce: inactive",
        "rule `View`: passes, and would be refused with 503 if the mode were enforce: error_status",
    ] {
        assert!(log.contains(line), "no {line:?} in\n{log}");
    }
}

#[test]
fn one_rule_may_report_while_the_others_are_enforced() {
    let (server, upstream) = (server(), Upstream::start());
    let mut configuration = bookings();
    configuration["rules"][0]["mode"] = json!("report_only");
    let envoy = gateway(configuration, server.addr(), &upstream).concurrency(1).start();
    let get = |path: &str| send(envoy.addr("main"), &Request::get(path).bearer("bad")).status;
    // Who can say which rule an ambiguous path is meant for?
    assert_eq!(["/bookings", "/nowhere", "/bookings/..%2fbookings", "//bookings"].map(get), [200, 403, 400, 400]);
    assert_eq!(upstream.request_count(), 1);
    assert!(envoy.log().contains("NOTHING IS REFUSED for rules `View`;"), "{}", envoy.log());
}
