//! What is counted. Envoy shows these names with the prefix `wasmcustom.`; the last word of a counter becomes
//! a label with the tag rules of `envoy/demo.yaml`.

use proxy_wasm::hostcalls;
use proxy_wasm::types::MetricType;
use scopegate::{CacheResult, Call, Denial};

/// Handles of all metrics, defined once per worker.
#[derive(Debug)]
pub(crate) struct Metrics {
    decisions: Vec<(&'static str, u32)>,
    cache: Vec<(&'static str, u32)>,
    callouts: Vec<(&'static str, u32)>,
    callout_time: Option<u32>,
    evicted: Option<u32>,
    refused_configurations: Option<u32>,
}

impl Metrics {
    pub(crate) fn define() -> Self {
        let decisions = DECISIONS_WITHOUT_DENIAL.iter().chain(&Denial::OUTCOMES);
        let callouts = Call::OUTCOMES.iter().chain(&[ABANDONED]);
        Self {
            decisions: counters("scopegate.decisions.outcome", decisions),
            cache: counters("scopegate.cache.result", [HIT, INACTIVE_HIT, MISS].iter()),
            callouts: counters("scopegate.callouts.outcome", callouts),
            callout_time: hostcalls::define_metric(MetricType::Histogram, "scopegate.callout_time_ms").ok(),
            evicted: hostcalls::define_metric(MetricType::Counter, "scopegate.cache_entries_evicted").ok(),
            refused_configurations: hostcalls::define_metric(MetricType::Counter, "scopegate.configurations_refused")
                .ok(),
        }
    }

    pub(crate) fn count_decision(&self, outcome: &str) {
        count(&self.decisions, outcome);
    }

    pub(crate) fn count_cache(&self, result: CacheResult, times: u32) {
        let word = match result {
            CacheResult::Hit => HIT,
            CacheResult::InactiveHit => INACTIVE_HIT,
            CacheResult::Miss => MISS,
        };
        if times > 0 {
            add(&self.cache, word, times);
        }
    }

    pub(crate) fn count_callout(&self, outcome: &str, millis: u64) {
        count(&self.callouts, outcome);
        if let Some(id) = self.callout_time {
            let _ = hostcalls::record_metric(id, millis);
        }
    }

    /// A callout whose client has left; what it brings back is lost.
    pub(crate) fn count_abandoned_callout(&self) {
        count(&self.callouts, ABANDONED);
    }

    pub(crate) fn count_evicted(&self, entries: u32) {
        if let (Some(id), 1..) = (self.evicted, entries) {
            let _ = hostcalls::increment_metric(id, i64::from(entries));
        }
    }

    pub(crate) fn count_refused_configuration(&self) {
        if let Some(id) = self.refused_configurations {
            let _ = hostcalls::increment_metric(id, 1);
        }
    }
}

fn counters<'w>(prefix: &str, words: impl Iterator<Item = &'w &'static str>) -> Vec<(&'static str, u32)> {
    words
        .filter_map(|word| {
            Some((*word, hostcalls::define_metric(MetricType::Counter, &format!("{prefix}.{word}")).ok()?))
        })
        .collect()
}

fn count(counters: &[(&'static str, u32)], word: &str) {
    add(counters, word, 1);
}

fn add(counters: &[(&'static str, u32)], word: &str, times: u32) {
    if let Some((_, id)) = counters.iter().find(|(known, _)| *known == word) {
        let _ = hostcalls::increment_metric(*id, i64::from(times));
    }
}

/// A token was good for the request.
pub(crate) const PERMITTED: &str = "permitted";
/// The rule is public.
pub(crate) const PUBLIC: &str = "public";

const DECISIONS_WITHOUT_DENIAL: [&str; 2] = [PERMITTED, PUBLIC];
const ABANDONED: &str = "abandoned";
const HIT: &str = "hit";
const INACTIVE_HIT: &str = "inactive_hit";
const MISS: &str = "miss";
