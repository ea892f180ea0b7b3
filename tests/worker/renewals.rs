//! Entries that are in use are renewed before they expire.

use scopegate::UnixTime;
use scopegate_fake_proxy::{FakeWorker, NO_ANSWER, Proxy, START, json};

use super::{ACTIVE, INACTIVE, seconds};

fn worker(proxy: &Proxy) -> FakeWorker {
    super::worker(proxy, "", r#""cache":{"max_ttl":"100s"},"#)
}

fn at(proxy: &Proxy, time: u64) {
    proxy.set_clock(START.saturating_add(seconds(time)));
}

/// Ticks the worker, gives this response to its renewals, and returns their number.
fn renew(worker: &mut FakeWorker, response: &str) -> usize {
    let before = worker.host.sent;
    worker.tick();
    while !worker.host.callouts.is_empty() {
        worker.respond(json(response));
    }
    worker.host.sent - before
}

#[test]
fn only_used_entries_are_renewed() {
    let proxy = Proxy::default();
    let mut worker = worker(&proxy);
    assert_eq!(worker.ask("/", "t", json(ACTIVE)), 200);
    at(&proxy, 79);
    assert_eq!((worker.cached("/", "t"), renew(&mut worker, ACTIVE)), (200, 0));
    at(&proxy, 81);
    assert_eq!((worker.cached("/", "t"), renew(&mut worker, ACTIVE)), (200, 1));
    at(&proxy, 150);
    assert_eq!((worker.cached("/", "t"), renew(&mut worker, ACTIVE)), (200, 0));
    // The entry was not used again before its expiry.
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
    // The renewal fails; another request retries it, but not immediately.
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
fn old_entry_is_used_until_it_expires() {
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
fn renewed_entries_of_other_workers_are_taken_over() {
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
fn tokens_that_expire_with_their_entry_are_not_renewed() {
    let proxy = Proxy::default();
    let mut worker = worker(&proxy);
    let exp = START.saturating_add(seconds(90)).as_secs();
    assert_eq!(worker.ask("/", "t", json(&format!(r#"{{"active":true,"exp":{exp}}}"#))), 200);
    at(&proxy, 85);
    assert_eq!((worker.cached("/", "t"), renew(&mut worker, ACTIVE)), (200, 0));
}

#[test]
fn requests_share_a_pending_renewal() {
    let proxy = Proxy::default();
    let mut worker = worker(&proxy);
    assert_eq!(worker.ask("/", "t", json(ACTIVE)), 200);
    at(&proxy, 99);
    assert_eq!(worker.cached("/", "t"), 200);
    worker.tick();
    // The entry expires while it is being renewed.
    at(&proxy, 100);
    let stream = worker.get("/", "t");
    assert_eq!((worker.status(stream), worker.host.sent), (None, 2));
    worker.respond(json(ACTIVE));
    assert_eq!(worker.status(stream), Some(200));
}

#[test]
fn clock_set_back_does_not_extend_the_ttl() {
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
            // Only the last worker sends a callout; its response is not cached for the next worker.
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
