//! The first level of the cache: entries in the memory of one worker.
//!
//! Entries are stored under a keyed hash of the token (SipHash-1-3 with a secret key) and compared by the full token,
//! so two tokens are never confused. Active and inactive tokens have separate partitions, each with two generations of
//! bounded size: when the young generation is full, it replaces the old one, and old entries that were not used since
//! are evicted. Clients can invent inactive tokens, so these must not evict active ones.

use hashbrown::HashTable;
use siphasher::sip::SipHasher13;
use std::hash::Hasher;
use std::time::Duration;

use super::entry::CacheEntry;
use super::settings::CacheSettings;
use crate::base::UnixTime;
use crate::claims::TokenState;
use crate::token::AccessToken;

/// The entries of one worker.
#[derive(Debug)]
pub(crate) struct LocalCache {
    key: (u64, u64),
    /// The latest epoch that this worker has seen, and when it saw that epoch first.
    epoch: u64,
    epoch_since: UnixTime,
    active: Generations,
    inactive: Generations,
}

/// Two generations of entries.
#[derive(Debug)]
struct Generations {
    young: HashTable<StoredEntry>,
    old: HashTable<StoredEntry>,
    /// The estimated size of the young generation, in bytes.
    estimated_size: usize,
    /// The limit on `estimated_size`.
    max_size: usize,
    /// The limit on the number of entries in the young generation.
    max_entries: usize,
}

#[derive(Debug)]
struct StoredEntry {
    hash: u64,
    /// The index of the authorization server.
    server: usize,
    token: AccessToken,
    entry: CacheEntry,
    /// The epoch in which the entry is valid; `None` if a revocation does not concern it.
    epoch: Option<u64>,
    /// When a use of the entry schedules its renewal.
    renew_at: Option<UnixTime>,
}

/// A cache hit.
#[derive(Debug)]
pub(crate) struct LocalHit {
    pub(crate) entry: CacheEntry,
    /// Whether the caller should schedule a renewal.
    pub(crate) is_due: bool,
}

impl LocalCache {
    /// Creates an empty cache for at most `capacity` active and `capacity` inactive tokens. `key` must be secret.
    pub(crate) fn new(key: (u64, u64), capacity: u32) -> Self {
        let max_entries = usize::try_from(capacity.div_ceil(2)).unwrap_or(usize::MAX);
        let generations = |max_size| Generations {
            young: HashTable::new(),
            old: HashTable::new(),
            estimated_size: 0,
            max_size,
            max_entries,
        };
        let (epoch, epoch_since) = (0, UnixTime::from_secs(0));
        Self {
            key,
            epoch,
            epoch_since,
            active: generations(MAX_ACTIVE_BYTES),
            inactive: generations(MAX_INACTIVE_BYTES),
        }
    }

    /// Invalidates entries of revocable tokens if the epoch has changed. If the last epoch began in the future, the
    /// clock was set back since; the epoch then starts now, because otherwise it would overtake every response until
    /// that time.
    pub(crate) fn enter_epoch(&mut self, epoch: u64, now: UnixTime) {
        if self.epoch != epoch || self.epoch_since > now {
            self.epoch = epoch;
            self.epoch_since = now;
        }
    }

    /// Returns whether the response to a callout that was sent at `sent_at` may be older than the current epoch. If the
    /// clock was set back since, it is treated as older.
    pub(crate) fn is_overtaken(&self, sent_at: UnixTime, now: UnixTime) -> bool {
        sent_at <= self.epoch_since || sent_at > now
    }

    /// Returns the entry of a token for a server, if it is fresh.
    pub(crate) fn find(
        &mut self,
        server: usize,
        token: &AccessToken,
        now: UnixTime,
        cache: &CacheSettings,
    ) -> Option<LocalHit> {
        let (hash, epoch) = (self.hash(token), self.epoch);
        let hit = match self.active.find(hash, server, token, epoch, now) {
            Some(hit) => hit,
            None => self.inactive.find(hash, server, token, epoch, now)?,
        };
        hit.entry.is_fresh(now, cache).then_some(hit)
    }

    /// Stores an entry, and replaces an earlier entry of the token.
    pub(crate) fn insert(&mut self, server: usize, token: &AccessToken, entry: CacheEntry, cache: &CacheSettings) {
        let hash = self.remove(server, token);
        let (renew_at, epoch) = (entry.renew_at(cache), entry.may_be_revoked().then_some(self.epoch));
        let generations = match entry.state {
            TokenState::Active(_) => &mut self.active,
            TokenState::Inactive => &mut self.inactive,
        };
        generations.insert(StoredEntry { hash, server, token: token.clone(), entry, epoch, renew_at });
    }

    /// Removes the entry of a token for a server. Returns the hash of the token.
    pub(crate) fn remove(&mut self, server: usize, token: &AccessToken) -> u64 {
        let hash = self.hash(token);
        self.active.remove(hash, server, token);
        self.inactive.remove(hash, server, token);
        hash
    }

    fn hash(&self, token: &AccessToken) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(self.key.0, self.key.1);
        hasher.write(token.as_bytes());
        hasher.finish()
    }
}

impl Generations {
    fn find(&mut self, hash: u64, server: usize, token: &AccessToken, epoch: u64, now: UnixTime) -> Option<LocalHit> {
        if let Some(held) = self.young.find_mut(hash, |held| held.is(server, token)) {
            return held.hit(epoch, now);
        }
        let (mut held, _) = self.old.find_entry(hash, |held| held.is(server, token)).ok()?.remove();
        let hit = held.hit(epoch, now);
        self.insert(held);
        hit
    }

    fn remove(&mut self, hash: u64, server: usize, token: &AccessToken) {
        if let Ok(entry) = self.young.find_entry(hash, |held| held.is(server, token)) {
            let (held, _) = entry.remove();
            self.estimated_size = self.estimated_size.saturating_sub(held.estimated_size());
        }
        if let Ok(entry) = self.old.find_entry(hash, |held| held.is(server, token)) {
            entry.remove();
        }
    }

    fn insert(&mut self, held: StoredEntry) {
        let estimated_size = held.estimated_size();
        if self.estimated_size.saturating_add(estimated_size) > self.max_size || self.young.len() >= self.max_entries {
            std::mem::swap(&mut self.old, &mut self.young);
            // Keeps the allocation, because the next generation has about the same size.
            self.young.clear();
            self.estimated_size = 0;
        }
        self.estimated_size = self.estimated_size.saturating_add(estimated_size);
        self.young.insert_unique(held.hash, held, |held| held.hash);
    }
}

impl StoredEntry {
    fn is(&self, server: usize, token: &AccessToken) -> bool {
        self.server == server && self.token == *token
    }

    /// Returns the entry unless its epoch has ended. Of concurrent requests, one is told to renew it.
    fn hit(&mut self, epoch: u64, now: UnixTime) -> Option<LocalHit> {
        if self.epoch.is_some_and(|valid_in| valid_in != epoch) {
            return None;
        }
        let is_due = self.renew_at.is_some_and(|renew_at| now >= renew_at);
        if is_due {
            self.renew_at = Some(now.saturating_add(RENEWAL_INTERVAL));
        }
        Some(LocalHit { entry: self.entry.clone(), is_due })
    }

    /// Returns the approximate size in memory, in bytes.
    fn estimated_size(&self) -> usize {
        let state = match &self.entry.state {
            TokenState::Active(claims) => claims.estimated_size(),
            TokenState::Inactive => 0,
        };
        OVERHEAD.saturating_add(self.token.as_bytes().len()).saturating_add(state)
    }
}

/// The limit on a generation of active tokens, in bytes: about 1 500 JWTs of 1 KiB, or 6 000 opaque tokens. There are
/// two generations.
const MAX_ACTIVE_BYTES: usize = 4 * 1024 * 1024;

/// The limit on a generation of inactive tokens, in bytes. Only a flood of invalid tokens reaches it.
const MAX_INACTIVE_BYTES: usize = 512 * 1024;

/// A renewal that failed is retried after this time.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(1);

/// The size of an entry without token and claims, its slot in the table, and the overhead of the allocator.
const OVERHEAD: usize = 160;

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::claims::Claims;

    const NOW: UnixTime = UnixTime::from_secs(1_000_000);
    const CACHE: CacheSettings = CacheSettings {
        capacity: 64,
        max_ttl: Duration::from_secs(60),
        inactive_ttl: Duration::from_secs(5),
        stale_if_error: Duration::ZERO,
    };

    fn token(text: &str) -> AccessToken {
        AccessToken::new(text.to_owned())
    }

    fn active(owner: &str) -> TokenState {
        TokenState::Active(Rc::new(Claims { owner: Some(owner.to_owned()), ..Claims::default() }))
    }

    fn insert(cache: &mut LocalCache, server: usize, text: &str, state: TokenState) {
        cache.insert(server, &token(text), CacheEntry::new(state, NOW, NOW, &CACHE).unwrap(), &CACHE);
    }

    fn found(cache: &mut LocalCache, server: usize, text: &str, now: UnixTime) -> Option<TokenState> {
        cache.find(server, &token(text), now, &CACHE).map(|hit| hit.entry.state)
    }

    fn after(seconds: u64) -> UnixTime {
        NOW.saturating_add(Duration::from_secs(seconds))
    }

    #[test]
    fn entries_are_found_by_token_and_server_until_they_expire() {
        let mut cache = LocalCache::new((7, 7), 1_000_000);
        insert(&mut cache, 0, "a", active("alice"));
        insert(&mut cache, 1, "a", TokenState::Inactive);
        let mut find = |server, text: &str, now| found(&mut cache, server, text, now);
        assert_eq!(find(0, "a", after(59)), Some(active("alice")));
        assert_eq!(find(0, "a", after(60)), None);
        assert_eq!(find(1, "a", after(4)), Some(TokenState::Inactive));
        assert_eq!(find(1, "a", after(5)), None);
        assert_eq!((find(2, "a", NOW), find(0, "b", NOW), find(0, "", NOW)), (None, None, None));
        // The clock was set back.
        assert_eq!(find(0, "a", UnixTime::from_secs(900_000)), None);
    }

    #[test]
    fn active_entries_do_not_get_the_inactive_ttl() {
        let cache = CacheSettings { inactive_ttl: Duration::from_secs(3600), ..CACHE };
        let mut local = LocalCache::new((7, 7), 64);
        local.insert(0, &token("a"), CacheEntry::new(active("alice"), NOW, NOW, &cache).unwrap(), &cache);
        let find = |local: &mut LocalCache, now| local.find(0, &token("a"), now, &cache).map(|hit| hit.entry.state);
        assert_eq!(find(&mut local, NOW), Some(active("alice")));
        assert_eq!(find(&mut local, UnixTime::from_secs(999_000)), None);
    }

    #[test]
    fn epoch_invalidates_revocable_entries_only() {
        let signed = |owner: &str| match active(owner) {
            TokenState::Active(claims) => {
                let verified_by = Some([7; 16]);
                TokenState::Active(Rc::new(Claims { verified_by, ..Rc::unwrap_or_clone(claims) }))
            }
            TokenState::Inactive => TokenState::Inactive,
        };
        let mut cache = LocalCache::new((7, 7), 1_000_000);
        insert(&mut cache, 0, "asked", active("alice"));
        insert(&mut cache, 0, "signed", signed("bob"));
        insert(&mut cache, 0, "bad", TokenState::Inactive);
        cache.enter_epoch(0, NOW);
        assert_eq!(found(&mut cache, 0, "asked", NOW), Some(active("alice")));
        cache.enter_epoch(1, NOW);
        assert_eq!(found(&mut cache, 0, "asked", NOW), None);
        assert_eq!(found(&mut cache, 0, "signed", NOW), Some(signed("bob")));
        assert_eq!(found(&mut cache, 0, "bad", NOW), Some(TokenState::Inactive));
        insert(&mut cache, 0, "asked", active("alice"));
        assert_eq!(found(&mut cache, 0, "asked", NOW), Some(active("alice")));
        // After a restart, Envoy counts epochs from 0.
        cache.enter_epoch(0, NOW);
        assert_eq!(found(&mut cache, 0, "asked", NOW), None);
    }

    #[test]
    fn epochs_are_kept_if_the_clock_is_set_back() {
        let mut cache = LocalCache::new((7, 7), 64);
        cache.enter_epoch(1, after(3_600));
        assert!(cache.is_overtaken(after(3_600), after(3_601)));
        assert!(!cache.is_overtaken(after(3_601), after(3_601)));
        // Sent before the clock was set back, and so perhaps before the epoch.
        assert!(cache.is_overtaken(after(3_601), NOW));
        cache.enter_epoch(1, NOW);
        assert!(cache.is_overtaken(after(3_601), after(1)));
        assert!(!cache.is_overtaken(after(1), after(1)));
    }

    #[test]
    fn latest_state_replaces_earlier_ones() {
        let mut cache = LocalCache::new((7, 7), 1_000_000);
        for state in [active("alice"), TokenState::Inactive, active("bob")] {
            insert(&mut cache, 0, "a", state.clone());
            assert_eq!(found(&mut cache, 0, "a", NOW), Some(state));
        }
        assert_eq!(cache.active.young.len() + cache.inactive.young.len(), 1);
    }

    #[test]
    fn flood_of_inactive_tokens_is_bounded() {
        let mut cache = LocalCache::new((7, 7), 1_000_000);
        insert(&mut cache, 0, "good", active("alice"));
        for n in 0..20_000 {
            insert(&mut cache, 0, &format!("random-{n}"), TokenState::Inactive);
        }
        let held: usize = [&cache.inactive.young, &cache.inactive.old]
            .iter()
            .flat_map(|g| g.iter())
            .map(StoredEntry::estimated_size)
            .sum();
        assert!(held <= 2 * MAX_INACTIVE_BYTES, "{held}");
        assert!(held > MAX_INACTIVE_BYTES / 2, "{held}");
        assert_eq!(found(&mut cache, 0, "good", NOW), Some(active("alice")));
        // The latest entries remain.
        assert_eq!(found(&mut cache, 0, "random-19999", NOW), Some(TokenState::Inactive));
        assert_eq!(found(&mut cache, 0, "random-0", NOW), None);
    }

    #[test]
    fn capacity_limits_the_number_of_entries() {
        let mut cache = LocalCache::new((7, 7), 10);
        for n in 0..100 {
            insert(&mut cache, 0, &n.to_string(), active("x"));
        }
        let held = cache.active.young.len() + cache.active.old.len();
        assert!((5..=10).contains(&held), "{held}");
        assert!(found(&mut cache, 0, "99", NOW).is_some());
    }

    #[test]
    fn unused_entries_are_evicted_first() {
        let mut cache = LocalCache::new((7, 7), 1_000_000);
        let long = "x".repeat(4096);
        insert(&mut cache, 0, "used", active("alice"));
        insert(&mut cache, 0, "unused", active("bob"));
        for n in 0..5_000 {
            insert(&mut cache, 0, &format!("{long}{n}"), active("x"));
            assert!(found(&mut cache, 0, "used", NOW).is_some(), "{n}");
        }
        assert_eq!(found(&mut cache, 0, "unused", NOW), None);
        let held: usize = [&cache.active.young, &cache.active.old]
            .iter()
            .flat_map(|g| g.iter())
            .map(StoredEntry::estimated_size)
            .sum();
        assert!(held <= 2 * MAX_ACTIVE_BYTES, "{held}");
    }
}
