//! A proxy without Envoy: a clock that a test sets, shared data, any number of workers, and callouts that a test answers
//! in any order, or not at all.
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

/// What all workers of a proxy share.
#[derive(Clone)]
pub struct Proxy(Rc<RefCell<Inner>>);

struct Inner {
    now: UnixTime,
    shared: BTreeMap<String, Vec<u8>>,
    /// The messages for each worker.
    mail: BTreeMap<u32, VecDeque<Vec<u8>>>,
    /// Counts streams, callouts and workers, so that no two have the same name.
    names: u64,
    /// What happens before the next value is written: another worker is quicker.
    before_write: Option<Box<dyn FnOnce(&Proxy)>>,
}

/// The time at which every proxy starts.
pub const START: UnixTime = UnixTime::from_secs(1_800_000_000);

impl Default for Proxy {
    fn default() -> Self {
        let (shared, mail) = Default::default();
        Self(Rc::new(RefCell::new(Inner { now: START, shared, mail, names: 0, before_write: None })))
    }
}

impl Proxy {
    /// A worker with this configuration (JSON), in which every environment variable is `secret`.
    pub fn worker(&self, configuration: &str) -> FakeWorker {
        FakeWorker::new(self.clone(), configuration)
    }

    /// The time.
    pub fn now(&self) -> UnixTime {
        self.0.borrow().now
    }

    /// Lets time pass.
    pub fn advance(&self, time: Duration) {
        let now = self.now().saturating_add(time);
        self.set_clock(now);
    }

    /// Sets the clock, also back.
    pub fn set_clock(&self, now: UnixTime) {
        self.0.borrow_mut().now = now;
    }

    /// A value in shared data.
    pub fn shared(&self, key: &str) -> Option<Vec<u8>> {
        self.0.borrow().shared.get(key).cloned()
    }

    /// The keys in shared data that begin like this.
    pub fn keys(&self, prefix: &str) -> Vec<String> {
        self.0.borrow().shared.keys().filter(|key| key.starts_with(prefix)).cloned().collect()
    }

    /// Writes a value into shared data.
    pub fn set_shared(&self, key: &str, value: &[u8]) {
        self.0.borrow_mut().shared.insert(key.to_owned(), value.to_vec());
    }

    /// Removes a value from shared data, as if the proxy had been started anew.
    pub fn remove_shared(&self, key: &str) {
        self.0.borrow_mut().shared.remove(key);
    }

    /// Does something between the reading of a value and its next update: another worker is quicker.
    pub fn before_next_update(&self, act: impl FnOnce(&Self) + 'static) {
        self.0.borrow_mut().before_write = Some(Box::new(act));
    }

    fn name(&self) -> u64 {
        let mut inner = self.0.borrow_mut();
        inner.names += 1;
        inner.names
    }
}

/// A response with status 200 and this body.
pub fn json(body: &str) -> Option<CalloutResponse> {
    bytes(body.as_bytes())
}

/// The same, of any bytes.
pub fn bytes(body: &[u8]) -> Option<CalloutResponse> {
    let content_type = Some(b"application/json".to_vec());
    Some(CalloutResponse { status: 200, content_type, body: body.to_vec() })
}

/// A response with this status and no body.
pub fn status(status: u16) -> Option<CalloutResponse> {
    Some(CalloutResponse { status, content_type: None, body: Vec::new() })
}

/// No response in time.
pub const NO_ANSWER: Option<CalloutResponse> = None;
