//! Concurrent requests with the same token share one introspection request, on any number of workers. A client that
//! disconnects does not leave the others waiting.

use std::collections::HashMap;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::*;

const LIMIT: Duration = Duration::from_secs(60);
/// How often something is tried that takes a machine which does not stand still.
const ROUNDS: usize = 8;

fn plugin() -> Value {
    json!({
        "authorization_servers": [{
            "name": "identity",
            "cluster": "identity",
            "audience": "any",
            "introspection": { "path": "/introspect", "client_id": "g", "client_secret": "s", "timeout": "30s" },
        }],
        "rules": [{ "name": "View", "match": [{ "path_prefix": "/" }], "require": { "scope": "view" } }],
    })
}

/// Tokens that begin with `good` are active. It answers when the latch is open.
fn holding_server() -> (ScriptedServer, Latch) {
    let latch = Latch::default();
    let held = latch.clone();
    let server = ScriptedServer::start(move |request| {
        held.wait();
        let active = request.form_value("token").is_some_and(|token| token.starts_with("good"));
        Script::json(json!({ "active": active, "scope": "view" }))
    });
    (server, latch)
}

fn envoy(server: &ScriptedServer, upstream: &Upstream, workers: usize, plugin: Value) -> Envoy {
    Envoy::builder()
        .cluster("identity", server.addr())
        .upstream(upstream.addr())
        .plugin(plugin)
        .concurrency(workers)
        .start()
}

/// Sends as many requests at once, lets answers come when all of them wait, and counts the answers by status. Each has
/// a connection of its own, since no answer comes before all are sent.
fn at_once(
    envoy: &Envoy,
    count: usize,
    token: impl Fn(usize) -> String + Sync,
    when_all_wait: impl FnOnce(),
) -> HashMap<u16, usize> {
    let addr = envoy.addr("main");
    std::thread::scope(|scope| {
        let crowd = scope.spawn(|| load(addr, count, count, |n| Request::get("/bookings").bearer(&token(n))));
        wait_until_waiting(envoy, count);
        when_all_wait();
        crowd.join().expect("the crowd")
    })
}

/// Waits until so many requests wait for an answer.
fn wait_until_waiting(envoy: &Envoy, count: usize) {
    let waiting = || envoy.gauges(["scopegate.requests_waiting"]) == [count as u64];
    wait_until(&format!("{count} requests to wait"), LIMIT, waiting);
}

/// One callout for all workers, unless the worker that was to make it was held up so long that another one did: then
/// one for each at most. Tried with other tokens and smaller crowds until it was one.
fn one_callout_in_some_round(workers: usize, round: impl Fn(usize) -> usize) {
    let mut counts = Vec::new();
    for number in 0..ROUNDS {
        counts.push(round(number));
        let last = counts[number];
        assert!((1..=workers).contains(&last), "{last} callouts with {workers} workers");
        if last == 1 {
            return;
        }
    }
    panic!("never one callout: {counts:?}");
}

#[test]
fn a_thousand_first_requests_with_one_token_are_one_callout() {
    for workers in [1, 2] {
        let (server, latch) = holding_server();
        let upstream = Upstream::start();
        let envoy = envoy(&server, &upstream, workers, plugin());
        for (kind, status) in [("good", 200), ("bad", 401)] {
            one_callout_in_some_round(workers, |round| {
                server.clear();
                latch.close();
                let crowd = 1000 >> round;
                let found = at_once(&envoy, crowd, |_| format!("{kind}{round}"), || latch.open());
                assert_eq!(found, [(status, crowd)].into(), "{workers} workers");
                server.call_count()
            });
        }
    }
}

#[test]
fn a_crowd_that_envoy_answers_by_itself_does_not_exhaust_the_stack() {
    let (server, latch) = holding_server();
    // Each answer is made within the call that lets the request go on, by the route or by the filter.
    let mut envoy = Envoy::builder()
        .cluster("identity", server.addr())
        .direct_response(200, "")
        .plugin(plugin())
        .concurrency(1)
        .start();
    for (token, status) in [("good", 200), ("bad", 401)] {
        latch.close();
        let found = at_once(&envoy, 1000, |_| token.to_owned(), || latch.open());
        assert_eq!(found, [(status, 1000)].into(), "{}", envoy.log());
    }
    assert_eq!(server.call_count(), 2);
    assert!(envoy.is_running());
}

#[test]
fn requests_with_different_tokens_do_not_wait_for_one_another() {
    for workers in [1, 2] {
        let (server, latch) = holding_server();
        let upstream = Upstream::start();
        let envoy = envoy(&server, &upstream, workers, plugin());
        // All callouts are under way before any of them is answered.
        let all_are_asked = || {
            wait_until("a callout for each token", LIMIT, || server.call_count() >= 50);
            latch.open();
        };
        let found = at_once(&envoy, 200, |n| format!("good{}", n % 50), all_are_asked);
        assert_eq!(found, [(200, 200)].into());
        // Each worker asks about each token at most.
        assert!((50..=50 * workers).contains(&server.call_count()), "{workers} workers: {}", server.call_count());
    }
}

#[test]
fn whoever_leaves_takes_nobody_along() {
    const TOKENS: usize = 10;
    for workers in [1, 2] {
        let (server, latch) = holding_server();
        let upstream = Upstream::start();
        let mut envoy = envoy(&server, &upstream, workers, plugin());
        let address = envoy.addr("main");
        let request = |n: usize| Request::get("/bookings").bearer(&format!("good{}", n % TOKENS));
        let pending = |n| Pending::send(address, &request(n));
        let leave = |all: Vec<Pending>, abort| all.into_iter().for_each(|one| one.leave(abort));
        // The first to come of each token are asked for.
        let first: Vec<_> = (0..TOKENS).map(pending).collect();
        wait_until("a callout for each token", LIMIT, || server.call_count() >= TOKENS);
        std::thread::scope(|scope| {
            let staying: Vec<_> =
                (0..2 * TOKENS).map(|n| scope.spawn(move || send(address, &request(n)).status)).collect();
            let [orderly, abrupt] = [(); 2].map(|()| (0..TOKENS).map(pending).collect::<Vec<_>>());
            wait_until_waiting(&envoy, 5 * TOKENS);
            // Those for whom it was asked, and some of those who wait with them.
            leave(first, Abort::Rst);
            leave(orderly, Abort::Fin);
            leave(abrupt, Abort::Rst);
            wait_until_waiting(&envoy, 2 * TOKENS);
            // Some are gone before they have arrived.
            leave((0..TOKENS).map(pending).collect(), Abort::Rst);
            latch.open();
            for request in staying {
                assert_eq!(request.join().expect("a request"), 200);
            }
        });
        for n in 0..TOKENS {
            assert_eq!(send(address, &request(n)).status, 200);
        }
        wait_until("all requests to be over", LIMIT, || envoy.counter("http.main.downstream_rq_active") == 0);
        assert!((TOKENS..=TOKENS * workers).contains(&server.call_count()), "{}", server.call_count());
        assert!(envoy.is_running() && !envoy.log().contains("panicked"), "{}", envoy.log());
    }
}

#[test]
fn an_answer_that_everybody_has_left_is_kept() {
    let (server, latch) = holding_server();
    let upstream = Upstream::start();
    let envoy = envoy(&server, &upstream, 1, plugin());
    let request = Request::get("/bookings").bearer("good");
    for _ in 0..3 {
        let pending = Pending::send(envoy.addr("main"), &request);
        wait_until_waiting(&envoy, 1);
        pending.leave(Abort::Rst);
        wait_until_waiting(&envoy, 0);
    }
    latch.open();
    envoy.assert_counter("scopegate.callouts.outcome.active", 1);
    // A new callout would now hang.
    latch.close();
    assert_eq!(send(envoy.addr("main"), &request).status, 200);
    assert_eq!(server.call_count(), 1);
}

#[test]
fn when_the_one_callout_fails_everybody_is_told_so_in_time() {
    for workers in [1, 2] {
        let latch = Latch::default();
        let held = latch.clone();
        let server = ScriptedServer::start(move |_| {
            held.wait();
            Script::status(500)
        });
        let upstream = Upstream::start();
        let envoy = envoy(&server, &upstream, workers, plugin());
        assert_eq!(at_once(&envoy, 200, |_| "good".to_owned(), || latch.open()), [(503, 200)].into());
        // One worker, and the other after it; not one request after another.
        assert!((1..=workers).contains(&server.call_count()), "{workers} workers: {}", server.call_count());
    }
}

#[test]
fn our_own_token_is_obtained_once_by_each_worker() {
    let (tokens, latch) = (Arc::new(AtomicUsize::new(0)), Latch::default());
    let (issued, held) = (Arc::clone(&tokens), latch.clone());
    let server = ScriptedServer::start(move |request| {
        if request.path == b"/token" {
            issued.fetch_add(1, Ordering::Relaxed);
            held.wait();
            return Script::json(json!({ "access_token": "own", "token_type": "Bearer", "expires_in": 3600 }));
        }
        Script::json(json!({ "active": true, "scope": "view" }))
    });
    let upstream = Upstream::start();
    let mut plugin = plugin();
    plugin["authorization_servers"][0]["introspection"] = json!({
        "path": "/introspect", "client_authentication": "bearer", "client_id": "g", "client_secret": "s",
        "timeout": "30s", "token": { "path": "/token" },
    });
    let envoy = envoy(&server, &upstream, 2, plugin);
    assert_eq!(at_once(&envoy, 64, |n| format!("good{n}"), || latch.open()), [(200, 64)].into());
    assert!(tokens.load(Ordering::Relaxed) <= 2, "{}", tokens.load(Ordering::Relaxed));
    assert_eq!(server.call_count() - tokens.load(Ordering::Relaxed), 64);
}

#[test]
fn nobody_waits_for_a_token_in_constant_use_and_its_revocation_is_seen() {
    // Each round has a token of its own: one that was not used in time, because the machine was busy, shows nothing.
    let (revoked, latch) = (Arc::new(AtomicBool::new(false)), Latch::default());
    let (is_revoked, held) = (Arc::clone(&revoked), latch.clone());
    let server = ScriptedServer::start(move |_| {
        held.wait();
        Script::json(json!({ "active": !is_revoked.load(Ordering::Relaxed), "scope": "view" }))
    });
    let upstream = Upstream::start();
    let mut plugin = plugin();
    plugin["cache"] = json!({ "max_ttl": "8s", "inactive_ttl": "1h" });
    plugin["authorization_servers"][0]["introspection"]["timeout"] = json!("1s");
    let envoy = envoy(&server, &upstream, 1, plugin);
    let shown = (0..ROUNDS).any(|round| {
        let request = Request::get("/bookings").bearer(&format!("good{round}"));
        let status = || send(envoy.addr("main"), &request).status;
        revoked.store(false, Ordering::Relaxed);
        latch.open();
        server.clear();
        assert_eq!(status(), 200);
        let learned = Instant::now();
        latch.close();
        // The cache hit triggers a renewal before the entry expires. The server does not respond, yet no request
        // waits: a waiting request would be refused after the timeout.
        let found = try_wait("a renewal", LIMIT, || {
            let status = status();
            (server.call_count() > 1 || status != 200).then_some(status)
        });
        if learned.elapsed() > Duration::from_millis(7_500) {
            latch.open();
            return false;
        }
        assert_eq!(found, Ok(200), "a request waited for the renewal");
        // The response to the renewal takes effect at once.
        revoked.store(true, Ordering::Relaxed);
        latch.open();
        wait_until("the revocation to be seen", LIMIT, || status() == 401);
        for _ in 0..20 {
            assert_eq!(status(), 401);
        }
        true
    });
    assert!(shown, "no token was used often enough");
}

/// A frame of HTTP/2 (RFC 9113 §4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A field of a head, never indexed and as it is (RFC 7541 §6.2.3).
fn field(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).expect("a short text")], text.as_bytes()].concat();
    [&[0x10][..], &text(name), &text(value)].concat()
}

#[test]
fn nobody_is_asked_for_requests_that_left_before_anybody_was() {
    let (server, latch) = holding_server();
    latch.open();
    let upstream = Upstream::start();
    let envoy = envoy(&server, &upstream, 1, plugin());
    // A hundred requests over HTTP/2, each with its reset behind it, in one write: Envoy reads them in one go.
    let mut connection = std::net::TcpStream::connect(envoy.addr("main")).expect("a connection");
    let mut bytes = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(4, 0, 0, &[])].concat();
    for n in 0..100 {
        let stream = 2 * n + 1;
        let authorization = format!("Bearer good{n}");
        let head = [
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/bookings"),
            (":authority", "x"),
            ("authorization", &authorization),
        ];
        let head: Vec<u8> = head.iter().flat_map(|(name, value)| field(name, value)).collect();
        // END_STREAM and END_HEADERS; then RST_STREAM with CANCEL.
        bytes.extend([frame(1, 5, stream, &head), frame(3, 0, stream, &8_u32.to_be_bytes())].concat());
    }
    connection.write_all(&bytes).expect("to be sent");
    wait_until("all requests to come and go", LIMIT, || {
        envoy.counter("http.main.downstream_rq_total") >= 100 && envoy.counter("http.main.downstream_rq_active") == 0
    });
    // This callout comes after any callout of the abandoned requests.
    assert_eq!(send(envoy.addr("main"), &Request::get("/bookings").bearer("good")).status, 200);
    assert_eq!(server.call_count(), 1, "callouts for abandoned requests");
}

#[test]
fn workers_do_not_queue_for_an_answer_that_cannot_be_shared() {
    const WORKERS: usize = 4;
    let scopes: Vec<String> = (0..1000).map(|n| format!("scope{n}")).collect();
    let answer = json!({ "active": true, "scope": format!("view {}", scopes.join(" ")) });
    let (latch, workers) = (Latch::default(), Rendezvous::default());
    let held = latch.clone();
    let server = ScriptedServer::start(move |_| {
        held.wait();
        // The first is answered, then all others at a time: were they to queue, the second would wait for ever.
        workers.come(|number| if number == 1 { 1 } else { WORKERS });
        Script::json(answer.clone())
    });
    let upstream = Upstream::start();
    let envoy = envoy(&server, &upstream, WORKERS, plugin());
    assert_eq!(at_once(&envoy, 60, |_| "good".to_owned(), || latch.open()), [(200, 60)].into());
    assert_eq!(server.call_count(), WORKERS);
}
