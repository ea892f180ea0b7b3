//! A fake proxy for tests of the core: a clock that tests set, shared data, any number of workers, and callouts that
//! tests answer in any order, or let time out.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "for tests"
)]

mod host;
mod worker;

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use scopegate::{CalloutResponse, UnixTime};

pub use host::{Callout, FakeHost};
pub use worker::{FakeWorker, answer_all};

/// A fake proxy: the state that all its workers share.
#[derive(Clone)]
pub struct Proxy(Rc<RefCell<Inner>>);

type Action = Box<dyn FnOnce(&Proxy)>;

struct Inner {
    now: UnixTime,
    shared: BTreeMap<String, Vec<u8>>,
    /// The messages for each worker.
    mail: BTreeMap<u32, VecDeque<Vec<u8>>>,
    /// Counts streams, callouts and workers, so that their ids are unique.
    last_id: u64,
    /// Called before the next value is written, to simulate a concurrent write of another worker.
    before_write: Option<Action>,
}

/// The time at which every proxy starts.
pub const START: UnixTime = UnixTime::from_secs(1_800_000_000);

impl Default for Proxy {
    fn default() -> Self {
        let (shared, mail) = Default::default();
        Self(Rc::new(RefCell::new(Inner { now: START, shared, mail, last_id: 0, before_write: None })))
    }
}

impl Proxy {
    /// Creates a worker with this configuration (JSON). Every environment variable has the value `secret`.
    pub fn worker(&self, configuration: &str) -> FakeWorker {
        FakeWorker::new(self.clone(), configuration)
    }

    /// Returns the current time.
    pub fn now(&self) -> UnixTime {
        self.0.borrow().now
    }

    /// Advances the clock.
    pub fn advance(&self, time: Duration) {
        let now = self.now().saturating_add(time);
        self.set_clock(now);
    }

    /// Sets the clock, forwards or backwards.
    pub fn set_clock(&self, now: UnixTime) {
        self.0.borrow_mut().now = now;
    }

    /// Reads a value from shared data.
    pub fn shared(&self, key: &str) -> Option<Vec<u8>> {
        self.0.borrow().shared.get(key).cloned()
    }

    /// Returns the keys in shared data with this prefix.
    pub fn keys(&self, prefix: &str) -> Vec<String> {
        self.0.borrow().shared.keys().filter(|key| key.starts_with(prefix)).cloned().collect()
    }

    /// Writes a value into shared data.
    pub fn set_shared(&self, key: &str, value: &[u8]) {
        self.0.borrow_mut().shared.insert(key.to_owned(), value.to_vec());
    }

    /// Removes a value from shared data, as if the proxy had been restarted.
    pub fn remove_shared(&self, key: &str) {
        self.0.borrow_mut().shared.remove(key);
    }

    /// Calls `act` between the read and the write of the next update, to simulate a concurrent write of another worker.
    pub fn before_next_update(&self, act: impl FnOnce(&Self) + 'static) {
        self.0.borrow_mut().before_write = Some(Box::new(act));
    }

    fn next_id(&self) -> u64 {
        let mut inner = self.0.borrow_mut();
        inner.last_id += 1;
        inner.last_id
    }
}

/// Returns a JSON response with status 200 and this body.
pub fn json(body: &str) -> Option<CalloutResponse> {
    bytes(body.as_bytes())
}

/// Returns a response with status 200, Content-Type `application/json` and these bytes.
pub fn bytes(body: &[u8]) -> Option<CalloutResponse> {
    let content_type = Some(b"application/json".to_vec());
    Some(CalloutResponse { status: 200, content_type, body: body.to_vec() })
}

/// Returns a response with this status and no body.
pub fn status(status: u16) -> Option<CalloutResponse> {
    Some(CalloutResponse { status, content_type: None, body: Vec::new() })
}

/// A callout that timed out.
pub const NO_ANSWER: Option<CalloutResponse> = None;
