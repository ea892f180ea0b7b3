//! The root context: one per worker thread and plugin. It reads configurations, creates stream contexts, and owns every
//! callout.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;
use scopegate::{Config, Counter, Worker};

use crate::generation::{Generation, Shared};
use crate::host::{self, EnvoyHost};
use crate::metrics::{Metrics, sum};
use crate::stream::Stream;

pub(crate) struct Root {
    shared: Rc<Shared>,
    /// `None` before the first configuration.
    current: Option<Generation>,
    /// Earlier configurations that still have requests or callouts.
    retired: Vec<Generation>,
}

impl Root {
    pub(crate) fn new(id: u32) -> Self {
        let (mailbox, is_awake) = (Cell::new(None), Cell::new(false));
        let shared = Shared { root: id, metrics: Metrics::define(), mailbox, is_awake };
        Self { shared: Rc::new(shared), current: None, retired: Vec::new() }
    }

    /// Reports an event to every generation, and performs the resulting decisions.
    fn drive(&self, event: impl Fn(&mut Worker, &mut EnvoyHost<'_>)) {
        self.shared.is_awake.set(true);
        self.generations().for_each(|generation| generation.drive(&self.shared, &event));
        self.shared.is_awake.set(false);
        if self.generations().any(Generation::has_work) {
            self.shared.wake_root();
        }
    }

    fn generations(&self) -> impl Iterator<Item = &Generation> {
        self.current.iter().chain(&self.retired)
    }

    /// Activates a configuration; `false` if the host provides no random bytes.
    fn configure(&mut self, config: Config) -> bool {
        let Some(seed) = host::seed() else {
            log::error!(
                "the host provides no random bytes, so every request gets status 503: check the Wasm runtime of Envoy"
            );
            return false;
        };
        if self.shared.mailbox.get().is_none() {
            self.shared.mailbox.set(host::register_queue());
        }
        let worker = Worker::new(config, seed, self.shared.metrics.counters(), &self.shared.host(self.shared.root));
        if let Some(what) = worker.report_only() {
            log::warn!(
                "mode report_only: NOTHING IS REFUSED for {what}; refusals are only logged and counted. To enforce them, set mode: enforce"
            );
        }
        self.replace(worker);
        true
    }

    fn replace(&mut self, worker: Worker) {
        self.retired.extend(self.current.replace(Generation::new(worker)));
    }

    /// Refuses every request from now on, because the configuration was refused.
    fn misconfigure(&mut self) {
        let host = self.shared.host(self.shared.root);
        let worker = Worker::misconfigured(self.shared.metrics.counters(), &host);
        self.replace(worker);
    }
}

impl Context for Root {
    fn on_http_call_response(&mut self, callout: u32, num_headers: usize, body_size: usize, _num_trailers: usize) {
        // The response is readable only during this callback.
        let response = Cell::new(host::callout_response(num_headers, body_size));
        let callout = u64::from(callout);
        self.drive(|worker, host| {
            if worker.has_callout(callout) {
                worker.on_callout_response(callout, response.take(), host);
            }
        });
    }
}

impl RootContext for Root {
    /// Envoy calls the main thread first. If it returns `false`, Envoy refuses the configuration and keeps the old one,
    /// if any. A worker must never return `false`: Envoy would run its listener without the filter, whatever the
    /// failure policy.
    fn on_configure(&mut self, _size: usize) -> bool {
        self.set_tick_period(TICK);
        let bytes = self.get_plugin_configuration().unwrap_or_default();
        match Config::parse(&bytes, &|variable| std::env::var(variable).ok()) {
            Ok(config) => {
                if !self.configure(config) {
                    self.misconfigure();
                    return host::must_accept_refused(&bytes);
                }
                host::mark_configured();
                true
            }
            Err(problems) => {
                problems.iter().for_each(|problem| log::error!("configuration refused: {problem}"));
                self.shared.metrics.count(Counter::ConfigurationsRefused);
                // A VM with only a refused configuration may end before the next tick.
                self.shared.metrics.publish();
                self.misconfigure();
                host::must_accept_refused(&bytes)
            }
        }
    }

    fn on_tick(&mut self) {
        self.shared.metrics.publish();
        let now = host::now();
        let gauges = self.generations().filter_map(|generation| generation.with(|worker| worker.gauges(now)));
        self.shared.metrics.show(sum(gauges));
        self.drive(|worker, host| worker.on_tick(host));
        self.retired.retain(|generation| !generation.has_ended());
    }

    fn on_queue_ready(&mut self, queue: u32) {
        // There may be no message: a stream of this worker may have woken the root.
        let messages: Vec<Vec<u8>> = std::iter::from_fn(|| host::dequeue(queue)).collect();
        self.drive(|worker, host| messages.iter().for_each(|message| worker.on_message(message, host)));
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream::new(id, Rc::clone(&self.shared), self.current.clone())))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

/// Leases last 200 ms and are renewed on each tick, so a tick must be several times shorter.
const TICK: Duration = Duration::from_millis(50);
