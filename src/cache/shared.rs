//! The second level of the cache: a fixed number of buckets in data that all workers share.
//!
//! The host never frees a key of its shared data, so there is one key per bucket and not one per token. The digest of
//! the token selects the bucket. A bucket holds up to [`Partition::bucket_capacity`] entries under their full digests:
//! two tokens in one bucket may evict each other, but are never confused. Inactive tokens have a partition of their
//! own, so that a flood of random tokens does not evict active ones.
//!
//! Other modules with the same VM id can write any bytes into a bucket. Unreadable entries are misses.

use std::rc::Rc;
use std::time::Duration;

use super::entry::CacheEntry;
use super::settings::CacheSettings;
use crate::base::UnixTime;
use crate::claims::{Claims, TokenState};
use crate::token::TokenDigest;

/// The two kinds of buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Partition {
    Active,
    Inactive,
}

impl Partition {
    /// The maximum number of entries in a bucket.
    const fn bucket_capacity(self) -> u32 {
        match self {
            Self::Active => 8,
            Self::Inactive => 16,
        }
    }

    const fn prefix(self) -> &'static str {
        match self {
            Self::Active => "scopegate.active.",
            Self::Inactive => "scopegate.inactive.",
        }
    }

    /// Returns how long after their expiry entries are kept.
    const fn stale_for(self, cache: &CacheSettings) -> Duration {
        match self {
            Self::Active => cache.stale_if_error,
            Self::Inactive => Duration::ZERO,
        }
    }

    /// Returns the key of the bucket of a token, for a cache with this capacity.
    pub(crate) fn key(self, digest: &TokenDigest, capacity: u32) -> String {
        let buckets = u64::from(capacity.div_ceil(self.bucket_capacity())).max(1);
        let bucket = digest.as_u64().checked_rem(buckets).unwrap_or_default();
        format!("{}{bucket}", self.prefix())
    }

    /// Returns the entry of the token, if it is fresh.
    pub(crate) fn find(
        self,
        bucket: &[u8],
        digest: &TokenDigest,
        now: UnixTime,
        cache: &CacheSettings,
    ) -> Option<CacheEntry> {
        self.read(bucket, digest).filter(|entry| entry.is_fresh(now, cache))
    }

    /// Returns the entry of the token, if it has expired and may be used while the authorization server is unavailable.
    pub(crate) fn find_stale(
        self,
        bucket: &[u8],
        digest: &TokenDigest,
        now: UnixTime,
        cache: &CacheSettings,
    ) -> Option<CacheEntry> {
        self.read(bucket, digest).filter(|entry| entry.is_usable_stale(now, cache))
    }

    fn read(self, bucket: &[u8], digest: &TokenDigest) -> Option<CacheEntry> {
        let entry = Entries::of(bucket).find(|entry| entry.digest == digest.as_bytes())?;
        let state = match self {
            Self::Active => TokenState::Active(Rc::new(postcard::from_bytes::<Claims>(entry.state).ok()?)),
            Self::Inactive => TokenState::Inactive,
        };
        Some(CacheEntry { state, expires_at: entry.expires_at })
    }
}

/// An update of one bucket: the host reads the bucket under [`BucketUpdate::key`], applies the update, and writes the
/// bucket back if no other worker has written it meanwhile.
#[derive(Clone, Debug)]
pub(crate) struct BucketUpdate {
    key: String,
    bucket_capacity: u32,
    digest: TokenDigest,
    /// The expiry and the encoded claims; `None` removes the entry.
    entry: Option<(UnixTime, Vec<u8>)>,
    now: UnixTime,
    /// How long after their expiry other entries of the bucket are kept.
    stale_for: Duration,
}

/// The result of an update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UpdatedBucket {
    /// The bucket's new content.
    pub(crate) bucket: Vec<u8>,
    /// The number of fresh entries that were evicted.
    pub(crate) evicted: u32,
}

impl BucketUpdate {
    /// Creates the update that stores an entry; `None` if its claims exceed [`MAX_STATE_BYTES`].
    pub(crate) fn new(entry: &CacheEntry, digest: TokenDigest, now: UnixTime, cache: &CacheSettings) -> Option<Self> {
        let (partition, state) = match &entry.state {
            TokenState::Active(claims) => (Partition::Active, postcard::to_allocvec(claims.as_ref()).ok()?),
            TokenState::Inactive => (Partition::Inactive, Vec::new()),
        };
        (state.len() <= MAX_STATE_BYTES).then(|| Self {
            key: partition.key(&digest, cache.capacity),
            bucket_capacity: partition.bucket_capacity(),
            digest,
            entry: Some((entry.expires_at, state)),
            now,
            stale_for: partition.stale_for(cache),
        })
    }

    /// Creates the update that removes the entry of an active token.
    pub(crate) fn removal(digest: TokenDigest, now: UnixTime, cache: &CacheSettings) -> Self {
        let partition = Partition::Active;
        let (key, stale_for) = (partition.key(&digest, cache.capacity), partition.stale_for(cache));
        Self { key, bucket_capacity: partition.bucket_capacity(), digest, entry: None, now, stale_for }
    }

    /// Returns the update that removes the stored entry of an active token again; `None` for other updates.
    pub(crate) fn undo(&self) -> Option<Self> {
        self.is_active().then(|| Self { entry: None, ..self.clone() })
    }

    /// Returns whether it stores an active token.
    pub(crate) fn is_active(&self) -> bool {
        // Entries of inactive tokens have no claims.
        self.entry.as_ref().is_some_and(|(_, state)| !state.is_empty())
    }

    /// Returns whether it changes the bucket: a removal does not if there is no entry.
    pub(crate) fn changes(&self, bucket: Option<&[u8]>) -> bool {
        let holds = || Entries::of(bucket.unwrap_or_default()).any(|entry| entry.digest == self.digest.as_bytes());
        self.entry.is_some() || holds()
    }

    /// Returns whether it removes an entry. A removal must not be lost.
    pub(crate) fn is_removal(&self) -> bool {
        self.entry.is_none()
    }

    /// Returns the key of the bucket in shared data.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// Applies the update. It removes an older entry of the same token, and entries whose stale period has ended. If
    /// the bucket is still full, it evicts the other expired entries first, then the entry that was stored first.
    /// Long-lived entries, perhaps of another configuration, therefore cannot block others.
    pub(crate) fn apply(&self, bucket: Option<&[u8]>) -> UpdatedBucket {
        let is_fresh = |entry: &Entry<'_>| entry.expires_at > self.now;
        let is_kept = |entry: &Entry<'_>| entry.expires_at.saturating_add(self.stale_for) > self.now;
        let mut kept: Vec<Entry<'_>> = Entries::of(bucket.unwrap_or_default())
            .filter(|entry| entry.digest != self.digest.as_bytes() && is_kept(entry))
            .collect();
        kept.sort_by_key(is_fresh);
        let room = self.bucket_capacity.saturating_sub(u32::from(self.entry.is_some()));
        let room = usize::try_from(room).unwrap_or_default();
        let excess = kept.len().saturating_sub(room);
        let evicted = kept.drain(..excess).filter(is_fresh).count();
        let mut bucket = vec![VERSION];
        let new = self.entry.as_ref().map(|(expires_at, state)| Entry {
            digest: self.digest.as_bytes(),
            expires_at: *expires_at,
            state,
        });
        for entry in kept.iter().chain(&new) {
            entry.write(&mut bucket);
        }
        UpdatedBucket { bucket, evicted: u32::try_from(evicted).unwrap_or(u32::MAX) }
    }
}

/// One entry of a bucket. Encoding: digest, expiry in milliseconds, length of the claims (both little-endian), claims.
struct Entry<'a> {
    digest: &'a [u8; TokenDigest::BYTES],
    expires_at: UnixTime,
    state: &'a [u8],
}

impl<'a> Entry<'a> {
    fn read(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (digest, rest) = bytes.split_first_chunk()?;
        let (expires_at, rest) = rest.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (state, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
        let expires_at = UnixTime::from_millis(u64::from_le_bytes(*expires_at));
        Some((Self { digest, expires_at, state }, rest))
    }

    fn write(&self, out: &mut Vec<u8>) {
        let Ok(length) = u16::try_from(self.state.len()) else {
            return;
        };
        out.extend_from_slice(self.digest);
        out.extend_from_slice(&self.expires_at.as_millis().to_le_bytes());
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(self.state);
    }
}

/// The entries of a bucket, up to the first unreadable one.
struct Entries<'a>(&'a [u8]);

impl<'a> Entries<'a> {
    fn of(bucket: &'a [u8]) -> Self {
        match bucket.split_first() {
            Some((&VERSION, entries)) => Self(entries),
            _ => Self(&[]),
        }
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        let (entry, rest) = Entry::read(self.0)?;
        self.0 = rest;
        Some(entry)
    }
}

/// The longest encoded claims that are cached, in bytes. With 8 entries per bucket, this bounds the memory of the
/// cache.
const MAX_STATE_BYTES: usize = 4_096;

/// The first byte of a bucket. It changes with the layout of buckets or of `Claims`.
const VERSION: u8 = 2;

#[cfg(test)]
mod tests;
