//! Stale entries while the authorization server is unavailable (`cache.stale_if_error`).

use scopegate::{CalloutResponse, Decision};
use scopegate_fake_proxy::{FakeWorker, NO_ANSWER, Proxy, START, answer_all, json, status};

use super::{ACTIVE, INACTIVE, seconds};

/// The end of a request: its status, and for how many seconds its entry was stale.
type End = (u16, Option<String>);

const PASSES: End = (200, None);
const REFUSED: End = (401, None);
const UNAVAILABLE: End = (503, None);

fn stale_for(seconds: u64) -> End {
    (200, Some(seconds.to_string()))
}

struct Run {
    proxy: Proxy,
    worker: FakeWorker,
}

impl Run {
    fn new(stale_if_error: &str) -> Self {
        let proxy = Proxy::default();
        let more = format!(r#""cache":{{"max_ttl":"60s","stale_if_error":"{stale_if_error}"}},"#);
        // The circuit breaker is disabled here; it has its own tests.
        let worker = super::worker(&proxy, r#""circuit_breaker":{"failures":0},"#, &more);
        Self { proxy, worker }
    }

    /// Sends a request at this time, and gives this response to its callouts.
    fn request(&mut self, response: Option<CalloutResponse>, time: u64) -> End {
        self.proxy.set_clock(START.saturating_add(seconds(time)));
        let stream = self.worker.get("/", "t");
        answer_all(&mut self.worker, |_| response.clone());
        match self.worker.take_decision(stream).expect("a decision") {
            Decision::Forward(forward) => match forward.set.as_slice() {
                [] => PASSES,
                [(name, age)] if name == "x-auth-stale" => (200, Some(age.clone())),
                other => panic!("{other:?}"),
            },
            Decision::Respond(reply) => (reply.status, None),
            Decision::Report(reply) => panic!("{reply:?}"),
        }
    }
}

#[test]
fn stale_entries_are_used_while_the_server_is_unavailable() {
    let mut run = Run::new("5m");
    assert_eq!((run.request(NO_ANSWER, 0), run.request(json(ACTIVE), 0)), (UNAVAILABLE, PASSES));
    assert_eq!((run.request(NO_ANSWER, 59), run.request(NO_ANSWER, 60)), (PASSES, stale_for(0)));
    for response in [NO_ANSWER, status(500), status(503)] {
        assert_eq!(run.request(response.clone(), 90), stale_for(30), "{response:?}");
    }
    assert_eq!((run.request(NO_ANSWER, 359), run.request(NO_ANSWER, 360)), (stale_for(299), UNAVAILABLE));
    assert_eq!((run.request(json(ACTIVE), 361), run.request(NO_ANSWER, 500)), (PASSES, stale_for(79)));
    assert_eq!(run.worker.count("scopegate.cache.result.stale"), 6);
}

#[test]
fn stale_entries_are_unused_by_default() {
    let mut run = Run::new("0s");
    assert_eq!((run.request(json(ACTIVE), 0), run.request(NO_ANSWER, 60)), (PASSES, UNAVAILABLE));
}

#[test]
fn stale_entries_are_unused_while_the_server_responds() {
    let mut run = Run::new("5m");
    assert_eq!(run.request(json(ACTIVE), 0), PASSES);
    for response in [status(401), status(404), status(429), json("<html>"), json("[]")] {
        assert_eq!(run.request(response.clone(), 61), UNAVAILABLE, "{response:?}");
    }
    assert_eq!(run.request(NO_ANSWER, 61), stale_for(1));
}

#[test]
fn stale_entries_end_with_the_token_or_an_inactive_response() {
    let mut run = Run::new("5m");
    let exp = START.saturating_add(seconds(100)).as_secs();
    assert_eq!(run.request(json(&format!(r#"{{"active":true,"exp":{exp}}}"#)), 0), PASSES);
    assert_eq!((run.request(NO_ANSWER, 99), run.request(NO_ANSWER, 100)), (stale_for(39), UNAVAILABLE));
    let mut run = Run::new("5m");
    assert_eq!((run.request(json(ACTIVE), 0), run.request(json(INACTIVE), 61)), (PASSES, REFUSED));
    assert_eq!((run.request(NO_ANSWER, 62), run.request(NO_ANSWER, 70)), (REFUSED, UNAVAILABLE));
}
