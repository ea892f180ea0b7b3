//! The quota of introspection requests for unknown tokens of a client.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::fixtures::configurations::{bookings, gateway};
use crate::support::*;

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn random_tokens_of_one_client_are_no_flood_and_known_ones_pass() {
    let server = ScriptedServer::start(|request| {
        let good = request.form_value("token").is_some_and(|token| token.starts_with("good"));
        Script::json(json!({ "active": good, "scope": "view" }))
    });
    let upstream = Upstream::start();
    let mut configuration = bookings();
    configuration["unknown_tokens"] = json!({ "per_second": 2, "burst": 20 });
    configuration["cache"] = json!({ "max_ttl": "1h", "inactive_ttl": "1h" });
    let envoy = gateway(configuration, server.addr(), &upstream).concurrency(1).start();
    let get = |token: &str| send(envoy.addr("main"), &Request::get("/bookings").bearer(token));
    let start = Instant::now();
    assert_eq!(get("good").status, 200);
    let counts = load(envoy.addr("main"), 4, 500, |n| Request::get("/bookings").bearer(&format!("random{n}")));
    // The quota gained since the start, at two per second.
    let earned = usize::try_from(start.elapsed().as_secs()).unwrap() * 2 + 2;
    let asked = counts[&401];
    assert!((15..=20 + earned).contains(&asked) && counts[&429] == 500 - asked, "{counts:?}, {earned}");
    assert_eq!(server.call_count(), asked + 1);
    let mut number = 0;
    let refused = try_wait("a refusal", LIMIT, || {
        number += 1;
        Some(get(&format!("good-but-new{number}"))).filter(|response| response.status == 429)
    })
    .unwrap();
    assert_eq!(refused.header("retry-after").as_deref(), Some("2"));
    assert_eq!(
        (refused.header("www-authenticate"), refused.json()["error"].clone()),
        (None, json!("too_many_requests"))
    );
    // A cache hit uses no quota, whether the token is active or inactive.
    assert_eq!((get("good").status, get("random0").status), (200, 401));
    envoy.assert_counter("scopegate.decisions.outcome.too_many_unknown_tokens", counts[&429] as u64 + 1);
    wait_until("new tokens to be asked about again", LIMIT, || get("good-but-new").status == 200);
    assert_eq!(get("good-but-new").status, 200);
}
