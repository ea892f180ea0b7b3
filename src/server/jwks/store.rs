//! The keys of authorization servers in the memory of a worker: how long they are used, and when they are fetched.

use std::time::Duration;

use super::source::{JwksSource, Location};
use crate::base::UnixTime;
use crate::jose::{KeySet, Thumbprint};

/// The keys of one authorization server.
#[derive(Debug, Default)]
pub(crate) struct JwksStore {
    held: Option<HeldKeys>,
    /// The location of the keys according to the last metadata, and when these were requested.
    located: Option<(Location, UnixTime)>,
    /// When the keys were last requested.
    sent_at: Option<UnixTime>,
    /// Whether a request waits for the keys at the moment: other requests can wait for the same response.
    requested: bool,
    /// How often fetching failed, and when the last failed request was sent.
    failures: usize,
    failed_at: Option<UnixTime>,
}

#[derive(Debug)]
struct HeldKeys {
    set: KeySet,
    fetched_at: UnixTime,
}

impl JwksStore {
    /// Returns the keys, unless they are older than `max_age`.
    pub(crate) fn usable(&self, source: &JwksSource, now: UnixTime) -> Option<&KeySet> {
        let held = self.held.as_ref()?;
        (now.saturating_since(held.fetched_at) < source.max_age).then_some(&held.set)
    }

    /// Returns whether a key is in the usable set.
    pub(crate) fn is_trusted(&self, thumbprint: &Thumbprint, source: &JwksSource, now: UnixTime) -> bool {
        self.usable(source, now).is_some_and(|set| set.holds(thumbprint))
    }

    /// Returns whether a refresh is due, and this worker has not begun one.
    pub(crate) fn are_due(&self, source: &JwksSource, now: UnixTime) -> bool {
        // If the keys are from the future, the clock was set back and their age is unknown.
        let is_old = |held: &HeldKeys| held.fetched_at > now || now.saturating_since(held.fetched_at) >= source.refresh;
        self.held.as_ref().is_none_or(is_old) && (!self.are_pending() || self.may_fetch(source, now, RETRY_INTERVAL))
    }

    /// Records that the keys are being requested.
    pub(crate) fn record_fetch(&mut self, now: UnixTime) {
        self.sent_at = Some(now);
    }

    /// Returns whether a fetch for a token with an unknown key may begin. A caller that gets `true` must fetch the
    /// keys.
    pub(crate) fn try_begin_fetch(&mut self, source: &JwksSource, now: UnixTime) -> bool {
        let interval = if self.usable(source, now).is_some() { source.min_interval } else { RETRY_INTERVAL };
        let may_begin = self.may_fetch(source, now, interval);
        if may_begin {
            self.record_fetch(now);
            self.requested = true;
        }
        may_begin
    }

    /// Returns the index of the cluster for the next request: each failure selects the next cluster.
    pub(super) fn cluster(&self, source: &JwksSource) -> usize {
        self.failures.checked_rem(source.clusters.len()).unwrap_or_default()
    }

    /// Records that the request sent at `sent_at` failed, once for all requests that waited for it.
    pub(super) fn fail(&mut self, sent_at: UnixTime) {
        if self.failed_at.replace(sent_at) != Some(sent_at) {
            self.failures = self.failures.wrapping_add(1);
        }
    }

    /// Returns whether a request waits for the keys at the moment.
    pub(crate) fn are_requested(&self) -> bool {
        self.requested
    }

    /// Records that no request waits for the keys any more.
    pub(super) fn end_request(&mut self) {
        self.requested = false;
    }

    /// Returns whether the stored keys were requested at `sent_at` or later.
    pub(super) fn has_keys_since(&self, sent_at: UnixTime, now: UnixTime) -> bool {
        self.held.as_ref().is_some_and(|held| sent_at <= held.fetched_at && held.fetched_at <= now)
    }

    fn may_fetch(&self, source: &JwksSource, now: UnixTime, interval: Duration) -> bool {
        let interval = interval.max(source.max_fetch_time());
        // If the clock was set back, fetches must not stop.
        let is_recent = |sent_at: UnixTime| sent_at <= now && now.saturating_since(sent_at) < interval;
        !self.sent_at.is_some_and(is_recent)
    }

    /// Returns whether requested keys have not arrived yet: an unknown key may be among them.
    pub(crate) fn are_pending(&self) -> bool {
        let has_arrived = |sent_at: UnixTime| self.held.as_ref().is_some_and(|held| held.fetched_at >= sent_at);
        self.sent_at.is_some_and(|sent_at| !has_arrived(sent_at))
    }

    /// Returns the location of the keys, unless the metadata are older than `max_age`.
    pub(super) fn location(&self, source: &JwksSource, now: UnixTime) -> Option<&Location> {
        let (location, since) = self.located.as_ref()?;
        (*since <= now && now.saturating_since(*since) < source.max_age).then_some(location)
    }

    /// Stores the location of the keys, from metadata that were requested at `sent_at`.
    pub(super) fn locate(&mut self, location: Location, sent_at: UnixTime) {
        self.located = Some((location, sent_at));
    }

    /// Returns whether keys requested at that time would be newer than the stored ones.
    pub(crate) fn are_older_than(&self, time: UnixTime, now: UnixTime) -> bool {
        self.held.as_ref().is_none_or(|held| held.fetched_at < time || held.fetched_at > now)
    }

    /// Stores keys that were requested at `sent_at`, unless newer ones are stored.
    pub(crate) fn keep(&mut self, set: KeySet, sent_at: UnixTime, now: UnixTime) {
        if self.held.as_ref().is_none_or(|held| held.fetched_at <= sent_at || held.fetched_at > now) {
            self.held = Some(HeldKeys { set, fetched_at: sent_at });
        }
    }
}

/// The time between fetches after a failure.
const RETRY_INTERVAL: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::super::source::JwksPlace;
    use super::*;
    use crate::server::Clusters;

    const START: UnixTime = UnixTime::from_secs(1_000_000);

    fn after(seconds: u64) -> UnixTime {
        START.saturating_add(Duration::from_secs(seconds))
    }

    fn source() -> JwksSource {
        JwksSource {
            clusters: Clusters::new("c", &[]),
            place: JwksPlace::Known(Location { authority: "a".to_owned(), path: "/jwks".to_owned() }),
            timeout: Duration::from_secs(1),
            refresh: Duration::from_secs(300),
            max_age: Duration::from_secs(3600),
            min_interval: Duration::from_secs(30),
        }
    }

    fn set() -> KeySet {
        KeySet::parse(br#"{"keys":[]}"#).unwrap()
    }

    #[test]
    fn fetches_are_scheduled_and_rate_limited() {
        let (source, mut keys) = (source(), JwksStore::default());
        assert!(keys.are_due(&source, START));
        assert!(keys.usable(&source, START).is_none());
        keys.record_fetch(START);
        assert!(!keys.are_due(&source, after(1)));
        assert!(keys.are_due(&source, after(2)));
        keys.keep(set(), START, after(1));
        assert!(!keys.are_due(&source, after(299)));
        assert!(keys.are_due(&source, after(300)));
        assert!(!keys.try_begin_fetch(&source, after(29)));
        assert!(keys.try_begin_fetch(&source, after(30)));
        assert!(!keys.try_begin_fetch(&source, after(31)));
        assert!(keys.usable(&source, after(3599)).is_some());
        assert!(keys.usable(&source, after(3600)).is_none());
    }

    #[test]
    fn refresh_interval_does_not_depend_on_the_timeout() {
        let source = JwksSource { refresh: Duration::from_secs(1), timeout: Duration::from_secs(5), ..source() };
        let mut keys = JwksStore::default();
        keys.record_fetch(START);
        assert!(!keys.are_due(&source, after(4)));
        assert!(keys.are_due(&source, after(5)));
        keys.keep(set(), START, START);
        assert!(keys.are_due(&source, after(1)));
        keys.record_fetch(after(1));
        assert!(!keys.are_due(&source, after(5)));
        assert!(keys.are_due(&source, after(6)));
    }

    #[test]
    fn keys_are_pending_until_they_arrive() {
        let mut keys = JwksStore::default();
        keys.keep(set(), START, START);
        assert!(!keys.are_pending());
        keys.record_fetch(after(10));
        assert!(keys.are_pending());
        keys.keep(set(), after(10), after(11));
        assert!(!keys.are_pending());
    }

    #[test]
    fn location_is_used_until_max_age() {
        let (source, mut keys) = (source(), JwksStore::default());
        assert_eq!(keys.location(&source, START), None);
        let location = Location { authority: "a".to_owned(), path: "/k".to_owned() };
        keys.locate(location.clone(), START);
        assert_eq!(keys.location(&source, after(3599)), Some(&location));
        assert_eq!(keys.location(&source, after(3600)), None);
        assert_eq!(keys.location(&source, UnixTime::from_secs(1)), None);
    }

    #[test]
    fn keys_from_the_future_are_replaced() {
        let (source, mut keys) = (source(), JwksStore::default());
        // The clock was far ahead and has been corrected.
        keys.record_fetch(after(1_000_000));
        keys.keep(set(), after(1_000_000), after(1_000_000));
        assert!(keys.are_due(&source, START));
        assert!(keys.are_older_than(START, START));
        keys.record_fetch(START);
        keys.keep(set(), START, START);
        assert!(!keys.are_due(&source, after(299)));
        assert!(keys.are_due(&source, after(300)));
        // Older keys do not replace newer ones.
        keys.keep(set(), after(300), after(300));
        keys.keep(set(), after(200), after(301));
        assert!(!keys.are_due(&source, after(599)));
    }
}
