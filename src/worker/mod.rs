//! A worker: one configuration at work in one thread, and the only thing that a host talks to.
//!
//! A host hands events over and performs what comes back: it answers or passes the requests that are decided. A worker
//! never calls back into the host's streams, so a host may perform a decision that ends other streams at once.

mod callouts;
mod coalescer;
mod epoch;
mod leases;
mod maintenance;
mod stream;

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use self::coalescer::{CalloutEnd, Coalescer, Resumption};
use crate::base::{LogLimit, UnixTime};
use crate::cache::Lease;
use crate::config::Config;
use crate::flow::{Context, Counters, Decision, Gate, State};
use crate::host::{CalloutId, CalloutResponse, Host, StreamId};
use crate::request::{HeaderEdit, RequestHead};
use crate::server::KeyFetch;

/// One configuration at work in one thread of a proxy.
///
/// A new configuration gets a worker of its own; a request stays with the worker that it began with. The host keeps a
/// worker for as long as it has requests of it, or callouts.
#[derive(Debug)]
pub struct Worker {
    gate: Gate,
    state: State,
    coalescer: Coalescer,
    /// Callouts for keys that no request waits for, and when they were sent.
    key_fetches: BTreeMap<CalloutId, (KeyFetch, UnixTime)>,
    /// Requests that need not wait any longer, in order.
    resumptions: VecDeque<Resumption>,
    ticks: u64,
    /// For messages about each authorization server.
    server_log_limits: Vec<LogLimit>,
    /// For messages about requests that were refused.
    refusal_log_limit: LogLimit,
}

/// How much of something there is in a worker at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Circuit breakers that are open.
    pub circuits_open: usize,
    /// Callouts that were sent and have not ended.
    pub callouts_in_flight: usize,
    /// Requests that wait for a callout.
    pub requests_waiting: usize,
    /// Leases on tokens that this worker introspects for others.
    pub leases_held: usize,
}

impl Worker {
    /// Puts a configuration to work. `seed` must be random, and another one for every worker: identifiers and keys are
    /// drawn from it. Workers of one thread may share their counters.
    pub fn new(config: Config, seed: [u8; 32], counters: Rc<Counters>, host: &impl Host) -> Self {
        let (gate, state) = Gate::new(config, seed, counters);
        let server_log_limits = gate.servers().iter().map(|_| LogLimit::new(1)).collect();
        let worker = Self {
            gate,
            state,
            coalescer: Coalescer::default(),
            key_fetches: BTreeMap::new(),
            resumptions: VecDeque::new(),
            ticks: 0,
            server_log_limits,
            refusal_log_limit: LogLimit::new(REFUSALS_PER_SECOND),
        };
        worker.take_over_published_keys(host);
        leases::prepare(host);
        worker
    }

    /// A worker that refuses every request, in the place of a configuration that was refused.
    pub fn misconfigured(counters: Rc<Counters>, host: &impl Host) -> Self {
        Self::new(Config::misconfigured(), [0; 32], counters, host)
    }

    /// What the configuration only reports and does not enforce, in words; `None` if it enforces everything.
    pub fn report_only(&self) -> Option<String> {
        self.gate.report_only()
    }

    /// Whether [`RequestHead::route`] is needed.
    pub fn needs_route(&self) -> bool {
        self.gate.needs_route()
    }

    /// The changes to the headers of a request before anything else is done with it: they remove identity headers that
    /// the client sent, in any spelling, and the credentials. Trailers are cleaned in the same way.
    pub fn clean<'a>(&self, head: RequestHead<'a>) -> Vec<HeaderEdit<'a>> {
        self.gate.cleaning(head)
    }

    /// A request has arrived, with its headers as they came in. `None`: it waits; [`Worker::next_decision`] returns its
    /// decision later.
    pub fn on_request(&mut self, stream: StreamId, head: RequestHead<'_>, host: &mut impl Host) -> Option<Decision> {
        self.begin(stream, head, host)
    }

    /// A request has ended, whether or not it was decided.
    pub fn on_stream_end(&mut self, stream: StreamId, host: &impl Host) {
        self.leave(stream, host);
    }

    /// A callout has ended; `None` if no response arrived in time.
    pub fn on_callout_response(&mut self, callout: CalloutId, response: Option<CalloutResponse>, host: &mut impl Host) {
        let end = CalloutEnd::Answered(response);
        if let Some((fetch, sent_at)) = self.key_fetches.remove(&callout) {
            self.complete_key_fetch(fetch, end.result(), sent_at, host);
        } else if let Some(key) = self.coalescer.take_sent(callout) {
            self.complete(&key, end, host);
        }
    }

    /// Another worker has sent a message.
    pub fn on_message(&mut self, message: &[u8], host: &mut impl Host) {
        if let Some((lease, is_answered)) = Lease::read_message(message) {
            self.on_lease_end(lease, is_answered, host);
        }
    }

    /// Time has passed: a host calls this about every 50 milliseconds. Overdue callouts end, leases are kept or given up,
    /// cached tokens are renewed, keys are fetched.
    pub fn on_tick(&mut self, host: &mut impl Host) {
        self.ticks = self.ticks.wrapping_add(1);
        let (epoch, now) = (epoch::current(host), host.now());
        self.state.enter_epoch(epoch, now);
        self.end_overdue(host);
        self.maintain_leases(host);
        self.renew(host);
        if self.ticks.is_multiple_of(TICKS_BETWEEN_KEY_CHECKS) {
            self.refresh_keys(host);
        }
    }

    /// The decision about a request that has waited; `None` if none is ready. A host calls this after every event, and
    /// performs each decision before it asks for the next one. It does a bounded amount of work: there may be more to do
    /// ([`Worker::has_work`]) even if it returns `None`.
    pub fn next_decision(&mut self, host: &mut impl Host) -> Option<(StreamId, Decision)> {
        for _ in 0..MAX_RESUMPTIONS {
            self.send_ready(host);
            let Resumption { stream, with } = self.resumptions.pop_front()?;
            if let Some(decision) = self.resume(stream, with, host) {
                return Some((stream, decision));
            }
        }
        None
    }

    /// Sends the callouts that are ready to be sent. [`Worker::next_decision`] does so, too.
    pub fn send_ready(&mut self, host: &mut impl Host) {
        while let Some((key, is_alone)) = self.coalescer.next_ready() {
            self.launch(&key, is_alone, host);
        }
    }

    /// Whether there is something for [`Worker::next_decision`] to do.
    pub fn has_work(&self) -> bool {
        !self.resumptions.is_empty() || self.coalescer.has_ready()
    }

    /// Whether a callout is one of this worker's.
    pub fn has_callout(&self, callout: CalloutId) -> bool {
        self.key_fetches.contains_key(&callout) || self.coalescer.has_sent(callout)
    }

    /// Whether this worker waits for callouts, of requests or its own.
    pub fn has_callouts(&self) -> bool {
        !self.key_fetches.is_empty() || !self.coalescer.is_empty()
    }

    /// How much of what there is at the moment.
    pub fn gauges(&self, now: UnixTime) -> Gauges {
        Gauges {
            circuits_open: self.gate.open_circuits(now),
            callouts_in_flight: self.coalescer.in_flight(),
            requests_waiting: self.coalescer.waiting(),
            leases_held: self.coalescer.leases(),
        }
    }

    fn context(&mut self, now: UnixTime) -> Context<'_> {
        Context { gate: &self.gate, state: &mut self.state, now }
    }
}

/// Keys are checked every half second: often enough that a new configuration has them before requests need them.
const TICKS_BETWEEN_KEY_CHECKS: u64 = 10;

/// Requests that go on in one call of [`Worker::next_decision`].
const MAX_RESUMPTIONS: usize = 16;

/// Messages about refused requests.
const REFUSALS_PER_SECOND: u32 = 500;
