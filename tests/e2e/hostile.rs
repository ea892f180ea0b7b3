//! What attackers send: nothing of it takes the filter down, fills memory, or gets by.

mod answers;
mod application;
mod corpus;
mod gate;
mod requests;
mod wire;
mod witness;

use std::time::Duration;

use serde_json::json;

use crate::support::fixtures::configurations::{bookings, bookings_with, gateway};
use crate::support::*;

#[test]
fn bytes_that_are_not_utf8_are_an_ordinary_bad_request() {
    let server = ScriptedServer::start(|_| Script::json(json!({ "active": true, "scope": "view" })));
    let upstream = Upstream::start();
    let mut envoy = gateway(bookings(), server.addr(), &upstream).concurrency(1).start();
    let status = |request: Request| send(envoy.addr("main"), &request).status;
    let good = || Request::get("/bookings").bearer("good");
    assert_eq!(status(good()), 200);
    assert_eq!(status(Request::get("/bookings").header("authorization", b"Bearer \xff")), 400);
    assert_eq!(status(Request::get("/bookings").header("authorization", b"\xff\xfe")), 401);
    assert_eq!(status(Request::get(b"/bookings\xff").bearer("good")), 400);
    assert_eq!(status(Request::get("/bookings?x=%ff").bearer("good")), 200);
    assert_eq!(status(good().header("x-other", b"\xff\x80")), 200);
    assert_eq!(status(good().header("x-auth-client-id", b"\xff")), 200);
    // Envoy itself refuses these; whatever it says, the next request must be served.
    for request in [
        good().header(b"x-\xff", "1"),
        good().host(b"\xff"),
        Request::new("G\u{e9}T", "/bookings").bearer("good"),
        good().header("x-long", "x".repeat(100_000)),
    ] {
        assert_ne!(try_send(envoy.addr("main"), &request).map_or(0, |response| response.status), 200);
    }
    assert_eq!(status(good()), 200);
    assert!(envoy.is_running());
    assert!(!envoy.log().contains("panicked"), "{}", envoy.log());
    assert!(upstream.requests().iter().all(|request| request.headers_named("x-auth-client-id").is_empty()));
}

#[test]
fn a_token_at_the_limit_is_asked_for_and_one_beyond_is_not() {
    let server = ScriptedServer::start(|_| Script::json(json!({ "active": true, "scope": "view" })));
    let upstream = Upstream::start();
    let envoy = gateway(bookings(), server.addr(), &upstream).start();
    let status =
        |length: usize| send(envoy.addr("main"), &Request::get("/bookings").bearer(&"x".repeat(length))).status;
    assert_eq!((status(16_384), server.call_count()), (200, 1));
    assert_eq!((status(16_385), server.call_count()), (400, 1));
    assert_eq!((status(55_000), server.call_count()), (400, 1));
}

#[test]
fn two_hundred_thousand_random_tokens_leave_memory_flat_and_good_tokens_cached() {
    // A second listener of the same Envoy is the fastest server there is: every token is inactive there, but
    // the good one is learned first, from a server that knows it.
    let server = ScriptedServer::start(|request| {
        let good = request.form_value("token") == Some("good");
        Script::json(json!({ "active": good, "scope": "view" }))
    });
    let upstream = Upstream::start();
    let mut configuration = bookings();
    // Nothing ends by itself, however long the flood takes: what goes was pushed out.
    configuration["cache"] = json!({ "max_ttl": "24h", "inactive_ttl": "24h" });
    // All of them come from one address.
    configuration["unknown_tokens"] = json!("unlimited");
    let envoy = gateway(configuration, server.addr(), &upstream).wasm_log_level("error").alone().start();
    let good = || send(envoy.addr("main"), &Request::get("/bookings").bearer("good")).status;
    assert_eq!(good(), 200);
    let flood = |from: usize, count: usize| {
        load(envoy.addr("main"), 16, count, |n| {
            let n = from + n;
            Request::get("/bookings").bearer(&format!("random-{n:x}-{:x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
        })
    };
    // Fills every bucket for inactive tokens, and Envoy's own pools.
    assert_eq!(flood(0, 40_000), [(401, 40_000)].into());
    let before = envoy.rss_bytes();
    assert_eq!(flood(40_000, 160_000), [(401, 160_000)].into());
    let grown = envoy.rss_bytes().saturating_sub(before);
    println!("resident memory: {before} bytes after 40 000 random tokens, {grown} more after 200 000");
    assert!(grown < 8 << 20, "160 000 more random tokens took {grown} bytes");

    let calls = server.call_count();
    assert_eq!(calls, 200_001);
    assert_eq!(good(), 200);
    assert_eq!(server.call_count(), calls, "the good token was pushed out of the cache");
    wait_until("the evictions", Duration::from_secs(60), || envoy.counter("scopegate.cache_entries_evicted") > 100_000);
    wait_until("all requests to be over", Duration::from_secs(60), || {
        envoy.counter("http.main.downstream_rq_active") == 0
    });
}

#[test]
fn the_route_that_is_judged_is_the_one_that_serves() {
    // Envoy routes on identity headers here: one that a client may forge, and one that the filter sets later.
    let server = ScriptedServer::start(|_| Script::json(json!({ "active": true, "client_id": "web", "scope": "" })));
    let by = |header: &str| json!({ "prefix": "/", "headers": [{ "name": header, "present_match": true }] });
    let mut configuration = bookings_with(
        "/rules",
        json!([
            { "name": "Open", "match": [{ "route": "open" }], "public": true },
            { "name": "Known", "match": [{ "route": "known" }], "require": { "authenticated": true } },
            { "name": "Closed", "match": [{ "route": "closed" }], "require": { "scope": "view" } },
        ]),
    );
    configuration["upstream"]["headers"] = json!({ "x-open": "nothing", "x-known": "client_id" });
    let envoy = Envoy::builder()
        .plugin(configuration)
        .cluster("identity_server", server.addr())
        .route(RouteSpec::prefix("/").field("match", by("x-open")).name("open").direct_response(200, "open"))
        .route(RouteSpec::prefix("/").field("match", by("x-known")).name("known").direct_response(200, "known"))
        .route(RouteSpec::prefix("/").name("closed").direct_response(200, "closed"))
        .direct_response(500, "no route")
        .start();
    let served = |request: Request| {
        let response = send(envoy.addr("main"), &request);
        (response.status, response.text())
    };
    assert_eq!(served(Request::get("/")).0, 401);
    assert_eq!(served(Request::get("/").bearer("weak")).0, 403);
    for forged in ["x-open", "x-known", "X-Open", "x_open", "x.known"] {
        for request in [Request::get("/"), Request::get("/").bearer("weak")] {
            assert_eq!(served(request.header(forged, "forged")).0, 400, "{forged}");
        }
    }
}
