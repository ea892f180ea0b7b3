//! Requests with the same token share one callout.

use scopegate_fake_proxy::{NO_ANSWER, Proxy, json, status};

use super::{ACTIVE, INACTIVE, millis, seconds, worker};

#[test]
fn requests_with_one_token_share_a_callout() {
    let mut worker = worker(&Proxy::default(), "", "");
    let streams: Vec<u64> = (0..100).map(|_| worker.get("/", "t")).collect();
    assert_eq!((worker.host.sent, worker.worker.gauges(worker.host_now()).requests_waiting), (1, 100));
    worker.respond(json(ACTIVE));
    assert!(streams.iter().all(|stream| worker.status(*stream) == Some(200)));
    assert_eq!((worker.cached("/", "t"), worker.host.sent), (200, 1));
    assert_eq!(worker.count("scopegate.callouts.outcome.active"), 1);
    assert_eq!(worker.count("scopegate.cache.result.miss"), 100);
    assert_eq!(worker.count("scopegate.cache.result.hit"), 1);
}

#[test]
fn requests_of_one_callout_use_their_own_rules() {
    let mut worker = worker(&Proxy::default(), "", "");
    let (any, view) = (worker.get("/", "t"), worker.get("/view", "t"));
    worker.respond(json(ACTIVE));
    assert_eq!((worker.status(any), worker.status(view)), (Some(200), Some(403)));
}

#[test]
fn requests_with_different_tokens_do_not_share_a_callout() {
    let mut worker = worker(&Proxy::default(), "", "");
    let streams = ["a", "b", "c"].map(|token| worker.get("/", token));
    let ids: Vec<u64> = worker.host.callouts.iter().map(|callout| callout.id).collect();
    assert_eq!(ids.len(), 3);
    // Completes the callouts in another order than they were sent.
    for (index, response) in [(2, ACTIVE), (0, INACTIVE), (1, ACTIVE)] {
        worker.respond_to(ids[index], json(response));
    }
    assert_eq!(streams.map(|stream| worker.status(stream).unwrap()), [401, 200, 200]);
}

#[test]
fn leaving_clients_do_not_cancel_sent_callouts() {
    let mut worker = worker(&Proxy::default(), "", "");
    let (first, second) = (worker.get("/", "t"), worker.get("/", "t"));
    worker.leave(first);
    worker.respond(json(ACTIVE));
    assert_eq!((worker.status(first), worker.status(second)), (None, Some(200)));

    let last = worker.get("/", "u");
    worker.leave(last);
    worker.respond(json(ACTIVE));
    assert_eq!((worker.status(last), worker.cached("/", "u")), (None, 200));
}

#[test]
fn leaving_clients_leave_no_state_behind() {
    for leaves_at in 0..4 {
        let mut worker = worker(&Proxy::default(), r#""max_callouts":1,"#, "");
        let blocking = worker.get("/", "blocking");
        let stream = worker.get("/", "t");
        if leaves_at == 0 {
            worker.leave(stream);
        }
        worker.respond(json(ACTIVE));
        assert_eq!(worker.status(blocking), Some(200));
        // The callout was queued, so resetting the stream costs no callout.
        assert_eq!(worker.host.callouts.len(), usize::from(leaves_at > 0));
        if leaves_at == 1 {
            worker.leave(stream);
        }
        if leaves_at > 0 {
            worker.respond(json(ACTIVE));
        }
        if leaves_at == 2 {
            worker.leave(stream);
        }
        worker.tick();
        let gauges = worker.worker.gauges(worker.host_now());
        assert_eq!((gauges.requests_waiting, gauges.callouts_in_flight, gauges.leases_held), (0, 0, 0), "{leaves_at}");
        assert!(!worker.worker.has_callouts(), "{leaves_at}");
        assert!(!worker.worker.has_work(), "{leaves_at}");
    }
}

#[test]
fn max_callouts_limits_concurrent_callouts() {
    let proxy = Proxy::default();
    let mut worker = worker(&proxy, r#""max_callouts":2,"#, "");
    let streams: Vec<u64> = (0..5).map(|n| worker.get("/", &format!("t{n}"))).collect();
    for answered in 0..5 {
        assert_eq!(worker.host.callouts.len(), 2.min(5 - answered));
        let first = worker.host.callouts[0].id;
        worker.respond_to(first, json(ACTIVE));
    }
    // Queued callouts are sent in order.
    assert!(streams.iter().all(|stream| worker.status(*stream) == Some(200)));
    assert_eq!(worker.host.sent, 5);
}

#[test]
fn callouts_that_queue_too_long_are_not_sent() {
    let proxy = Proxy::default();
    let mut worker = worker(&proxy, r#""max_callouts":1,"#, "");
    let (sent, queued) = (worker.get("/", "a"), worker.get("/", "b"));
    // A quarter of the timeout may be spent in the queue.
    proxy.advance(millis(250));
    worker.tick();
    assert_eq!(worker.status(queued), None);
    proxy.advance(millis(1));
    worker.tick();
    assert_eq!((worker.status(sent), worker.status(queued)), (None, Some(503)));
    worker.respond(json(ACTIVE));
    assert_eq!((worker.status(sent), worker.host.sent), (Some(200), 1));
    assert_eq!(worker.count("scopegate.decisions.outcome.unavailable"), 1);
}

#[test]
fn waiting_requests_continue_in_small_batches() {
    let mut worker = worker(&Proxy::default(), "", "");
    let streams: Vec<u64> = (0..1_000).map(|_| worker.get("/", "t")).collect();
    let callout = worker.callout().id;
    worker.host.callouts.clear();
    worker.worker.on_callout_response(callout, json(ACTIVE), &mut worker.host);
    let mut decided = 0;
    while worker.worker.has_work() {
        let (stream, decision) = worker.worker.next_decision(&mut worker.host).expect("a decision each time");
        assert!(streams.contains(&stream));
        assert!(matches!(decision, scopegate::Decision::Forward(_)));
        decided += 1;
    }
    assert_eq!((decided, worker.host.sent), (1_000, 1));
}

#[test]
fn clients_are_charged_only_for_invalid_tokens() {
    let limit = r#""unknown_tokens":{"per_second":1,"burst":2},"#;
    let mut worker = worker(&Proxy::default(), "", limit);
    for n in 0..10 {
        assert_eq!(worker.ask("/", &format!("good{n}"), json(ACTIVE)), 200);
    }
    assert_eq!([0, 1].map(|n| worker.ask("/", &format!("bad{n}"), json(INACTIVE))), [401, 401]);
    assert_eq!(worker.cached("/", "bad2"), 429);
    // Cached tokens are not charged.
    assert_eq!((worker.cached("/", "good0"), worker.cached("/", "bad0")), (200, 401));
}

#[test]
fn callouts_that_cannot_be_sent_fail_at_once() {
    let mut worker = worker(&Proxy::default(), "", "");
    worker.host.is_cut_off = true;
    assert_eq!(worker.cached("/", "t"), 503);
    worker.host.is_cut_off = false;
    assert_eq!(worker.ask("/", "t", json(ACTIVE)), 200);
    assert_eq!(worker.count("scopegate.decisions.outcome.unavailable"), 1);
}

#[test]
fn every_callout_outcome_is_counted() {
    let proxy = Proxy::default();
    let mut worker = worker(&proxy, r#""circuit_breaker":{"failures":0},"#, "");
    for (n, (response, outcome)) in [
        (json(ACTIVE), "active"),
        (json(INACTIVE), "inactive"),
        (status(401), "client_refused"),
        (status(404), "error_status"),
        (json("[]"), "bad_answer"),
        (json(&" ".repeat(65_537)), "too_large"),
    ]
    .into_iter()
    .enumerate()
    {
        worker.ask("/", &format!("t{n}"), response);
        assert_eq!(worker.count(&format!("scopegate.callouts.outcome.{outcome}")), 1, "{outcome}");
    }
    let _ = worker.get("/", "lost");
    proxy.advance(seconds(1));
    worker.respond(NO_ANSWER);
    assert_eq!(worker.count("scopegate.callouts.outcome.no_answer"), 1);
    assert_eq!(worker.host.times.len(), 7);
}
