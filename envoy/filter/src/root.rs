//! The root context: one per worker and configuration. It reads the configuration and makes streams.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;
use scopegate::{CalloutAnswer, Config, Gate, KeyFetch, Trouble, UnixTime};

use crate::host;
use crate::metrics::Metrics;
use crate::stream::Stream;
use crate::throttle::Throttle;

/// What all streams of a worker share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The context id of the root, which owns callouts.
    pub(crate) root: u32,
    pub(crate) metrics: Metrics,
    /// For messages about each authorization server, by its name.
    trouble: RefCell<BTreeMap<String, Throttle>>,
    /// For messages about requests that were refused.
    pub(crate) refusals: Throttle,
}

impl Shared {
    /// Tells the operator of trouble with an authorization server, unless that has just been done.
    pub(crate) fn warn_of_trouble(&self, server: &str, trouble: Trouble, now: UnixTime) {
        let mut throttles = self.trouble.borrow_mut();
        let throttle = throttles.entry(server.to_owned()).or_insert_with(|| Throttle::new(1));
        if let Some(suppressed) = throttle.admit(now) {
            log::warn!("authorization server `{server}`: {}{suppressed}", trouble.explain());
        }
    }
}

pub(crate) struct Root {
    shared: Rc<Shared>,
    /// `None` while there is no configuration, or one that was refused.
    gate: Option<Rc<Gate>>,
    /// Callouts for keys under way, and since when.
    fetches: BTreeMap<u32, (KeyFetch, UnixTime)>,
}

impl Root {
    pub(crate) fn new(id: u32) -> Self {
        let metrics = Metrics::define();
        let shared = Shared { root: id, metrics, trouble: RefCell::default(), refusals: Throttle::new(500) };
        Self { shared: Rc::new(shared), gate: None, fetches: BTreeMap::new() }
    }
}

impl Context for Root {
    fn on_http_call_response(&mut self, callout: u32, num_headers: usize, body_size: usize, _num_trailers: usize) {
        let Some((fetch, since)) = self.fetches.remove(&callout) else {
            return;
        };
        let response = host::callout_response(self.shared.root, self.shared.root, num_headers, body_size);
        self.resume(fetch, host::CalloutResponse::answer(response.as_ref()), since);
    }
}

impl Root {
    /// Takes over keys that other workers have fetched, and fetches those that are due, unless another worker is
    /// about to.
    fn care_for_keys(&mut self, gate: &Gate) {
        let now = host::now();
        for (server, key) in gate.key_servers() {
            if let Some(published) = host::shared_data(&key) {
                gate.take_over_keys(server, &published, now);
            }
            if !gate.keys_are_due(server, now) || !host::claims_lease(&key, now, LEASE) {
                continue;
            }
            if let Some(fetch) = gate.fetch_keys(server, now) {
                self.send(fetch, now);
            }
        }
    }

    fn send(&mut self, fetch: KeyFetch, now: UnixTime) {
        match host::dispatch_from_root(&fetch.request()) {
            Ok(callout) => drop(self.fetches.insert(callout, (fetch, now))),
            Err(_) => self.resume(fetch, CalloutAnswer::NotSent, now),
        }
    }

    fn resume(&mut self, fetch: KeyFetch, answer: CalloutAnswer<'_>, since: UnixTime) {
        let now = host::now();
        let server = fetch.server().to_owned();
        let answered = fetch.resume(answer, since, now);
        let millis = u64::try_from(now.saturating_since(since).as_millis()).unwrap_or(u64::MAX);
        self.shared.metrics.count_callout(answered.outcome, millis);
        answered.publish.iter().for_each(host::publish);
        if let Some(trouble) = answered.trouble {
            self.shared.warn_of_trouble(&server, trouble, now);
        }
        if let Some(next) = answered.next {
            self.send(next, now);
        }
    }
}

/// How long a worker has to fetch keys before another one tries.
const LEASE: Duration = Duration::from_secs(2);

/// How often keys are looked after: often enough that a new configuration has them before anyone notices.
const TICK: Duration = Duration::from_millis(500);

impl RootContext for Root {
    /// The main thread is asked first. If it says false, Envoy turns the configuration down and keeps the old
    /// one, if there is one. A worker must never say false: Envoy would run its listener without the filter,
    /// whatever the failure policy.
    fn on_configure(&mut self, _size: usize) -> bool {
        let bytes = self.get_plugin_configuration().unwrap_or_default();
        match Config::parse(&bytes, &|variable| std::env::var(variable).ok()) {
            Ok(config) => {
                let Some(seed) = host::seed() else {
                    log::error!("the host has no randomness: every request is refused");
                    return host::is_served_as_refused(&bytes);
                };
                let gate = Rc::new(Gate::new(config, seed));
                if gate.key_servers().next().is_some() {
                    // What other workers or an earlier configuration know is there at once.
                    let now = host::now();
                    for (server, key) in gate.key_servers() {
                        host::shared_data(&key).iter().for_each(|keys| gate.take_over_keys(server, keys, now));
                    }
                    self.set_tick_period(TICK);
                }
                self.gate = Some(gate);
                self.fetches.clear();
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
        if let Some(gate) = self.gate.clone() {
            self.care_for_keys(&gate);
        }
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream::new(id, Rc::clone(&self.shared), self.gate.clone())))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}
