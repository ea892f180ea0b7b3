//! One generation of the configuration: its worker, and its waiting requests.
//!
//! Envoy may end streams and call back into the module while a decision is performed. Decisions are therefore performed
//! only after the borrow of the worker has ended.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use scopegate::{Decision, HeaderEdit, RequestHead, Worker};

use crate::host::{self, EnvoyHost};
use crate::metrics::Metrics;

/// The state that all contexts of a plugin share in one worker thread.
pub(crate) struct Shared {
    /// The id of the root context.
    pub(crate) root: u32,
    pub(crate) metrics: Metrics,
    /// The queue that wakes the root context: other workers and the streams of this worker add to it.
    pub(crate) mailbox: Cell<Option<u32>>,
    /// Whether a call of the root context is in progress. It need not be woken then.
    pub(crate) is_awake: Cell<bool>,
}

impl Shared {
    pub(crate) fn host(&self, context: u32) -> EnvoyHost<'_> {
        EnvoyHost { context, mailbox: self.mailbox.get(), metrics: &self.metrics }
    }

    pub(crate) fn wake_root(&self) {
        if !self.is_awake.get()
            && let Some(mailbox) = self.mailbox.get()
        {
            host::enqueue(mailbox, b"");
        }
    }
}

/// Whether a request may pass. Until then Envoy holds its headers, body and trailers.
pub(crate) type Passed = Rc<Cell<bool>>;

/// The worker of one configuration.
#[derive(Clone)]
pub(crate) struct Generation(Rc<RefCell<Inner>>);

struct Inner {
    worker: Worker,
    waiting: BTreeMap<u64, Passed>,
}

impl Generation {
    pub(crate) fn new(worker: Worker) -> Self {
        Self(Rc::new(RefCell::new(Inner { worker, waiting: BTreeMap::new() })))
    }

    /// Calls `act` with the worker; `None` if the worker is already borrowed, which Envoy's callbacks do not cause.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Worker) -> T) -> Option<T> {
        self.0.try_borrow_mut().ok().map(|mut inner| act(&mut inner.worker))
    }

    /// Returns whether the generation can be dropped: it is not the current one, and has neither requests nor callouts.
    pub(crate) fn has_ended(&self) -> bool {
        Rc::strong_count(&self.0) == 1 && self.with(|worker| !worker.has_callouts()).unwrap_or_default()
    }

    /// Returns the edits that clean the headers or trailers of a request.
    pub(crate) fn clean<'a>(&self, head: RequestHead<'a>) -> Option<Vec<HeaderEdit<'a>>> {
        self.with(|worker| worker.clean(head))
    }

    /// Handles a new request; the context of its stream is in effect.
    pub(crate) fn on_request(&self, stream: u32, head: RequestHead<'_>, passed: &Passed, shared: &Shared) {
        let Ok(mut inner) = self.0.try_borrow_mut() else { return host::refuse() };
        let decision = inner.worker.on_request(stream.into(), head, &mut shared.host(stream));
        if decision.is_none() {
            inner.waiting.insert(stream.into(), Rc::clone(passed));
        }
        let has_work = inner.worker.has_work();
        drop(inner);
        if let Some(decision) = decision {
            passed.set(perform(&decision));
        }
        if has_work {
            shared.wake_root();
        }
    }

    /// Handles the end of a stream.
    pub(crate) fn on_stream_end(&self, stream: u32, shared: &Shared) {
        // If the worker is borrowed, the request remains in it. The stream no longer exists when its decision is
        // performed.
        let Ok(mut inner) = self.0.try_borrow_mut() else { return };
        inner.waiting.remove(&stream.into());
        inner.worker.on_stream_end(stream.into(), &shared.host(stream));
        let has_work = inner.worker.has_work();
        drop(inner);
        if has_work {
            shared.wake_root();
        }
    }

    /// Reports an event to the worker, and performs a bounded number of the resulting decisions. Envoy resumes each
    /// request from within the previous one, so performing all decisions at once could exhaust the stack and block the
    /// thread.
    pub(crate) fn drive(&self, shared: &Shared, event: impl FnOnce(&mut Worker, &mut EnvoyHost<'_>)) {
        let host = &mut shared.host(shared.root);
        self.with(|worker| event(worker, host));
        for _ in 0..MAX_DECISIONS {
            host::switch_to(shared.root);
            let Some((stream, decision)) = self.with(|worker| worker.next_decision(host)).flatten() else { break };
            let passed = self.0.try_borrow_mut().ok().and_then(|mut inner| inner.waiting.remove(&stream));
            if host::switch_to_stream(stream) && perform(&decision) {
                passed.iter().for_each(|passed| passed.set(true));
                host::resume();
            }
        }
        host::switch_to(shared.root);
        self.with(|worker| worker.send_ready(host));
    }

    /// Returns whether work is left after a call of [`Generation::drive`].
    pub(crate) fn has_work(&self) -> bool {
        self.with(|worker| worker.has_work()).unwrap_or_default()
    }
}

/// Performs a decision about the request whose context is in effect; returns whether the request may pass.
fn perform(decision: &Decision) -> bool {
    match decision {
        Decision::Forward(forward) => {
            forward.set.iter().for_each(|(name, value)| host::set_request_header(name, value));
            forward.filter_state.iter().for_each(|(name, value)| host::set_filter_state(name, value));
            true
        }
        Decision::Report(_) => true,
        Decision::Respond(reply) => {
            host::respond(reply);
            false
        }
    }
}

/// The maximum number of decisions that are performed in one call of the root context. About 270 responses overflowed
/// the stack.
const MAX_DECISIONS: usize = 16;
