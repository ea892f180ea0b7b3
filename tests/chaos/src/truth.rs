//! The record of each token's state over time, from which the checker derives the allowed responses to a request.
//! The identity server responds from the same record, and stores in it when it reported a token as active or inactive.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The kind of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A valid token whose cached entry outlives a phase.
    Lasting,
    /// A valid token whose cached entry expires within a phase.
    Brief,
    /// A valid token that has not been seen before, or only a few times.
    New,
    /// A token that is valid at first, and revoked soon.
    Revoked,
    /// A token that was revoked before it was used.
    Bad,
    /// An expired token; the server still reports half of these as active.
    Expired,
    /// A random token that no server has issued.
    Random,
    /// A valid token without the required scope.
    Narrow,
    /// No token.
    Anonymous,
    /// A public rule.
    Public,
    /// A JWT that is valid until this time.
    Jwt(i64),
    /// An expired JWT.
    ExpiredJwt,
    /// A JWT with a wrong signature.
    ForgedJwt,
    /// A valid token with the scope of the old rule.
    OldScope,
    /// A valid token with the scope of the new rule.
    NewScope,
}

/// The identity server's record of an opaque token.
#[derive(Clone, Debug)]
pub(crate) struct Worth {
    pub(crate) scope: &'static str,
    /// In seconds since the epoch.
    pub(crate) expires_at: i64,
    pub(crate) revoked_at: Option<Instant>,
    /// The TTL of its cached entry.
    pub(crate) life: Duration,
    /// Whether the server reports it as active even after it has expired.
    pub(crate) is_always_active: bool,
    /// When the server last reported it as active, on both clocks.
    pub(crate) vouched_at: Option<(Instant, i64)>,
    /// When the server first reported it as inactive.
    pub(crate) denied_at: Option<Instant>,
}

/// Everything that the load, the identity servers and the checker share.
#[derive(Debug)]
pub(crate) struct World {
    tokens: Mutex<HashMap<Arc<str>, Worth>>,
    /// Seconds by which Envoy's clock is ahead.
    ahead: AtomicI64,
    jumped_at: Mutex<Option<Instant>>,
    trouble: Mutex<Option<Trouble>>,
    /// How long after its TTL a cached entry may be used while the server is unavailable (`cache.stale_if_error`).
    pub(crate) stale_if_error: Duration,
    /// [`RULES_OLD`], [`RULES_EITHER`] or [`RULES_NEW`].
    pub(crate) rules: AtomicU8,
    /// Whether Envoy may close connections that are idle.
    pub(crate) may_close: AtomicBool,
    /// Whether Envoy may refuse connections.
    pub(crate) may_refuse: AtomicBool,
}

/// A time in which the identity server may be unable to answer.
#[derive(Clone, Copy, Debug)]
struct Trouble {
    begin: Instant,
    end: Option<Instant>,
    /// Whether the server is unavailable, so that stale-if-error applies; otherwise it sends unusable responses.
    is_lost: bool,
}

/// The response to a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) has_retry_after: bool,
    /// The `x-auth-stale` header that the application received: the seconds since the cached entry expired.
    pub(crate) stale: Option<u64>,
    pub(crate) sent: Instant,
    pub(crate) answered: Instant,
}

/// The result of checking a response against the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Right,
    WronglyAllowed(&'static str),
    Unexpected(&'static str),
}

impl World {
    pub(crate) fn new(stale_if_error: Duration) -> Self {
        Self {
            stale_if_error,
            tokens: Mutex::default(),
            ahead: AtomicI64::new(0),
            jumped_at: Mutex::default(),
            trouble: Mutex::default(),
            rules: AtomicU8::new(RULES_OLD),
            may_close: AtomicBool::new(false),
            may_refuse: AtomicBool::new(false),
        }
    }

    pub(crate) fn tokens(&self) -> MutexGuard<'_, HashMap<Arc<str>, Worth>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Envoy's clock, in seconds since the epoch.
    pub(crate) fn clock(&self) -> i64 {
        wall_clock() + self.ahead.load(Ordering::Relaxed)
    }

    /// Records that Envoy's clock is so many seconds ahead from now on.
    pub(crate) fn jump(&self, ahead: i64) {
        *self.jumped_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        self.ahead.store(ahead, Ordering::Relaxed);
    }

    /// From now on the identity server may fail; `is_lost`: it is unavailable, so stale-if-error applies.
    pub(crate) fn begin_trouble(&self, is_lost: bool) {
        *self.trouble() = Some(Trouble { begin: Instant::now(), end: None, is_lost });
    }

    /// From now on the identity server responds again.
    pub(crate) fn end_trouble(&self) {
        if let Some(trouble) = &mut *self.trouble() {
            trouble.end = Some(Instant::now());
        }
    }

    fn trouble(&self) -> MutexGuard<'_, Option<Trouble>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_in_trouble(&self, answer: &Answer) -> bool {
        self.trouble().is_some_and(|Trouble { begin, end, .. }| {
            answer.answered >= begin && end.is_none_or(|end| answer.sent < end + HEALING)
        })
    }

    /// Whether a stale entry may be used: the server is unavailable, or was until a moment ago.
    fn may_be_stale(&self, answer: &Answer) -> bool {
        self.is_in_trouble(answer) && self.trouble().is_some_and(|trouble| trouble.is_lost)
    }

    /// Whether a stale entry must be used: the server is unavailable, and every worker has had time to detect that.
    fn must_be_stale(&self, answer: &Answer) -> bool {
        let notices = |trouble: &Trouble| answer.sent > trouble.begin + TIMEOUT + TOLERANCE && trouble.end.is_none();
        self.may_be_stale(answer) && self.trouble().as_ref().is_some_and(notices)
    }

    /// Whether the clock was set while the request was in flight, or shortly before or after.
    fn is_at_jump(&self, answer: &Answer) -> bool {
        let jumped_at = *self.jumped_at.lock().unwrap_or_else(PoisonError::into_inner);
        jumped_at.is_some_and(|at| answer.sent <= at + TOLERANCE && answer.answered + TOLERANCE >= at)
    }

    /// Checks a response against the record.
    pub(crate) fn judge(&self, kind: Kind, token: Option<&str>, answer: &Answer) -> Verdict {
        if answer.status < 400 {
            let wrong = self.wrongly_allowed(kind, token, answer);
            return wrong.map_or(Verdict::Right, Verdict::WronglyAllowed);
        }
        if answer.status == 503 {
            if !answer.has_retry_after {
                return Verdict::Unexpected("503 without Retry-After");
            }
            // If the clock goes back, the age of a callout is unknown: its timeout may start again.
            let timeout = if self.is_at_jump(answer) { TIMEOUT * 2 } else { TIMEOUT };
            if answer.answered.duration_since(answer.sent) > timeout + TOLERANCE {
                return Verdict::Unexpected("503 that came too late");
            }
        }
        let trouble = self.is_in_trouble(answer);
        let worth = token.and_then(|token| self.tokens().get(token).cloned());
        let is_expected = match (kind, answer.status) {
            (Kind::Anonymous | Kind::ExpiredJwt | Kind::ForgedJwt | Kind::Bad | Kind::Expired | Kind::Random, 401)
            | (Kind::Narrow, 403) => true,
            (Kind::Jwt(until), 401) => self.clock() >= until || self.is_at_jump(answer),
            // A callout in flight when the clock jumps has timed out, or its response may have arrived at any time.
            (Kind::Brief | Kind::New | Kind::Revoked, 503)
                if self.must_be_stale(answer)
                    && worth.as_ref().is_some_and(|worth| self.is_surely_stale(worth, answer)) =>
            {
                false
            }
            (Kind::Bad | Kind::Expired | Kind::Random | Kind::Brief | Kind::New | Kind::Revoked, 503) => {
                trouble || self.is_at_jump(answer)
            }
            // A request with a cached token does not fail in an outage.
            (Kind::Lasting | Kind::Narrow | Kind::OldScope | Kind::NewScope, 503) => {
                let is_known = |worth: Worth| self.is_known(&worth, answer, worth.life) && self.is_past(&worth);
                trouble && (self.is_at_jump(answer) || !worth.is_some_and(is_known))
            }
            (Kind::Revoked, 401) => worth.and_then(|worth| worth.revoked_at).is_some_and(|at| answer.answered >= at),
            (Kind::OldScope, 403) => self.rules.load(Ordering::Relaxed) != RULES_OLD,
            (Kind::NewScope, 403) => self.rules.load(Ordering::Relaxed) != RULES_NEW,
            _ => false,
        };
        if is_expected { Verdict::Right } else { Verdict::Unexpected("not the status that the record implies") }
    }

    fn wrongly_allowed(&self, kind: Kind, token: Option<&str>, answer: &Answer) -> Option<&'static str> {
        match kind {
            Kind::Public => return None,
            Kind::Jwt(until) => {
                let is_over = self.clock() - seconds(answer.answered.elapsed()) > until + 1;
                return (is_over && !self.is_at_jump(answer)).then_some("an expired JWT");
            }
            Kind::Anonymous => return Some("no token"),
            Kind::ExpiredJwt => return Some("an expired JWT"),
            Kind::ForgedJwt => return Some("a forged JWT"),
            Kind::Bad => return Some("a revoked token"),
            Kind::Expired => return Some("an expired token"),
            Kind::Random => return Some("a token that was never issued"),
            Kind::Narrow => return Some("a token without the scope"),
            Kind::OldScope if self.rules.load(Ordering::Relaxed) == RULES_NEW => {
                return Some("the scope of the old rule");
            }
            Kind::NewScope if self.rules.load(Ordering::Relaxed) == RULES_OLD => {
                return Some("the scope of the new rule");
            }
            Kind::Lasting | Kind::Brief | Kind::New | Kind::Revoked | Kind::OldScope | Kind::NewScope => {}
        }
        let Some(worth) = token.and_then(|token| self.tokens().get(token).cloned()) else {
            return Some("a token that was never issued");
        };
        let life = worth.life + answer.stale.map_or(Duration::ZERO, |_| self.stale_if_error);
        if worth.revoked_at.is_some_and(|at| answer.sent > at + life + TOLERANCE) {
            return Some("a token that was revoked too long ago");
        }
        let is_known = self.is_at_jump(answer) || self.is_known(&worth, answer, life);
        if !is_known {
            return Some("a token that the server has not recently reported as active");
        }
        answer.stale.and_then(|age| self.wrongly_stale(&worth, Duration::from_secs(age), answer))
    }

    /// The error in a request that a stale entry allowed, with `x-auth-stale` set.
    fn wrongly_stale(&self, worth: &Worth, age: Duration, answer: &Answer) -> Option<&'static str> {
        if !self.may_be_stale(answer) {
            return Some("a stale entry used while the server was available");
        }
        if worth.denied_at.is_some_and(|at| answer.sent > at + TOLERANCE) {
            return Some("a token that the server has reported as inactive");
        }
        let is_older = |(at, _): (Instant, i64)| answer.answered > at + worth.life + age + ROUNDED_OFF + TOLERANCE;
        let says_too_little = age > self.stale_if_error || worth.vouched_at.is_none_or(is_older);
        says_too_little.then_some("a stale entry that is older than its x-auth-stale")
    }

    /// Whether the cached entry certainly exists and stays within stale-if-error.
    fn is_surely_stale(&self, worth: &Worth, answer: &Answer) -> bool {
        let ends = worth.life + self.stale_if_error;
        let counts = |(at, _): (Instant, i64)| answer.answered + TOLERANCE < at + ends && answer.sent > at + TOLERANCE;
        worth.denied_at.is_none() && worth.vouched_at.is_some_and(counts)
    }

    /// Whether the last active response is not in the future: entries from before the clock went back are
    /// dropped.
    fn is_past(&self, worth: &Worth) -> bool {
        worth.vouched_at.is_some_and(|(_, clock)| clock <= self.clock())
    }

    /// Whether the server has reported it as active recently enough, by either clock.
    fn is_known(&self, worth: &Worth, answer: &Answer, life: Duration) -> bool {
        worth.vouched_at.is_some_and(|(at, clock)| {
            let age = seconds(answer.sent.saturating_duration_since(at));
            let age_by_clock = self.clock() - seconds(answer.sent.elapsed()) - clock;
            age.max(age_by_clock) <= seconds(life + TOLERANCE)
        })
    }
}

/// The time, in seconds since the epoch.
pub(crate) fn wall_clock() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, seconds)
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

/// Which rules apply: those before the change, either, or those after it.
pub(crate) const RULES_OLD: u8 = 0;
pub(crate) const RULES_EITHER: u8 = 1;
pub(crate) const RULES_NEW: u8 = 2;

/// `introspection.timeout`.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(1);
/// `circuit_breaker.open_for`.
pub(crate) const OPEN_FOR: Duration = Duration::from_secs(2);
/// `x-auth-stale` is in whole seconds.
const ROUNDED_OFF: Duration = Duration::from_secs(1);
/// The tolerance for measurement delays.
const TOLERANCE: Duration = Duration::from_secs(1);
/// After this time a fault may have no effect any more.
pub(crate) const HEALING: Duration = Duration::from_secs(OPEN_FOR.as_secs() + TIMEOUT.as_secs() + TOLERANCE.as_secs());
