//! What each token is worth at any time, and what a request may therefore be answered: the record that every answer is
//! held against. The identity server answers from the same record, and notes in it what it has vouched for.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What is the matter with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A good token whose fact outlives a phase.
    Lasting,
    /// A good token whose fact does not.
    Brief,
    /// A good token that has not been seen before, or just a few times.
    New,
    /// A token that is good at first, and revoked soon.
    Revoked,
    /// A token that was revoked before it was used.
    Bad,
    /// A token whose time is over; half of them the server calls active all the same.
    Expired,
    /// A token that nobody has issued.
    Random,
    /// A good token without the scope that is demanded.
    Narrow,
    /// No token.
    Anonymous,
    /// A public rule.
    Public,
    /// A good JWT, until this time.
    Jwt(i64),
    /// A JWT whose time is over.
    ExpiredJwt,
    /// A JWT with a wrong signature.
    ForgedJwt,
    /// A good token with the scope of the rule that is to be replaced.
    OldScope,
    /// A good token with the scope of the rule that replaces it.
    NewScope,
}

/// What the identity server knows of an opaque token.
#[derive(Clone, Debug)]
pub(crate) struct Worth {
    pub(crate) scope: &'static str,
    /// In seconds since the epoch.
    pub(crate) expires_at: i64,
    pub(crate) revoked_at: Option<Instant>,
    /// How long what is known of it may be believed.
    pub(crate) life: Duration,
    /// Whether the server calls it active after its time, too.
    pub(crate) is_always_active: bool,
    /// When the server said last that it is good, on both clocks.
    pub(crate) vouched_at: Option<(Instant, i64)>,
}

/// Everything that the load, the identity servers and the checker share.
#[derive(Debug)]
pub(crate) struct World {
    tokens: Mutex<HashMap<Arc<str>, Worth>>,
    /// Seconds by which Envoy's clock is ahead.
    ahead: AtomicI64,
    jumped_at: Mutex<Option<Instant>>,
    trouble: Mutex<Option<(Instant, Option<Instant>)>>,
    /// [`RULES_OLD`], [`RULES_EITHER`] or [`RULES_NEW`].
    pub(crate) rules: AtomicU8,
    /// Whether Envoy may close connections that are idle.
    pub(crate) may_close: AtomicBool,
    /// Whether Envoy may refuse connections.
    pub(crate) may_refuse: AtomicBool,
}

/// What became of a request that was answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) has_retry_after: bool,
    pub(crate) sent: Instant,
    pub(crate) answered: Instant,
}

/// What an answer is, by the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Right,
    WronglyAllowed(&'static str),
    Unexpected(&'static str),
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
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

    /// What Envoy takes for the time, in seconds since the epoch.
    pub(crate) fn clock(&self) -> i64 {
        wall_clock() + self.ahead.load(Ordering::Relaxed)
    }

    /// Notes that Envoy's clock is so many seconds ahead from now on.
    pub(crate) fn jump(&self, ahead: i64) {
        *self.jumped_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        self.ahead.store(ahead, Ordering::Relaxed);
    }

    /// From now on the identity server may be unable to answer.
    pub(crate) fn begin_trouble(&self) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), None));
    }

    /// From now on it answers again.
    pub(crate) fn end_trouble(&self) {
        if let Some((_, end)) = &mut *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) {
            *end = Some(Instant::now());
        }
    }

    fn is_in_trouble(&self, answer: &Answer) -> bool {
        let trouble = *self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        trouble
            .is_some_and(|(begin, end)| answer.answered >= begin && end.is_none_or(|end| answer.sent < end + HEALING))
    }

    /// Whether the clock was set while the request was under way, or nearly so.
    fn is_at_jump(&self, answer: &Answer) -> bool {
        let jumped_at = *self.jumped_at.lock().unwrap_or_else(PoisonError::into_inner);
        jumped_at.is_some_and(|at| answer.sent <= at + TOLERANCE && answer.answered + TOLERANCE >= at)
    }

    /// Holds an answer against the record.
    pub(crate) fn judge(&self, kind: Kind, token: Option<&str>, answer: &Answer) -> Verdict {
        if answer.status < 400 {
            let wrong = self.wrongly_allowed(kind, token, answer);
            return wrong.map_or(Verdict::Right, Verdict::WronglyAllowed);
        }
        if answer.status == 503 {
            if !answer.has_retry_after {
                return Verdict::Unexpected("503 without Retry-After");
            }
            // Nobody knows how long a question has been under way when the clock goes back: its time may begin anew.
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
            // A question that is under way when the clock jumps has been given up, or may have been answered at any time.
            (Kind::Bad | Kind::Expired | Kind::Random | Kind::Brief | Kind::New | Kind::Revoked, 503) => {
                trouble || self.is_at_jump(answer)
            }
            // Nobody who is known is to feel an outage.
            (Kind::Lasting | Kind::Narrow | Kind::OldScope | Kind::NewScope, 503) => {
                let is_known = |worth: Worth| self.is_known(&worth, answer) && self.is_past(&worth);
                trouble && (self.is_at_jump(answer) || !worth.is_some_and(is_known))
            }
            (Kind::Revoked, 401) => worth.and_then(|worth| worth.revoked_at).is_some_and(|at| answer.answered >= at),
            (Kind::OldScope, 403) => self.rules.load(Ordering::Relaxed) != RULES_OLD,
            (Kind::NewScope, 403) => self.rules.load(Ordering::Relaxed) != RULES_NEW,
            _ => false,
        };
        if is_expected { Verdict::Right } else { Verdict::Unexpected("not what the token is worth") }
    }

    fn wrongly_allowed(&self, kind: Kind, token: Option<&str>, answer: &Answer) -> Option<&'static str> {
        match kind {
            Kind::Public => return None,
            Kind::Jwt(until) => {
                let is_over = self.clock() - seconds(answer.answered.elapsed()) > until + 1;
                return (is_over && !self.is_at_jump(answer)).then_some("a JWT whose time is over");
            }
            Kind::Anonymous => return Some("no token"),
            Kind::ExpiredJwt => return Some("an expired JWT"),
            Kind::ForgedJwt => return Some("a forged JWT"),
            Kind::Bad => return Some("a revoked token"),
            Kind::Expired => return Some("an expired token"),
            Kind::Random => return Some("a token that nobody issued"),
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
            return Some("a token that nobody issued");
        };
        if worth.revoked_at.is_some_and(|at| answer.sent > at + worth.life + TOLERANCE) {
            return Some("a token that was revoked too long ago");
        }
        let is_known = self.is_at_jump(answer) || self.is_known(&worth, answer);
        (!is_known).then_some("a token that the server has not vouched for in time")
    }

    /// Whether the server has vouched for it at a time that has come: what was learned before the clock went back is
    /// forgotten.
    fn is_past(&self, worth: &Worth) -> bool {
        worth.vouched_at.is_some_and(|(_, clock)| clock <= self.clock())
    }

    /// Whether the server has vouched for it recently enough, by either clock.
    fn is_known(&self, worth: &Worth, answer: &Answer) -> bool {
        worth.vouched_at.is_some_and(|(at, clock)| {
            let age = seconds(answer.sent.saturating_duration_since(at));
            let age_by_clock = self.clock() - seconds(answer.sent.elapsed()) - clock;
            age.max(age_by_clock) <= seconds(worth.life + TOLERANCE)
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

/// Which rules count: those before the change, both, or those after it.
pub(crate) const RULES_OLD: u8 = 0;
pub(crate) const RULES_EITHER: u8 = 1;
pub(crate) const RULES_NEW: u8 = 2;

/// `introspection.timeout`.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(1);
/// `circuit_breaker.open_for`.
pub(crate) const OPEN_FOR: Duration = Duration::from_secs(2);
/// What measuring may cost.
const TOLERANCE: Duration = Duration::from_secs(1);
/// After this time nothing may be left of a trouble.
pub(crate) const HEALING: Duration = Duration::from_secs(OPEN_FOR.as_secs() + TIMEOUT.as_secs() + TOLERANCE.as_secs());
