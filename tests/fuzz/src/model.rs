//! The most that a worker may know of a token: every response that ever arrived, and which workers may know it. The target
//! `worker` compares the core with it. The model has no cache: it tells which responses a cache may hold, and for how long
//! they may be used.

use std::rc::Rc;
use std::time::Duration;

use scopegate::UnixTime;

/// The settings of a run.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    pub capacity: u32,
    pub max_ttl: Duration,
    pub inactive_ttl: Duration,
    pub stale_if_error: Duration,
    /// Failures in a row that open a circuit; 0: none do.
    pub failures: u32,
    pub open_for: Duration,
    /// Callouts that a worker sends at a time.
    pub max_callouts: usize,
    /// Whether workers share callouts.
    pub has_leases: bool,
}

impl Terms {
    pub fn configuration(&self) -> String {
        let (max_ttl, inactive_ttl) = (self.max_ttl.as_secs(), self.inactive_ttl.as_secs());
        let (stale_if_error, open_for) = (self.stale_if_error.as_secs(), self.open_for.as_secs());
        let Self { capacity, failures, max_callouts, .. } = self;
        format!(
            r#"{{
  "authorization_servers": [ {{ "name": "main", "cluster": "as", "audience": "any", "max_callouts": {max_callouts},
      "introspection": {{ "path": "/i", "client_id": "g", "client_secret": "s", "timeout": "1s" }},
      "circuit_breaker": {{ "failures": {failures}, "open_for": "{open_for}s" }} }} ],
  "cache": {{ "capacity": {capacity}, "max_ttl": "{max_ttl}s", "inactive_ttl": "{inactive_ttl}s",
      "stale_if_error": "{stale_if_error}s" }},
  "unknown_tokens": "unlimited",
  "rules": [
    {{ "name": "View", "match": [ {{ "path": "/view" }} ], "require": {{ "scope": "view" }} }},
    {{ "name": "Any", "match": [ {{ "path": "/any" }} ], "require": {{ "authenticated": true }} }}
  ]
}}"#
        )
    }

    /// How long a callout may take, with all that precedes it.
    pub const TIMEOUT: Duration = Duration::from_secs(1);

    /// After how long a request may be refused whose callout was not sent: a quarter of the timeout.
    pub const PATIENCE: Duration = Duration::from_millis(250);

    /// How long a lease is held unless it is renewed.
    pub const LEASE: Duration = Duration::from_millis(200);
}

/// The state of a token at the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Active {
        /// It has the scope that `/view` requires.
        view: bool,
        expires_at: Option<UnixTime>,
    },
    Inactive,
    /// No response, or an error. `is_outage`: the server is unavailable.
    Error {
        is_outage: bool,
    },
}

impl Verdict {
    /// Whether the token is valid for no request ever again.
    pub fn is_over(self, now: UnixTime) -> bool {
        match self {
            Self::Active { expires_at, .. } => expires_at.is_some_and(|expires_at| expires_at <= now),
            Self::Inactive => true,
            Self::Error { .. } => false,
        }
    }

    /// How a request ends by it; `None` for an error.
    pub fn end(self, wants_view: bool, now: UnixTime) -> Option<Outcome> {
        match self {
            Self::Error { .. } => None,
            verdict if verdict.is_over(now) => Some(Outcome::Refused),
            Self::Active { view: false, .. } if wants_view => Some(Outcome::Insufficient),
            Self::Active { .. } => Some(Outcome::Passed),
            Self::Inactive => Some(Outcome::Refused),
        }
    }
}

/// How a request with a token can end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Passed,
    /// By a stale entry, and the application learns so.
    PassedStale,
    /// 403: the scope.
    Insufficient,
    /// 401: the token.
    Refused,
    /// 503: the server, and why.
    Unavailable(Failure),
}

/// Why a server is unavailable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    CircuitOpen,
    /// The callout could not be sent.
    NotSent,
    /// The request has waited too long for its turn.
    Overloaded,
    /// No response, from the server or from another worker.
    NoAnswer,
    /// A response that is an error.
    BadAnswer,
}

/// A response with the state of a token.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    pub token: u8,
    pub verdict: Verdict,
    /// In which operation the callout was sent.
    pub asked: usize,
    pub asked_at: UnixTime,
    pub heard_at: UnixTime,
    /// Whether the clock was set back in between.
    pub is_out_of_time: bool,
    /// After which operation nothing removes it from shared data any more; `None`: its worker is not done with it.
    pub settled: Option<usize>,
}

impl Answer {
    /// The time in which it may be used: before this, and not more than so long before it.
    fn term(&self, terms: &Terms) -> (UnixTime, Duration) {
        match self.verdict {
            Verdict::Active { expires_at, .. } if !self.is_bad() => {
                let until = self.asked_at.saturating_add(terms.max_ttl);
                (expires_at.map_or(until, |expires_at| expires_at.min(until)), terms.max_ttl)
            }
            _ => (self.heard_at.saturating_add(terms.inactive_ttl), terms.inactive_ttl),
        }
    }

    /// Whether it is cached as that of an inactive token.
    pub fn is_bad(&self) -> bool {
        self.verdict.is_over(self.heard_at)
    }

    /// Whether it may be cached: its term has not ended before it arrived.
    pub fn lasts(&self, terms: &Terms) -> bool {
        // An expired token is not cached where no active one is, unless the server calls it inactive.
        let is_kept = match self.verdict {
            Verdict::Active { .. } => !self.is_bad() || !terms.max_ttl.is_zero(),
            Verdict::Inactive => true,
            Verdict::Error { .. } => false,
        };
        is_kept && self.heard_at < self.term(terms).0
    }

    /// Whether a cache may use it.
    pub fn counts(&self, terms: &Terms, now: UnixTime) -> bool {
        let (until, lifetime) = self.term(terms);
        now < until && until <= now.saturating_add(lifetime)
    }

    /// Whether a cache may use it while the server is unavailable.
    pub fn counts_while_stale(&self, terms: &Terms, now: UnixTime) -> bool {
        let until = self.term(terms).0;
        !self.is_bad() && !self.verdict.is_over(now) && until <= now && now < until.saturating_add(terms.stale_if_error)
    }

    /// How a request ends that has waited for it, whenever that is.
    pub fn direct_end(&self, wants_view: bool) -> Option<Outcome> {
        self.verdict.end(wants_view, self.heard_at)
    }

    /// How a request ends by a cache that uses it.
    pub fn end(&self, wants_view: bool, now: UnixTime) -> Option<Outcome> {
        if self.is_bad() { Some(Outcome::Refused) } else { self.verdict.end(wants_view, now) }
    }
}

/// The answers that may be known somewhere, by their place in the list of all; and the bucket that each may be in.
#[derive(Clone, Debug, Default)]
pub struct Knowledge(Vec<(usize, Option<Rc<str>>)>);

impl Knowledge {
    /// `bucket` is `None` if it is unknown which.
    pub fn learn(&mut self, answer: usize, bucket: Option<&Rc<str>>) {
        match self.0.iter_mut().find(|(known, _)| *known == answer) {
            Some((_, held)) => *held = bucket.cloned(),
            None => self.0.push((answer, bucket.cloned())),
        }
    }

    pub fn forget(&mut self, is_gone: impl Fn(usize, Option<&str>) -> bool) {
        self.0.retain(|(answer, bucket)| !is_gone(*answer, bucket.as_deref()));
    }

    pub fn iter(&self) -> impl Iterator<Item = usize> {
        self.0.iter().map(|(answer, _)| *answer)
    }

    /// Those that a bucket may hold.
    pub fn in_bucket(&self, key: &str) -> impl Iterator<Item = usize> {
        let is_in = move |bucket: &Option<Rc<str>>| bucket.as_deref().is_none_or(|bucket| bucket == key);
        self.0.iter().filter(move |(_, bucket)| is_in(bucket)).map(|(answer, _)| *answer)
    }
}

/// A circuit breaker, naively: the failures of the callouts of a worker.
#[derive(Clone, Copy, Debug)]
pub struct Failures {
    in_a_row: u32,
    /// When the circuit was opened, or the server last tried.
    since: UnixTime,
    is_trying: bool,
}

impl Default for Failures {
    fn default() -> Self {
        Self { in_a_row: 0, since: UnixTime::from_secs(0), is_trying: false }
    }
}

impl Failures {
    fn is_open(&self, terms: &Terms) -> bool {
        terms.failures > 0 && self.in_a_row >= terms.failures
    }

    /// Whether no callout may be sent now.
    pub fn refuse(&self, terms: &Terms, now: UnixTime) -> bool {
        self.is_open(terms) && self.since <= now && now < self.since.saturating_add(terms.open_for)
    }

    /// A callout is sent.
    pub fn ask(&mut self, terms: &Terms, now: UnixTime) {
        if self.is_open(terms) {
            (self.since, self.is_trying) = (now, true);
        }
    }

    /// A callout has ended.
    pub fn note(&mut self, terms: &Terms, is_answered: bool, now: UnixTime) {
        let was_open = self.is_open(terms);
        if is_answered {
            *self = Self::default();
        } else {
            self.in_a_row = self.in_a_row.saturating_add(1);
            if self.is_open(terms) && (!was_open || self.is_trying) {
                (self.since, self.is_trying) = (now, false);
            }
        }
    }
}
