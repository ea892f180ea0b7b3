//! A revocation that one worker detects reaches every worker.

use scopegate_fake_proxy::{FakeWorker, Proxy, START, json};

use super::{ACTIVE, INACTIVE, seconds};

fn worker(proxy: &Proxy) -> FakeWorker {
    super::worker(proxy, "", r#""cache":{"max_ttl":"100s"},"#)
}

fn at(proxy: &Proxy, time: u64) {
    proxy.set_clock(START.saturating_add(seconds(time)));
}

#[test]
fn a_revoked_token_is_refused_by_every_worker() {
    let proxy = Proxy::default();
    let (mut one, mut other) = (worker(&proxy), worker(&proxy));
    assert_eq!((one.ask("/", "t", json(ACTIVE)), other.cached("/", "t")), (200, 200));
    at(&proxy, 85);
    assert_eq!(one.cached("/", "t"), 200);
    one.tick();
    one.respond(json(INACTIVE));
    assert_eq!(one.cached("/", "t"), 401);
    // The other worker uses the entry in its memory until it enters the epoch.
    assert_eq!(other.cached("/", "t"), 200);
    other.tick();
    assert_eq!(other.cached("/", "t"), 401);
    // The token stays refused when the entry of the inactive token has expired.
    at(&proxy, 95);
    assert_eq!(one.ask("/", "t", json(INACTIVE)), 401);
}

#[test]
fn renewal_with_an_expired_token_is_a_revocation() {
    let proxy = Proxy::default();
    let (mut one, mut other) = (worker(&proxy), worker(&proxy));
    assert_eq!((one.ask("/", "t", json(ACTIVE)), other.cached("/", "t")), (200, 200));
    at(&proxy, 85);
    assert_eq!(one.cached("/", "t"), 200);
    one.tick();
    let exp = START.saturating_add(seconds(80)).as_secs();
    one.respond(json(&format!(r#"{{"active":true,"exp":{exp}}}"#)));
    other.tick();
    assert_eq!((one.cached("/", "t"), other.cached("/", "t")), (401, 401));
}

#[test]
fn responses_older_than_a_revocation_are_not_cached() {
    let proxy = Proxy::default();
    let (mut one, mut other) = (worker(&proxy), worker(&proxy));
    (one.host.mailbox, other.host.mailbox) = (None, None);
    assert_eq!((one.ask("/", "t", json(ACTIVE)), other.cached("/", "t")), (200, 200));
    at(&proxy, 84);
    assert_eq!((one.cached("/", "t"), other.cached("/", "t")), (200, 200));
    one.tick();
    other.tick();
    at(&proxy, 85);
    one.respond(json(INACTIVE));
    at(&proxy, 86);
    // The callout was sent before the revocation, and completes after it.
    other.respond(json(ACTIVE));
    other.tick();
    assert_eq!(other.ask("/", "t", json(INACTIVE)), 401);
    assert_eq!(worker(&proxy).ask("/", "t", json(INACTIVE)), 401);
}

#[test]
fn entries_written_while_an_epoch_begins_are_removed() {
    let proxy = Proxy::default();
    let mut one = worker(&proxy);
    let stream = one.get("/", "t");
    // Another worker begins an epoch after this worker has read the epoch, and before it writes its entry.
    proxy.before_next_update(|proxy| proxy.set_shared("scopegate.epoch", &7_u64.to_le_bytes()));
    one.respond(json(ACTIVE));
    assert_eq!(one.status(stream), Some(200));
    let mut newcomer = worker(&proxy);
    assert_eq!(newcomer.ask("/", "t", json(INACTIVE)), 401);
    assert_eq!(proxy.shared("scopegate.epoch"), Some(8_u64.to_le_bytes().to_vec()));
}

#[test]
fn revocation_causes_no_callouts_for_other_tokens() {
    let proxy = Proxy::default();
    let (mut one, mut other) = (worker(&proxy), worker(&proxy));
    for token in ["t", "u"] {
        assert_eq!((one.ask("/", token, json(ACTIVE)), other.cached("/", token)), (200, 200));
    }
    at(&proxy, 85);
    assert_eq!(one.cached("/", "t"), 200);
    one.tick();
    one.respond(json(INACTIVE));
    other.tick();
    assert_eq!((other.cached("/", "u"), other.host.sent), (200, 0));
}
