//! How long entries are kept, and how many.

use std::time::Duration;

/// How long facts about tokens are kept, and how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CacheSettings {
    /// Entries for active tokens; as many again for inactive ones.
    pub(crate) capacity: u32,
    pub(crate) max_ttl: Duration,
    pub(crate) inactive_ttl: Duration,
    /// For how long after their end facts about active tokens count while the authorization server cannot be asked.
    pub(crate) stale_if_error: Duration,
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self {
            capacity: 10_000,
            max_ttl: Duration::from_secs(60),
            inactive_ttl: Duration::from_secs(5),
            stale_if_error: Duration::ZERO,
        }
    }
}
