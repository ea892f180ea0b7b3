//! Failover: selects the cluster and the timeout of each attempt of a callout, and decides about retries.
//!
//! The timeout of a callout covers everything: queueing, the first attempt, and the second attempt. A callout is
//! retried only if the server was unavailable. Retries to the same cluster are limited to a tenth of the callouts that
//! were answered, so that retries do not double the load on a failing server.

use std::time::Duration;

use super::circuit_breaker::{CircuitBreaker, CircuitBreakerSettings, CircuitChange};
use crate::base::UnixTime;

/// One attempt of a callout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attempt {
    /// The index of the cluster.
    pub(crate) cluster: usize,
    /// The timeout of the attempt.
    pub(crate) timeout: Duration,
    is_first: bool,
}

/// The state of the clusters of one authorization server, per worker.
#[derive(Debug)]
pub(crate) struct Failover {
    /// One circuit breaker for each cluster.
    breakers: Vec<CircuitBreaker>,
    /// The budget for retries to the same cluster.
    budget: u32,
}

impl Attempt {
    /// The only attempt, to the first cluster.
    pub(crate) fn only(timeout: Duration) -> Self {
        Self { cluster: 0, timeout, is_first: false }
    }
}

impl Failover {
    pub(crate) fn new(clusters: usize, breaker: CircuitBreakerSettings) -> Self {
        Self { breakers: (0..clusters).map(|_| CircuitBreaker::new(breaker)).collect(), budget: MAX_BUDGET }
    }

    /// Returns the number of open circuit breakers.
    pub(crate) fn open_circuits(&self, now: UnixTime) -> usize {
        self.breakers.iter().filter(|breaker| breaker.is_open(now)).count()
    }

    /// Returns whether all circuit breakers are open.
    pub(crate) fn is_unavailable(&self, now: UnixTime) -> bool {
        self.breakers.iter().all(|breaker| breaker.is_open(now))
    }

    /// Returns the next attempt of a callout that must end before `deadline`. The attempt never takes longer than
    /// `timeout`. Returns `None` if all circuit breakers are open. A second attempt prefers another cluster than the
    /// first one.
    pub(crate) fn attempt(
        &mut self,
        after: Option<Attempt>,
        timeout: Duration,
        deadline: UnixTime,
        now: UnixTime,
    ) -> Option<Attempt> {
        let failed = after.map(|attempt| attempt.cluster);
        let elsewhere = (0..self.breakers.len()).filter(|index| Some(*index) != failed);
        let cluster = elsewhere.chain(failed).find(|index| self.try_acquire(*index, now))?;
        // The clock may have been set back since the deadline was computed.
        let left = deadline.saturating_since(now).clamp(MIN_TIME.min(timeout), timeout);
        let is_first = after.is_none();
        // Half of the time is reserved for another cluster, if there is one.
        let has_other = self.others(cluster).any(|breaker| !breaker.is_open(now));
        let timeout = if is_first && has_other { left.checked_div(2).unwrap_or_default() } else { left };
        Some(Attempt { cluster, timeout, is_first })
    }

    /// Returns whether a failed callout is to be retried; the caller must then retry it, because the budget was
    /// charged. `was_sent`: whether the callout left the proxy. If it did not, the same cluster is not tried again.
    pub(crate) fn should_retry(&mut self, failed: Attempt, was_sent: bool, deadline: UnixTime, now: UnixTime) -> bool {
        if !failed.is_first || deadline.saturating_since(now) < MIN_TIME {
            return false;
        }
        // No budget is needed: the other cluster would get the callout anyway if the circuit breaker of this one were
        // open.
        if self.others(failed.cluster).any(|breaker| !breaker.is_open(now)) {
            return true;
        }
        let is_closed = self.breakers.get(failed.cluster).is_some_and(|breaker| !breaker.is_open(now));
        let left = self.budget.checked_sub(COST_OF_RETRY).filter(|_| was_sent && is_closed);
        self.budget = left.unwrap_or(self.budget);
        left.is_some()
    }

    /// Records whether the server was available for an attempt, whatever its response. Returns whether that has opened
    /// or closed a circuit breaker.
    pub(crate) fn record(&mut self, attempt: Attempt, is_available: bool, now: UnixTime) -> Option<CircuitChange> {
        if is_available {
            self.budget = self.budget.saturating_add(1).min(MAX_BUDGET);
        }
        self.breakers.get_mut(attempt.cluster)?.record(is_available, now)
    }

    fn try_acquire(&mut self, index: usize, now: UnixTime) -> bool {
        self.breakers.get_mut(index).is_some_and(|breaker| breaker.try_acquire(now))
    }

    fn others(&self, index: usize) -> impl Iterator<Item = &CircuitBreaker> {
        self.breakers.iter().enumerate().filter(move |(other, _)| *other != index).map(|(_, breaker)| breaker)
    }
}

/// Returns whether a callout that was queued has enough time left for a first attempt. Otherwise a healthy server would
/// appear unavailable, and clients could cause that by filling the queue.
pub(crate) fn is_timely(timeout: Duration, deadline: UnixTime, now: UnixTime) -> bool {
    let waited = timeout.saturating_sub(deadline.saturating_since(now));
    waited <= timeout.checked_div(4).unwrap_or_default().max(MIN_TIME)
}

/// The minimum time that an attempt needs.
const MIN_TIME: Duration = Duration::from_millis(10);

/// The cost of a retry to the same cluster. Each answered callout earns 1.
const COST_OF_RETRY: u32 = 10;

/// The budget for ten retries.
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
    fn failed_callout_is_retried_once_in_the_remaining_time() {
        let mut failover = Failover::new(1, CONFIG);
        let attempt = first(&mut failover);
        assert_eq!((attempt.cluster, attempt.timeout), (0, SECOND));
        assert!(failover.should_retry(attempt, true, at(1000), at(300)));
        let second = failover.attempt(Some(attempt), SECOND, at(1000), at(300)).unwrap();
        assert_eq!((second.cluster, second.timeout), (0, Duration::from_millis(700)));
        assert!(!failover.should_retry(second, true, at(1000), at(301)));
        assert!(!failover.should_retry(attempt, true, at(1000), at(991)), "no time is left");
        assert!(!failover.should_retry(attempt, false, at(1000), at(300)), "it cannot be sent to this cluster");
    }

    #[test]
    fn other_cluster_is_used_for_retries_and_open_circuits() {
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
        // The whole time: no other cluster is available.
        assert_eq!((attempt.cluster, attempt.timeout), (1, SECOND));
        for _ in 0..3 {
            failover.record(attempt, false, at(0));
        }
        assert!(failover.is_unavailable(at(0)));
        assert!(failover.attempt(None, SECOND, at(1000), at(0)).is_none());
        // One callout tests the first cluster again.
        let probe = failover.attempt(None, SECOND, at(6000), at(5000)).unwrap();
        assert_eq!((probe.cluster, probe.timeout), (0, SECOND / 2));
        assert_eq!(failover.attempt(None, SECOND, at(6000), at(5000)).map(|attempt| attempt.cluster), Some(1));
    }

    #[test]
    fn retries_are_limited_to_a_tenth_of_answered_callouts() {
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
    fn callouts_that_queued_too_long_are_not_timely() {
        for (timeout, waited, is_due) in [(1000, 250, true), (1000, 251, false), (1000, 0, true), (10, 10, true)] {
            let timeout = Duration::from_millis(timeout);
            let deadline = at(0).saturating_add(timeout);
            assert_eq!(is_timely(timeout, deadline, at(waited)), is_due, "{timeout:?} {waited}");
        }
        assert_eq!(Failover::new(1, CONFIG).attempt(None, MIN_TIME, at(10), at(10)).unwrap().timeout, MIN_TIME);
    }

    #[test]
    fn clock_set_back_does_not_extend_the_timeout() {
        let mut failover = Failover::new(1, CONFIG);
        let attempt = failover.attempt(None, SECOND, at(3_601_000), at(3_600_000)).unwrap();
        assert!(failover.should_retry(attempt, true, at(3_601_000), at(0)));
        assert_eq!(failover.attempt(Some(attempt), SECOND, at(3_601_000), at(0)).unwrap().timeout, SECOND);
    }

    #[test]
    fn clusters_are_found_by_index() {
        let clusters = Clusters::new("a", &["b".to_owned(), "c".to_owned()]);
        assert_eq!([0, 1, 2, 3].map(|index| clusters.get(index)), ["a", "b", "c", "a"]);
        assert_eq!(clusters.len(), 3);
    }
}
