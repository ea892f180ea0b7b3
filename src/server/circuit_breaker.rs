//! A circuit breaker for each authorization server and worker: after some failures in a row nobody is asked for a
//! while, so that callers do not wait for a server that does not answer, and it is not asked by all of them while it
//! comes back. Then one question tries whether it is back.

use std::time::Duration;

use crate::base::UnixTime;

/// When it opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CircuitBreakerSettings {
    /// Failures in a row that open it; 0: it never does.
    pub(crate) failures: u32,
    /// How long nobody is asked then.
    pub(crate) open_for: Duration,
}

impl Default for CircuitBreakerSettings {
    fn default() -> Self {
        Self { failures: 5, open_for: Duration::from_secs(2) }
    }
}

/// What became of a circuit breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CircuitChange {
    /// Too many questions in a row have failed.
    Opened,
    /// The server answers again.
    Closed,
}

/// Whether a server may be asked.
#[derive(Debug)]
pub(crate) struct CircuitBreaker {
    config: CircuitBreakerSettings,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// As far as is known it answers; so many questions in a row have failed.
    Closed { failures: u32 },
    /// Nobody is asked before that.
    Open { until: UnixTime },
    /// One question is under way. If nothing is heard of it until then, another one may be asked.
    Trying { until: UnixTime },
}

impl CircuitBreaker {
    pub(crate) fn new(config: CircuitBreakerSettings) -> Self {
        Self { config, state: State::Closed { failures: 0 } }
    }

    /// Whether the server may be asked now. Whoever is told so while it is open asks for all.
    pub(crate) fn try_acquire(&mut self, now: UnixTime) -> bool {
        let until = match self.state {
            State::Closed { .. } => return true,
            State::Open { until } | State::Trying { until } => until,
        };
        let is_over = self.is_over(until, now);
        if is_over {
            self.state = State::Trying { until: now.saturating_add(self.config.open_for) };
        }
        is_over
    }

    /// A clock that stepped back does not keep it open for longer than it may be.
    fn is_over(&self, until: UnixTime, now: UnixTime) -> bool {
        now >= until || until > now.saturating_add(self.config.open_for)
    }

    /// Notes whether a question was answered, whatever the answer said; and says whether that has opened or closed it.
    pub(crate) fn record(&mut self, is_answered: bool, now: UnixTime) -> Option<CircuitChange> {
        let was_open = self.has_opened();
        if is_answered {
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

    /// Whether it would admit nobody.
    pub(crate) fn is_open(&self, now: UnixTime) -> bool {
        match self.state {
            State::Closed { .. } => false,
            State::Open { until } | State::Trying { until } => !self.is_over(until, now),
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
    fn it_opens_after_failures_in_a_row_and_not_before() {
        let mut breaker = after_failures(2);
        for (is_answered, change) in
            [(true, None), (false, None), (false, None), (false, Some(CircuitChange::Opened)), (false, None)]
        {
            assert!(breaker.try_acquire(at(0)) && !breaker.has_opened() || change.is_none());
            assert_eq!(breaker.record(is_answered, at(0)), change);
        }
        assert!(!breaker.try_acquire(at(0)) && breaker.has_opened());
    }

    #[test]
    fn one_question_tries_whether_the_server_is_back() {
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
    fn a_question_that_is_never_heard_of_does_not_keep_it_open() {
        let mut breaker = after_failures(3);
        assert_eq!(
            [breaker.try_acquire(at(5)), breaker.try_acquire(at(9)), breaker.try_acquire(at(10))],
            [true, false, true]
        );
    }

    #[test]
    fn a_clock_that_steps_back_does_not_keep_it_open() {
        let mut breaker = after_failures(3);
        let before = UnixTime::from_secs(10);
        assert!(breaker.is_open(at(0)) && !breaker.is_open(before) && breaker.try_acquire(before));
    }

    #[test]
    fn late_failures_do_not_prolong_it() {
        let mut breaker = after_failures(3);
        assert_eq!(breaker.record(false, at(4)), None);
        assert!(breaker.try_acquire(at(5)));
    }

    #[test]
    fn without_a_number_of_failures_it_never_opens() {
        let mut breaker = CircuitBreaker::new(CircuitBreakerSettings { failures: 0, ..CONFIG });
        (0..100).for_each(|_| assert_eq!(breaker.record(false, at(0)), None));
        assert!(breaker.try_acquire(at(0)));
    }
}
