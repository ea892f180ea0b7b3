//! The keys that a worker holds of an authorization server: how long they are believed, and when they are asked for.

use std::time::Duration;

use super::source::{JwksSource, Location};
use crate::base::UnixTime;
use crate::jose::{KeySet, Thumbprint};

/// The keys that a worker holds of one authorization server.
#[derive(Debug, Default)]
pub(crate) struct JwksStore {
    held: Option<Held>,
    /// Where the metadata last said they are, and when that was.
    located: Option<(Location, UnixTime)>,
    /// When they were last asked for.
    asked_at: Option<UnixTime>,
    /// Whether a request has them fetched at the moment: others can wait for the same answer.
    requested: bool,
    /// How often they could not be had, and when they were asked for the last time that was so.
    failures: usize,
    failed_at: Option<UnixTime>,
}

#[derive(Debug)]
struct Held {
    set: KeySet,
    fetched_at: UnixTime,
}

impl JwksStore {
    /// The keys, unless they are too old to be believed.
    pub(crate) fn usable(&self, source: &JwksSource, now: UnixTime) -> Option<&KeySet> {
        let held = self.held.as_ref()?;
        (now.saturating_since(held.fetched_at) < source.max_age).then_some(&held.set)
    }

    /// Whether a key is still among those that are believed.
    pub(crate) fn is_trusted(&self, thumbprint: &Thumbprint, source: &JwksSource, now: UnixTime) -> bool {
        self.usable(source, now).is_some_and(|set| set.holds(thumbprint))
    }

    /// Whether it is time to fetch them again, and this worker is not about to.
    pub(crate) fn are_due(&self, source: &JwksSource, now: UnixTime) -> bool {
        // Of a time that is still to come: the clock has stepped back, and their age is unknown.
        let is_old = |held: &Held| held.fetched_at > now || now.saturating_since(held.fetched_at) >= source.refresh;
        self.held.as_ref().is_none_or(is_old) && (!self.are_coming() || self.may_ask(source, now, RETRY_INTERVAL))
    }

    /// Notes that they are being asked for.
    pub(crate) fn ask(&mut self, now: UnixTime) {
        self.asked_at = Some(now);
    }

    /// Whether they may be fetched for a token that none of them has signed. Whoever is told so must try.
    pub(crate) fn try_begin_fetch(&mut self, source: &JwksSource, now: UnixTime) -> bool {
        let interval = if self.usable(source, now).is_some() { source.min_interval } else { RETRY_INTERVAL };
        let free = self.may_ask(source, now, interval);
        if free {
            self.ask(now);
            self.requested = true;
        }
        free
    }

    /// The place of the cluster that is asked for them: after a failure it is the next one's turn.
    pub(super) fn cluster(&self, source: &JwksSource) -> usize {
        self.failures.checked_rem(source.clusters.len()).unwrap_or_default()
    }

    /// Notes that they could not be had when they were asked for at `asked_at`, once for all who have waited for them.
    pub(super) fn fail(&mut self, asked_at: UnixTime) {
        if self.failed_at.replace(asked_at) != Some(asked_at) {
            self.failures = self.failures.wrapping_add(1);
        }
    }

    /// Whether a request has them fetched at the moment.
    pub(crate) fn are_requested(&self) -> bool {
        self.requested
    }

    /// Notes that no request has them fetched any more.
    pub(super) fn end_request(&mut self) {
        self.requested = false;
    }

    /// Whether what was asked for at that time, or later, is here already.
    pub(super) fn are_since(&self, asked_at: UnixTime, now: UnixTime) -> bool {
        self.held.as_ref().is_some_and(|held| asked_at <= held.fetched_at && held.fetched_at <= now)
    }

    fn may_ask(&self, source: &JwksSource, now: UnixTime, interval: Duration) -> bool {
        let interval = interval.max(source.patience());
        // A clock that stepped back must not stop fetches.
        let recent = |asked: UnixTime| asked <= now && now.saturating_since(asked) < interval;
        !self.asked_at.is_some_and(recent)
    }

    /// Whether they have been asked for and have not come: what they would say nobody knows.
    pub(crate) fn are_coming(&self) -> bool {
        let came = |asked: UnixTime| self.held.as_ref().is_some_and(|held| held.fetched_at >= asked);
        self.asked_at.is_some_and(|asked| !came(asked))
    }

    /// Where they are, by metadata that are not too old to be believed.
    pub(super) fn location(&self, source: &JwksSource, now: UnixTime) -> Option<&Location> {
        let (location, since) = self.located.as_ref()?;
        (*since <= now && now.saturating_since(*since) < source.max_age).then_some(location)
    }

    /// Notes where they are, by metadata that were asked for at `asked_at`.
    pub(super) fn locate(&mut self, location: Location, asked_at: UnixTime) {
        self.located = Some((location, asked_at));
    }

    /// Whether keys of that time would be news.
    pub(crate) fn are_older_than(&self, time: UnixTime, now: UnixTime) -> bool {
        self.held.as_ref().is_none_or(|held| held.fetched_at < time || held.fetched_at > now)
    }

    /// Keeps keys that were asked for at `asked_at`, unless newer ones are there.
    pub(crate) fn keep(&mut self, set: KeySet, asked_at: UnixTime, now: UnixTime) {
        if self.held.as_ref().is_none_or(|held| held.fetched_at <= asked_at || held.fetched_at > now) {
            self.held = Some(Held { set, fetched_at: asked_at });
        }
    }
}

/// After a fetch that failed.
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
    fn keys_are_fetched_when_they_are_due_and_for_unknown_ones_at_a_bounded_rate() {
        let (source, mut keys) = (source(), JwksStore::default());
        assert!(keys.are_due(&source, START) && keys.usable(&source, START).is_none());
        keys.ask(START);
        assert!(!keys.are_due(&source, after(1)) && keys.are_due(&source, after(2)));
        keys.keep(set(), START, after(1));
        assert!(!keys.are_due(&source, after(299)) && keys.are_due(&source, after(300)));
        assert!(!keys.try_begin_fetch(&source, after(29)) && keys.try_begin_fetch(&source, after(30)));
        assert!(!keys.try_begin_fetch(&source, after(31)));
        assert!(keys.usable(&source, after(3599)).is_some() && keys.usable(&source, after(3600)).is_none());
    }

    #[test]
    fn keys_that_came_are_refreshed_as_often_as_is_said_whatever_a_fetch_may_take() {
        let source = JwksSource { refresh: Duration::from_secs(1), timeout: Duration::from_secs(5), ..source() };
        let mut keys = JwksStore::default();
        keys.ask(START);
        assert!(!keys.are_due(&source, after(4)) && keys.are_due(&source, after(5)));
        keys.keep(set(), START, START);
        assert!(keys.are_due(&source, after(1)));
        keys.ask(after(1));
        assert!(!keys.are_due(&source, after(5)) && keys.are_due(&source, after(6)));
    }

    #[test]
    fn until_keys_that_were_asked_for_have_come_nobody_knows_what_they_say() {
        let mut keys = JwksStore::default();
        keys.keep(set(), START, START);
        assert!(!keys.are_coming());
        keys.ask(after(10));
        assert!(keys.are_coming());
        keys.keep(set(), after(10), after(11));
        assert!(!keys.are_coming());
    }

    #[test]
    fn a_place_that_metadata_named_is_believed_as_long_as_keys_are() {
        let (source, mut keys) = (source(), JwksStore::default());
        assert_eq!(keys.location(&source, START), None);
        let location = Location { authority: "a".to_owned(), path: "/k".to_owned() };
        keys.locate(location.clone(), START);
        assert_eq!(keys.location(&source, after(3599)), Some(&location));
        assert_eq!(keys.location(&source, after(3600)), None);
        assert_eq!(keys.location(&source, UnixTime::from_secs(1)), None);
    }

    #[test]
    fn keys_of_a_time_to_come_give_way_to_any_others() {
        let (source, mut keys) = (source(), JwksStore::default());
        // The clock was far ahead, and has been set right.
        keys.ask(after(1_000_000));
        keys.keep(set(), after(1_000_000), after(1_000_000));
        assert!(keys.are_due(&source, START) && keys.are_older_than(START, START));
        keys.ask(START);
        keys.keep(set(), START, START);
        assert!(!keys.are_due(&source, after(299)) && keys.are_due(&source, after(300)));
        // Older ones do not take the place of newer ones.
        keys.keep(set(), after(300), after(300));
        keys.keep(set(), after(200), after(301));
        assert!(!keys.are_due(&source, after(599)));
    }
}
