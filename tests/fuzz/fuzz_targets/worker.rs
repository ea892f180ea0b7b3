//! Workers that share a proxy and a server: whatever happens in whichever order, every request ends, and a response of the
//! server explains its end. The model (`src/model.rs`) tells which responses do.
//!
//! The bytes are a configuration and operations, one letter each with its arguments behind it, so that an input can be
//! read: `q0a0` is a request to worker 0 for `/any` with token `a`. See `Operation::read`.
#![no_main]

#[path = "worker/explain.rs"]
mod explain;
#[path = "worker/operation.rs"]
mod operation;
#[path = "worker/oracle.rs"]
mod oracle;
#[path = "worker/record.rs"]
mod record;
#[path = "worker/server.rs"]
mod server;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use scopegate::{Decision, RequestHead};
use scopegate_fake_proxy::{FakeWorker, Proxy};
use scopegate_fuzz::model::{Outcome, Terms};
use scopegate_fuzz::proxy;

use crate::operation::Operation;
use crate::oracle::{Cause, Oracle};
use crate::server::name;

fuzz_target!(|data: &[u8]| {
    let Some((first, operations)) = data.split_first() else { return };
    let run = Rc::new(Run::new(TERMS[usize::from(first.wrapping_sub(b'0')) % TERMS.len()]));
    let mut bytes = operations.iter().copied();
    while let Some(letter) = bytes.next() {
        if let Some(operation) = Operation::read(letter, &mut bytes) {
            run.perform(operation);
        }
    }
    run.finish();
});

const fn terms(capacity: u32, max_ttl: u64, inactive_ttl: u64, failures: u32) -> Terms {
    let (max_ttl, inactive_ttl) = (Duration::from_secs(max_ttl), Duration::from_secs(inactive_ttl));
    Terms {
        capacity,
        max_ttl,
        inactive_ttl,
        stale_if_error: Duration::ZERO,
        failures,
        open_for: Duration::from_secs(2),
        max_callouts: 128,
        has_leases: false,
    }
}

const fn stale(seconds: u64, terms: Terms) -> Terms {
    Terms { stale_if_error: Duration::from_secs(seconds), ..terms }
}

const fn queueing(max_callouts: usize, terms: Terms) -> Terms {
    Terms { max_callouts, ..terms }
}

const fn leasing(terms: Terms) -> Terms {
    Terms { has_leases: true, ..terms }
}

/// A plain one, one where entries push each other out, some where one kind of entry outlives the other; and those where
/// workers wait for each other, callouts queue, and stale entries are used.
const TERMS: [Terms; 10] = [
    terms(64, 10, 4, 3),
    terms(8, 10, 4, 0),
    terms(64, 4, 10, 1),
    terms(64, 0, 4, 3),
    terms(64, 10, 0, 0),
    leasing(terms(64, 10, 4, 0)),
    leasing(queueing(1, terms(64, 10, 4, 0))),
    leasing(stale(20, terms(64, 10, 4, 3))),
    leasing(queueing(2, stale(5, terms(8, 4, 10, 1)))),
    queueing(1, stale(30, terms(64, 10, 4, 2))),
];

/// Whether the operations of a run are printed.
static IS_TRACED: LazyLock<bool> = LazyLock::new(|| std::env::var_os("SCOPEGATE_FUZZ_TRACE").is_some());

const WORKERS: usize = 3;
const TOKENS: usize = 12;

/// Everything there is.
struct Run {
    terms: Terms,
    proxy: Proxy,
    /// Made when they are needed; borrowed while an operation on them is under way.
    workers: [RefCell<Option<FakeWorker>>; WORKERS],
    oracle: RefCell<Oracle>,
    /// How many operations are under way, one within another.
    depth: Cell<usize>,
    streams: Cell<u64>,
}

/// How a request goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// It waits, or could not be sent to a worker that is busy.
    Waits,
    Ended(Outcome),
}

impl Run {
    fn new(terms: Terms) -> Self {
        Self {
            terms,
            proxy: proxy(),
            workers: Default::default(),
            oracle: RefCell::new(Oracle::new(terms)),
            depth: Cell::new(0),
            streams: Cell::new(0),
        }
    }

    fn perform(self: &Rc<Self>, operation: Operation) {
        if *IS_TRACED {
            eprintln!("{:indent$}{operation:?}", "", indent = 2 * self.depth.get());
        }
        match operation {
            Operation::Request { worker, token, wants_view } => drop(self.request(worker, token, wants_view)),
            Operation::Respond { worker, callout, probe } => self.respond(worker, callout, probe),
            Operation::RespondAndLeave { worker, callout, request } => {
                let Some(callout) = self.oracle.borrow().callout(worker, callout) else { return };
                let leaves = self.oracle.borrow().stream(worker, request);
                self.end_callout(worker, callout, false, leaves);
            }
            Operation::TimeOut { worker } => self.time_out(worker),
            Operation::Deliver { worker } => self.deliver(worker),
            Operation::LoseMail { worker } => {
                if let Ok(mut fake) = self.workers[worker].try_borrow_mut()
                    && let Some(fake) = fake.as_mut()
                {
                    while fake.next_message().is_some() {}
                    self.oracle.borrow_mut().excuse(|_, _| true);
                }
            }
            Operation::Leave { worker, request } => {
                let Some(stream) = self.oracle.borrow().stream(worker, request) else { return };
                self.event(worker, Cause::Leave(stream), |fake| fake.worker.on_stream_end(stream, &fake.host));
            }
            Operation::Tick { worker } => self.tick(worker),
            Operation::Forward(step) => {
                self.proxy.advance(step);
                self.oracle.borrow_mut().advance(step);
            }
            Operation::Back(step) => {
                self.proxy.set_clock(self.proxy.now().saturating_sub(step));
                self.oracle.borrow_mut().set_back();
            }
            Operation::Activate { token, view, ends_in } => {
                self.oracle.borrow_mut().server.activate(token, view, ends_in, self.proxy.now());
            }
            Operation::Revoke { token } => self.oracle.borrow_mut().server.revoke(token),
            Operation::Mood(mood) => self.oracle.borrow_mut().server.mood = mood,
            Operation::Corrupt { bucket, kind, garbage } => self.corrupt(bucket, kind, &garbage),
            Operation::Replace { worker } => {
                *self.workers[worker].borrow_mut() = None;
                self.oracle.borrow_mut().replace(worker);
            }
            Operation::BeginEpoch => {
                let epoch = oracle::epoch(&self.proxy).wrapping_add(1);
                self.proxy.set_shared(oracle::EPOCH, &epoch.to_le_bytes());
            }
            Operation::Interpose { skip, operation } => {
                self.oracle.borrow_mut().is_armed = true;
                self.interpose(skip, *operation);
            }
        }
    }

    /// Performs an operation between the reading of a value in shared data and its update, after some others.
    fn interpose(self: &Rc<Self>, skip: usize, operation: Operation) {
        let run = Rc::clone(self);
        self.proxy.before_next_update(move |_| match skip.checked_sub(1) {
            Some(skip) => run.interpose(skip, operation),
            None => {
                run.oracle.borrow_mut().is_armed = false;
                run.perform(operation);
            }
        });
    }

    fn request(&self, worker: usize, token: u8, wants_view: bool) -> Progress {
        let authorization = format!("Bearer {}", name(token));
        let path = if wants_view { "/view" } else { "/any" };
        let headers = [(":method", "GET"), (":path", path), (":authority", "a"), ("authorization", &authorization)]
            .map(|(name, value)| (name, value.as_bytes()));
        let head = RequestHead { headers: &headers, route: None, has_body: false };
        let stream = self.streams.replace(self.streams.get() + 1);
        let mut progress = Progress::Waits;
        self.events(worker, Cause::Request { stream, token, wants_view }, |fake, decisions| {
            decisions.extend(fake.worker.on_request(stream, head, &mut fake.host).map(|decision| (stream, decision)));
        })
        .into_iter()
        .filter(|(ended, _)| *ended == stream)
        .for_each(|(_, outcome)| progress = Progress::Ended(outcome));
        progress
    }

    fn respond(&self, worker: usize, callout: usize, probe: usize) {
        let Some(callout) = self.oracle.borrow().callout(worker, callout) else { return };
        self.end_callout(worker, callout, false, None);
        let heard = self.oracle.borrow_mut().heard.take();
        let Some(heard) = heard.filter(|_| probe > 0 && self.depth.get() == 0) else { return };
        // The entry is used at once, by this worker and by every one that reads shared data.
        let end = heard.end(true, self.proxy.now()).map(Progress::Ended);
        assert_eq!(Some(self.request(worker, heard.token, true)), end, "worker {worker} has heard {heard:?}");
        let other = (worker + 1) % WORKERS;
        if probe == 2 {
            let progress = self.request(other, heard.token, true);
            assert_ne!(progress, Progress::Waits, "worker {other} does not find {heard:?}");
        }
    }

    /// Ends a callout as the server has it, or because it has timed out; a client may leave before it is answered.
    fn end_callout(&self, worker: usize, callout: u64, is_over: bool, leaves: Option<u64>) {
        let response = self.oracle.borrow().response(worker, callout, is_over);
        self.event(worker, Cause::Respond { callout, is_over, leaves }, |fake| {
            fake.host.callouts.retain(|held| held.id != callout);
            fake.worker.on_callout_response(callout, response, &mut fake.host);
            if let Some(stream) = leaves {
                fake.worker.on_stream_end(stream, &fake.host);
            }
        });
    }

    fn time_out(&self, worker: usize) {
        let over = self.oracle.borrow().over(worker);
        over.into_iter().for_each(|callout| self.end_callout(worker, callout, true, None));
    }

    fn deliver(&self, worker: usize) {
        let message = match self.workers[worker].try_borrow() {
            Ok(fake) => fake.as_ref().and_then(FakeWorker::next_message),
            Err(_) => None,
        };
        if let Some(message) = message {
            self.event(worker, Cause::Message, |fake| fake.worker.on_message(&message, &mut fake.host));
        }
    }

    fn tick(&self, worker: usize) {
        self.event(worker, Cause::Tick, |fake| fake.worker.on_tick(&mut fake.host));
    }

    fn event(&self, worker: usize, cause: Cause, act: impl FnOnce(&mut FakeWorker)) {
        self.events(worker, cause, |fake, _| act(fake));
    }

    /// Something happens to a worker; returns the requests that end by it.
    fn events(
        &self,
        worker: usize,
        cause: Cause,
        act: impl FnOnce(&mut FakeWorker, &mut Vec<(u64, Decision)>),
    ) -> Vec<(u64, Outcome)> {
        let Ok(mut fake) = self.workers[worker].try_borrow_mut() else { return Vec::new() };
        let fake = fake.get_or_insert_with(|| self.worker());
        let mut event = self.oracle.borrow_mut().begin(worker, cause, fake);
        let mut decisions = Vec::new();
        self.depth.set(self.depth.get() + 1);
        act(fake, &mut decisions);
        for turn in 0.. {
            if !fake.worker.has_work() {
                break;
            }
            assert!(turn < 10_000, "it never ends");
            decisions.extend(fake.worker.next_decision(&mut fake.host));
        }
        self.depth.set(self.depth.get() - 1);
        if *IS_TRACED {
            let indent = 2 * self.depth.get();
            eprintln!("{:indent$}-> worker {worker}: {decisions:?} {:?}", "", fake.worker.gauges(fake.host_now()));
        }
        self.oracle.borrow_mut().end(&mut event, fake, decisions)
    }

    fn worker(&self) -> FakeWorker {
        let mut worker = self.proxy.worker(&self.terms.configuration());
        if !self.terms.has_leases {
            worker.host.mailbox = None;
        }
        worker
    }

    /// A value in shared data becomes something else.
    fn corrupt(&self, bucket: usize, kind: usize, garbage: &[u8]) {
        let mut keys = self.proxy.keys("scopegate.");
        keys.retain(|key| key != oracle::EPOCH && key != "scopegate.leases");
        let Some(key) = keys.get(bucket % keys.len().max(1)) else { return };
        let mut value = self.proxy.shared(key).unwrap_or_default();
        match kind {
            // Cut or continued: entries may be left.
            0 => value.truncate(garbage.len() * 8),
            1 => value.extend_from_slice(garbage),
            // Something else altogether.
            2 => value = garbage.to_vec(),
            3 => value = [&[2], garbage].concat(),
            _ => value.clear(),
        }
        self.proxy.set_shared(key, &value);
        if kind > 4 {
            self.proxy.remove_shared(key);
        }
        self.oracle.borrow_mut().corrupt(key, kind > 1);
    }

    /// With nothing but time every request ends, and nothing is left behind.
    fn finish(&self) {
        self.proxy.before_next_update(|_| {});
        self.oracle.borrow_mut().is_armed = false;
        let is_idle = |worker: usize| match self.workers[worker].borrow().as_ref() {
            Some(fake) => !fake.worker.has_callouts() && self.oracle.borrow().is_idle(worker),
            None => true,
        };
        for _ in 0..40 {
            if (0..WORKERS).all(is_idle) {
                return;
            }
            // Shorter than a lease, so that no worker loses one.
            let step = Duration::from_millis(150);
            self.proxy.advance(step);
            self.oracle.borrow_mut().advance(step);
            for worker in (0..WORKERS).filter(|worker| self.workers[*worker].borrow().is_some()) {
                self.time_out(worker);
                while self.workers[worker].borrow().as_ref().is_some_and(FakeWorker::has_mail) {
                    self.deliver(worker);
                }
                self.tick(worker);
            }
        }
        panic!("some requests or callouts never end: {:#?}", self.oracle.borrow());
    }
}
