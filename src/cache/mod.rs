//! The cache of token states, in two levels: the memory of each worker, and data that all workers share.
//!
//! The first level is read on every request. The second level avoids callouts for tokens that another worker has
//! introspected. Both store states of tokens, never decisions. An entry expires at the same time in both levels: with
//! the token, or after the configured TTL, whichever is earlier.
//!
//! A worker that learns by a renewal that a token was revoked removes its entry from the second level and begins an
//! epoch. The epoch invalidates all entries of revocable tokens in the first level of every worker; the valid ones are
//! found again in the second level. The response to a callout that was pending when an epoch began is not cached,
//! because it may be older than the revocation.

mod entry;
mod lease;
mod local;
mod outcome;
mod settings;
mod shared;

pub(crate) use entry::CacheEntry;
pub(crate) use lease::{Lease, LeaseOutcome};
pub(crate) use local::{LocalCache, LocalHit};
pub(crate) use outcome::CacheOutcome;
pub(crate) use settings::CacheSettings;
pub(crate) use shared::BucketUpdate;
pub(crate) use shared::Partition;
