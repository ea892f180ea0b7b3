//! Callouts to an authorization server: for the state of a token, for the gateway's own access token, for keys.

use std::rc::Rc;
use std::time::Duration;

use super::cache_updates::{insertion, removal, store_local};
use super::callout_key::{CalloutKey, Subject};
use super::gate::{Context, Gate};
use super::introspection::Introspection;
use super::lookup::find_local;
use super::token_check::{Call, Next, Purpose, Step, TokenCheck};
use crate::base::{Secret, UnixTime};
use crate::cache::BucketUpdate;
use crate::claims::TokenState;
use crate::decision::Denial;
use crate::host::{CalloutError, CalloutOutcome, CalloutRequest, CalloutResult, Publish};
use crate::server::{Attempt, CircuitChange, EndpointAuthentication, JwtSettings, KeyFetch, KeysFetched, is_timely};

/// The results of a completed callout, in addition to the next step of the request.
#[derive(Debug)]
pub(crate) struct CompletedCallout {
    /// How the callout ended.
    pub(crate) outcome: CalloutOutcome,
    /// The error, if there was no usable response.
    pub(crate) error: Option<CalloutError>,
    /// The update that stores the state of the token in the shared cache.
    pub(crate) insertion: Option<BucketUpdate>,
    /// The update that removes an older entry from the shared cache; it is written first.
    pub(crate) removal: Option<BucketUpdate>,
    /// The value to publish in shared data.
    pub(crate) publish: Option<Publish>,
    /// Whether an active token has become inactive: an epoch must begin, so that every worker invalidates its entries.
    pub(crate) begins_epoch: bool,
}

impl CompletedCallout {
    fn new(outcome: CalloutOutcome, error: Option<CalloutError>) -> Self {
        Self { outcome, error, insertion: None, removal: None, publish: None, begins_epoch: false }
    }

    /// Returns the updates of the shared cache, in order.
    pub(crate) fn updates(&self) -> impl Iterator<Item = &BucketUpdate> {
        self.removal.iter().chain(&self.insertion)
    }

    /// Returns the update that removes the stored entry again, for use if an epoch has begun meanwhile.
    pub(crate) fn undo(&self) -> Option<BucketUpdate> {
        self.insertion.as_ref().and_then(BucketUpdate::undo)
    }
}

/// Sends an introspection request. If the endpoint requires it, obtains the gateway's own access token first.
pub(super) fn introspect(check: TokenCheck, introspection: Introspection, cx: &Context<'_>) -> Next {
    let (server, now) = (Rc::clone(check.server()), cx.now);
    if server.failover().is_unavailable(now) {
        return check.give_up(CalloutError::CircuitOpen);
    }
    let EndpointAuthentication::ClientToken(endpoint) = &introspection.endpoint.authentication else {
        return call(check, Purpose::Introspection { introspection, client_token: None, renewable: false });
    };
    let endpoint = Rc::clone(endpoint);
    let usable = server.client_token().usable(now).cloned();
    let error = server.client_token().error(now);
    let purpose = match (usable, error) {
        // Some servers do not respond to a client that introspects its own token. No client of the gateway holds it.
        (Some(token), _) if token.reveal() == check.token.reveal() => return check.reject(Denial::NotAnAccessToken),
        // A token that was refused recently, perhaps because of the introspected token, is not replaced again.
        (Some(token), Some(_)) => Purpose::Introspection { introspection, client_token: Some(token), renewable: false },
        (Some(token), None) if !server.client_token_mut().try_begin_renewal(now, endpoint.timeout) => {
            Purpose::Introspection { introspection, client_token: Some(token), renewable: true }
        }
        (None, Some(error)) => return check.give_up(error),
        (Some(_) | None, None) => Purpose::ClientToken { introspection, endpoint, renewable: true },
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
    /// Returns the deadline of a callout that starts at `now`.
    pub(crate) fn deadline(&self, now: UnixTime) -> UnixTime {
        now.saturating_add(self.timeout())
    }

    /// Returns whether enough time is left for a first attempt, if the callout was queued.
    pub(crate) fn is_timely(&self, deadline: UnixTime, now: UnixTime) -> bool {
        is_timely(self.timeout(), deadline, now)
    }

    /// Returns whether the callout uses the clusters of its server. Key fetches choose their own clusters, and the
    /// token endpoint may have one.
    fn uses_failover(&self) -> bool {
        match &self.purpose {
            Purpose::Introspection { .. } => true,
            Purpose::ClientToken { endpoint, .. } => !endpoint.is_elsewhere,
            Purpose::Keys(_) => false,
        }
    }

    /// Returns whether the deadline has passed. Also `true` if the clock was set back, because the elapsed time is
    /// unknown then.
    pub(crate) fn is_overdue(&self, deadline: UnixTime, now: UnixTime) -> bool {
        deadline <= now || deadline > self.deadline(now)
    }

    fn timeout(&self) -> Duration {
        match &self.purpose {
            Purpose::Introspection { introspection, .. } => introspection.endpoint.timeout,
            Purpose::ClientToken { endpoint, .. } => endpoint.timeout,
            Purpose::Keys(fetch) => fetch.timeout(),
        }
    }

    /// Begins the next attempt: the first one, or the retry after the failed attempt `after`.
    ///
    /// # Errors
    /// All circuit breakers are open, or no time is left.
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

    /// Creates the request of an attempt.
    pub(crate) fn request(&self, attempt: Attempt, cx: &mut Context<'_>) -> CalloutRequest<'_> {
        let random = &mut cx.state.random;
        match &self.purpose {
            Purpose::Introspection { introspection, client_token, .. } => {
                introspection.endpoint.request(&self.check.token, client_token.as_ref(), attempt, cx.now, random)
            }
            Purpose::ClientToken { endpoint, .. } => endpoint.request(attempt, cx.now, random),
            Purpose::Keys(fetch) => fetch.request(),
        }
    }

    /// Returns the key of the callout: requests with the same key share one callout.
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

    /// Returns whether it renews an entry.
    pub(crate) fn renews(&self) -> bool {
        self.check.renews
    }

    /// Marks it as the renewal of an entry.
    pub(crate) fn mark_as_renewal(&mut self) {
        self.check.renews = true;
    }

    /// Returns whether the token is cached by now: another request of this worker may have stored the response.
    pub(crate) fn is_cached(&self, cx: &mut Context<'_>) -> bool {
        find_local(&self.check, cx).is_some()
    }

    /// Returns whether the client may cause this callout. A request is charged once, for introspection requests only,
    /// and refunded if its token is active. `client` returns the address of the client.
    pub(crate) fn is_admitted(&mut self, client: impl FnOnce() -> Vec<u8>, cx: &mut Context<'_>) -> bool {
        if self.check.charge.is_some() || !matches!(self.purpose, Purpose::Introspection { .. }) {
            return true;
        }
        self.check.charge = cx.state.charge(&client(), cx.now);
        self.check.charge.is_some()
    }

    /// Records the result of an attempt in the circuit breaker; returns whether that has opened or closed it.
    pub(crate) fn record(&self, attempt: Attempt, result: CalloutResult<'_>, now: UnixTime) -> Option<CircuitChange> {
        if !self.uses_failover() {
            return None;
        }
        self.check.server().failover_mut().record(attempt, result.outage().is_none(), now)
    }

    /// Returns the error of a failed attempt, if the callout is to be retried.
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

    /// Returns `max_callouts` of the server.
    pub(crate) fn max_callouts(&self) -> usize {
        self.check.server().config.max_callouts
    }

    /// Returns the index of the authorization server in the configuration.
    pub(crate) fn server_index(&self) -> usize {
        self.check.server().index
    }

    /// Returns the name of the authorization server.
    pub(crate) fn server_name(&self) -> &str {
        &self.check.server().config.name
    }
}

/// Continues with the result of a callout that was sent at `sent_at`.
pub(super) fn resume(
    Call { check, purpose }: Call,
    result: CalloutResult<'_>,
    sent_at: UnixTime,
    cx: &mut Context<'_>,
) -> (CompletedCallout, Next) {
    match purpose {
        Purpose::Introspection { introspection, client_token, renewable } => {
            match introspection.endpoint.parse_response(result, &cx.gate.requested, sent_at) {
                Ok(state) => resume_with_state(check, introspection.intersect(state), sent_at, cx),
                Err(error) => resume_without_state(check, introspection, client_token.filter(|_| renewable), error, cx),
            }
        }
        Purpose::ClientToken { introspection, endpoint, renewable } => {
            let parsed = endpoint.parse_response(result);
            resume_with_client_token(check, introspection, parsed, renewable, sent_at, cx)
        }
        Purpose::Keys(fetch) => resume_with_keys(check, fetch.resume(result, sent_at, cx.now)),
    }
}

fn resume_with_state(
    check: TokenCheck,
    state: TokenState,
    sent_at: UnixTime,
    cx: &mut Context<'_>,
) -> (CompletedCallout, Next) {
    let begins_epoch = check.renews && state.is_over(cx.now);
    let entry = store_local(&check, &state, sent_at, cx);
    let inserted = entry.and_then(|entry| insertion(&check, &entry, cx));
    // The shared cache may contain an older entry with another state.
    let leaves_older = !inserted.as_ref().is_some_and(BucketUpdate::is_active);
    let removes = begins_epoch || leaves_older && !cx.gate.cache.stale_if_error.is_zero();
    let completed = CompletedCallout {
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
    (completed, Next::Decide(check, state))
}

/// `client_token` is the gateway's own access token, if it was sent and another one may be obtained.
fn resume_without_state(
    check: TokenCheck,
    introspection: Introspection,
    client_token: Option<Secret>,
    error: CalloutError,
    cx: &Context<'_>,
) -> (CompletedCallout, Next) {
    let server = Rc::clone(check.server());
    let refused = matches!(error, CalloutError::ClientRefused(_));
    match (&introspection.endpoint.authentication, client_token) {
        // The gateway's own access token may have been revoked, or have expired early.
        (EndpointAuthentication::ClientToken(endpoint), Some(token)) if refused => {
            let endpoint = Rc::clone(endpoint);
            server.client_token_mut().discard(&token);
            // Another request may have obtained one meanwhile.
            let newer = server.client_token().usable(cx.now).cloned();
            let purpose = match newer {
                Some(token) => Purpose::Introspection { introspection, client_token: Some(token), renewable: false },
                None => Purpose::ClientToken { introspection, endpoint, renewable: false },
            };
            (CompletedCallout::new(error.outcome(), None), call(check, purpose))
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
    introspection: Introspection,
    parsed: Result<(Secret, Duration), CalloutError>,
    renewable: bool,
    sent_at: UnixTime,
    cx: &Context<'_>,
) -> (CompletedCallout, Next) {
    let server = Rc::clone(check.server());
    let (completed, token) = match parsed {
        Ok((token, lifetime)) => {
            server.client_token_mut().keep(token.clone(), lifetime, sent_at);
            (CompletedCallout::new(CalloutOutcome::ClientToken, None), token)
        }
        Err(error) => {
            // A renewal begins early, so the old token may still be valid.
            let held = server.client_token().usable(cx.now).cloned();
            let Some(held) = held else {
                server.client_token_mut().fail(error, cx.now);
                return give_up(check, error);
            };
            (CompletedCallout::new(error.outcome(), Some(error)), held)
        }
    };
    let renewable = renewable && completed.error.is_none();
    (completed, call(check, Purpose::Introspection { introspection, client_token: Some(token), renewable }))
}

fn resume_with_keys(check: TokenCheck, fetched: KeysFetched) -> (CompletedCallout, Next) {
    let KeysFetched { outcome, error, publish, next } = fetched;
    let completed = CompletedCallout { publish, ..CompletedCallout::new(outcome, error) };
    let next = match (next, check.server().config.jwt.clone(), check.header()) {
        (Some(fetch), _, _) => call(check, Purpose::Keys(fetch)),
        (None, Some(jwt), Some(header)) => Next::Verify { check, jwt, header, fetched: true },
        (None, _, _) => check.reject(Denial::MalformedJwt),
    };
    (completed, next)
}

/// Gives up the callout; another authorization server may accept the token.
fn give_up(check: TokenCheck, error: CalloutError) -> (CompletedCallout, Next) {
    (CompletedCallout::new(error.outcome(), Some(error)), check.give_up(error))
}
