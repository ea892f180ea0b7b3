//! By which way a question goes, how many go at a time, and how long anybody waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::support::fixtures::configurations::{bookings, gateway};
use crate::support::*;

const LIMIT: Duration = Duration::from_secs(60);

fn good() -> Script {
    Script::json(json!({ "active": true, "scope": "view" }))
}

fn status(envoy: &Envoy, token: &str) -> u16 {
    send(envoy.addr("main"), &Request::get("/bookings").bearer(token)).status
}

/// Requests that wait, callouts that are asked, leases that are held.
fn under_way(envoy: &Envoy) -> [u64; 3] {
    envoy.gauges(["scopegate.requests_waiting", "scopegate.callouts_in_flight", "scopegate.leases_held"])
}

/// A token that was not sent before.
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
        assert_eq!((status(&envoy, &format!("token{n}")), server.call_count()), (200, 2 * n + 2));
    }
    envoy.assert_counter("scopegate.callouts_retried", 4);
    envoy.assert_counter("scopegate.callouts.outcome.error_status", 4);
    assert_eq!((status(&envoy, "cursed"), server.call_count()), (503, 10));
}

#[test]
fn whoever_is_lost_is_not_asked_twice_as_much() {
    let server = ScriptedServer::start(|_| Script::Close);
    let upstream = Upstream::start();
    let mut configuration = bookings();
    configuration["authorization_servers"][0]["circuit_breaker"] = json!({ "failures": 0 });
    let envoy = gateway(configuration, server.addr(), &upstream).concurrency(1).start();
    for n in 0..50 {
        assert_eq!(status(&envoy, &format!("token{n}")), 503);
    }
    assert_eq!(server.call_count(), 60, "fifty questions, and ten of them a second time");
}

#[test]
fn another_cluster_answers_for_one_that_is_lost_or_hangs() {
    let (first, second) = (ScriptedServer::start(|_| good()), ScriptedServer::start(|_| good()));
    let (hanging, upstream) = (ScriptedServer::start(|_| Script::Hang), Upstream::start());
    let configuration = |open_for: &str| {
        let mut configuration = bookings();
        let server = &mut configuration["authorization_servers"][0];
        server["fallback_clusters"] = json!(["second"]);
        server["circuit_breaker"] = json!({ "failures": 3, "open_for": open_for });
        // The first may take half of it.
        server["introspection"]["timeout"] = json!("3s");
        configuration
    };
    let start = |addr| {
        gateway(configuration("5m"), addr, &upstream)
            .cluster("second", second.addr())
            .listener("short", ListenerSpec::new().plugin(configuration("1s")))
            .concurrency(1)
            .start()
    };
    let envoy = start(first.addr());
    assert_eq!((status(&envoy, "a"), first.call_count(), second.call_count()), (200, 1, 0));
    first.stop();
    for n in 0..10 {
        assert_eq!(status(&envoy, &format!("token{n}")), 200, "{n}");
    }
    assert_eq!(second.call_count(), 10);
    envoy.assert_counter("scopegate.callouts_retried", 3);
    envoy.assert_counter("scopegate.circuits_open", 1);
    let short = || send(envoy.addr("short"), &Request::get("/bookings").bearer(&random_token())).status;
    let opens = || {
        let _ = short();
        envoy.gauges(["scopegate.circuits_open"]) == [2]
    };
    wait_until("the other circuit to open", LIMIT, opens);
    first.restart();
    wait_until("the first cluster to be asked again", LIMIT, || {
        let _ = short();
        first.call_count() > 1
    });

    second.clear();
    let envoy = start(hanging.addr());
    for n in 0..6 {
        // Half of the timeout is left for the other one: else there were no answer.
        assert_eq!(status(&envoy, &format!("token{n}")), 200, "{n}");
    }
    assert_eq!((hanging.call_count(), second.call_count()), (3, 6));
}

#[test]
fn a_server_is_asked_so_many_questions_at_a_time_and_the_others_wait() {
    let (now, most, pairs) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)), Rendezvous::default());
    let seen = Arc::clone(&most);
    let server = ScriptedServer::start(move |_| {
        seen.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        // Two at a time: each waits for the one with which it makes a pair.
        pairs.come(|number| number.next_multiple_of(2));
        now.fetch_sub(1, Ordering::SeqCst);
        good()
    });
    let upstream = Upstream::start();
    let mut configuration = bookings();
    configuration["authorization_servers"][0]["max_callouts"] = json!(2);
    configuration["authorization_servers"][0]["introspection"]["timeout"] = json!("30s");
    let envoy = gateway(configuration, server.addr(), &upstream).concurrency(1).start();
    let counts = load(envoy.addr("main"), 12, 12, |n| Request::get("/bookings").bearer(&format!("token{n}")));
    assert_eq!((counts, server.call_count()), ([(200, 12)].into(), 12));
    assert_eq!(most.load(Ordering::SeqCst), 2);
    wait_until("nothing to be left over", LIMIT, || under_way(&envoy) == [0; 3]);
}

#[test]
fn nobody_waits_longer_than_the_timeout_whether_asked_or_not() {
    const REQUESTS: usize = 6;
    let server = ScriptedServer::start(|_| Script::Hang);
    let upstream = Upstream::start();
    let mut configuration = bookings();
    configuration["authorization_servers"][0]["max_callouts"] = json!(1);
    configuration["authorization_servers"][0]["introspection"]["timeout"] = json!("6s");
    let envoy = gateway(configuration, server.addr(), &upstream).concurrency(1).start();
    std::thread::scope(|scope| {
        let waiting = [(); REQUESTS].map(|()| scope.spawn(|| status(&envoy, &random_token())));
        wait_until("all of them to wait for one", LIMIT, || under_way(&envoy) == [6, 1, 1]);
        for request in waiting {
            assert_eq!(request.join().unwrap(), 503);
        }
    });
    assert!(envoy.log().contains("refused with 503: crowded"), "{}", envoy.log());
    // Were the time in the queue for nothing, each would have been asked, one after another.
    assert!(server.call_count() < REQUESTS, "{}", server.call_count());
    wait_until("nothing to be left over", LIMIT, || under_way(&envoy) == [0; 3]);
}
