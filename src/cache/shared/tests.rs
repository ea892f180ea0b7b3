#![expect(clippy::arithmetic_side_effects, reason = "a test stops by panicking")]

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use super::*;
use crate::token::{AccessToken, DigestKey};

const NOW: UnixTime = UnixTime::from_secs(1_000_000);
const CACHE: CacheSettings = CacheSettings {
    capacity: 64,
    max_ttl: Duration::from_secs(60),
    inactive_ttl: Duration::from_secs(5),
    stale_if_error: Duration::ZERO,
};

/// Shared data of a host.
#[derive(Default)]
struct SharedData {
    buckets: HashMap<String, Vec<u8>>,
    evicted: u32,
}

impl SharedData {
    fn insert(&mut self, digest: TokenDigest, state: &TokenState, now: UnixTime) {
        if let Some(update) = insert(state, digest, now, &CACHE) {
            let updated = update.apply(self.buckets.get(update.key()).map(Vec::as_slice));
            self.buckets.insert(update.key().to_owned(), updated.bucket);
            self.evicted += updated.evicted;
        }
    }

    fn find(&self, digest: TokenDigest, now: UnixTime) -> Option<TokenState> {
        [Partition::Active, Partition::Inactive].into_iter().find_map(|partition| {
            let bucket = self.buckets.get(&partition.key(&digest, CACHE.capacity))?;
            partition.find(bucket, &digest, now, &CACHE).map(|entry| entry.state)
        })
    }
}

fn insert(state: &TokenState, digest: TokenDigest, now: UnixTime, cache: &CacheSettings) -> Option<BucketUpdate> {
    BucketUpdate::new(&CacheEntry::new(state.clone(), now, now, cache)?, digest, now, cache)
}

fn digest(token: &str) -> TokenDigest {
    DigestKey::new(&[0; 32], 0).digest(&AccessToken::new(token.to_owned()))
}

fn active(subject: &str, expires_at: Option<UnixTime>) -> TokenState {
    let claims = Claims { expires_at, forwarded: vec![Some(subject.to_owned())], ..Claims::default() };
    TokenState::Active(Rc::new(claims))
}

fn after(time: UnixTime, secs: u64) -> UnixTime {
    time.saturating_add(Duration::from_secs(secs))
}

#[test]
fn entries_are_found_until_they_expire() {
    let mut data = SharedData::default();
    data.insert(digest("capped"), &active("a", None), NOW);
    data.insert(digest("short"), &active("b", Some(after(NOW, 7))), NOW);
    data.insert(digest("long"), &active("c", Some(after(NOW, 7000))), NOW);
    data.insert(digest("bad"), &TokenState::Inactive, NOW);
    for (token, state, lives) in [
        ("capped", active("a", None), 60),
        ("short", active("b", Some(after(NOW, 7))), 7),
        ("long", active("c", Some(after(NOW, 7000))), 60),
        ("bad", TokenState::Inactive, 5),
    ] {
        assert_eq!(data.find(digest(token), after(NOW, lives - 1)), Some(state), "{token}");
        assert_eq!(data.find(digest(token), after(NOW, lives)), None, "{token}");
    }
    assert_eq!(data.find(digest("unknown"), NOW), None);
}

#[test]
fn ttl_of_zero_disables_the_cache() {
    let off = CacheSettings { max_ttl: Duration::ZERO, inactive_ttl: Duration::ZERO, ..CACHE };
    assert!(insert(&active("a", None), digest("t"), NOW, &off).is_none());
    assert!(insert(&TokenState::Inactive, digest("t"), NOW, &off).is_none());
}

#[test]
fn expired_tokens_are_cached_as_inactive() {
    let mut data = SharedData::default();
    data.insert(digest("t"), &active("a", Some(NOW)), NOW);
    assert_eq!(data.find(digest("t"), NOW), Some(TokenState::Inactive));
}

#[test]
fn entries_are_misses_if_the_clock_is_set_back() {
    let mut data = SharedData::default();
    data.insert(digest("t"), &active("a", None), after(NOW, 3600));
    assert_eq!(data.find(digest("t"), NOW), None);
}

#[test]
fn newer_entry_replaces_the_older() {
    let mut data = SharedData::default();
    data.insert(digest("t"), &active("old", None), NOW);
    data.insert(digest("t"), &active("new", None), after(NOW, 1));
    assert_eq!(data.find(digest("t"), after(NOW, 2)), Some(active("new", None)));
    assert_eq!(data.evicted, 0);
}

#[test]
fn keys_and_bucket_sizes_are_bounded() {
    let mut data = SharedData::default();
    for n in 0..20_000 {
        data.insert(digest(&format!("good{n}")), &active(&"x".repeat(n % 5_000), None), NOW);
        data.insert(digest(&format!("bad{n}")), &TokenState::Inactive, NOW);
    }
    let keys: BTreeSet<&String> = data.buckets.keys().collect();
    assert_eq!(keys.len(), 64 / 8 + 64 / 16, "{keys:?}");
    let longest = data.buckets.values().map(Vec::len).max().unwrap();
    assert!(longest <= 1 + 8 * (32 + 8 + 2 + MAX_STATE_BYTES), "{longest}");
    assert!(data.evicted > 0);
}

#[test]
fn inactive_tokens_do_not_evict_active_ones() {
    let mut data = SharedData::default();
    let good: Vec<TokenDigest> = (0..24).map(|n| digest(&format!("good{n}"))).collect();
    for digest in &good {
        data.insert(*digest, &active("a", None), NOW);
    }
    let cached = |data: &SharedData| good.iter().filter(|digest| data.find(**digest, NOW).is_some()).count();
    let before = cached(&data);
    for n in 0..100_000 {
        data.insert(digest(&format!("random{n}")), &TokenState::Inactive, NOW);
    }
    assert_eq!(cached(&data), before);
}

#[test]
fn tokens_in_one_bucket_are_not_confused() {
    let mut data = SharedData::default();
    for n in 0..1_000 {
        data.insert(digest(&n.to_string()), &active(&n.to_string(), None), NOW);
    }
    for n in 0..1_000 {
        let found = data.find(digest(&n.to_string()), NOW);
        assert!(found.is_none() || found == Some(active(&n.to_string(), None)), "{n}: {found:?}");
    }
}

#[test]
fn oldest_entry_of_a_full_bucket_is_evicted() {
    let one = CacheSettings { capacity: 8, ..CACHE };
    let mut bucket: Option<Vec<u8>> = None;
    let mut evicted = 0;
    for n in 0..9_u64 {
        let state = active("a", Some(after(NOW, 30 - n)));
        let updated = insert(&state, digest(&n.to_string()), NOW, &one).unwrap().apply(bucket.as_deref());
        evicted += updated.evicted;
        bucket = Some(updated.bucket);
    }
    let bucket = bucket.unwrap();
    let held = |n: u64| Partition::Active.find(&bucket, &digest(&n.to_string()), NOW, &one).is_some();
    assert_eq!(evicted, 1);
    assert!(!held(0));
    assert!((1..9).all(held));
}

#[test]
fn removal_of_expired_entries_is_not_counted() {
    let one = CacheSettings { capacity: 8, ..CACHE };
    let mut bucket = None;
    for n in 0..8 {
        let updated = insert(&active("a", None), digest(&n.to_string()), NOW, &one).unwrap().apply(bucket.as_deref());
        bucket = Some(updated.bucket);
    }
    let later = after(NOW, 60);
    let updated = insert(&active("a", None), digest("new"), later, &one).unwrap().apply(bucket.as_deref());
    assert_eq!(updated.evicted, 0);
    assert_eq!(Entries::of(&updated.bucket).count(), 1);
}
