//! The first level: what this worker has lately known of tokens, in its own memory.
//!
//! Entries stand under a keyed hash of the whole token (SipHash-1-3, whose key no caller knows) and are compared in
//! full, so no two tokens can be taken for one another. Each kind of entry has two generations of bounded size: when
//! the young one is full it becomes the old one, and what was old and unused since is forgotten. Inactive tokens,
//! which anybody can make up, have their own generations and never push an active one out.

use hashbrown::HashTable;
use siphasher::sip::SipHasher13;
use std::hash::Hasher;
use std::time::Duration;

use super::entry::CacheEntry;
use super::settings::CacheSettings;
use crate::base::UnixTime;
use crate::claims::TokenState;
use crate::token::AccessToken;

/// What one worker remembers of tokens.
#[derive(Debug)]
pub(crate) struct LocalCache {
    key: (u64, u64),
    /// That of all workers, as far as this one has heard, and when it heard.
    epoch: u64,
    epoch_since: UnixTime,
    active: Generations,
    inactive: Generations,
}

/// Two generations of entries.
#[derive(Debug)]
struct Generations {
    young: HashTable<Held>,
    old: HashTable<Held>,
    /// What the young ones weigh, in bytes.
    estimated_size: usize,
    /// What they may.
    max_size: usize,
    /// How many they may be.
    max_entries: usize,
}

#[derive(Debug)]
struct Held {
    hash: u64,
    /// The index of the authorization server that said so.
    server: usize,
    token: AccessToken,
    entry: CacheEntry,
    /// The epoch after which it counts no more, if it is one that ends with an epoch.
    epoch: Option<u64>,
    /// When its use has it renewed.
    renew_at: Option<UnixTime>,
}

/// What is known of a token.
#[derive(Debug)]
pub(crate) struct LocalHit {
    pub(crate) entry: CacheEntry,
    /// Whether whoever asked should have it renewed.
    pub(crate) is_due: bool,
}

impl LocalCache {
    /// An empty cache, for at most `capacity` entries of each kind. Nobody else may know `key`.
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

    /// Ends what may have been revoked, if the epoch is another than it was. One that has begun in the future began
    /// before the clock stepped back: it is not to overtake everything until then.
    pub(crate) fn enter_epoch(&mut self, epoch: u64, now: UnixTime) {
        if self.epoch != epoch || self.epoch_since > now {
            self.epoch = epoch;
            self.epoch_since = now;
        }
    }

    /// Whether what was asked at `since` may have been answered before the epoch began; as it may if the clock has
    /// stepped back to before that.
    pub(crate) fn is_overtaken(&self, since: UnixTime, now: UnixTime) -> bool {
        since <= self.epoch_since || since > now
    }

    /// What is known of a token from a server, if it still counts.
    pub(crate) fn find(
        &mut self,
        server: usize,
        token: &AccessToken,
        now: UnixTime,
        cache: &CacheSettings,
    ) -> Option<LocalHit> {
        let (hash, epoch) = (self.hash(token), self.epoch);
        let known = match self.active.find(hash, server, token, epoch, now) {
            Some(known) => known,
            None => self.inactive.find(hash, server, token, epoch, now)?,
        };
        known.entry.counts(now, cache).then_some(known)
    }

    /// Keeps what was learned, in the place of whatever was known.
    pub(crate) fn keep(&mut self, server: usize, token: &AccessToken, entry: CacheEntry, cache: &CacheSettings) {
        let hash = self.forget(server, token);
        let (renew_at, epoch) = (entry.renew_at(cache), entry.may_be_revoked().then_some(self.epoch));
        let generations = match entry.state {
            TokenState::Active(_) => &mut self.active,
            TokenState::Inactive => &mut self.inactive,
        };
        generations.insert(Held { hash, server, token: token.clone(), entry, epoch, renew_at });
    }

    /// Forgets whatever is known of a token from a server; its hash.
    pub(crate) fn forget(&mut self, server: usize, token: &AccessToken) -> u64 {
        let hash = self.hash(token);
        self.active.forget(hash, server, token);
        self.inactive.forget(hash, server, token);
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
            return held.known(epoch, now);
        }
        let (mut held, _) = self.old.find_entry(hash, |held| held.is(server, token)).ok()?.remove();
        let known = held.known(epoch, now);
        self.insert(held);
        known
    }

    fn forget(&mut self, hash: u64, server: usize, token: &AccessToken) {
        if let Ok(entry) = self.young.find_entry(hash, |held| held.is(server, token)) {
            let (held, _) = entry.remove();
            self.estimated_size = self.estimated_size.saturating_sub(held.estimated_size());
        }
        if let Ok(entry) = self.old.find_entry(hash, |held| held.is(server, token)) {
            entry.remove();
        }
    }

    fn insert(&mut self, held: Held) {
        let estimated_size = held.estimated_size();
        if self.estimated_size.saturating_add(estimated_size) > self.max_size || self.young.len() >= self.max_entries {
            std::mem::swap(&mut self.old, &mut self.young);
            // Its room is kept: the next generation has about as many.
            self.young.clear();
            self.estimated_size = 0;
        }
        self.estimated_size = self.estimated_size.saturating_add(estimated_size);
        self.young.insert_unique(held.hash, held, |held| held.hash);
    }
}

impl Held {
    fn is(&self, server: usize, token: &AccessToken) -> bool {
        self.server == server && self.token == *token
    }

    /// What it says, unless its epoch is over. Of several who ask at a time one is told to have it renewed.
    fn known(&mut self, epoch: u64, now: UnixTime) -> Option<LocalHit> {
        if self.epoch.is_some_and(|its| its != epoch) {
            return None;
        }
        let is_due = self.renew_at.is_some_and(|renew_at| now >= renew_at);
        if is_due {
            self.renew_at = Some(now.saturating_add(RENEWAL_INTERVAL));
        }
        Some(LocalHit { entry: self.entry.clone(), is_due })
    }

    /// About how many bytes it takes.
    fn estimated_size(&self) -> usize {
        let state = match &self.entry.state {
            TokenState::Active(claims) => claims.estimated_size(),
            TokenState::Inactive => 0,
        };
        OVERHEAD.saturating_add(self.token.as_bytes().len()).saturating_add(state)
    }
}

/// What a generation of active tokens may weigh in a worker: some 1 500 JWTs of 1 KiB, or 6 000 opaque tokens. There
/// are two.
const MAX_ACTIVE_BYTES: usize = 4 * 1024 * 1024;

/// Likewise of inactive ones, which only a flood brings in great numbers.
const MAX_INACTIVE_BYTES: usize = 512 * 1024;

/// After this time a renewal that has brought nothing is tried again.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(1);

/// An entry, its place in the table, and what the allocator adds.
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

    fn keep(cache: &mut LocalCache, server: usize, text: &str, state: TokenState) {
        cache.keep(server, &token(text), CacheEntry::new(state, NOW, NOW, &CACHE).unwrap(), &CACHE);
    }

    fn found(cache: &mut LocalCache, server: usize, text: &str, now: UnixTime) -> Option<TokenState> {
        cache.find(server, &token(text), now, &CACHE).map(|known| known.entry.state)
    }

    fn after(seconds: u64) -> UnixTime {
        NOW.saturating_add(Duration::from_secs(seconds))
    }

    #[test]
    fn facts_are_found_until_they_end_and_only_under_their_token_and_server() {
        let mut cache = LocalCache::new((7, 7), 1_000_000);
        keep(&mut cache, 0, "a", active("alice"));
        keep(&mut cache, 1, "a", TokenState::Inactive);
        let mut find = |server, text: &str, now| found(&mut cache, server, text, now);
        assert_eq!(find(0, "a", after(59)), Some(active("alice")));
        assert_eq!(find(0, "a", after(60)), None);
        assert_eq!(find(1, "a", after(4)), Some(TokenState::Inactive));
        assert_eq!(find(1, "a", after(5)), None);
        assert_eq!((find(2, "a", NOW), find(0, "b", NOW), find(0, "", NOW)), (None, None, None));
        // From before the clock stepped back.
        assert_eq!(find(0, "a", UnixTime::from_secs(900_000)), None);
    }

    #[test]
    fn a_clock_that_stepped_back_grants_no_kind_the_time_of_the_other() {
        let cache = CacheSettings { inactive_ttl: Duration::from_secs(3600), ..CACHE };
        let mut local = LocalCache::new((7, 7), 64);
        local.keep(0, &token("a"), CacheEntry::new(active("alice"), NOW, NOW, &cache).unwrap(), &cache);
        let find = |local: &mut LocalCache, now| local.find(0, &token("a"), now, &cache).map(|known| known.entry.state);
        assert_eq!(find(&mut local, NOW), Some(active("alice")));
        assert_eq!(find(&mut local, UnixTime::from_secs(999_000)), None);
    }

    #[test]
    fn an_epoch_ends_what_may_have_been_revoked_and_nothing_else() {
        let signed = |owner: &str| match active(owner) {
            TokenState::Active(claims) => {
                let verified_by = Some([7; 16]);
                TokenState::Active(Rc::new(Claims { verified_by, ..Rc::unwrap_or_clone(claims) }))
            }
            TokenState::Inactive => TokenState::Inactive,
        };
        let mut cache = LocalCache::new((7, 7), 1_000_000);
        keep(&mut cache, 0, "asked", active("alice"));
        keep(&mut cache, 0, "signed", signed("bob"));
        keep(&mut cache, 0, "bad", TokenState::Inactive);
        cache.enter_epoch(0, NOW);
        assert_eq!(found(&mut cache, 0, "asked", NOW), Some(active("alice")));
        cache.enter_epoch(1, NOW);
        assert_eq!(found(&mut cache, 0, "asked", NOW), None);
        assert_eq!(found(&mut cache, 0, "signed", NOW), Some(signed("bob")));
        assert_eq!(found(&mut cache, 0, "bad", NOW), Some(TokenState::Inactive));
        keep(&mut cache, 0, "asked", active("alice"));
        assert_eq!(found(&mut cache, 0, "asked", NOW), Some(active("alice")));
        // An Envoy that starts anew counts from the beginning.
        cache.enter_epoch(0, NOW);
        assert_eq!(found(&mut cache, 0, "asked", NOW), None);
    }

    #[test]
    fn a_clock_that_stepped_back_is_not_taken_for_an_epoch_nor_hides_one() {
        let mut cache = LocalCache::new((7, 7), 64);
        cache.enter_epoch(1, after(3_600));
        assert!(cache.is_overtaken(after(3_600), after(3_601)) && !cache.is_overtaken(after(3_601), after(3_601)));
        // Asked before the clock stepped back, and so perhaps before the epoch.
        assert!(cache.is_overtaken(after(3_601), NOW));
        cache.enter_epoch(1, NOW);
        assert!(cache.is_overtaken(after(3_601), after(1)) && !cache.is_overtaken(after(1), after(1)));
    }

    #[test]
    fn what_was_learned_last_counts() {
        let mut cache = LocalCache::new((7, 7), 1_000_000);
        for state in [active("alice"), TokenState::Inactive, active("bob")] {
            keep(&mut cache, 0, "a", state.clone());
            assert_eq!(found(&mut cache, 0, "a", NOW), Some(state));
        }
        assert_eq!(cache.active.young.len() + cache.inactive.young.len(), 1);
    }

    #[test]
    fn a_flood_of_inactive_tokens_takes_bounded_memory_and_no_active_token_its_place() {
        let mut cache = LocalCache::new((7, 7), 1_000_000);
        keep(&mut cache, 0, "good", active("alice"));
        for n in 0..20_000 {
            keep(&mut cache, 0, &format!("random-{n}"), TokenState::Inactive);
        }
        let held: usize =
            [&cache.inactive.young, &cache.inactive.old].iter().flat_map(|g| g.iter()).map(Held::estimated_size).sum();
        assert!(held <= 2 * MAX_INACTIVE_BYTES && held > MAX_INACTIVE_BYTES / 2, "{held}");
        assert_eq!(found(&mut cache, 0, "good", NOW), Some(active("alice")));
        // The newest are still there.
        assert_eq!(found(&mut cache, 0, "random-19999", NOW), Some(TokenState::Inactive));
        assert_eq!(found(&mut cache, 0, "random-0", NOW), None);
    }

    #[test]
    fn there_are_no_more_entries_than_the_capacity() {
        let mut cache = LocalCache::new((7, 7), 10);
        for n in 0..100 {
            keep(&mut cache, 0, &n.to_string(), active("x"));
        }
        let held = cache.active.young.len() + cache.active.old.len();
        assert!((5..=10).contains(&held), "{held}");
        assert!(found(&mut cache, 0, "99", NOW).is_some());
    }

    #[test]
    fn what_is_in_use_outlives_what_is_not() {
        let mut cache = LocalCache::new((7, 7), 1_000_000);
        let long = "x".repeat(4096);
        keep(&mut cache, 0, "used", active("alice"));
        keep(&mut cache, 0, "unused", active("bob"));
        for n in 0..5_000 {
            keep(&mut cache, 0, &format!("{long}{n}"), active("x"));
            assert!(found(&mut cache, 0, "used", NOW).is_some(), "{n}");
        }
        assert_eq!(found(&mut cache, 0, "unused", NOW), None);
        let held: usize =
            [&cache.active.young, &cache.active.old].iter().flat_map(|g| g.iter()).map(Held::estimated_size).sum();
        assert!(held <= 2 * MAX_ACTIVE_BYTES, "{held}");
    }
}
