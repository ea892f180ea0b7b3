//! Metrics of Envoy. Envoy adds the prefix `wasmcustom.` to their names. The tag rules in `envoy/demo.yaml` turn the
//! last part of a counter's name into a label.
//!
//! A request only increments counters in the memory of the worker. Each tick adds the counts to Envoy's metrics, with
//! one call to the host per counter.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use proxy_wasm::hostcalls;
use proxy_wasm::types::MetricType;
use scopegate::{Counter, Counters, Gauges};

/// All metrics, defined once per worker thread and plugin.
pub(crate) struct Metrics {
    counters: Rc<Counters>,
    /// Envoy's ids of the counters, in the order of [`Counter::all`].
    ids: Vec<Option<u32>>,
    callout_time: Option<u32>,
    gauges: [Gauge; 4],
}

/// A gauge. Its value in Envoy is the sum over all workers.
struct Gauge {
    id: Option<u32>,
    /// The value that this worker has contributed.
    shown: Cell<usize>,
}

impl Metrics {
    pub(crate) fn define() -> Self {
        let define = |kind, name: &str| hostcalls::define_metric(kind, name).ok();
        let gauge = |name| Gauge { id: define(MetricType::Gauge, name), shown: Cell::new(0) };
        Self {
            counters: Rc::default(),
            ids: Counter::all().map(|counter| define(MetricType::Counter, &counter.name())).collect(),
            callout_time: define(MetricType::Histogram, "scopegate.callout_time_ms"),
            gauges: [
                "scopegate.circuits_open",
                "scopegate.callouts_in_flight",
                "scopegate.requests_waiting",
                "scopegate.leases_held",
            ]
            .map(gauge),
        }
    }

    /// Returns the counters, which all workers of this thread share.
    pub(crate) fn counters(&self) -> Rc<Counters> {
        Rc::clone(&self.counters)
    }

    pub(crate) fn count(&self, counter: Counter) {
        self.counters.count(counter);
    }

    pub(crate) fn record_callout_time(&self, time: Duration) {
        if let Some(id) = self.callout_time {
            let _ = hostcalls::record_metric(id, u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        }
    }

    /// Adds the counts to Envoy's metrics.
    pub(crate) fn publish(&self) {
        for (index, count) in self.counters.take() {
            if let Some(Some(id)) = self.ids.get(index) {
                let _ = hostcalls::increment_metric(*id, i64::from(count));
            }
        }
    }

    pub(crate) fn show(&self, gauges: Gauges) {
        let Gauges { circuits_open, callouts_in_flight, requests_waiting, leases_held } = gauges;
        let values = [circuits_open, callouts_in_flight, requests_waiting, leases_held];
        self.gauges.iter().zip(values).for_each(|(gauge, value)| gauge.show(value));
    }
}

impl Drop for Metrics {
    fn drop(&mut self) {
        self.publish();
        self.show(Gauges::default());
    }
}

impl Gauge {
    fn show(&self, value: usize) {
        let shown = self.shown.replace(value);
        if let (Some(id), true) = (self.id, value != shown) {
            let change =
                i64::try_from(value).unwrap_or(i64::MAX).saturating_sub_unsigned(u64::try_from(shown).unwrap_or(0));
            let _ = hostcalls::increment_metric(id, change);
        }
    }
}

/// Returns the sum of the gauges of all generations.
pub(crate) fn sum(gauges: impl Iterator<Item = Gauges>) -> Gauges {
    gauges.fold(Gauges::default(), |sum, one| Gauges {
        circuits_open: sum.circuits_open.saturating_add(one.circuits_open),
        callouts_in_flight: sum.callouts_in_flight.saturating_add(one.callouts_in_flight),
        requests_waiting: sum.requests_waiting.saturating_add(one.requests_waiting),
        leases_held: sum.leases_held.saturating_add(one.leases_held),
    })
}
