//! Counters. The host adds the counts to its metrics.

use std::cell::Cell;

use crate::cache::CacheOutcome;
use crate::decision::DenialClass;
use crate::host::CalloutOutcome;

/// An event that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// Requests that passed with a token.
    Permitted,
    /// Requests that passed without a token.
    Public,
    /// Requests that were refused.
    Denied(DenialClass),
    /// Requests that passed because the configuration is not enforced.
    Reported(DenialClass),
    /// Cache lookups.
    Cache(CacheOutcome),
    /// Callouts that ended.
    Callout(CalloutOutcome),
    /// Callouts that were sent a second time.
    CalloutsRetried,
    /// Fresh entries that were evicted from the shared cache.
    CacheEntriesEvicted,
    /// Configurations that were refused.
    ConfigurationsRefused,
}

impl Counter {
    /// Returns every counter.
    pub fn all() -> impl Iterator<Item = Self> {
        [Self::Permitted, Self::Public]
            .into_iter()
            .chain(DenialClass::ALL.iter().copied().map(Self::Denied))
            .chain(DenialClass::ALL.iter().copied().map(Self::Reported))
            .chain(CacheOutcome::ALL.iter().copied().map(Self::Cache))
            .chain(CalloutOutcome::ALL.iter().copied().map(Self::Callout))
            .chain([Self::CalloutsRetried, Self::CacheEntriesEvicted, Self::ConfigurationsRefused])
    }

    /// Returns the name of the metric. Counters with the same prefix form one metric; the last part of the name is the
    /// value of its label.
    pub fn name(self) -> String {
        match self {
            Self::Permitted => "scopegate.decisions.outcome.permitted".to_owned(),
            Self::Public => "scopegate.decisions.outcome.public".to_owned(),
            Self::Denied(class) => format!("scopegate.decisions.outcome.{}", class.as_str()),
            Self::Reported(class) => format!("scopegate.reported.outcome.{}", class.as_str()),
            Self::Cache(outcome) => format!("scopegate.cache.result.{}", outcome.as_str()),
            Self::Callout(outcome) => format!("scopegate.callouts.outcome.{}", outcome.as_str()),
            Self::CalloutsRetried => "scopegate.callouts_retried".to_owned(),
            Self::CacheEntriesEvicted => "scopegate.cache_entries_evicted".to_owned(),
            Self::ConfigurationsRefused => "scopegate.configurations_refused".to_owned(),
        }
    }

    /// Returns the index in [`Counter::all`].
    const fn index(self) -> usize {
        const REPORTED: usize = DENIED.saturating_add(DenialClass::ALL.len());
        const CACHE: usize = REPORTED.saturating_add(DenialClass::ALL.len());
        const CALLOUT: usize = CACHE.saturating_add(CacheOutcome::ALL.len());
        const OTHERS: usize = CALLOUT.saturating_add(CalloutOutcome::ALL.len());
        match self {
            Self::Permitted => 0,
            Self::Public => 1,
            Self::Denied(class) => DENIED.saturating_add(class as usize),
            Self::Reported(class) => REPORTED.saturating_add(class as usize),
            Self::Cache(outcome) => CACHE.saturating_add(outcome as usize),
            Self::Callout(outcome) => CALLOUT.saturating_add(outcome as usize),
            Self::CalloutsRetried => OTHERS,
            Self::CacheEntriesEvicted => OTHERS.saturating_add(1),
            Self::ConfigurationsRefused => OTHERS.saturating_add(2),
        }
    }
}

const DENIED: usize = 2;

/// The counts since they were last taken. The workers of one thread share them.
#[derive(Debug)]
pub struct Counters(Vec<Cell<u32>>);

impl Default for Counters {
    fn default() -> Self {
        Self(Counter::all().map(|_| Cell::new(0)).collect())
    }
}

impl Counters {
    /// Increments a counter.
    pub fn count(&self, counter: Counter) {
        self.add(counter, 1);
    }

    pub(crate) fn add(&self, counter: Counter, times: u32) {
        if let Some(cell) = self.0.get(counter.index()) {
            cell.set(cell.get().saturating_add(times));
        }
    }

    /// Returns the counts that are not 0, with the index of their counter in [`Counter::all`], and resets them.
    pub fn take(&self) -> impl Iterator<Item = (usize, u32)> {
        self.0.iter().enumerate().filter_map(|(index, cell)| {
            let count = cell.take();
            (count > 0).then_some((index, count))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn counters_have_unique_indexes_and_names() {
        for (index, counter) in Counter::all().enumerate() {
            assert_eq!(counter.index(), index, "{counter:?}");
        }
        let names: BTreeSet<String> = Counter::all().map(Counter::name).collect();
        assert_eq!(names.len(), Counter::all().count());
    }

    #[test]
    fn taking_counts_resets_them() {
        let counters = Counters::default();
        counters.count(Counter::Public);
        counters.add(Counter::Callout(CalloutOutcome::CircuitOpen), 2);
        let taken: Vec<_> = counters.take().collect();
        assert_eq!(taken, [(1, 1), (Counter::Callout(CalloutOutcome::CircuitOpen).index(), 2)]);
        assert_eq!(counters.take().count(), 0);
    }
}
