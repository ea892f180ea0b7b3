//! Entries that are in use are renewed before they end.

use scopegate::UnixTime;
use scopegate_fake_proxy::{FakeWorker, NO_ANSWER, Proxy, START, json};

use super::{ACTIVE, INACTIVE, seconds};

fn worker(proxy: &Proxy) -> FakeWorker {
    super::worker(proxy, "", r#""cache":{"max_ttl":"100s"},"#)
}

fn at(proxy: &Proxy, time: u64) {
    proxy.set_clock(START.saturating_add(seconds(time)));
}

/// Renews what is due, if anything, and answers that; returns the number of callouts.
fn renew(worker: &mut FakeWorker, response: &str) -> usize {
    let before = worker.host.sent;
    worker.tick();
    while !worker.host.callouts.is_empty() {
        worker.respond(json(response));
    }
    worker.host.sent - before
}

#[test]
fn entries_in_use_are_renewed_and_others_end() {
    let proxy = Proxy::default();
    let mut worker = worker(&proxy);
    assert_eq!(worker.ask("/", "t", json(ACTIVE)), 200);
    at(&proxy, 79);
    assert_eq!((worker.cached("/", "t"), renew(&mut worker, ACTIVE)), (200, 0));
    at(&proxy, 81);
    assert_eq!((worker.cached("/", "t"), renew(&mut worker, ACTIVE)), (200, 1));
    at(&proxy, 150);
    assert_eq!((worker.cached("/", "t"), renew(&mut worker, ACTIVE)), (200, 0));
    // It was not used again before its end.
    at(&proxy, 181);
    assert_eq!(worker.ask("/", "t", json(INACTIVE)), 401);
}

#[test]
fn one_of_many_requests_renews_an_entry() {
    let proxy = Proxy::default();
    let mut worker = worker(&proxy);
    assert_eq!(worker.ask("/", "t", json(ACTIVE)), 200);
    at(&proxy, 85);
    (0..10).for_each(|_| assert_eq!(worker.cached("/", "t"), 200));
    worker.tick();
    assert_eq!(worker.host.callouts.len(), 1);
    // That one fails; another request tries again, but not at once.
    worker.respond(NO_ANSWER);
    worker.respond(NO_ANSWER);
    assert_eq!(worker.cached("/", "t"), 200);
    worker.tick();
    assert!(worker.host.callouts.is_empty());
    at(&proxy, 86);
    assert_eq!((worker.cached("/", "t"), renew(&mut worker, INACTIVE)), (200, 1));
    assert_eq!(worker.cached("/", "t"), 401);
}

#[test]
fn without_a_response_the_old_entry_is_used_to_its_end() {
    let proxy = Proxy::default();
    let mut worker = worker(&proxy);
    assert_eq!(worker.ask("/", "t", json(ACTIVE)), 200);
    at(&proxy, 99);
    assert_eq!(worker.cached("/", "t"), 200);
    worker.tick();
    worker.respond(NO_ANSWER);
    worker.respond(NO_ANSWER);
    assert_eq!(worker.cached("/", "t"), 200);
    at(&proxy, 100);
    assert_eq!(worker.ask("/", "t", json(INACTIVE)), 401);
}

#[test]
fn an_entry_that_another_worker_has_renewed_is_taken_over() {
    let proxy = Proxy::default();
    let (mut one, mut other) = (worker(&proxy), worker(&proxy));
    assert_eq!((one.ask("/", "t", json(ACTIVE)), other.cached("/", "t")), (200, 200));
    at(&proxy, 85);
    assert_eq!((one.cached("/", "t"), other.cached("/", "t")), (200, 200));
    at(&proxy, 86);
    assert_eq!((renew(&mut one, ACTIVE), renew(&mut other, ACTIVE)), (1, 0));
    at(&proxy, 180);
    assert_eq!(other.cached("/", "t"), 200);
}

#[test]
fn a_token_that_ends_with_its_entry_is_not_renewed() {
    let proxy = Proxy::default();
    let mut worker = worker(&proxy);
    let exp = START.saturating_add(seconds(90)).as_secs();
    assert_eq!(worker.ask("/", "t", json(&format!(r#"{{"active":true,"exp":{exp}}}"#))), 200);
    at(&proxy, 85);
    assert_eq!((worker.cached("/", "t"), renew(&mut worker, ACTIVE)), (200, 0));
}

#[test]
fn a_request_that_joins_a_renewal_shares_its_response() {
    let proxy = Proxy::default();
    let mut worker = worker(&proxy);
    assert_eq!(worker.ask("/", "t", json(ACTIVE)), 200);
    at(&proxy, 99);
    assert_eq!(worker.cached("/", "t"), 200);
    worker.tick();
    // The entry ends while it is being renewed.
    at(&proxy, 100);
    let stream = worker.get("/", "t");
    assert_eq!((worker.status(stream), worker.host.sent), (None, 2));
    worker.respond(json(ACTIVE));
    assert_eq!(worker.status(stream), Some(200));
}

#[test]
fn an_entry_lives_no_longer_than_the_server_grants_although_the_clock_is_set_back() {
    let proxy = Proxy::default();
    let server = |proxy: &Proxy| {
        proxy.worker(
            r#"{"authorization_servers":[{"name":"a","cluster":"c","audience":"any",
            "introspection":{"path":"/i","client_id":"g","client_secret":"s","max_ttl":"5s"}}],"cache":{"max_ttl":"1h"},"unknown_tokens":"unlimited",
            "rules":[{"name":"r","match":[{"path":"/"}],"require":{"authenticated":true}}]}"#,
        )
    };
    let (mut one, mut other) = (server(&proxy), server(&proxy));
    assert_eq!(one.ask("/", "t", json(ACTIVE)), 200);
    for worker in [&mut one, &mut other] {
        for (time, expected) in [(4, 200), (5, 401)] {
            at(&proxy, time);
            // Only the last asks: what it learns is not kept for the next worker.
            let stream = worker.get("/", "t");
            let status = worker.status(stream);
            assert_eq!(status.is_some(), expected == 200, "{time}");
            worker.leave(stream);
            if status.is_none() {
                worker.respond(NO_ANSWER);
                if !worker.host.callouts.is_empty() {
                    worker.respond(NO_ANSWER);
                }
            }
        }
        proxy.set_clock(UnixTime::from_secs(START.as_secs() - 1_000));
        let stream = worker.get("/", "t");
        assert_eq!(worker.status(stream), None);
    }
}
