//! The settings of the cache.

use std::time::Duration;

/// The TTLs and the capacity of the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CacheSettings {
    /// The maximum number of active tokens, and of inactive tokens.
    pub(crate) capacity: u32,
    pub(crate) max_ttl: Duration,
    pub(crate) inactive_ttl: Duration,
    /// How long after their expiry entries of active tokens may be used while the authorization server is unavailable.
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
