//! The identity server hears of each token once, however many requests bring it at the same time, on however many
//! workers; and nobody who leaves leaves others waiting.

use std::collections::HashMap;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::*;

const LIMIT: Duration = Duration::from_secs(60);

fn plugin() -> Value {
    json!({
        "authorization_servers": [{
            "name": "identity",
            "cluster": "identity",
            "audience": "any",
            "introspection": { "path": "/introspect", "client_id": "g", "client_secret": "s", "timeout": "5s" },
        }],
        "rules": [{ "name": "View", "match": [{ "path_prefix": "/" }], "require": { "scope": "view" } }],
    })
}

fn slow_server(delay: Duration) -> ScriptedServer {
    ScriptedServer::start(move |request| {
        let active = request.form_value("token").is_some_and(|token| token.starts_with("good"));
        Script::json(json!({ "active": active, "scope": "view" })).after(delay)
    })
}

fn envoy(server: &ScriptedServer, upstream: &Upstream, workers: usize, plugin: Value) -> Envoy {
    Envoy::builder()
        .cluster("identity", server.addr())
        .upstream(upstream.addr())
        .plugin(plugin)
        .concurrency(workers)
        .start()
}

/// Sends as many requests at once, and counts the answers by status. Each has a connection of its own, since no answer
/// comes before all are sent.
fn at_once(address: SocketAddr, count: usize, token: impl Fn(usize) -> String + Sync) -> HashMap<u16, usize> {
    load(address, count, count, |n| Request::get("/bookings").bearer(&token(n)))
}

#[test]
fn a_thousand_first_requests_with_one_token_are_one_callout() {
    for workers in [1, 2] {
        let server = slow_server(Duration::from_secs(2));
        let upstream = Upstream::start();
        let envoy = envoy(&server, &upstream, workers, plugin());
        assert_eq!(at_once(envoy.addr("main"), 1000, |_| "good".to_owned()), [(200, 1000)].into(), "{workers} workers");
        assert_eq!(server.call_count(), 1, "{workers} workers");
        server.clear();
        assert_eq!(at_once(envoy.addr("main"), 1000, |_| "bad".to_owned()), [(401, 1000)].into(), "{workers} workers");
        assert_eq!(server.call_count(), 1, "{workers} workers");
    }
}

#[test]
fn a_crowd_that_envoy_answers_by_itself_does_not_exhaust_the_stack() {
    let server = slow_server(Duration::from_secs(2));
    // Each answer is made within the call that lets the request go on, by the route or by the filter.
    let mut envoy = Envoy::builder()
        .cluster("identity", server.addr())
        .direct_response(200, "")
        .plugin(plugin())
        .concurrency(1)
        .start();
    assert_eq!(at_once(envoy.addr("main"), 1000, |_| "good".to_owned()), [(200, 1000)].into(), "{}", envoy.log());
    assert_eq!(at_once(envoy.addr("main"), 1000, |_| "bad".to_owned()), [(401, 1000)].into(), "{}", envoy.log());
    assert_eq!(server.call_count(), 2);
    assert!(envoy.is_running());
}

#[test]
fn requests_with_different_tokens_do_not_wait_for_one_another() {
    let server = slow_server(Duration::from_millis(300));
    let upstream = Upstream::start();
    let envoy = envoy(&server, &upstream, 2, plugin());
    let found = at_once(envoy.addr("main"), 200, |n| format!("good{}", n % 50));
    assert_eq!(found, [(200, 200)].into());
    assert_eq!(server.call_count(), 50);
}

#[test]
fn whoever_leaves_takes_nobody_along() {
    let server = slow_server(Duration::from_millis(400));
    let upstream = Upstream::start();
    let mut envoy = envoy(&server, &upstream, 2, plugin());
    let address = envoy.addr("main");
    let served = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for n in 0..60 {
            let served = &served;
            scope.spawn(move || {
                let request = Request::get("/bookings").bearer(&format!("good{}", n / 6));
                match n % 6 {
                    // The first to come, or one of those who follow, before, while and after the callout is sent.
                    0 => send_and_abort(address, &request, Duration::from_millis(100), Abort::Rst),
                    1 | 2 => {
                        std::thread::sleep(Duration::from_millis(30));
                        assert_eq!(send(address, &request).status, 200);
                        served.fetch_add(1, Ordering::Relaxed);
                    }
                    3 => {
                        std::thread::sleep(Duration::from_millis(50));
                        send_and_abort(address, &request, Duration::from_millis(340), Abort::Fin);
                    }
                    4 => send_and_abort(address, &request, Duration::ZERO, Abort::Rst),
                    _ => {
                        std::thread::sleep(Duration::from_millis(380));
                        assert_eq!(send(address, &request).status, 200);
                        served.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(served.load(Ordering::Relaxed), 30);
    wait_until("all requests to be over", LIMIT, || envoy.counter("http.main.downstream_rq_active") == 0);
    assert_eq!(server.call_count(), 10);
    assert!(envoy.is_running() && !envoy.log().contains("panicked"), "{}", envoy.log());
}

#[test]
fn an_answer_that_everybody_has_left_is_kept() {
    let server = slow_server(Duration::from_millis(300));
    let upstream = Upstream::start();
    let envoy = envoy(&server, &upstream, 1, plugin());
    let request = Request::get("/bookings").bearer("good");
    for _ in 0..3 {
        send_and_abort(envoy.addr("main"), &request, Duration::from_millis(50), Abort::Rst);
    }
    wait_until("the answer", LIMIT, || envoy.counter("scopegate.callouts.outcome.active") == 1);
    let start = Instant::now();
    assert_eq!(send(envoy.addr("main"), &request).status, 200);
    assert!(start.elapsed() < Duration::from_millis(250));
    assert_eq!(server.call_count(), 1);
}

#[test]
fn when_the_one_callout_fails_everybody_is_told_so_in_time() {
    let server = ScriptedServer::start(|_| Script::Hang);
    let upstream = Upstream::start();
    let mut plugin = plugin();
    plugin["authorization_servers"][0]["introspection"]["timeout"] = json!("500ms");
    let envoy = envoy(&server, &upstream, 2, plugin);
    let start = Instant::now();
    assert_eq!(at_once(envoy.addr("main"), 200, |_| "good".to_owned()), [(503, 200)].into());
    // One worker, and the other after it; not one request after another.
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert!(server.call_count() <= 2, "{}", server.call_count());
}

#[test]
fn our_own_token_is_obtained_once_by_each_worker() {
    let tokens = Arc::new(AtomicUsize::new(0));
    let issued = Arc::clone(&tokens);
    let server = ScriptedServer::start(move |request| {
        if request.path == b"/token" {
            issued.fetch_add(1, Ordering::Relaxed);
            let answer = json!({ "access_token": "own", "token_type": "Bearer", "expires_in": 300 });
            return Script::json(answer).after(Duration::from_millis(300));
        }
        Script::json(json!({ "active": true, "scope": "view" }))
    });
    let upstream = Upstream::start();
    let mut plugin = plugin();
    plugin["authorization_servers"][0]["introspection"] = json!({
        "path": "/introspect", "client_authentication": "bearer", "client_id": "g", "client_secret": "s",
        "timeout": "5s", "token": { "path": "/token" },
    });
    let envoy = envoy(&server, &upstream, 2, plugin);
    assert_eq!(at_once(envoy.addr("main"), 64, |n| format!("good{n}")), [(200, 64)].into());
    assert!(tokens.load(Ordering::Relaxed) <= 2, "{}", tokens.load(Ordering::Relaxed));
    assert_eq!(server.call_count() - tokens.load(Ordering::Relaxed), 64);
}

#[test]
fn nobody_waits_for_a_token_in_constant_use_and_its_revocation_is_seen() {
    let revoked = Arc::new(AtomicUsize::new(0));
    let asked = Arc::clone(&revoked);
    let server = ScriptedServer::start(move |_| {
        let active = asked.load(Ordering::Relaxed) == 0;
        Script::json(json!({ "active": active, "scope": "view" })).after(Duration::from_millis(300))
    });
    let upstream = Upstream::start();
    let mut plugin = plugin();
    plugin["cache"] = json!({ "max_ttl": "3s", "inactive_ttl": "5s" });
    let envoy = envoy(&server, &upstream, 1, plugin);
    let request = Request::get("/bookings").bearer("good");
    assert_eq!(send(envoy.addr("main"), &request).status, 200);
    let start = Instant::now();
    let mut slowest = Duration::ZERO;
    while start.elapsed() < Duration::from_secs(8) {
        let sent = Instant::now();
        assert_eq!(send(envoy.addr("main"), &request).status, 200);
        slowest = slowest.max(sent.elapsed());
        std::thread::sleep(Duration::from_millis(50));
    }
    let calls = server.call_count();
    assert!((3..=6).contains(&calls), "{calls} callouts in 8 s with facts that live 3 s");
    // A machine that is busy may be slow, but not each time that facts would have ended.
    assert!(slowest < Duration::from_millis(290), "somebody has waited {slowest:?}");
    revoked.store(1, Ordering::Relaxed);
    let start = Instant::now();
    wait_until("the revocation to be seen", LIMIT, || send(envoy.addr("main"), &request).status == 401);
    assert!(start.elapsed() < Duration::from_millis(3500), "{:?}", start.elapsed());
    for _ in 0..20 {
        assert_eq!(send(envoy.addr("main"), &request).status, 401);
        std::thread::sleep(Duration::from_millis(50));
    }
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
    let server = slow_server(Duration::from_millis(300));
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
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(server.call_count(), 0, "callouts for requests that nobody waits for");
    assert_eq!(send(envoy.addr("main"), &Request::get("/bookings").bearer("good")).status, 200);
}

#[test]
fn workers_do_not_queue_for_an_answer_that_cannot_be_shared() {
    let scopes: Vec<String> = (0..1000).map(|n| format!("scope{n}")).collect();
    let answer = json!({ "active": true, "scope": format!("view {}", scopes.join(" ")) });
    let server = ScriptedServer::start(move |_| Script::json(answer.clone()).after(Duration::from_secs(1)));
    let upstream = Upstream::start();
    let envoy = envoy(&server, &upstream, 4, plugin());
    let start = Instant::now();
    assert_eq!(at_once(envoy.addr("main"), 60, |_| "good".to_owned()), [(200, 60)].into());
    // One worker, and all others after it; not one after another.
    assert!(start.elapsed() < Duration::from_millis(2900), "{:?}", start.elapsed());
    assert_eq!(server.call_count(), 4);
}
