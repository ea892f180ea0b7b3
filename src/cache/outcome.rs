//! Results of cache lookups, and how many there were of each.

use std::cell::Cell;

/// What the cache knew of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheResult {
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
pub(crate) struct Tally {
    hits: Cell<u32>,
    inactive_hits: Cell<u32>,
    misses: Cell<u32>,
    stale: Cell<u32>,
}

impl Tally {
    pub(crate) fn note(&self, result: CacheResult) {
        let count = self.of(result);
        count.set(count.get().saturating_add(1));
    }

    /// The counts so far; they begin anew.
    pub(crate) fn take(&self) -> [(CacheResult, u32); 4] {
        [CacheResult::Hit, CacheResult::InactiveHit, CacheResult::Miss, CacheResult::Stale]
            .map(|result| (result, self.of(result).take()))
    }

    fn of(&self, result: CacheResult) -> &Cell<u32> {
        match result {
            CacheResult::Hit => &self.hits,
            CacheResult::InactiveHit => &self.inactive_hits,
            CacheResult::Miss => &self.misses,
            CacheResult::Stale => &self.stale,
        }
    }
}
