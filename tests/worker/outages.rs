//! Failing authorization servers: retries, failover, circuit breakers.

use scopegate_fake_proxy::{NO_ANSWER, Proxy, json, status};

use super::{ACTIVE, millis, seconds, worker};

#[test]
fn failed_callouts_are_retried_once() {
    let mut worker = worker(&Proxy::default(), "", "");
    let stream = worker.get("/", "t");
    worker.respond(status(503));
    assert_eq!((worker.status(stream), worker.host.sent), (None, 2));
    worker.respond(json(ACTIVE));
    assert_eq!(worker.status(stream), Some(200));
    assert_eq!(worker.count("scopegate.callouts_retried"), 1);
    assert_eq!(worker.count("scopegate.callouts.outcome.error_status"), 1);
}

#[test]
fn callouts_are_not_sent_a_third_time() {
    let mut worker = worker(&Proxy::default(), "", "");
    let stream = worker.get("/", "t");
    worker.respond(NO_ANSWER);
    worker.respond(NO_ANSWER);
    assert_eq!((worker.status(stream), worker.host.sent), (Some(503), 2));
}

#[test]
fn the_second_attempt_uses_another_cluster() {
    let proxy = Proxy::default();
    let mut worker = worker(&proxy, r#""fallback_clusters":["d"],"#, "");
    let stream = worker.get("/", "t");
    assert_eq!((worker.callout().cluster.as_str(), worker.callout().timeout), ("c", millis(500)));
    proxy.advance(millis(500));
    worker.time_out();
    assert_eq!((worker.callout().cluster.as_str(), worker.callout().timeout), ("d", millis(500)));
    worker.respond(json(ACTIVE));
    assert_eq!(worker.status(stream), Some(200));
}

#[test]
fn open_circuit_breaker_sends_one_test_callout() {
    let proxy = Proxy::default();
    let mut worker = worker(&proxy, r#""circuit_breaker":{"failures":4,"open_for":"2s"},"#, "");
    for token in ["a", "b"] {
        assert_eq!(worker.ask("/", token, NO_ANSWER), 503);
    }
    assert_eq!((worker.worker.gauges(proxy.now()).circuits_open, worker.host.sent), (1, 4));
    assert_eq!((worker.cached("/", "c"), worker.host.sent), (503, 4));
    proxy.advance(seconds(2));
    let (trying, refused) = (worker.get("/", "d"), worker.get("/", "e"));
    assert_eq!((worker.status(trying), worker.status(refused), worker.host.sent), (None, Some(503), 5));
    worker.respond(json(ACTIVE));
    assert_eq!(worker.status(trying), Some(200));
    assert_eq!(worker.worker.gauges(proxy.now()).circuits_open, 0);
    assert_eq!(worker.ask("/", "e", json(ACTIVE)), 200);
}

#[test]
fn errors_for_one_token_do_not_open_the_circuit_breaker() {
    let proxy = Proxy::default();
    let mut worker = worker(&proxy, r#""circuit_breaker":{"failures":1},"#, "");
    for (n, response) in [status(500), status(400), json("[]"), status(401)].into_iter().enumerate() {
        assert_eq!(worker.ask("/", &format!("t{n}"), response), 503);
    }
    assert_eq!(worker.worker.gauges(proxy.now()).circuits_open, 0);
}

#[test]
fn unsent_callouts_end_at_their_deadline() {
    let proxy = Proxy::default();
    let (mut one, mut other) = (worker(&proxy, "", ""), worker(&proxy, "", ""));
    let (_, waiting) = (one.get("/", "t"), other.get("/", "t"));
    for _ in 0..19 {
        proxy.advance(millis(50));
        one.tick();
        other.tick();
    }
    assert_eq!(other.status(waiting), None);
    proxy.advance(millis(50));
    other.tick();
    assert_eq!((other.status(waiting), other.host.sent), (Some(503), 0));
}
