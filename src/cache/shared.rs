//! The second level: a fixed number of buckets in data that all workers share.
//!
//! The host never frees a key of its shared data, so there is one key per *bucket*, chosen by the digest, and
//! never one per token. A bucket holds up to [`Partition::WAYS`] entries under their full digests: two tokens
//! that meet in a bucket may evict, but never answer for, one another. Inactive tokens have buckets of their
//! own, which a flood of random tokens fills without touching the active ones.
//!
//! A bucket is bytes that anyone in the same VM id could have written. What cannot be read is not there.

use std::rc::Rc;
use std::time::Duration;

use super::entry::CacheEntry;
use super::settings::CacheSettings;
use crate::base::UnixTime;
use crate::claims::{Claims, TokenState};
use crate::token::TokenDigest;

/// Which of the two kinds of buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Partition {
    Active,
    Inactive,
}

impl Partition {
    /// Entries a bucket of this region holds.
    const fn failover(self) -> u32 {
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

    /// For how long after their end entries are of use.
    const fn stale_for(self, cache: &CacheSettings) -> Duration {
        match self {
            Self::Active => cache.stale_if_error,
            Self::Inactive => Duration::ZERO,
        }
    }

    /// The key of the bucket for a token, among as many as hold `capacity` entries.
    pub(crate) fn key(self, digest: &TokenDigest, capacity: u32) -> String {
        let buckets = u64::from(capacity.div_ceil(self.failover())).max(1);
        let bucket = digest.as_u64().checked_rem(buckets).unwrap_or_default();
        format!("{}{bucket}", self.prefix())
    }

    /// What the bucket says of the token, if it is fresh.
    pub(crate) fn find(
        self,
        bucket: &[u8],
        digest: &TokenDigest,
        now: UnixTime,
        cache: &CacheSettings,
    ) -> Option<CacheEntry> {
        self.read(bucket, digest).filter(|entry| entry.counts(now, cache))
    }

    /// What the bucket says of the token, if it has ended and still counts while nobody can be asked.
    pub(crate) fn find_stale(
        self,
        bucket: &[u8],
        digest: &TokenDigest,
        now: UnixTime,
        cache: &CacheSettings,
    ) -> Option<CacheEntry> {
        self.read(bucket, digest).filter(|entry| entry.counts_while_stale(now, cache))
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

/// An entry to be written: read the bucket under [`BucketUpdate::key`], apply, write back if nobody else did.
#[derive(Clone, Debug)]
pub(crate) struct BucketUpdate {
    key: String,
    failover: u32,
    digest: TokenDigest,
    /// Its end and the facts; `None` takes the entry out.
    entry: Option<(UnixTime, Vec<u8>)>,
    now: UnixTime,
    /// For how long after their end entries are kept.
    stale_for: Duration,
}

/// A bucket with the entry in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UpdatedBucket {
    /// The bucket's new content.
    pub(crate) bucket: Vec<u8>,
    /// Entries that were still fresh and had to make room.
    pub(crate) evicted: u32,
}

impl BucketUpdate {
    /// The entry for facts; `None` if they are too long to be kept.
    pub(crate) fn new(entry: &CacheEntry, digest: TokenDigest, now: UnixTime, cache: &CacheSettings) -> Option<Self> {
        let (region, state) = match &entry.state {
            TokenState::Active(claims) => (Partition::Active, postcard::to_allocvec(claims.as_ref()).ok()?),
            TokenState::Inactive => (Partition::Inactive, Vec::new()),
        };
        (state.len() <= MAX_FACTS_BYTES).then(|| Self {
            key: region.key(&digest, cache.capacity),
            failover: region.failover(),
            digest,
            entry: Some((entry.expires_at, state)),
            now,
            stale_for: region.stale_for(cache),
        })
    }

    /// Takes the entry of an active token out.
    pub(crate) fn removal(digest: TokenDigest, now: UnixTime, cache: &CacheSettings) -> Self {
        let region = Partition::Active;
        let (key, stale_for) = (region.key(&digest, cache.capacity), region.stale_for(cache));
        Self { key, failover: region.failover(), digest, entry: None, now, stale_for }
    }

    /// What takes the entry of an active token out again.
    pub(crate) fn undo(&self) -> Option<Self> {
        self.is_active().then(|| Self { entry: None, ..self.clone() })
    }

    /// Whether it says that a token is active.
    pub(crate) fn is_active(&self) -> bool {
        // That it is inactive takes no facts to say.
        self.entry.as_ref().is_some_and(|(_, state)| !state.is_empty())
    }

    /// Whether it would change the bucket: there may be nothing to take out.
    pub(crate) fn changes(&self, bucket: Option<&[u8]>) -> bool {
        let holds = || Entries::of(bucket.unwrap_or_default()).any(|entry| entry.digest == self.digest.as_bytes());
        self.entry.is_some() || holds()
    }

    /// Whether it takes an entry out, which must not fail.
    pub(crate) fn is_removal(&self) -> bool {
        self.entry.is_none()
    }

    /// The key of the bucket in shared data.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// Puts the entry into the bucket. Out go an older entry for the same token, everything expired that has no use
    /// while stale, and, if the bucket is still full, first the rest of what is expired, then what was put in first:
    /// entries that live long, of another configuration perhaps, cannot keep others out.
    pub(crate) fn apply(&self, bucket: Option<&[u8]>) -> UpdatedBucket {
        let is_fresh = |entry: &Entry<'_>| entry.expires_at > self.now;
        let is_kept = |entry: &Entry<'_>| entry.expires_at.saturating_add(self.stale_for) > self.now;
        let mut kept: Vec<Entry<'_>> = Entries::of(bucket.unwrap_or_default())
            .filter(|entry| entry.digest != self.digest.as_bytes() && is_kept(entry))
            .collect();
        kept.sort_by_key(is_fresh);
        let room = self.failover.saturating_sub(u32::from(self.entry.is_some()));
        let room = usize::try_from(room).unwrap_or_default();
        let leaving = kept.len().saturating_sub(room);
        let evicted = kept.drain(..leaving).filter(is_fresh).count();
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

/// One entry of a bucket: digest, time in milliseconds, length of the facts (both little-endian), facts.
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

/// The entries of a bucket, up to the first that cannot be read.
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

/// Facts longer than this are not kept; with 8 entries to a bucket it bounds the memory of the cache.
const MAX_FACTS_BYTES: usize = 4_096;

/// The first byte of a bucket; another layout of buckets or of `Claims` gets another.
const VERSION: u8 = 2;

#[cfg(test)]
mod tests;
