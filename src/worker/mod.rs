//! A worker: one configuration in one thread. The host uses only this interface.
//!
//! The host reports events and performs the decisions that it gets back: it sends a response or lets the request pass.
//! A worker never calls back into the host's streams, so performing a decision may end other streams at once.

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
/// A new configuration gets its own worker, and a request stays with the worker it began with. The host keeps a worker
/// while it has requests or callouts.
#[derive(Debug)]
pub struct Worker {
    gate: Gate,
    state: State,
    coalescer: Coalescer,
    /// Scheduled key fetches, and when they were sent.
    key_fetches: BTreeMap<CalloutId, (KeyFetch, UnixTime)>,
    /// Requests that continue, in order.
    resumptions: VecDeque<Resumption>,
    ticks: u64,
    /// Limits the messages about each authorization server.
    server_log_limits: Vec<LogLimit>,
    /// Limits the messages about refused requests.
    refusal_log_limit: LogLimit,
}

/// Current values of a worker, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// The number of open circuit breakers.
    pub circuits_open: usize,
    /// The number of callouts that were sent and have not ended.
    pub callouts_in_flight: usize,
    /// The number of requests that wait for a callout.
    pub requests_waiting: usize,
    /// The number of leases that this worker holds.
    pub leases_held: usize,
}

impl Worker {
    /// Creates a worker for a configuration. `seed` must be random and different for every worker: identifiers and keys
    /// are derived from it. Workers of one thread may share their counters.
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

    /// Creates a worker that refuses every request with status 503, for use if the configuration was refused.
    pub fn misconfigured(counters: Rc<Counters>, host: &impl Host) -> Self {
        Self::new(Config::misconfigured(), [0; 32], counters, host)
    }

    /// Describes the rules that only report and do not enforce (`mode: report_only`); `None` if everything enforces.
    pub fn report_only(&self) -> Option<String> {
        self.gate.report_only()
    }

    /// Returns whether [`RequestHead::route`] is needed.
    pub fn needs_route(&self) -> bool {
        self.gate.needs_route()
    }

    /// Returns the edits that clean the headers of a request before any decision: they remove identity headers that the
    /// client sent, including aliases, and the credentials. The host cleans trailers in the same way.
    pub fn clean<'a>(&self, head: RequestHead<'a>) -> Vec<HeaderEdit<'a>> {
        self.gate.cleaning(head)
    }

    /// Handles a new request, given its original headers. Returns `None` if the request waits;
    /// [`Worker::next_decision`] returns its decision later.
    pub fn on_request(&mut self, stream: StreamId, head: RequestHead<'_>, host: &mut impl Host) -> Option<Decision> {
        self.begin(stream, head, host)
    }

    /// Handles the end of a request, whether or not it was decided.
    pub fn on_stream_end(&mut self, stream: StreamId, host: &impl Host) {
        self.leave(stream, host);
    }

    /// Handles the end of a callout; `None` means that it timed out or failed.
    pub fn on_callout_response(&mut self, callout: CalloutId, response: Option<CalloutResponse>, host: &mut impl Host) {
        let end = CalloutEnd::Sent(response);
        if let Some((fetch, sent_at)) = self.key_fetches.remove(&callout) {
            self.complete_key_fetch(fetch, end.result(), sent_at, host);
        } else if let Some(key) = self.coalescer.take_sent(callout) {
            self.complete(&key, end, host);
        }
    }

    /// Handles a message from another worker.
    pub fn on_message(&mut self, message: &[u8], host: &mut impl Host) {
        if let Some((lease, has_response)) = Lease::read_message(message) {
            self.on_lease_end(lease, has_response, host);
        }
    }

    /// Handles a timer tick; the host calls this about every 50 milliseconds. Ends overdue callouts, renews leases and
    /// cached entries, and fetches keys.
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

    /// Returns the decision about a request that has waited; `None` if none is ready. The host calls this after every
    /// event, and performs each decision before it requests the next one. One call does a bounded amount of work: even
    /// if it returns `None`, [`Worker::has_work`] may return `true`.
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

    /// Sends the callouts that are ready. [`Worker::next_decision`] also does this.
    pub fn send_ready(&mut self, host: &mut impl Host) {
        while let Some((key, is_alone)) = self.coalescer.next_ready() {
            self.launch(&key, is_alone, host);
        }
    }

    /// Returns whether [`Worker::next_decision`] has work to do.
    pub fn has_work(&self) -> bool {
        !self.resumptions.is_empty() || self.coalescer.has_ready()
    }

    /// Returns whether this worker has sent this callout.
    pub fn has_callout(&self, callout: CalloutId) -> bool {
        self.key_fetches.contains_key(&callout) || self.coalescer.has_sent(callout)
    }

    /// Returns whether this worker waits for callouts.
    pub fn has_callouts(&self) -> bool {
        !self.key_fetches.is_empty() || !self.coalescer.is_empty()
    }

    /// Returns the current values, for metrics.
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

/// Keys are checked every half second, so that a new configuration has them before requests need them.
const TICKS_BETWEEN_KEY_CHECKS: u64 = 10;

/// The maximum number of requests that continue in one call of [`Worker::next_decision`].
const MAX_RESUMPTIONS: usize = 16;

/// The maximum number of messages about refused requests per second.
const REFUSALS_PER_SECOND: u32 = 500;
