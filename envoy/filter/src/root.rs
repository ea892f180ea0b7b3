//! The root context: one per worker and configuration. It reads the configuration, makes streams, and owns every
//! callout.

mod callouts;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;
use scopegate::{CalloutError, CalloutResult, Config, Gate, KeyFetch, Lease, UnixTime};

use crate::flights::{Flights, GoingOn, How, Outcome};
use crate::host;
use crate::metrics::Metrics;
use crate::stream::Stream;
use crate::throttle::Throttle;

/// What all streams of a worker share with its root.
pub(crate) struct Shared {
    /// The id of the root context.
    root: u32,
    pub(crate) metrics: Metrics,
    pub(crate) flights: Flights,
    /// By which the root is woken, by its streams and by other workers.
    queue: Cell<Option<u32>>,
    /// Whether the root is being called now; then nobody needs to wake it.
    awake: Cell<bool>,
    /// For messages about each authorization server, by its name.
    trouble: RefCell<BTreeMap<String, Throttle>>,
    /// For messages about requests that were refused.
    pub(crate) refusals: Throttle,
}

impl Shared {
    /// Tells the operator of trouble with an authorization server, unless that has just been done.
    fn warn_of_trouble(&self, server: &str, trouble: CalloutError, now: UnixTime) {
        let mut throttles = self.trouble.borrow_mut();
        let throttle = throttles.entry(server.to_owned()).or_insert_with(|| Throttle::new(1));
        if let Some(suppressed) = throttle.admit(now) {
            log::warn!("authorization server `{server}`: {}{suppressed}", trouble.explain());
        }
    }

    /// Has the root send what is ready to be sent.
    pub(crate) fn wake_root(&self) {
        if !self.awake.get()
            && let Some(queue) = self.queue.get()
        {
            host::send_message(queue, WAKE);
        }
    }
}

pub(crate) struct Root {
    shared: Rc<Shared>,
    /// `None` while there is no configuration, or one that was refused.
    gate: Option<Rc<Gate>>,
    /// Counts configurations.
    generation: u64,
    /// Callouts for keys that no request waits for, and since when.
    fetches: BTreeMap<u32, (KeyFetch, UnixTime)>,
    ticks: u64,
}

impl Root {
    pub(crate) fn new(id: u32) -> Self {
        let shared = Shared {
            root: id,
            metrics: Metrics::define(),
            flights: Flights::default(),
            queue: Cell::new(None),
            awake: Cell::new(false),
            trouble: RefCell::default(),
            refusals: Throttle::new(500),
        };
        Self { shared: Rc::new(shared), gate: None, generation: 0, fetches: BTreeMap::new(), ticks: 0 }
    }

    /// Does something, sends whatever that has made ready, and lets requests go on: a number of them. Envoy lets each
    /// go on from within the one before, so all of a crowd would exhaust the stack, and keep the worker busy besides.
    fn awake(&mut self, act: impl FnOnce(&mut Self)) {
        let flights = &Rc::clone(&self.shared).flights;
        self.shared.awake.set(true);
        act(self);
        for _ in 0..MAX_GOING_ON {
            self.launch_all();
            let Some(GoingOn { request, how }) = flights.next_going_on() else { break };
            if host::switch_to(request.stream()) {
                request.go_on(match how {
                    How::Step(step) => step,
                    // Whoever went before has understood the answer.
                    How::Answer { call, .. } if call.is_answered(request.gate(), host::now()) => {
                        call.look_again(request.gate(), host::now())
                    }
                    How::Answer { call, outcome, since } => {
                        call.resume(request.gate(), outcome.answer(), since, host::now()).step
                    }
                    How::LookAgain(call) => call.look_again(request.gate(), host::now()),
                });
            }
        }
        self.launch_all();
        self.shared.awake.set(false);
        if flights.any_going_on() {
            self.shared.wake_root();
        }
    }

    /// Shows how things are at the moment.
    fn show_gauges(&self) {
        let Shared { metrics, flights, .. } = &*self.shared;
        metrics.circuits_open.show(self.gate.as_ref().map_or(0, |gate| gate.open_circuits(host::now())));
        metrics.callouts_in_flight.show(flights.in_flight());
        metrics.requests_waiting.show(flights.waiting());
        metrics.leases_held.show(flights.leases());
    }

    /// Takes over keys that other workers have fetched, and fetches those that are due, unless another worker is
    /// about to.
    fn care_for_keys(&mut self) {
        let Some(gate) = self.gate.clone() else { return };
        for (server, key) in gate.key_servers() {
            let published = host::shared_data(&key);
            // After that: what another worker has published in the meantime is not from the future.
            let now = host::now();
            if let Some(published) = published {
                gate.take_over_keys(server, &published, now);
            }
            if !gate.keys_are_due(server, now) || !host::claims_lease(&key, LEASE_OF_KEYS) {
                continue;
            }
            if let Some(fetch) = gate.fetch_keys(server, now) {
                self.fetch(fetch, now);
            }
        }
    }

    fn fetch(&mut self, fetch: KeyFetch, now: UnixTime) {
        match host::dispatch(&fetch.request()) {
            Ok(callout) => drop(self.fetches.insert(callout, (fetch, now))),
            Err(_) => self.resume(fetch, CalloutResult::NotSent(CalloutError::NotSent), now),
        }
    }

    fn resume(&mut self, fetch: KeyFetch, answer: CalloutResult<'_>, since: UnixTime) {
        let now = host::now();
        let server = fetch.server().to_owned();
        let answered = fetch.resume(answer, since, now);
        self.count(answered.outcome, since, now);
        self.note(&server, answered.trouble, answered.publish.as_ref(), now);
        if let Some(next) = answered.next {
            self.fetch(next, now);
        }
    }

    /// Puts a configuration to work; `false` if the host lacks what that takes.
    fn configure(&mut self, config: Config) -> bool {
        let Some(seed) = host::seed() else {
            log::error!("the host has no randomness: every request is refused");
            return false;
        };
        let gate = Rc::new(Gate::new(config, seed));
        if let Some(what) = gate.report_only() {
            log::warn!("mode report_only: NOTHING IS REFUSED by {what}; what would be is logged and counted");
        }
        // What other workers or an earlier configuration know is there at once.
        for (server, key) in gate.key_servers() {
            host::shared_data(&key).iter().for_each(|keys| gate.take_over_keys(server, keys, host::now()));
        }
        host::prepare_leases();
        if self.shared.queue.get().is_none() {
            self.shared.queue.set(host::own_queue(&gate.random_name()));
        }
        self.gate = Some(gate);
        self.generation = self.generation.saturating_add(1);
        self.fetches.clear();
        true
    }
}

impl Context for Root {
    fn on_http_call_response(&mut self, callout: u32, num_headers: usize, body_size: usize, _num_trailers: usize) {
        let outcome = Outcome::Answered(host::callout_response(num_headers, body_size));
        self.awake(|root| {
            if let Some((fetch, since)) = root.fetches.remove(&callout) {
                root.resume(fetch, outcome.answer(), since);
            } else if let Some(key) = root.shared.flights.answered(callout) {
                root.resolve(&key, outcome);
            }
        });
    }
}

impl RootContext for Root {
    /// The main thread is asked first. If it says false, Envoy turns the configuration down and keeps the old
    /// one, if there is one. A worker must never say false: Envoy would run its listener without the filter,
    /// whatever the failure policy.
    fn on_configure(&mut self, _size: usize) -> bool {
        self.set_tick_period(TICK);
        let bytes = self.get_plugin_configuration().unwrap_or_default();
        match Config::parse(&bytes, &|variable| std::env::var(variable).ok()) {
            Ok(config) => {
                if !self.configure(config) {
                    return host::is_served_as_refused(&bytes);
                }
                host::mark_configured();
                true
            }
            Err(problems) => {
                for problem in problems.iter() {
                    log::error!("configuration refused: {problem}");
                }
                self.shared.metrics.count_refused_configuration();
                self.gate = None;
                host::is_served_as_refused(&bytes)
            }
        }
    }

    fn on_tick(&mut self) {
        self.ticks = self.ticks.wrapping_add(1);
        let keys_are_due = self.ticks.is_multiple_of(TICKS_BETWEEN_KEYS);
        self.shared.metrics.publish();
        self.show_gauges();
        self.awake(|root| {
            root.gate.iter().for_each(|gate| gate.enter_epoch(host::epoch(), host::now()));
            root.end_overdue();
            root.care_for_leases();
            root.renew();
            if keys_are_due {
                root.care_for_keys();
            }
        });
    }

    fn on_queue_ready(&mut self, queue: u32) {
        self.awake(|root| {
            while let Some(message) = host::next_message(queue) {
                if let Some((lease, answered)) = Lease::read_message(&message) {
                    root.take_message(lease, answered);
                }
            }
        });
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        let configured = self.gate.clone().map(|gate| (gate, self.generation));
        Some(Box::new(Stream::new(id, Rc::clone(&self.shared), configured)))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

/// Says nothing but that something is ready to be sent.
const WAKE: &[u8] = b"";

/// Requests that go on in one call of the root. Some 270 were too many for the stack, if each is answered by Envoy.
const MAX_GOING_ON: usize = 16;

/// How often leases are renewed and looked after: several times within the life of one.
const TICK: Duration = Duration::from_millis(50);

/// Keys are looked after every half second: often enough that a new configuration has them before anyone notices.
const TICKS_BETWEEN_KEYS: u64 = 10;

/// How long a worker has to fetch keys before another one tries.
const LEASE_OF_KEYS: Duration = Duration::from_secs(2);
