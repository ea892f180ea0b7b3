//! `stale_if_error`: expired cached entries are used while the identity server is unavailable.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::fixtures::configurations::{bookings, gateway};
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
    // The entries were cached between these two times. The assertions below hold for any time in between.
    let before = Instant::now();
    assert_eq!(["good", "short", "bad"].map(get), [200, 200, 401]);
    let after = Instant::now();
    assert!(upstream.requests().iter().all(|request| request.header("x-auth-stale").is_none()));
    server.stop();
    upstream.clear();
    let mut stale = 0_u64;
    while after.elapsed() < STALE_END + Duration::from_secs(1) {
        for token in ["good", "short", "bad", "unknown"] {
            upstream.clear();
            let least = after.elapsed();
            let found = get(token);
            let most = before.elapsed();
            let told = upstream.requests().iter().find_map(|request| request.header("x-auth-stale"));
            let end = if token == "short" { SHORT } else { STALE_END };
            match token {
                "good" | "short" if least > MAX_TTL && most < end => {
                    assert_eq!(found, 200, "{token}, {least:?} to {most:?} old");
                    let age = told.expect("the application is told").parse::<u64>().expect("a number");
                    assert!(age <= most.as_secs(), "{age} s, {most:?}");
                    stale += u64::from(token == "good");
                }
                "good" | "short" if least > end + Duration::from_secs(1) => {
                    assert_eq!(found, 503, "{token}, {least:?} old")
                }
                "bad" if least > MAX_TTL => assert_eq!(found, 503, "{token}, {least:?} old"),
                "unknown" => assert_eq!(found, 503),
                _ => {}
            }
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    // Each on either worker.
    assert!(stale > 2, "it was seen only {stale} times");
    let counted = || envoy.counter("scopegate.cache.result.stale") >= stale;
    wait_until("the stale answers to be counted", Duration::from_secs(60), counted);
    assert_eq!(["good", "short"].map(get), [503; 2], "that while is over");
    server.restart();
    wait_until("the server to be asked again", Duration::from_secs(60), || get("good") == 200);
}

const MAX_TTL: Duration = Duration::from_secs(2);
/// With `stale_if_error`.
const STALE_END: Duration = Duration::from_secs(8);
/// The lifetime of the token itself, less one second for rounding.
const SHORT: Duration = Duration::from_secs(3);
