//! Results of cache lookups, and how many there were of each.

use std::cell::Cell;

/// What the cache knew of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheOutcome {
    /// That it is active, and its claims.
    Hit,
    /// That it is inactive.
    InactiveHit,
    /// Nothing.
    Miss,
    /// That it was active, when nobody could be asked whether it still is.
    Stale,
}

/// How often each result came, since somebody last asked.
#[derive(Debug, Default)]
pub(crate) struct CacheCounters {
    hits: Cell<u32>,
    inactive_hits: Cell<u32>,
    misses: Cell<u32>,
    stale: Cell<u32>,
}

impl CacheCounters {
    pub(crate) fn record(&self, result: CacheOutcome) {
        let count = self.of(result);
        count.set(count.get().saturating_add(1));
    }

    /// The counts so far; they begin anew.
    pub(crate) fn take(&self) -> [(CacheOutcome, u32); 4] {
        [CacheOutcome::Hit, CacheOutcome::InactiveHit, CacheOutcome::Miss, CacheOutcome::Stale]
            .map(|result| (result, self.of(result).take()))
    }

    fn of(&self, result: CacheOutcome) -> &Cell<u32> {
        match result {
            CacheOutcome::Hit => &self.hits,
            CacheOutcome::InactiveHit => &self.inactive_hits,
            CacheOutcome::Miss => &self.misses,
            CacheOutcome::Stale => &self.stale,
        }
    }
}
