//! Callouts to an authorization server: for the state of a token, for the gateway's own access token, for keys.

use std::rc::Rc;
use std::time::Duration;

use super::callout_key::{CalloutKey, Subject};
use super::gate::{Context, Gate};
use super::lookup::find_local;
use super::question::Question;
use super::remember::{insertion, keep_local, removal};
use super::states::{Call, Next, Purpose, Step, TokenCheck};
use crate::base::{Secret, UnixTime};
use crate::cache::BucketUpdate;
use crate::claims::TokenState;
use crate::decision::Denial;
use crate::host::{CalloutError, CalloutOutcome, CalloutRequest, CalloutResult, Publish};
use crate::server::{Attempt, CircuitChange, EndpointAuthentication, JwtSettings, KeyFetch, KeysFetched, is_timely};

/// What a callout has brought, besides the next step of the request.
#[derive(Debug)]
pub(crate) struct Effects {
    /// How the callout ended.
    pub(crate) outcome: CalloutOutcome,
    /// Why there was no usable response, if there was none.
    pub(crate) error: Option<CalloutError>,
    /// What to put into the shared cache.
    pub(crate) insertion: Option<BucketUpdate>,
    /// What to remove from it before that.
    pub(crate) removal: Option<BucketUpdate>,
    /// What to publish in shared data.
    pub(crate) publish: Option<Publish>,
    /// Whether a token that was active is no longer: every worker must check what it knows, in a new epoch.
    pub(crate) begins_epoch: bool,
}

impl Effects {
    fn new(outcome: CalloutOutcome, error: Option<CalloutError>) -> Self {
        Self { outcome, error, insertion: None, removal: None, publish: None, begins_epoch: false }
    }

    /// Every update of the shared cache, in order.
    pub(crate) fn updates(&self) -> impl Iterator<Item = &BucketUpdate> {
        self.removal.iter().chain(&self.insertion)
    }

    /// The update that removes what was put in, if an epoch has begun meanwhile.
    pub(crate) fn undo(&self) -> Option<BucketUpdate> {
        self.insertion.as_ref().and_then(BucketUpdate::undo)
    }
}

/// Sends an introspection request, after obtaining the gateway's own access token where the endpoint takes one.
pub(super) fn introspect(check: TokenCheck, question: Question, cx: &Context<'_>) -> Next {
    let (server, now) = (Rc::clone(check.server()), cx.now);
    if server.failover().is_unavailable(now) {
        return check.give_up(CalloutError::CircuitOpen);
    }
    let EndpointAuthentication::ClientToken(endpoint) = &question.endpoint.authentication else {
        return call(check, Purpose::Introspection { question, client_token: None, renewable: false });
    };
    let endpoint = Rc::clone(endpoint);
    let usable = server.client_token().usable(now).cloned();
    let error = server.client_token().error(now);
    let purpose = match (usable, error) {
        // Some servers do not answer a client that introspects its own token, and no other client has it.
        (Some(token), _) if token.reveal() == check.token.reveal() => return check.reject(Denial::NotAnAccessToken),
        // A token that was refused a moment ago, perhaps because of the token in question, is not replaced again.
        (Some(token), Some(_)) => Purpose::Introspection { question, client_token: Some(token), renewable: false },
        (Some(token), None) if !server.client_token_mut().try_begin_renewal(now, endpoint.timeout) => {
            Purpose::Introspection { question, client_token: Some(token), renewable: true }
        }
        (None, Some(error)) => return check.give_up(error),
        (Some(_) | None, None) => Purpose::ClientToken { question, endpoint, renewable: true },
    };
    call(check, purpose)
}

/// Fetches the keys of the current authorization server for a token whose key is unknown.
pub(super) fn fetch_keys(check: TokenCheck, jwt: Rc<JwtSettings>, cx: &Context<'_>) -> Next {
    let fetch = KeyFetch::for_unknown(Rc::clone(check.server()), jwt, cx.now);
    call(check, Purpose::Keys(fetch))
}

fn call(check: TokenCheck, purpose: Purpose) -> Next {
    Next::Step(Step::Call(Call { check, purpose }))
}

impl Call {
    /// When a callout that starts at `now` times out.
    pub(crate) fn deadline(&self, now: UnixTime) -> UnixTime {
        now.saturating_add(self.timeout())
    }

    /// Whether enough time is left to send it for the first time, if it has waited in the queue.
    pub(crate) fn is_timely(&self, deadline: UnixTime, now: UnixTime) -> bool {
        is_timely(self.timeout(), deadline, now)
    }

    /// Whether it uses the clusters of its server. Key fetches choose their own, and the token endpoint may have one.
    fn uses_failover(&self) -> bool {
        match &self.purpose {
            Purpose::Introspection { .. } => true,
            Purpose::ClientToken { endpoint, .. } => !endpoint.is_elsewhere,
            Purpose::Keys(_) => false,
        }
    }

    /// Whether it has timed out; also if the clock was set back, as it is unknown then how late it is.
    pub(crate) fn is_overdue(&self, deadline: UnixTime, now: UnixTime) -> bool {
        deadline <= now || deadline > self.deadline(now)
    }

    fn timeout(&self) -> Duration {
        match &self.purpose {
            Purpose::Introspection { question, .. } => question.endpoint.timeout,
            Purpose::ClientToken { endpoint, .. } => endpoint.timeout,
            Purpose::Keys(fetch) => fetch.timeout(),
        }
    }

    /// Begins the next attempt: the first one, or the one after an attempt that has failed.
    ///
    /// # Errors
    /// The circuit breakers are open, or no time is left.
    pub(crate) fn try_begin_attempt(
        &self,
        after: Option<Attempt>,
        deadline: UnixTime,
        now: UnixTime,
    ) -> Result<Attempt, CalloutError> {
        if after.is_none() && self.is_overdue(deadline, now) {
            return Err(CalloutError::Overloaded);
        }
        if !self.uses_failover() {
            return Ok(Attempt::only(self.timeout()));
        }
        let attempt = self.check.server().failover_mut().attempt(after, self.timeout(), deadline, now);
        attempt.ok_or(CalloutError::CircuitOpen)
    }

    /// The request to send now.
    pub(crate) fn request(&self, attempt: Attempt, cx: &mut Context<'_>) -> CalloutRequest<'_> {
        let random = &mut cx.state.random;
        match &self.purpose {
            Purpose::Introspection { question, client_token, .. } => {
                question.endpoint.request(&self.check.token, client_token.as_ref(), attempt, cx.now, random)
            }
            Purpose::ClientToken { endpoint, .. } => endpoint.request(attempt, cx.now, random),
            Purpose::Keys(fetch) => fetch.request(),
        }
    }

    /// What it is about: requests with the same key share one callout.
    pub(crate) fn key(&self, gate: &Gate) -> CalloutKey {
        let server = self.check.server();
        let subject = match &self.purpose {
            Purpose::Introspection { .. } => {
                let settings = server.cache(&gate.cache);
                let leased = !settings.max_ttl.is_zero() && !settings.inactive_ttl.is_zero();
                Subject::Token { digest: *self.check.digest().as_bytes(), leased }
            }
            Purpose::ClientToken { .. } => Subject::ClientToken,
            Purpose::Keys(fetch) if fetch.seeks_metadata() => Subject::Metadata,
            Purpose::Keys(_) => Subject::Keys,
        };
        CalloutKey { server: server.index, subject }
    }

    /// Whether it renews an entry, and so may find that the entry is wrong.
    pub(crate) fn renews(&self) -> bool {
        self.check.renews
    }

    /// Takes the response to a callout that renews an entry.
    pub(crate) fn mark_as_renewal(&mut self) {
        self.check.renews = true;
    }

    /// Whether another request of this worker has already learned what this one asks.
    pub(crate) fn is_answered(&self, cx: &mut Context<'_>) -> bool {
        find_local(&self.check, cx).is_some()
    }

    /// Whether the client may cause this callout. Each request is charged once, only for an introspection request, and
    /// refunded if its token turns out to be active. `client` is the address of the client.
    pub(crate) fn is_admitted(&mut self, client: impl FnOnce() -> Vec<u8>, cx: &mut Context<'_>) -> bool {
        if self.check.charge.is_some() || !matches!(self.purpose, Purpose::Introspection { .. }) {
            return true;
        }
        self.check.charge = cx.state.charge(&client(), cx.now);
        self.check.charge.is_some()
    }

    /// Records the result of an attempt in its circuit breaker; returns whether that has opened or closed it.
    pub(crate) fn record(&self, attempt: Attempt, result: CalloutResult<'_>, now: UnixTime) -> Option<CircuitChange> {
        if !self.uses_failover() {
            return None;
        }
        self.check.server().failover_mut().record(attempt, result.outage().is_none(), now)
    }

    /// Why an attempt has failed, if another one is to be made.
    pub(crate) fn should_retry(
        &self,
        failed: Attempt,
        result: CalloutResult<'_>,
        deadline: UnixTime,
        now: UnixTime,
    ) -> Option<CalloutError> {
        let was_sent = !matches!(result, CalloutResult::NotSent(_));
        let error = result.outage()?;
        self.check.server().failover_mut().should_retry(failed, was_sent, deadline, now).then_some(error)
    }

    /// How many introspection requests one worker sends to this server at a time.
    pub(crate) fn max_callouts(&self) -> usize {
        self.check.server().config.max_callouts
    }

    /// The place of the authorization server in the configuration.
    pub(crate) fn server_index(&self) -> usize {
        self.check.server().index
    }

    /// The name of the authorization server.
    pub(crate) fn server_name(&self) -> &str {
        &self.check.server().config.name
    }
}

/// Goes on with the response to a callout that was sent at `sent_at`.
pub(super) fn resume(
    Call { check, purpose }: Call,
    result: CalloutResult<'_>,
    sent_at: UnixTime,
    cx: &mut Context<'_>,
) -> (Effects, Next) {
    match purpose {
        Purpose::Introspection { question, client_token, renewable } => {
            match question.endpoint.parse_response(result, &cx.gate.requested, sent_at) {
                Ok(state) => resume_with_state(check, question.intersect(state), sent_at, cx),
                Err(error) => resume_without_state(check, question, client_token.filter(|_| renewable), error, cx),
            }
        }
        Purpose::ClientToken { question, endpoint, renewable } => {
            let parsed = endpoint.parse_response(result);
            resume_with_client_token(check, question, parsed, renewable, sent_at, cx)
        }
        Purpose::Keys(fetch) => resume_with_keys(check, fetch.resume(result, sent_at, cx.now)),
    }
}

fn resume_with_state(check: TokenCheck, state: TokenState, sent_at: UnixTime, cx: &mut Context<'_>) -> (Effects, Next) {
    let begins_epoch = check.renews && state.is_over(cx.now);
    let entry = keep_local(&check, &state, sent_at, cx);
    let inserted = entry.and_then(|entry| insertion(&check, &entry, cx));
    // The shared cache may hold an older entry that says otherwise.
    let leaves_older = !inserted.as_ref().is_some_and(BucketUpdate::is_active);
    let removes = begins_epoch || leaves_older && !cx.gate.cache.stale_if_error.is_zero();
    let effects = Effects {
        outcome: match state {
            TokenState::Active(_) => CalloutOutcome::Active,
            TokenState::Inactive => CalloutOutcome::Inactive,
        },
        error: None,
        insertion: inserted,
        removal: removes.then(|| removal(&check, cx)),
        publish: None,
        begins_epoch,
    };
    (effects, Next::Decide(check, state))
}

/// `client_token` is the gateway's own access token, if it was sent and another one may be obtained.
fn resume_without_state(
    check: TokenCheck,
    question: Question,
    client_token: Option<Secret>,
    error: CalloutError,
    cx: &Context<'_>,
) -> (Effects, Next) {
    let server = Rc::clone(check.server());
    let refused = matches!(error, CalloutError::ClientRefused(_));
    match (&question.endpoint.authentication, client_token) {
        // The gateway's own access token may have been revoked, or have expired early.
        (EndpointAuthentication::ClientToken(endpoint), Some(token)) if refused => {
            let endpoint = Rc::clone(endpoint);
            server.client_token_mut().discard(&token);
            // Another request may have obtained one meanwhile.
            let newer = server.client_token().usable(cx.now).cloned();
            let purpose = match newer {
                Some(token) => Purpose::Introspection { question, client_token: Some(token), renewable: false },
                None => Purpose::ClientToken { question, endpoint, renewable: false },
            };
            (Effects::new(error.outcome(), None), call(check, purpose))
        }
        (EndpointAuthentication::ClientToken(_), None) if refused => {
            server.client_token_mut().fail(error, cx.now);
            give_up(check, error)
        }
        _ => give_up(check, error),
    }
}

fn resume_with_client_token(
    check: TokenCheck,
    question: Question,
    parsed: Result<(Secret, Duration), CalloutError>,
    renewable: bool,
    sent_at: UnixTime,
    cx: &Context<'_>,
) -> (Effects, Next) {
    let server = Rc::clone(check.server());
    let (effects, token) = match parsed {
        Ok((token, lifetime)) => {
            server.client_token_mut().keep(token.clone(), lifetime, sent_at);
            (Effects::new(CalloutOutcome::ClientToken, None), token)
        }
        Err(error) => {
            // A renewal starts early: the old token may still be valid.
            let held = server.client_token().usable(cx.now).cloned();
            let Some(held) = held else {
                server.client_token_mut().fail(error, cx.now);
                return give_up(check, error);
            };
            (Effects::new(error.outcome(), Some(error)), held)
        }
    };
    let renewable = renewable && effects.error.is_none();
    (effects, call(check, Purpose::Introspection { question, client_token: Some(token), renewable }))
}

fn resume_with_keys(check: TokenCheck, fetched: KeysFetched) -> (Effects, Next) {
    let KeysFetched { outcome, error, publish, next } = fetched;
    let effects = Effects { publish, ..Effects::new(outcome, error) };
    let next = match (next, check.server().config.jwt.clone(), check.header()) {
        (Some(fetch), _, _) => call(check, Purpose::Keys(fetch)),
        (None, Some(jwt), Some(header)) => Next::Verify { check, jwt, header, fetched: true },
        (None, _, _) => check.reject(Denial::MalformedJwt),
    };
    (effects, next)
}

/// The server is unavailable; another may accept the token.
fn give_up(check: TokenCheck, error: CalloutError) -> (Effects, Next) {
    (Effects::new(error.outcome(), Some(error)), check.give_up(error))
}
