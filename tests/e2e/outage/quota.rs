//! How many unknown tokens of a client the identity server is asked about.

use std::time::Duration;

use serde_json::json;

use crate::configurations::{bookings, gateway};
use crate::support::*;

#[test]
fn random_tokens_of_one_client_are_no_flood_and_known_ones_pass() {
    let server = ScriptedServer::start(|request| {
        let good = request.form_value("token").is_some_and(|token| token.starts_with("good"));
        Script::json(json!({ "active": good, "scope": "view" }))
    });
    let upstream = Upstream::start();
    let mut configuration = bookings();
    configuration["unknown_tokens"] = json!({ "per_second": 2, "burst": 20 });
    let envoy = gateway(configuration, server.addr(), &upstream).concurrency(1).start();
    let get = |token: &str| send(envoy.addr("main"), &Request::get("/bookings").bearer(token));
    assert_eq!(get("good").status, 200);
    let counts = load(envoy.addr("main"), 4, 500, |n| Request::get("/bookings").bearer(&format!("random{n}")));
    let asked = counts[&401];
    assert!((15..40).contains(&asked) && counts[&429] == 500 - asked, "{counts:?}");
    assert_eq!(server.call_count(), asked + 1);
    let refused = get("good-but-new");
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("2".to_owned())));
    assert_eq!(
        (refused.header("www-authenticate"), refused.json()["error"].clone()),
        (None, json!("too_many_requests"))
    );
    // What is known costs nothing, whatever it is; and the same token again is charged to nobody.
    assert_eq!((get("good").status, get("random0").status), (200, 401));
    assert!(envoy.counter("scopegate.decisions.outcome.too_many_unknown_tokens") > 450);
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(get("good-but-new").status, 200);
}
