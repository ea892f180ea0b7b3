//! A revocation that one worker learns of reaches all workers. Their cached entries for the token are dropped without a
//! callout and before the TTL ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::*;

const LIMIT: Duration = Duration::from_secs(60);

/// Long enough that no test is over before the facts have ended, were they not renewed.
const MAX_TTL: Duration = Duration::from_secs(10);

/// How often something is tried that takes a machine which does not stand still.
const ROUNDS: usize = 5;

#[test]
fn a_worker_that_is_not_asked_hears_of_a_revocation_all_the_same() {
    let revoked = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&revoked);
    let server = ScriptedServer::start(move |request| {
        let other = request.form_value("token").is_some_and(|token| token.starts_with("other"));
        Script::json(json!({ "active": other || !asked.load(Ordering::Relaxed), "scope": "view" }))
    });
    let upstream = Upstream::start();
    let envoy = Envoy::builder()
        .cluster("identity", server.addr())
        .upstream(upstream.addr())
        .plugin(json!({
            "authorization_servers": [{
                "name": "identity",
                "cluster": "identity",
                "audience": "any",
                "introspection": { "path": "/introspect", "client_id": "g", "client_secret": "s", "timeout": "5s" },
            }],
            "cache": { "max_ttl": "10s", "inactive_ttl": "60s" },
            "rules": [{ "name": "View", "match": [{ "path_prefix": "/" }], "require": { "scope": "view" } }],
        }))
        .concurrency(2)
        .start();
    let [mut asks, mut hears] = one_connection_to_each_worker(&envoy);
    let shown = (0..ROUNDS).any(|round| {
        let names = [format!("good{round}"), format!("other{round}")];
        let [good, other] = names.each_ref().map(|token| Request::get("/").bearer(token));
        let count = |token: &str| server.calls().iter().filter(|call| call.form_value("token") == Some(token)).count();
        revoked.store(false, Ordering::Relaxed);
        let learned = Instant::now();
        for connection in [&mut asks, &mut hears] {
            assert_eq!(connection.exchange(&good).unwrap().status, 200);
            assert_eq!(connection.exchange(&other).unwrap().status, 200);
        }
        revoked.store(true, Ordering::Relaxed);
        // The use of one worker has the token renewed; the other has no request until it has heard of it.
        wait_until("the revocation to be seen", LIMIT, || asks.exchange(&good).unwrap().status == 401);
        std::thread::sleep(Duration::from_millis(500));
        let heard = hears.exchange(&good).unwrap().status == 401;
        let asked = count(&names[0]);
        // Entries of other tokens stay cached in all workers.
        for connection in [&mut asks, &mut hears] {
            assert_eq!(connection.exchange(&other).unwrap().status, 200);
        }
        let in_time = heard && learned.elapsed() < MAX_TTL;
        if in_time {
            assert_eq!(asked, 2, "once, and once again for the revoked one");
            // A cache hit may also trigger a renewal.
            assert!(count(&names[1]) <= 2, "{}", count(&names[1]));
        }
        in_time
    });
    assert!(shown, "not heard of in time, or the facts had ended by themselves");
}

/// Connections that stay open, in an order that does not matter.
fn one_connection_to_each_worker(envoy: &Envoy) -> [Connection; 2] {
    let addr = envoy.addr("main");
    let accepted = || [0, 1].map(|n| envoy.counter(&format!("listener.127.0.0.1_0.worker_{n}.downstream_cx_total")));
    [0, 1].map(|worker| {
        for _ in 0..100 {
            let before = accepted();
            let mut connection = Connection::open(addr).unwrap();
            connection.exchange(&Request::get("/")).unwrap();
            if accepted()[worker] > before[worker] {
                return connection;
            }
        }
        panic!("worker {worker} takes no connection");
    })
}
