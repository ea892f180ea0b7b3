//! The root context: one per worker and configuration. It reads the configuration and makes streams.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;
use scopegate::{Config, Gate, UnixTime};

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
    /// Whether a message about an authorization server may be written; see [`Throttle::admit`].
    pub(crate) fn admit_trouble(&self, server: &str, now: UnixTime) -> Option<String> {
        let mut trouble = self.trouble.borrow_mut();
        trouble.entry(server.to_owned()).or_insert_with(|| Throttle::new(1)).admit(now)
    }
}

pub(crate) struct Root {
    shared: Rc<Shared>,
    /// `None` while there is no configuration, or one that was refused.
    gate: Option<Rc<Gate>>,
}

impl Root {
    pub(crate) fn new(id: u32) -> Self {
        let metrics = Metrics::define();
        let shared = Shared { root: id, metrics, trouble: RefCell::default(), refusals: Throttle::new(500) };
        Self { shared: Rc::new(shared), gate: None }
    }
}

impl Context for Root {}

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
                self.gate = Some(Rc::new(Gate::new(config, seed)));
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

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream::new(id, Rc::clone(&self.shared), self.gate.clone())))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}
