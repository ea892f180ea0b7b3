//! A circuit breaker for each cluster of an authorization server, per worker. After some failures in a row it opens:
//! the worker sends no callouts for a while, so that requests do not wait for a server that is unavailable, and a
//! recovering server is not overloaded. Then one callout tests whether the server is available again.

use std::time::Duration;

use crate::base::UnixTime;

/// The settings of circuit breakers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CircuitBreakerSettings {
    /// The number of failures in a row that open the circuit breaker; 0 disables it.
    pub(crate) failures: u32,
    /// How long it stays open.
    pub(crate) open_for: Duration,
}

impl Default for CircuitBreakerSettings {
    fn default() -> Self {
        Self { failures: 5, open_for: Duration::from_secs(2) }
    }
}

/// A change of a circuit breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CircuitChange {
    /// Too many callouts in a row have failed.
    Opened,
    /// The server has responded again.
    Closed,
}

/// The state of one circuit breaker.
#[derive(Debug)]
pub(crate) struct CircuitBreaker {
    config: CircuitBreakerSettings,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Callouts are sent; this many in a row have failed.
    Closed { failures: u32 },
    /// No callouts are sent before this time.
    Open { until: UnixTime },
    /// One callout tests the server. If its end is not recorded by this time, another one may be sent.
    Trying { until: UnixTime },
}

impl CircuitBreaker {
    pub(crate) fn new(config: CircuitBreakerSettings) -> Self {
        Self { config, state: State::Closed { failures: 0 } }
    }

    /// Returns whether a callout may be sent now. While the circuit breaker is open, the caller that gets `true` sends
    /// the test for all others, and must record the result.
    pub(crate) fn try_acquire(&mut self, now: UnixTime) -> bool {
        let until = match self.state {
            State::Closed { .. } => return true,
            State::Open { until } | State::Trying { until } => until,
        };
        let has_passed = self.has_passed(until, now);
        if has_passed {
            self.state = State::Trying { until: now.saturating_add(self.config.open_for) };
        }
        has_passed
    }

    /// Returns whether an open period has passed. If the clock was set back, the circuit breaker does not stay open
    /// longer than `open_for`.
    fn has_passed(&self, until: UnixTime, now: UnixTime) -> bool {
        now >= until || until > now.saturating_add(self.config.open_for)
    }

    /// Records whether the server was available for a callout, whatever its response. Returns whether that has opened
    /// or closed the circuit breaker.
    pub(crate) fn record(&mut self, is_available: bool, now: UnixTime) -> Option<CircuitChange> {
        let was_open = self.has_opened();
        if is_available {
            self.state = State::Closed { failures: 0 };
        } else {
            self.fail(now);
        }
        match (was_open, self.has_opened()) {
            (false, true) => Some(CircuitChange::Opened),
            (true, false) => Some(CircuitChange::Closed),
            (true, true) | (false, false) => None,
        }
    }

    fn fail(&mut self, now: UnixTime) {
        let open = State::Open { until: now.saturating_add(self.config.open_for) };
        self.state = match self.state {
            State::Closed { failures } => {
                let failures = failures.saturating_add(1);
                if self.config.failures > 0 && failures >= self.config.failures {
                    open
                } else {
                    State::Closed { failures }
                }
            }
            State::Open { until } => State::Open { until },
            State::Trying { .. } => open,
        };
    }

    /// Returns whether callouts are blocked at the moment.
    pub(crate) fn is_open(&self, now: UnixTime) -> bool {
        match self.state {
            State::Closed { .. } => false,
            State::Open { until } | State::Trying { until } => !self.has_passed(until, now),
        }
    }

    fn has_opened(&self) -> bool {
        !matches!(self.state, State::Closed { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: CircuitBreakerSettings = CircuitBreakerSettings { failures: 3, open_for: Duration::from_secs(5) };

    fn at(seconds: u64) -> UnixTime {
        UnixTime::from_secs(1_000_000).saturating_add(Duration::from_secs(seconds))
    }

    fn after_failures(count: u32) -> CircuitBreaker {
        let mut breaker = CircuitBreaker::new(CONFIG);
        for _ in 0..count {
            breaker.record(false, at(0));
        }
        breaker
    }

    #[test]
    fn opens_after_the_configured_failures_in_a_row() {
        let mut breaker = after_failures(2);
        for (is_available, change) in
            [(true, None), (false, None), (false, None), (false, Some(CircuitChange::Opened)), (false, None)]
        {
            assert!(breaker.try_acquire(at(0)) && !breaker.has_opened() || change.is_none());
            assert_eq!(breaker.record(is_available, at(0)), change);
        }
        assert!(!breaker.try_acquire(at(0)));
        assert!(breaker.has_opened());
    }

    #[test]
    fn one_callout_tests_whether_the_server_is_available() {
        for is_back in [true, false] {
            let mut breaker = after_failures(3);
            assert!(!breaker.try_acquire(at(4)));
            assert_eq!(
                [breaker.try_acquire(at(5)), breaker.try_acquire(at(5)), breaker.try_acquire(at(9))],
                [true, false, false]
            );
            let change = breaker.record(is_back, at(6));
            assert_eq!(change, is_back.then_some(CircuitChange::Closed));
            assert_eq!([breaker.try_acquire(at(10)), breaker.try_acquire(at(11))], [is_back, true]);
        }
    }

    #[test]
    fn unrecorded_test_does_not_keep_it_open() {
        let mut breaker = after_failures(3);
        assert_eq!(
            [breaker.try_acquire(at(5)), breaker.try_acquire(at(9)), breaker.try_acquire(at(10))],
            [true, false, true]
        );
    }

    #[test]
    fn clock_set_back_does_not_keep_it_open() {
        let mut breaker = after_failures(3);
        let before = UnixTime::from_secs(10);
        assert!(breaker.is_open(at(0)));
        assert!(!breaker.is_open(before));
        assert!(breaker.try_acquire(before));
    }

    #[test]
    fn late_failures_do_not_extend_the_open_period() {
        let mut breaker = after_failures(3);
        assert_eq!(breaker.record(false, at(4)), None);
        assert!(breaker.try_acquire(at(5)));
    }

    #[test]
    fn zero_failures_disable_it() {
        let mut breaker = CircuitBreaker::new(CircuitBreakerSettings { failures: 0, ..CONFIG });
        (0..100).for_each(|_| assert_eq!(breaker.record(false, at(0)), None));
        assert!(breaker.try_acquire(at(0)));
    }
}
