//! What an authorization server is asked: what a token is worth, for a token of our own, for its keys.

use std::rc::Rc;
use std::time::Duration;

use super::callout_key::{CalloutKey, Subject};
use super::gate::Gate;
use super::step::Step;
use super::token_check::TokenCheck;
use super::verification;
use crate::base::{Secret, UnixTime};
use crate::cache::BucketUpdate;
use crate::claims::{Claims, Introspection};
use crate::decision::Denial;
use crate::host::{CalloutError, CalloutRequest, CalloutResult, Publish};
use crate::server::{
    Attempt, CircuitChange, Endpoint, EndpointAuthentication, JwtSettings, KEYS, KeyFetch, KeysAnswered, METADATA,
    Server, TokenEndpoint, is_timely,
};

/// Waits for an answer of an authorization server.
#[derive(Debug)]
pub struct Call {
    exchange: TokenCheck,
    candidate: usize,
    server: Rc<Server>,
    stage: Stage,
}

/// What a token is worth: where that is asked, and what the token has shown to be by its signature.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) endpoint: Rc<Endpoint>,
    pub(super) signed: Option<Rc<Claims>>,
}

impl Question {
    /// What is known after the answer: no more than either the answer or the signed token says.
    fn settle(&self, facts: Introspection) -> Introspection {
        match (facts, &self.signed) {
            (Introspection::Active(claims), Some(signed)) => {
                Introspection::Active(Rc::new(Rc::unwrap_or_clone(claims).intersect(signed)))
            }
            (facts, _) => facts,
        }
    }
}

/// What is asked for.
#[derive(Debug)]
enum Stage {
    /// What the token is worth. `own` is our own token, where the endpoint takes one. If it is refused, another
    /// is obtained, unless this one was so already: a second refusal is final.
    Introspection { question: Question, own: Option<Secret>, renewable: bool },
    /// Our own token first.
    ClientToken { question: Question, issuer: Rc<TokenEndpoint>, renewable: bool },
    /// The keys that the token may be verified with.
    Keys(KeyFetch),
}

/// What an answer of an authorization server leads to.
#[derive(Debug)]
pub struct Answered {
    /// How the callout ended: one of [`Call::OUTCOMES`].
    pub outcome: &'static str,
    /// Why there was no usable answer, if there was none.
    pub trouble: Option<CalloutError>,
    /// What to keep in shared data, if anything.
    pub insert: Option<BucketUpdate>,
    /// What to take out of it, before that.
    pub removal: Option<BucketUpdate>,
    /// What to put into shared data for the other workers, if anything.
    pub publish: Option<Publish>,
    /// What comes next.
    pub step: Step,
    overturns: bool,
}

impl Answered {
    fn new(outcome: &'static str, trouble: Option<CalloutError>, step: Step) -> Self {
        Self { outcome, trouble, insert: None, removal: None, publish: None, step, overturns: false }
    }

    /// Every change to the buckets in shared data, in order.
    pub fn inserts(&self) -> impl Iterator<Item = &BucketUpdate> {
        self.removal.iter().chain(&self.insert)
    }

    /// What takes out again what has been kept, if an epoch has begun while it was put in.
    pub fn undo(&self) -> Option<BucketUpdate> {
        self.insert.as_ref().and_then(BucketUpdate::undo)
    }

    /// Whether a token that was active is so no more: every worker has to look at what it knows anew.
    pub fn ends_epoch(&self) -> bool {
        self.overturns
    }
}

/// Asks what the token is worth, with our own token first where the endpoint takes one.
pub(super) fn introspect(
    exchange: TokenCheck,
    candidate: usize,
    server: Rc<Server>,
    question: Question,
    gate: &Gate,
    now: UnixTime,
) -> Step {
    if server.failover.borrow().is_unavailable(now) {
        return exchange.give_up(candidate, CalloutError::CircuitOpen, gate, now);
    }
    let EndpointAuthentication::ClientToken(issuer) = &question.endpoint.authentication else {
        let stage = Stage::Introspection { question, own: None, renewable: false };
        return Step::Call(Call { exchange, candidate, server, stage });
    };
    let issuer = Rc::clone(issuer);
    let (own, trouble) = {
        let client_token = server.client_token.borrow();
        (client_token.usable(now).cloned(), client_token.trouble(now))
    };
    let stage = match own {
        // Some servers do not answer a caller who asks about its own token, and nobody else has it.
        Some(own) if own.reveal() == exchange.token.reveal() => {
            return exchange.reject(candidate, Denial::NotAnAccessToken, gate, now);
        }
        // What was refused a moment ago, perhaps on account of the token that was asked about, is not replaced again.
        Some(own) if trouble.is_some() => Stage::Introspection { question, own: Some(own), renewable: false },
        Some(own) if !server.client_token.borrow_mut().try_begin_renewal(now, issuer.timeout) => {
            Stage::Introspection { question, own: Some(own), renewable: true }
        }
        Some(_) | None => match trouble {
            Some(trouble) => return exchange.give_up(candidate, trouble, gate, now),
            None => Stage::ClientToken { question, issuer, renewable: true },
        },
    };
    Step::Call(Call { exchange, candidate, server, stage })
}

/// Asks for the keys of the server.
pub(super) fn fetch_keys(
    exchange: TokenCheck,
    candidate: usize,
    server: Rc<Server>,
    jwt: Rc<JwtSettings>,
    now: UnixTime,
) -> Step {
    let stage = Stage::Keys(KeyFetch::for_unknown(Rc::clone(&server), jwt, now));
    Step::Call(Call { exchange, candidate, server, stage })
}

impl Call {
    /// Every way a callout can end.
    pub const OUTCOMES: [&'static str; 11] = [
        "active",
        "inactive",
        OWN_TOKEN,
        KEYS,
        METADATA,
        "not_sent",
        "no_answer",
        "client_refused",
        "error_status",
        "too_large",
        "bad_answer",
    ];

    /// By when there must be an answer to what is asked at `now`.
    pub fn deadline(&self, now: UnixTime) -> UnixTime {
        now.saturating_add(self.timeout())
    }

    /// Whether it may still be asked for the first time, if it has had to wait for others.
    pub fn is_timely(&self, deadline: UnixTime, now: UnixTime) -> bool {
        is_timely(self.timeout(), deadline, now)
    }

    /// Whether it is asked by the clusters of its server. Keys have a rhythm of their own, and our own token may come
    /// from elsewhere.
    fn uses_failover(&self) -> bool {
        match &self.stage {
            Stage::Introspection { .. } => true,
            Stage::ClientToken { issuer, .. } => !issuer.is_elsewhere,
            Stage::Keys(_) => false,
        }
    }

    /// Whether it is too late for an answer; as it is if the clock has stepped back, and nobody knows how late it is.
    pub fn is_overdue(&self, deadline: UnixTime, now: UnixTime) -> bool {
        deadline <= now || deadline > self.deadline(now)
    }

    fn timeout(&self) -> Duration {
        match &self.stage {
            Stage::Introspection { question, .. } => question.endpoint.timeout,
            Stage::ClientToken { issuer, .. } => issuer.timeout,
            Stage::Keys(fetch) => fetch.timeout(),
        }
    }

    /// The attempt to make now; after a first one that was lost, if there was one. Whoever is told so must make it.
    ///
    /// # Errors
    /// Nobody may be asked, or no time is left.
    pub fn attempt(&self, after: Option<Attempt>, deadline: UnixTime, now: UnixTime) -> Result<Attempt, CalloutError> {
        if after.is_none() && self.is_overdue(deadline, now) {
            return Err(CalloutError::Crowded);
        }
        if !self.uses_failover() {
            return Ok(Attempt::only(self.timeout()));
        }
        self.server.failover.borrow_mut().attempt(after, self.timeout(), deadline, now).ok_or(CalloutError::CircuitOpen)
    }

    /// The request to send now.
    pub fn request(&self, gate: &Gate, attempt: Attempt, now: UnixTime) -> CalloutRequest<'_> {
        let mut random = gate.random.borrow_mut();
        match &self.stage {
            Stage::Introspection { question, own, .. } => {
                question.endpoint.request(&self.exchange.token, own.as_ref(), attempt, now, &mut random)
            }
            Stage::ClientToken { issuer, .. } => issuer.request(attempt, now, &mut random),
            Stage::Keys(fetch) => fetch.request(),
        }
    }

    /// What it is about: another request may be waiting for the same answer.
    pub fn flight(&self, gate: &Gate) -> CalloutKey {
        let subject = match &self.stage {
            Stage::Introspection { .. } => {
                let digest = self.exchange.digest(self.candidate).map(|digest| *digest.as_bytes());
                let cache = self.server.cache(&gate.cache);
                let leased = !cache.max_ttl.is_zero() && !cache.inactive_ttl.is_zero();
                Subject::Token { digest: digest.unwrap_or_default(), leased }
            }
            Stage::ClientToken { .. } => Subject::ClientToken,
            Stage::Keys(fetch) if fetch.seeks_metadata() => Subject::Metadata,
            Stage::Keys(_) => Subject::Keys,
        };
        CalloutKey { server: self.server.index, subject }
    }

    /// Whether it renews what is known, and so may find that it does not hold any more.
    pub fn renews(&self) -> bool {
        self.exchange.renews
    }

    /// Has it hear the answer for one that renews.
    pub fn hear_for_renewal(&mut self) {
        self.exchange.renews = true;
    }

    /// Goes on as if nothing had been asked: another request has had an answer, or should have.
    pub fn look_again(mut self, gate: &Gate, now: UnixTime) -> Step {
        self.exchange.is_counted = true;
        self.exchange.try_candidate(self.candidate, gate, now)
    }

    /// Whether another request of this worker has learned what this one asks.
    pub fn is_answered(&self, gate: &Gate, now: UnixTime) -> bool {
        self.exchange.known(&self.server, gate, now).is_some()
    }

    /// Whether the client that it comes from may have it asked. Each request is charged once, only for a question about
    /// its token, and not in the end if that turns out to be active. `client` is the client's address.
    pub fn is_admitted(&mut self, gate: &Gate, client: impl FnOnce() -> Vec<u8>, now: UnixTime) -> bool {
        if self.exchange.charge.is_some() || !matches!(self.stage, Stage::Introspection { .. }) {
            return true;
        }
        self.exchange.charge = gate.charge(&client(), now);
        self.exchange.charge.is_some()
    }

    /// Refuses the request: its client has sent too many unknown tokens.
    pub fn refuse_client(self, gate: &Gate) -> Step {
        gate.refuse_demand(Denial::TooManyUnknownTokens, &self.exchange.demand, None)
    }

    /// Gives up on asking: too many requests wait for the answer already.
    pub fn turn_away(self, gate: &Gate, now: UnixTime) -> Step {
        self.exchange.give_up(self.candidate, CalloutError::Crowded, gate, now)
    }

    /// Notes for its server what became of an attempt, once for each callout; what that changes for all, if anything.
    pub fn note(&self, attempt: Attempt, answer: CalloutResult<'_>, now: UnixTime) -> Option<CircuitChange> {
        if !self.uses_failover() {
            return None;
        }
        self.server.failover.borrow_mut().record(attempt, answer.loss().is_none(), now)
    }

    /// Why an attempt was lost, if another one is to be made. Whoever is told so must make it.
    pub fn retries(
        &self,
        lost: Attempt,
        answer: CalloutResult<'_>,
        deadline: UnixTime,
        now: UnixTime,
    ) -> Option<CalloutError> {
        let was_sent = !matches!(answer, CalloutResult::NotSent(_));
        let trouble = answer.loss()?;
        self.server.failover.borrow_mut().retries(lost, was_sent, deadline, now).then_some(trouble)
    }

    /// How many questions like this one may be under way at a time in one worker.
    pub fn max_callouts(&self) -> usize {
        self.server.config.max_callouts
    }

    /// The name of the authorization server that is asked.
    pub fn server(&self) -> &str {
        &self.server.config.name
    }

    /// Goes on with the answer to the request that was sent at `asked_at`.
    pub fn resume(self, gate: &Gate, answer: CalloutResult<'_>, asked_at: UnixTime, now: UnixTime) -> Answered {
        let Self { exchange, candidate, server, stage } = self;
        let asked = Asked { exchange, candidate, server, asked_at, now };
        match stage {
            Stage::Introspection { question, own, renewable } => {
                let understood = question.endpoint.parse_response(answer, &gate.requested, asked_at);
                asked.resume_with_facts(gate, understood, question, own.filter(|_| renewable))
            }
            Stage::ClientToken { question, issuer, renewable } => {
                let understood = issuer.parse_response(answer);
                asked.resume_with_own_token(gate, understood, question, renewable)
            }
            Stage::Keys(fetch) => asked.resume_with_keys(gate, answer, fetch),
        }
    }
}

/// A call that has been answered.
struct Asked {
    exchange: TokenCheck,
    candidate: usize,
    server: Rc<Server>,
    asked_at: UnixTime,
    now: UnixTime,
}

impl Asked {
    fn call(self, stage: Stage) -> Step {
        Step::Call(Call { exchange: self.exchange, candidate: self.candidate, server: self.server, stage })
    }

    /// `own` is our own token, if it was sent along and another one may be obtained.
    fn resume_with_facts(
        self,
        gate: &Gate,
        understood: Result<Introspection, CalloutError>,
        question: Question,
        own: Option<Secret>,
    ) -> Answered {
        match (understood, own, &question.endpoint.authentication) {
            (Ok(facts), _, _) => {
                let facts = question.settle(facts);
                let overturns = self.exchange.renews && facts.is_over(self.now);
                let fresh = self.exchange.remember(self.candidate, &facts, gate, self.asked_at, self.now);
                let insert = fresh.and_then(|fresh| self.exchange.insert(self.candidate, &fresh, gate, self.now));
                // What is in the place of this one, or beside it, says otherwise.
                let leaves_older = !insert.as_ref().is_some_and(BucketUpdate::is_active);
                let removal = overturns || leaves_older && !gate.cache.stale_if_error.is_zero();
                Answered {
                    outcome: match facts {
                        Introspection::Active(_) => "active",
                        Introspection::Inactive => "inactive",
                    },
                    trouble: None,
                    insert,
                    removal: self.exchange.removal(self.candidate, gate, self.now).filter(|_| removal),
                    publish: None,
                    step: self.exchange.decide(self.candidate, gate, facts, self.now),
                    overturns,
                }
            }
            // Our own token may have been revoked, or have lived shorter than it was said to.
            (Err(trouble @ CalloutError::ClientRefused(_)), Some(own), EndpointAuthentication::ClientToken(issuer)) => {
                self.server.client_token.borrow_mut().discard(&own);
                let issuer = Rc::clone(issuer);
                // Another request may have obtained one meanwhile.
                let newer = self.server.client_token.borrow().usable(self.now).cloned();
                let step = self.call(match newer {
                    Some(own) => Stage::Introspection { question, own: Some(own), renewable: false },
                    None => Stage::ClientToken { question, issuer, renewable: false },
                });
                Answered::new(trouble.outcome(), None, step)
            }
            (Err(trouble), _, EndpointAuthentication::ClientToken(_))
                if matches!(trouble, CalloutError::ClientRefused(_)) =>
            {
                self.server.client_token.borrow_mut().fail(trouble, self.now);
                self.give_up(gate, trouble)
            }
            (Err(trouble), _, _) => self.give_up(gate, trouble),
        }
    }

    fn resume_with_own_token(
        self,
        gate: &Gate,
        understood: Result<(Secret, Duration), CalloutError>,
        question: Question,
        renewable: bool,
    ) -> Answered {
        let (outcome, trouble, own) = match understood {
            Ok((own, lifetime)) => {
                self.server.client_token.borrow_mut().keep(own.clone(), lifetime, self.asked_at);
                (OWN_TOKEN, None, own)
            }
            Err(trouble) => {
                // A renewal may have come before its time.
                let Some(held) = self.server.client_token.borrow().usable(self.now).cloned() else {
                    self.server.client_token.borrow_mut().fail(trouble, self.now);
                    return self.give_up(gate, trouble);
                };
                (trouble.outcome(), Some(trouble), held)
            }
        };
        let renewable = renewable && trouble.is_none();
        let step = self.call(Stage::Introspection { question, own: Some(own), renewable });
        Answered::new(outcome, trouble, step)
    }

    fn resume_with_keys(self, gate: &Gate, answer: CalloutResult<'_>, fetch: KeyFetch) -> Answered {
        let KeysAnswered { outcome, trouble, publish, next } = fetch.resume(answer, self.asked_at, self.now);
        let header = self.exchange.header(&self.server);
        let step = match (next, self.server.config.jwt.clone(), header) {
            (Some(fetch), _, _) => self.call(Stage::Keys(fetch)),
            (None, Some(jwt), Some(header)) => {
                verification::begin(self.exchange, self.candidate, self.server, jwt, &header, true, gate, self.now)
            }
            (None, _, _) => self.exchange.reject(self.candidate, Denial::MalformedJwt, gate, self.now),
        };
        Answered { publish, ..Answered::new(outcome, trouble, step) }
    }

    /// This server cannot be asked; another may still vouch for the token.
    fn give_up(self, gate: &Gate, trouble: CalloutError) -> Answered {
        let step = self.exchange.give_up(self.candidate, trouble, gate, self.now);
        Answered::new(trouble.outcome(), Some(trouble), step)
    }
}

/// The outcome of a callout that brought our own token.
const OWN_TOKEN: &str = "own_token";
