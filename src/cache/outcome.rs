//! Results of cache lookups.

use crate::base::words;

words! {
    /// The result of looking a token up in the cache.
    pub enum CacheOutcome {
        /// An entry says that the token is active.
        Hit = "hit",
        /// An entry says that the token is inactive.
        InactiveHit = "inactive_hit",
        /// There is no entry.
        Miss = "miss",
        /// A stale entry was used, because the authorization server was unavailable.
        Stale = "stale",
    }
}
