//! A revocation that one worker learns of reaches every worker.

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
    // The other worker has the entry in its memory, until it enters the epoch.
    assert_eq!(other.cached("/", "t"), 200);
    other.tick();
    assert_eq!(other.cached("/", "t"), 401);
    // Nor is it accepted when that it is inactive has been forgotten.
    at(&proxy, 95);
    assert_eq!(one.ask("/", "t", json(INACTIVE)), 401);
}

#[test]
fn a_renewal_that_brings_an_end_in_the_past_is_a_revocation() {
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
fn a_response_that_a_revocation_has_overtaken_is_not_kept() {
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
    // Sent before the token was revoked, and answered after.
    other.respond(json(ACTIVE));
    other.tick();
    assert_eq!(other.ask("/", "t", json(INACTIVE)), 401);
    assert_eq!(worker(&proxy).ask("/", "t", json(INACTIVE)), 401);
}

#[test]
fn an_entry_that_is_written_while_an_epoch_begins_is_removed_again() {
    let proxy = Proxy::default();
    let mut one = worker(&proxy);
    let stream = one.get("/", "t");
    // Another worker begins an epoch after this one has looked, and before its entry is written.
    proxy.before_next_update(|proxy| proxy.set_shared("scopegate.epoch", &7_u64.to_le_bytes()));
    one.respond(json(ACTIVE));
    assert_eq!(one.status(stream), Some(200));
    let mut newcomer = worker(&proxy);
    assert_eq!(newcomer.ask("/", "t", json(INACTIVE)), 401);
    assert_eq!(proxy.shared("scopegate.epoch"), Some(8_u64.to_le_bytes().to_vec()));
}

#[test]
fn a_revocation_of_one_token_costs_others_a_look_into_shared_data_only() {
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
