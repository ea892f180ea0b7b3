//! By which way a question goes, how many go at a time, and how long anybody waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::configurations::{bookings, gateway};
use crate::support::*;

const LIMIT: Duration = Duration::from_secs(60);

fn good() -> Script {
    Script::json(json!({ "active": true, "scope": "view" }))
}

/// The status of a request with this token, and how long it took.
fn timed(envoy: &Envoy, token: &str) -> (u16, Duration) {
    let started = Instant::now();
    let status = send(envoy.addr("main"), &Request::get("/bookings").bearer(token)).status;
    (status, started.elapsed())
}

/// Requests that wait, callouts that are asked, leases that are held.
fn under_way(envoy: &Envoy) -> [u64; 3] {
    ["requests_waiting", "callouts_in_flight", "leases_held"].map(|name| envoy.counter(&format!("scopegate.{name}")))
}

/// One that nobody has sent before.
fn random_token() -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    format!("random{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

#[test]
fn a_question_whose_connection_is_lost_is_asked_once_more() {
    let count = AtomicUsize::new(0);
    let server = ScriptedServer::start(move |request| {
        let is_odd = count.fetch_add(1, Ordering::Relaxed).is_multiple_of(2);
        let always = request.form_value("token").is_some_and(|token| token.starts_with("cursed"));
        if is_odd || always { Script::Close } else { good() }
    });
    let upstream = Upstream::start();
    let envoy = gateway(bookings(), server.addr(), &upstream).concurrency(1).start();
    for n in 0..4 {
        assert_eq!((timed(&envoy, &format!("token{n}")).0, server.call_count()), (200, 2 * n + 2));
    }
    assert_eq!(envoy.counter("scopegate.callouts_retried"), 4);
    assert_eq!(envoy.counter("scopegate.callouts.outcome.error_status"), 4);
    assert_eq!((timed(&envoy, "cursed").0, server.call_count()), (503, 10));
}

#[test]
fn whoever_is_lost_is_not_asked_twice_as_much() {
    let server = ScriptedServer::start(|_| Script::Close);
    let upstream = Upstream::start();
    let mut configuration = bookings();
    configuration["authorization_servers"][0]["circuit_breaker"] = json!({ "failures": 0 });
    let envoy = gateway(configuration, server.addr(), &upstream).concurrency(1).start();
    for n in 0..50 {
        assert_eq!(timed(&envoy, &format!("token{n}")).0, 503);
    }
    assert_eq!(server.call_count(), 60, "fifty questions, and ten of them a second time");
}

#[test]
fn another_cluster_answers_for_one_that_is_lost_or_hangs() {
    let (first, second) = (ScriptedServer::start(|_| good()), ScriptedServer::start(|_| good()));
    let (hanging, upstream) = (ScriptedServer::start(|_| Script::Hang), Upstream::start());
    let mut configuration = bookings();
    let server = &mut configuration["authorization_servers"][0];
    server["fallback_clusters"] = json!(["second"]);
    server["circuit_breaker"] = json!({ "failures": 3, "open_for": "1s" });
    let start = |addr| gateway(configuration.clone(), addr, &upstream).cluster("second", second.addr());
    let envoy = start(first.addr()).concurrency(1).start();
    assert_eq!((timed(&envoy, "a").0, first.call_count(), second.call_count()), (200, 1, 0));
    first.stop();
    for n in 0..10 {
        assert_eq!(timed(&envoy, &format!("token{n}")).0, 200, "{n}");
    }
    assert_eq!((second.call_count(), envoy.counter("scopegate.callouts_retried")), (10, 3));
    assert_eq!(envoy.counter("scopegate.circuits_open"), 1);
    first.restart();
    wait_until("the first cluster to be asked again", LIMIT, || {
        let _ = timed(&envoy, &random_token());
        first.call_count() > 1
    });

    second.clear();
    let envoy = start(hanging.addr()).concurrency(1).start();
    for n in 0..6 {
        let (status, took) = timed(&envoy, &format!("token{n}"));
        // Half of the timeout is left for the other one.
        assert!(status == 200 && took < Duration::from_millis(900), "{n}: {status} after {took:?}");
    }
    assert_eq!((hanging.call_count(), second.call_count()), (3, 6));
}

#[test]
fn a_server_is_asked_so_many_questions_at_a_time_and_the_others_wait() {
    let (now, most) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&most);
    let server = ScriptedServer::start(move |_| {
        seen.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(100));
        now.fetch_sub(1, Ordering::SeqCst);
        good()
    });
    let upstream = Upstream::start();
    let mut configuration = bookings();
    configuration["authorization_servers"][0]["max_callouts"] = json!(2);
    configuration["authorization_servers"][0]["introspection"]["timeout"] = json!("10s");
    let envoy = gateway(configuration, server.addr(), &upstream).concurrency(1).start();
    let counts = load(envoy.addr("main"), 12, 12, |n| Request::get("/bookings").bearer(&format!("token{n}")));
    assert_eq!((counts, server.call_count()), ([(200, 12)].into(), 12));
    assert_eq!(most.load(Ordering::SeqCst), 2);
    wait_until("nothing to be left over", LIMIT, || under_way(&envoy) == [0; 3]);
}

#[test]
fn nobody_waits_longer_than_the_timeout_whether_asked_or_not() {
    let server = ScriptedServer::start(|_| Script::Hang);
    let upstream = Upstream::start();
    let mut configuration = bookings();
    configuration["authorization_servers"][0]["max_callouts"] = json!(1);
    configuration["authorization_servers"][0]["introspection"]["timeout"] = json!("4s");
    let envoy = gateway(configuration, server.addr(), &upstream).concurrency(1).start();
    let started = Instant::now();
    std::thread::scope(|scope| {
        let waiting = [0, 0, 0, 300, 300, 300].map(|millis| {
            let envoy = &envoy;
            scope.spawn(move || {
                std::thread::sleep(Duration::from_millis(millis));
                timed(envoy, &random_token())
            })
        });
        wait_until("all of them to wait for one", LIMIT, || under_way(&envoy) == [6, 1, 1]);
        for request in waiting {
            let (status, took) = request.join().unwrap();
            assert!(status == 503 && took < Duration::from_millis(4500), "{status} after {took:?}");
        }
    });
    assert!(started.elapsed() < LIMIT);
    assert!(envoy.log().contains("refused with 503: crowded"), "{}", envoy.log());
    assert!(server.call_count() <= 2, "{}", server.call_count());
    wait_until("nothing to be left over", LIMIT, || under_way(&envoy) == [0; 3]);
}
