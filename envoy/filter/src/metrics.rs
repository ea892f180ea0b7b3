//! What is counted. Envoy shows these names with the prefix `wasmcustom.`; the last word of a counter becomes
//! a label with the tag rules of `envoy/demo.yaml`.
//!
//! A request counts in the worker's memory, and each tick hands over to Envoy what has been counted: a call to the host
//! for each counter and tick, and none for a request.

use std::cell::Cell;

use proxy_wasm::hostcalls;
use proxy_wasm::types::MetricType;
use scopegate::{CacheOutcome, Call, Denial};

/// All metrics, defined once per worker.
#[derive(Debug)]
pub(crate) struct Metrics {
    decisions: Vec<Counter>,
    /// What would have been decided, were it enforced.
    reported: Vec<Counter>,
    cache: Vec<Counter>,
    callouts: Vec<Counter>,
    callout_time: Option<u32>,
    evicted: Counter,
    refused_configurations: Counter,
    retried: Counter,
    /// Ways to authorization servers that refuse.
    pub(crate) circuits_open: Gauge,
    pub(crate) callouts_in_flight: Gauge,
    pub(crate) requests_waiting: Gauge,
    /// On questions that other workers leave to this one.
    pub(crate) leases_held: Gauge,
}

#[derive(Debug)]
struct Counter {
    word: &'static str,
    /// Envoy's, if it has given one.
    id: Option<u32>,
    /// What has not been handed over yet.
    counted: Cell<u32>,
}

impl Metrics {
    pub(crate) fn define() -> Self {
        let decisions = DECISIONS_WITHOUT_DENIAL.iter().chain(&Denial::OUTCOMES);
        Self {
            decisions: counters("scopegate.decisions.outcome.", decisions),
            reported: counters("scopegate.reported.outcome.", Denial::OUTCOMES.iter()),
            cache: counters("scopegate.cache.result.", [HIT, INACTIVE_HIT, MISS, STALE].iter()),
            callouts: counters("scopegate.callouts.outcome.", Call::OUTCOMES.iter()),
            callout_time: hostcalls::define_metric(MetricType::Histogram, "scopegate.callout_time_ms").ok(),
            evicted: Counter::define("scopegate.cache_entries_evicted", ""),
            refused_configurations: Counter::define("scopegate.configurations_refused", ""),
            retried: Counter::define("scopegate.callouts_retried", ""),
            circuits_open: Gauge::define("scopegate.circuits_open"),
            callouts_in_flight: Gauge::define("scopegate.callouts_in_flight"),
            requests_waiting: Gauge::define("scopegate.requests_waiting"),
            leases_held: Gauge::define("scopegate.leases_held"),
        }
    }

    /// Hands over what has been counted.
    pub(crate) fn publish(&self) {
        let single = [&self.evicted, &self.refused_configurations, &self.retried];
        let all = self.decisions.iter().chain(&self.reported).chain(&self.cache).chain(&self.callouts).chain(single);
        all.for_each(Counter::publish);
    }

    pub(crate) fn count_decision(&self, outcome: &str) {
        add(&self.decisions, outcome, 1);
    }

    pub(crate) fn count_report(&self, outcome: &str) {
        add(&self.reported, outcome, 1);
    }

    pub(crate) fn count_cache(&self, result: CacheOutcome, times: u32) {
        let word = match result {
            CacheOutcome::Hit => HIT,
            CacheOutcome::InactiveHit => INACTIVE_HIT,
            CacheOutcome::Miss => MISS,
            CacheOutcome::Stale => STALE,
        };
        add(&self.cache, word, times);
    }

    pub(crate) fn count_callout(&self, outcome: &str, millis: u64) {
        add(&self.callouts, outcome, 1);
        if let Some(id) = self.callout_time {
            let _ = hostcalls::record_metric(id, millis);
        }
    }

    pub(crate) fn count_retry(&self) {
        self.retried.add(1);
    }

    pub(crate) fn count_evicted(&self, entries: u32) {
        self.evicted.add(entries);
    }

    pub(crate) fn count_refused_configuration(&self) {
        self.refused_configurations.add(1);
        // A VM that has nothing but a refused configuration may be gone before the next tick.
        self.refused_configurations.publish();
    }
}

impl Drop for Metrics {
    fn drop(&mut self) {
        self.publish();
        let Self { circuits_open, callouts_in_flight, requests_waiting, leases_held, .. } = self;
        [circuits_open, callouts_in_flight, requests_waiting, leases_held].iter().for_each(|gauge| gauge.show(0));
    }
}

impl Counter {
    fn define(name: &str, word: &'static str) -> Self {
        let id = hostcalls::define_metric(MetricType::Counter, &format!("{name}{word}")).ok();
        Self { word, id, counted: Cell::new(0) }
    }

    fn add(&self, times: u32) {
        self.counted.set(self.counted.get().saturating_add(times));
    }

    fn publish(&self) {
        if let (Some(id), counted @ 1..) = (self.id, self.counted.take()) {
            let _ = hostcalls::increment_metric(id, i64::from(counted));
        }
    }
}

/// How much of something there is at the moment. Envoy has the sum of all workers.
#[derive(Debug)]
pub(crate) struct Gauge {
    /// Envoy's, if it has given one.
    id: Option<u32>,
    /// What this worker has shown.
    shown: Cell<usize>,
}

impl Gauge {
    fn define(name: &str) -> Self {
        Self { id: hostcalls::define_metric(MetricType::Gauge, name).ok(), shown: Cell::new(0) }
    }

    pub(crate) fn show(&self, value: usize) {
        let shown = self.shown.replace(value);
        if let (Some(id), true) = (self.id, value != shown) {
            let change =
                i64::try_from(value).unwrap_or(i64::MAX).saturating_sub_unsigned(u64::try_from(shown).unwrap_or(0));
            let _ = hostcalls::increment_metric(id, change);
        }
    }
}

fn counters<'w>(prefix: &str, words: impl Iterator<Item = &'w &'static str>) -> Vec<Counter> {
    words.map(|word| Counter::define(prefix, word)).collect()
}

fn add(counters: &[Counter], word: &str, times: u32) {
    if let Some(counter) = counters.iter().find(|counter| counter.word == word) {
        counter.add(times);
    }
}

/// A token was good for the request.
pub(crate) const PERMITTED: &str = "permitted";
/// The rule is public.
pub(crate) const PUBLIC: &str = "public";

const DECISIONS_WITHOUT_DENIAL: [&str; 2] = [PERMITTED, PUBLIC];
const HIT: &str = "hit";
const INACTIVE_HIT: &str = "inactive_hit";
const MISS: &str = "miss";
const STALE: &str = "stale";
