//! One of several workers introspects a token, and the others wait for it.

use scopegate_fake_proxy::{NO_ANSWER, Proxy, json, status};

use super::{ACTIVE, INACTIVE, millis, worker};

#[test]
fn workers_share_a_callout() {
    let proxy = Proxy::default();
    let (mut one, mut other) = (worker(&proxy, "", ""), worker(&proxy, "", ""));
    let (first, second) = (one.get("/", "t"), other.get("/", "t"));
    assert_eq!((one.host.sent, other.host.sent), (1, 0));
    one.respond(json(ACTIVE));
    assert_eq!((one.status(first), other.status(second)), (Some(200), None));
    assert_eq!(other.take_mail(), 1);
    assert_eq!((other.status(second), other.host.sent), (Some(200), 0));
    assert_eq!((one.worker.gauges(proxy.now()).leases_held, proxy.keys("scopegate.lease.").len()), (0, 1024));
}

#[test]
fn waiting_workers_get_inactive_responses() {
    let proxy = Proxy::default();
    let (mut one, mut other) = (worker(&proxy, "", ""), worker(&proxy, "", ""));
    let (first, second) = (one.get("/", "t"), other.get("/", "t"));
    one.respond(json(INACTIVE));
    other.take_mail();
    assert_eq!((one.status(first), other.status(second), other.host.sent), (Some(401), Some(401), 0));
}

#[test]
fn waiting_worker_retries_if_the_other_got_no_response() {
    let proxy = Proxy::default();
    let (mut one, mut other) = (worker(&proxy, "", ""), worker(&proxy, "", ""));
    let (_, second) = (one.get("/", "t"), other.get("/", "t"));
    one.respond(status(500));
    other.take_mail();
    other.respond(json(ACTIVE));
    assert_eq!(other.status(second), Some(200));
}

#[test]
fn waiting_worker_without_time_left_gives_up() {
    let proxy = Proxy::default();
    let (mut one, mut other) = (worker(&proxy, "", ""), worker(&proxy, "", ""));
    let (_, second) = (one.get("/", "t"), other.get("/", "t"));
    for _ in 0..6 {
        proxy.advance(millis(50));
        one.tick();
        other.tick();
    }
    one.respond(status(500));
    other.take_mail();
    assert_eq!((other.status(second), other.host.sent), (Some(503), 0));
}

#[test]
fn leases_are_renewed_while_a_callout_is_pending() {
    let proxy = Proxy::default();
    let (mut one, mut other) = (worker(&proxy, "", ""), worker(&proxy, "", ""));
    let (_, second) = (one.get("/", "t"), other.get("/", "t"));
    for _ in 0..15 {
        proxy.advance(millis(50));
        one.tick();
        other.tick();
    }
    assert_eq!((other.host.sent, other.status(second)), (0, None));
    one.respond(json(ACTIVE));
    other.take_mail();
    assert_eq!((other.host.sent, other.status(second)), (0, Some(200)));
}

#[test]
fn lost_worker_delays_others_until_its_lease_ends() {
    let proxy = Proxy::default();
    let (mut one, mut other) = (worker(&proxy, "", ""), worker(&proxy, "", ""));
    let (_, second) = (one.get("/", "t"), other.get("/", "t"));
    drop(one);
    proxy.advance(millis(199));
    other.tick();
    assert_eq!(other.host.sent, 0);
    proxy.advance(millis(1));
    other.tick();
    assert_eq!(other.host.sent, 1);
    other.respond(json(ACTIVE));
    assert_eq!(other.status(second), Some(200));
}

#[test]
fn clock_set_back_does_not_block_waiting_workers() {
    let proxy = Proxy::default();
    let (mut one, mut other) = (worker(&proxy, "", ""), worker(&proxy, "", ""));
    let (_, second) = (one.get("/", "t"), other.get("/", "t"));
    proxy.set_clock(proxy.now().saturating_sub(millis(3_600_000)));
    other.tick();
    // The elapsed time is unknown, so the request either ends or sends its own callout.
    assert!(other.status(second).is_some() || other.host.sent == 1);
}

#[test]
fn messages_about_other_leases_are_ignored() {
    let proxy = Proxy::default();
    let (mut one, mut other) = (worker(&proxy, "", ""), worker(&proxy, "", ""));
    let (_, second) = (one.get("/", "t"), other.get("/", "t"));
    other.leave(second);
    one.respond(json(ACTIVE));
    assert_eq!(other.take_mail(), 1);
    assert!(!other.worker.has_work());
    assert!(other.host.callouts.is_empty());
    for message in [&b""[..], b"x", &[0; 33], &[0xff; 64]] {
        other.worker.on_message(message, &mut other.host);
    }
}

#[test]
fn worker_without_mailbox_acquires_no_lease() {
    let proxy = Proxy::default();
    let (mut one, mut other) = (worker(&proxy, "", ""), worker(&proxy, "", ""));
    (one.host.mailbox, other.host.mailbox) = (None, None);
    let (first, second) = (one.get("/", "t"), other.get("/", "t"));
    one.respond(json(ACTIVE));
    other.respond(NO_ANSWER);
    other.respond(json(ACTIVE));
    assert_eq!((one.status(first), other.status(second)), (Some(200), Some(200)));
}

#[test]
fn without_caching_workers_do_not_wait() {
    let proxy = Proxy::default();
    let cache = r#""cache":{"max_ttl":"0s"},"#;
    let (mut one, mut other) = (worker(&proxy, "", cache), worker(&proxy, "", cache));
    let (first, second) = (one.get("/", "t"), other.get("/", "t"));
    assert_eq!((one.host.sent, other.host.sent), (1, 1));
    one.respond(json(ACTIVE));
    other.respond(json(ACTIVE));
    assert_eq!((one.status(first), other.status(second)), (Some(200), Some(200)));
}
