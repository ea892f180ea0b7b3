//! The way of a question to an authorization server: by which of its clusters, in how much time, and whether a second
//! attempt is made if the first one is lost.
//!
//! Everything that is done about one question fits into its timeout: waiting for its turn, a first attempt, and a
//! second. Only lost questions are asked again, those that nobody has answered; and by the same way no more of them than
//! a tenth of what is answered, so that a server in trouble is not asked twice as much.

use std::time::Duration;

use super::circuit_breaker::{CircuitBreaker, CircuitBreakerSettings, CircuitChange};
use crate::base::UnixTime;

/// One attempt to have a question answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attempt {
    /// The place of the cluster that is asked.
    pub(crate) cluster: usize,
    /// How long it may take.
    pub(crate) timeout: Duration,
    is_first: bool,
}

/// What a worker knows of the ways to one authorization server.
#[derive(Debug)]
pub(crate) struct Failover {
    /// One for each cluster.
    breakers: Vec<CircuitBreaker>,
    /// What may still be spent on second attempts by the same way.
    budget: u32,
}

impl Attempt {
    /// The only one, by the first way.
    pub(crate) fn only(timeout: Duration) -> Self {
        Self { cluster: 0, timeout, is_first: false }
    }
}

impl Failover {
    pub(crate) fn new(clusters: usize, breaker: CircuitBreakerSettings) -> Self {
        Self { breakers: (0..clusters).map(|_| CircuitBreaker::new(breaker)).collect(), budget: MAX_BUDGET }
    }

    /// How many of them refuse at the moment.
    pub(crate) fn open_circuits(&self, now: UnixTime) -> usize {
        self.breakers.iter().filter(|breaker| breaker.is_open(now)).count()
    }

    /// Whether all of them refuse at the moment.
    pub(crate) fn is_unavailable(&self, now: UnixTime) -> bool {
        self.breakers.iter().all(|breaker| breaker.is_open(now))
    }

    /// The next attempt for a question that must have its answer before `deadline`, and never takes longer than `timeout`;
    /// `None` if nobody may be asked. A second one avoids the way of the first, if there is another.
    pub(crate) fn attempt(
        &mut self,
        after: Option<Attempt>,
        timeout: Duration,
        deadline: UnixTime,
        now: UnixTime,
    ) -> Option<Attempt> {
        let lost = after.map(|attempt| attempt.cluster);
        let elsewhere = (0..self.breakers.len()).filter(|index| Some(*index) != lost);
        let cluster = elsewhere.chain(lost).find(|index| self.try_acquire(*index, now))?;
        // The clock may have stepped back since the deadline was set.
        let left = deadline.saturating_since(now).clamp(MIN_TIME.min(timeout), timeout);
        let is_first = after.is_none();
        // Half of it is left for another way to answer in, if there is one.
        let has_other = self.others(cluster).any(|breaker| !breaker.is_open(now));
        let timeout = if is_first && has_other { left.checked_div(2).unwrap_or_default() } else { left };
        Some(Attempt { cluster, timeout, is_first })
    }

    /// Whether a question that is lost is to be asked again. Whoever is told so must ask. `was_sent`: whether it left
    /// the proxy; it will not leave by the same way if it did not before.
    pub(crate) fn should_retry(&mut self, lost: Attempt, was_sent: bool, deadline: UnixTime, now: UnixTime) -> bool {
        if !lost.is_first || deadline.saturating_since(now) < MIN_TIME {
            return false;
        }
        // Whoever is asked instead would be asked anyway, were the lost way known to be closed.
        if self.others(lost.cluster).any(|breaker| !breaker.is_open(now)) {
            return true;
        }
        let is_closed = self.breakers.get(lost.cluster).is_some_and(|breaker| !breaker.is_open(now));
        let left = self.budget.checked_sub(COST_OF_RETRY).filter(|_| was_sent && is_closed);
        self.budget = left.unwrap_or(self.budget);
        left.is_some()
    }

    /// Notes whether an attempt was answered, whatever the answer said; and says what that changes, if anything.
    pub(crate) fn record(&mut self, attempt: Attempt, is_answered: bool, now: UnixTime) -> Option<CircuitChange> {
        if is_answered {
            self.budget = self.budget.saturating_add(1).min(MAX_BUDGET);
        }
        self.breakers.get_mut(attempt.cluster)?.record(is_answered, now)
    }

    fn try_acquire(&mut self, index: usize, now: UnixTime) -> bool {
        self.breakers.get_mut(index).is_some_and(|breaker| breaker.try_acquire(now))
    }

    fn others(&self, index: usize) -> impl Iterator<Item = &CircuitBreaker> {
        self.breakers.iter().enumerate().filter(move |(other, _)| *other != index).map(|(_, breaker)| breaker)
    }
}

/// Whether so much of its time is left that a question may be asked for the first time which has had to wait for others.
/// With little left a server that is well would seem lost, and whoever has many questions wait could bring that about.
pub(crate) fn is_timely(timeout: Duration, deadline: UnixTime, now: UnixTime) -> bool {
    let waited = timeout.saturating_sub(deadline.saturating_since(now));
    waited <= timeout.checked_div(4).unwrap_or_default().max(MIN_TIME)
}

/// With less time left nobody is asked a second time.
const MIN_TIME: Duration = Duration::from_millis(10);

/// What a second attempt by the same way costs, where an answer earns 1.
const COST_OF_RETRY: u32 = 10;

/// Ten second attempts.
const MAX_BUDGET: u32 = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Clusters;

    const CONFIG: CircuitBreakerSettings = CircuitBreakerSettings { failures: 3, open_for: Duration::from_secs(5) };
    const SECOND: Duration = Duration::from_secs(1);

    fn at(millis: u64) -> UnixTime {
        UnixTime::from_millis(1_000_000_000).saturating_add(Duration::from_millis(millis))
    }

    fn first(failover: &mut Failover) -> Attempt {
        failover.attempt(None, SECOND, at(1000), at(0)).unwrap()
    }

    #[test]
    fn what_is_lost_is_asked_once_more_in_the_time_that_is_left() {
        let mut failover = Failover::new(1, CONFIG);
        let attempt = first(&mut failover);
        assert_eq!((attempt.cluster, attempt.timeout), (0, SECOND));
        assert!(failover.should_retry(attempt, true, at(1000), at(300)));
        let second = failover.attempt(Some(attempt), SECOND, at(1000), at(300)).unwrap();
        assert_eq!((second.cluster, second.timeout), (0, Duration::from_millis(700)));
        assert!(!failover.should_retry(second, true, at(1000), at(301)));
        assert!(!failover.should_retry(attempt, true, at(1000), at(991)), "no time is left");
        assert!(!failover.should_retry(attempt, false, at(1000), at(300)), "it cannot be sent this way");
    }

    #[test]
    fn another_way_is_taken_by_the_second_attempt_and_while_the_first_is_closed() {
        let mut failover = Failover::new(2, CONFIG);
        for n in 0..3 {
            let attempt = first(&mut failover);
            assert_eq!((attempt.cluster, attempt.timeout), (0, SECOND / 2), "{n}");
            failover.record(attempt, false, at(0));
            assert!(failover.should_retry(attempt, false, at(1000), at(500)));
            let second = failover.attempt(Some(attempt), SECOND, at(1000), at(500)).unwrap();
            assert_eq!((second.cluster, second.timeout), (1, SECOND / 2), "{n}");
            failover.record(second, true, at(500));
        }
        assert_eq!((failover.open_circuits(at(0)), failover.is_unavailable(at(0))), (1, false));
        let attempt = first(&mut failover);
        // The whole time: there is nobody else to ask.
        assert_eq!((attempt.cluster, attempt.timeout), (1, SECOND));
        for _ in 0..3 {
            failover.record(attempt, false, at(0));
        }
        assert!(failover.is_unavailable(at(0)) && failover.attempt(None, SECOND, at(1000), at(0)).is_none());
        // One question tries the first way again.
        let probe = failover.attempt(None, SECOND, at(6000), at(5000)).unwrap();
        assert_eq!((probe.cluster, probe.timeout), (0, SECOND / 2));
        assert_eq!(failover.attempt(None, SECOND, at(6000), at(5000)).map(|attempt| attempt.cluster), Some(1));
    }

    #[test]
    fn no_more_is_asked_twice_than_a_tenth_of_what_is_answered() {
        let mut failover = Failover::new(1, CircuitBreakerSettings { failures: 0, ..CONFIG });
        let attempt = first(&mut failover);
        let should_retry = |failover: &mut Failover| {
            (0..100).filter(|_| failover.should_retry(attempt, true, at(1000), at(0))).count()
        };
        assert_eq!((should_retry(&mut failover), should_retry(&mut failover)), (10, 0));
        for _ in 0..25 {
            failover.record(attempt, true, at(0));
        }
        assert_eq!(should_retry(&mut failover), 2);
        for _ in 0..1_000 {
            failover.record(attempt, true, at(0));
        }
        assert_eq!(should_retry(&mut failover), 10);
    }

    #[test]
    fn what_has_waited_for_long_is_not_asked_any_more() {
        for (timeout, waited, is_due) in [(1000, 250, true), (1000, 251, false), (1000, 0, true), (10, 10, true)] {
            let timeout = Duration::from_millis(timeout);
            let deadline = at(0).saturating_add(timeout);
            assert_eq!(is_timely(timeout, deadline, at(waited)), is_due, "{timeout:?} {waited}");
        }
        assert_eq!(Failover::new(1, CONFIG).attempt(None, MIN_TIME, at(10), at(10)).unwrap().timeout, MIN_TIME);
    }

    #[test]
    fn a_clock_that_steps_back_gives_nobody_more_time() {
        let mut failover = Failover::new(1, CONFIG);
        let attempt = failover.attempt(None, SECOND, at(3_601_000), at(3_600_000)).unwrap();
        assert!(failover.should_retry(attempt, true, at(3_601_000), at(0)));
        assert_eq!(failover.attempt(Some(attempt), SECOND, at(3_601_000), at(0)).unwrap().timeout, SECOND);
    }

    #[test]
    fn clusters_are_found_by_their_place() {
        let clusters = Clusters::new("a", &["b".to_owned(), "c".to_owned()]);
        assert_eq!([0, 1, 2, 3].map(|index| clusters.get(index)), ["a", "b", "c", "a"]);
        assert_eq!(clusters.len(), 3);
    }
}
