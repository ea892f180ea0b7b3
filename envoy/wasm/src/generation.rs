//! One generation of the configuration: its worker, and the requests that wait in it.
//!
//! Envoy may end streams, and call back into the module, while a decision is performed. So a decision is performed only
//! after the borrow of the worker has ended.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use scopegate::{Decision, HeaderEdit, RequestHead, Worker};

use crate::host::{self, EnvoyHost};
use crate::metrics::Metrics;

/// What all contexts of a plugin share in one worker thread.
pub(crate) struct Shared {
    /// The id of the root context.
    pub(crate) root: u32,
    pub(crate) metrics: Metrics,
    /// The queue by which other workers, and the streams of this one, wake the root context.
    pub(crate) mailbox: Cell<Option<u32>>,
    /// Whether the root context is being called; it need not be woken then.
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

/// Whether a request may pass. Until then nothing of it does.
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

    /// Does something with the worker; `None` while it is at work, which Envoy does not bring about.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Worker) -> T) -> Option<T> {
        self.0.try_borrow_mut().ok().map(|mut inner| act(&mut inner.worker))
    }

    /// Whether nothing needs it any longer: it is not the current configuration, and has neither requests nor callouts.
    pub(crate) fn has_ended(&self) -> bool {
        Rc::strong_count(&self.0) == 1 && self.with(|worker| !worker.has_callouts()).unwrap_or_default()
    }

    /// The changes that clean the headers or trailers of a request.
    pub(crate) fn clean<'a>(&self, head: RequestHead<'a>) -> Option<Vec<HeaderEdit<'a>>> {
        self.with(|worker| worker.clean(head))
    }

    /// A request has arrived; the context of its stream is in effect.
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

    /// A stream has ended.
    pub(crate) fn on_stream_end(&self, stream: u32, shared: &Shared) {
        // A request that is not removed from a worker at work is gone when its decision is to be performed.
        let Ok(mut inner) = self.0.try_borrow_mut() else { return };
        inner.waiting.remove(&stream.into());
        inner.worker.on_stream_end(stream.into(), &shared.host(stream));
        let has_work = inner.worker.has_work();
        drop(inner);
        if has_work {
            shared.wake_root();
        }
    }

    /// Hands an event to the worker, and performs the decisions that follow from it: a number of them. Envoy lets each
    /// request go on from within the one before, so all of a crowd would exhaust the stack, and keep the thread busy.
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

    /// Whether the worker has more to do than one call of [`Generation::drive`] does.
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

/// Decisions that are performed in one call of the root context. Some 270 were too many for the stack, if Envoy answers
/// each.
const MAX_DECISIONS: usize = 16;
