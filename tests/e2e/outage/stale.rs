//! `stale_if_error`: what was last known, while the identity server is away.

use std::time::Duration;

use serde_json::json;

use crate::configurations::{bookings, gateway};
use crate::support::*;

#[test]
fn known_tokens_pass_for_a_while_without_their_server_and_the_application_is_told() {
    let server = ScriptedServer::start(|request| {
        let token = request.form_value("token").unwrap_or_default();
        let expires_at = unix_time() + if token == "short" { 4 } else { 600 };
        Script::json(json!({ "active": token != "bad", "scope": "view", "exp": expires_at }))
    });
    let upstream = Upstream::start();
    let mut configuration = bookings();
    configuration["cache"] = json!({ "max_ttl": "2s", "inactive_ttl": "1s", "stale_if_error": "6s" });
    configuration["authorization_servers"][0]["circuit_breaker"] = json!({ "open_for": "1s" });
    let envoy = gateway(configuration, server.addr(), &upstream).concurrency(2).start();
    let get = |token: &str| {
        let request = Request::get("/bookings").bearer(token).header("x-auth-stale", "forged");
        send(envoy.addr("main"), &request).status
    };
    assert_eq!(["good", "short", "bad"].map(get), [200, 200, 401]);
    assert!(upstream.requests().iter().all(|request| request.header("x-auth-stale").is_none()));
    server.stop();
    std::thread::sleep(Duration::from_millis(2200));
    upstream.clear();
    // Each on either worker.
    for _ in 0..6 {
        assert_eq!(["good", "bad", "unknown"].map(get), [200, 503, 503]);
    }
    let seen: Vec<_> = upstream.requests().iter().filter_map(|request| request.header("x-auth-stale")).collect();
    assert!(seen.len() == 6 && seen.iter().all(|age| age.parse::<u32>().is_ok_and(|age| age < 6)), "{seen:?}");
    assert_eq!(envoy.counter("scopegate.cache.result.stale"), 6);
    std::thread::sleep(Duration::from_millis(2000));
    assert_eq!(get("short"), 503, "its own end has come");
    std::thread::sleep(Duration::from_millis(4000));
    assert_eq!(get("good"), 503, "that while is over");
    server.restart();
    wait_until("the server to be asked again", Duration::from_secs(5), || get("good") == 200);
}
