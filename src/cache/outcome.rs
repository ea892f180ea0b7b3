//! Results of cache lookups.

use crate::base::words;

words! {
    /// The result of looking a token up in the cache.
    pub enum CacheOutcome {
        /// A fresh entry of an active token.
        Hit = "hit",
        /// A fresh entry of an inactive token.
        InactiveHit = "inactive_hit",
        /// No fresh entry.
        Miss = "miss",
        /// A stale entry was used, because the authorization server was unavailable.
        Stale = "stale",
    }
}
