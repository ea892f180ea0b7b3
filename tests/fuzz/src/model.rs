//! What may be believed of a token, naively: every answer that was ever given, and who may have heard of which. The
//! target `exchange` holds the core against it. It has no cache: it says what a cache may know at most, and when that
//! may still count.

use scopegate::UnixTime;
use std::time::Duration;

/// What the configuration of a run grants.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    pub capacity: u32,
    pub max_ttl: Duration,
    pub inactive_ttl: Duration,
    /// Failures in a row that open a circuit; 0: none do.
    pub failures: u32,
    pub open_for: Duration,
}

impl Terms {
    pub fn configuration(&self) -> String {
        let (max_ttl, inactive_ttl) = (self.max_ttl.as_secs(), self.inactive_ttl.as_secs());
        let (capacity, failures, open_for) = (self.capacity, self.failures, self.open_for.as_secs());
        format!(
            r#"{{
  "authorization_servers": [ {{ "name": "main", "cluster": "as", "audience": "any",
      "introspection": {{ "path": "/i", "client_id": "g", "client_secret": "s" }},
      "circuit_breaker": {{ "failures": {failures}, "open_for": "{open_for}s" }} }} ],
  "cache": {{ "capacity": {capacity}, "max_ttl": "{max_ttl}s", "inactive_ttl": "{inactive_ttl}s" }},
  "rules": [
    {{ "name": "View", "match": [ {{ "path": "/view" }} ], "require": {{ "scope": "view" }} }},
    {{ "name": "Any", "match": [ {{ "path": "/any" }} ], "require": {{ "authenticated": true }} }}
  ]
}}"#
        )
    }
}

/// What a server says of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Active {
        /// It has the scope that `/view` demands.
        view: bool,
        expires_at: Option<UnixTime>,
    },
    Inactive,
    /// No answer, or one that says nothing of the token.
    CalloutError,
}

impl Verdict {
    /// Whether the token is good for no request ever again.
    pub fn is_over(self, now: UnixTime) -> bool {
        match self {
            Self::Active { expires_at, .. } => expires_at.is_some_and(|expires_at| expires_at <= now),
            Self::Inactive => true,
            Self::CalloutError => false,
        }
    }

    /// What it makes of a request.
    pub fn end(self, wants_view: bool, now: UnixTime) -> Outcome {
        match self {
            Self::CalloutError => Outcome::Unavailable,
            verdict if verdict.is_over(now) => Outcome::Refused,
            Self::Active { view: false, .. } if wants_view => Outcome::Insufficient,
            Self::Active { .. } => Outcome::Passed,
            Self::Inactive => Outcome::Refused,
        }
    }
}

/// How a request can end that has a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Passed,
    /// 403: the scope.
    Insufficient,
    /// 401: the token.
    Refused,
    /// 503: the server.
    Unavailable,
    /// 503: it is not asked.
    CircuitOpen,
}

/// An answer that was given and heard.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    pub token: u8,
    pub verdict: Verdict,
    /// In which operation the server was asked.
    pub asked: usize,
    pub asked_at: UnixTime,
    pub heard_at: UnixTime,
    /// Whether the clock has stepped back in between.
    pub is_out_of_time: bool,
    /// In which operation it stood in shared data for good, if it was to; `None`: it may still be taken out.
    pub settled: Option<usize>,
}

impl Answer {
    /// The time in which it counts: before this, and not more than so long before it.
    fn term(&self, terms: &Terms) -> (UnixTime, Duration) {
        match self.verdict {
            Verdict::Active { expires_at, .. } if !self.is_bad() => {
                let until = self.asked_at.saturating_add(terms.max_ttl);
                (expires_at.map_or(until, |expires_at| expires_at.min(until)), terms.max_ttl)
            }
            _ => (self.heard_at.saturating_add(terms.inactive_ttl), terms.inactive_ttl),
        }
    }

    /// Whether it is kept as that of a bad token.
    pub fn is_bad(&self) -> bool {
        self.verdict.is_over(self.heard_at)
    }

    /// Whether there is something to keep: it has not ended before it was heard.
    pub fn lasts(&self, terms: &Terms) -> bool {
        // One that is bad is not kept where none is that is good, unless the server has said that it is.
        let is_kept = match self.verdict {
            Verdict::Active { .. } => !self.is_bad() || !terms.max_ttl.is_zero(),
            Verdict::Inactive => true,
            Verdict::CalloutError => false,
        };
        is_kept && self.heard_at < self.term(terms).0
    }

    /// Whether a cache may still go by it.
    pub fn counts(&self, terms: &Terms, now: UnixTime) -> bool {
        let (until, lifetime) = self.term(terms);
        now < until && until <= now.saturating_add(lifetime)
    }

    /// How a request ends that has waited for it, whenever that is.
    pub fn direct_end(&self, wants_view: bool) -> Outcome {
        self.verdict.end(wants_view, self.heard_at)
    }

    /// How a cache that goes by it has a request end.
    pub fn end(&self, wants_view: bool, now: UnixTime) -> Outcome {
        if self.is_bad() { Outcome::Refused } else { self.verdict.end(wants_view, now) }
    }
}

/// The answers that somebody may know of: places in the list of all, and the bucket, if they stand in one.
#[derive(Clone, Debug, Default)]
pub struct Knowledge(Vec<(usize, String)>);

impl Knowledge {
    pub fn learn(&mut self, answer: usize, bucket: &str) {
        self.0.push((answer, bucket.to_owned()));
    }

    pub fn forget(&mut self, is_gone: impl Fn(usize, &str) -> bool) {
        self.0.retain(|(answer, bucket)| !is_gone(*answer, bucket));
    }

    pub fn iter(&self) -> impl Iterator<Item = usize> {
        self.0.iter().map(|(answer, _)| *answer)
    }
}

/// What a worker's callouts have come to.
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

    /// Whether nobody may ask now.
    pub fn refuse(&self, terms: &Terms, now: UnixTime) -> bool {
        self.is_open(terms) && self.since <= now && now < self.since.saturating_add(terms.open_for)
    }

    /// Somebody asks.
    pub fn ask(&mut self, terms: &Terms, now: UnixTime) {
        if self.is_open(terms) {
            (self.since, self.is_trying) = (now, true);
        }
    }

    /// Somebody has heard, or has not; whether that opens or closes the circuit.
    pub fn note(&mut self, terms: &Terms, is_answered: bool, now: UnixTime) -> Option<bool> {
        let was_open = self.is_open(terms);
        if is_answered {
            *self = Self::default();
        } else {
            self.in_a_row = self.in_a_row.saturating_add(1);
            if self.is_open(terms) && (!was_open || self.is_trying) {
                (self.since, self.is_trying) = (now, false);
            }
        }
        (was_open != self.is_open(terms)).then(|| self.is_open(terms))
    }
}
