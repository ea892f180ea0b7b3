//! What is known of tokens, in two levels: each worker's own memory, and data that all workers share.
//!
//! The first level is asked on every request and costs next to nothing; the second spares the authorization server
//! the same question from another worker. Both keep facts, never decisions, and an entry ends at the same moment in
//! both: when the token does, or after the time that the configuration grants, whichever is sooner.
//!
//! Whoever learns by a renewal that a token is active no more takes it out of the second level and begins an epoch. In
//! each worker that ends everything in the first level which a revocation may concern; what still counts is in the
//! second. An answer that was under way when an epoch began is not kept: it may be what the revocation has overtaken.

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
