//! The gateway's own access token, for introspection endpoints that require a bearer token (RFC 7662 §2.1). It is
//! obtained with the client credentials grant (RFC 6749 §4.4), and renewed before it expires.

use std::borrow::Cow;
use std::time::Duration;

use super::client_authentication::{ClientAuthentication, form};
use super::clusters::Clusters;
use super::failover::Attempt;
use crate::base::{Json, Secret, SeededRandom, UnixTime};
use crate::claims::seconds;
use crate::host::{CalloutError, CalloutRequest, CalloutResult, USER_AGENT};

/// The token endpoint that issues the gateway's own access token.
#[derive(Debug)]
pub(crate) struct TokenEndpoint {
    pub(crate) clusters: Clusters,
    /// Whether the endpoint has another cluster than the introspection endpoint.
    pub(crate) is_elsewhere: bool,
    pub(crate) authority: String,
    pub(crate) path: String,
    pub(crate) authentication: ClientAuthentication,
    /// `grant_type`, `scope` and further parameters.
    pub(crate) parameters: Vec<(String, String)>,
    pub(crate) timeout: Duration,
}

impl TokenEndpoint {
    /// Creates the access token request (RFC 6749 §4.4.2).
    pub(crate) fn request(&self, attempt: Attempt, now: UnixTime, random: &mut SeededRandom) -> CalloutRequest<'_> {
        let mut parameters: Vec<_> =
            self.parameters.iter().map(|(name, value)| (name.as_str(), Cow::from(value.as_str()))).collect();
        let authorization = self.authentication.apply(&mut parameters, now, random);
        let mut headers = vec![
            (":method", Cow::Borrowed("POST")),
            (":path", Cow::Borrowed(self.path.as_str())),
            (":authority", Cow::Borrowed(self.authority.as_str())),
            ("content-type", Cow::Borrowed("application/x-www-form-urlencoded")),
            ("accept", Cow::Borrowed("application/json")),
        ];
        headers.extend(authorization.map(|value| ("authorization", value)));
        headers.push(USER_AGENT);
        let cluster = self.clusters.get(attempt.cluster);
        CalloutRequest { cluster, headers, body: form(&parameters), timeout: attempt.timeout }
    }

    /// Parses the access token response (RFC 6749 §5.1). Returns the token and its lifetime, which starts when the
    /// request was sent.
    ///
    /// # Errors
    /// The callout failed, or its response is unusable.
    pub(crate) fn parse_response(&self, result: CalloutResult<'_>) -> Result<(Secret, Duration), CalloutError> {
        let response = result.response()?;
        match response.status {
            200 => {}
            status @ (401 | 403) => return Err(CalloutError::ClientRefused(status)),
            status => return Err(CalloutError::TokenStatus(status)),
        }
        if !response.may_be_json() {
            return Err(CalloutError::InvalidTokenResponse("the Content-Type is not JSON"));
        }
        let Ok(json @ Json::Object(_)) = Json::parse(response.body) else {
            return Err(CalloutError::InvalidTokenResponse("the body is not a JSON object"));
        };
        if json.has_duplicate_names() {
            return Err(CalloutError::InvalidTokenResponse("a member name occurs twice"));
        }
        let member = |name: &str| json.member(name);
        if !member("token_type").and_then(Json::as_str).is_some_and(|kind| kind.eq_ignore_ascii_case("bearer")) {
            return Err(CalloutError::InvalidTokenResponse("token_type is not Bearer"));
        }
        let token = member("access_token").and_then(Json::as_str).filter(|token| is_header_safe(token));
        let token = token
            .ok_or(CalloutError::InvalidTokenResponse("access_token is missing or is not a valid header value"))?;
        let lifetime = match member("expires_in") {
            None => DEFAULT_LIFETIME,
            Some(value) => seconds(value).ok_or(CalloutError::InvalidTokenResponse("expires_in is not a number"))?,
        };
        Ok((Secret::new(token.to_owned()), lifetime.min(MAX_LIFETIME)))
    }
}

fn is_header_safe(token: &str) -> bool {
    !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic())
}

/// The gateway's own access token at one authorization server, per worker.
#[derive(Debug, Default)]
pub(crate) struct ClientToken {
    held: Option<HeldToken>,
    /// Until when a renewal may be pending.
    renewing_until: Option<UnixTime>,
    /// The last error, and until when no new token is requested.
    error: Option<(CalloutError, UnixTime)>,
}

#[derive(Debug)]
struct HeldToken {
    token: Secret,
    renew_at: UnixTime,
    expires_at: UnixTime,
}

impl ClientToken {
    /// Returns the error of the last attempt while it is recent. It limits the rate of attempts: if the server always
    /// refuses the token, requests must not each obtain a new one.
    pub(crate) fn error(&self, now: UnixTime) -> Option<CalloutError> {
        // If the clock was set back, the error must not last longer.
        let lasts = |until: UnixTime| now < until && until <= now.saturating_add(RETRY_AFTER);
        self.error.filter(|(_, until)| lasts(*until)).map(|(error, _)| error)
    }

    /// Records that no token could be obtained, or that the server refused it.
    pub(crate) fn fail(&mut self, error: CalloutError, now: UnixTime) {
        self.error = Some((error, now.saturating_add(RETRY_AFTER)));
    }

    /// Returns the token if it has not expired, also if its renewal is due.
    pub(crate) fn usable(&self, now: UnixTime) -> Option<&Secret> {
        self.held.as_ref().filter(|held| now < held.expires_at).map(|held| &held.token)
    }

    /// Returns whether the caller should obtain a token: there is none, or a renewal is due and no other request has
    /// begun one. A caller that gets `true` must obtain the token within `timeout`.
    pub(crate) fn try_begin_renewal(&mut self, now: UnixTime, timeout: Duration) -> bool {
        let Some(held) = self.held.as_ref().filter(|held| now < held.expires_at) else {
            return true;
        };
        let is_due = now >= held.renew_at && self.renewing_until.is_none_or(|until| now >= until);
        if is_due {
            self.renewing_until = Some(now.saturating_add(timeout));
        }
        is_due
    }

    /// Stores a token that was requested at `sent_at`.
    pub(crate) fn keep(&mut self, token: Secret, lifetime: Duration, sent_at: UnixTime) {
        // The token must not expire before the introspection request arrives.
        let margin = lifetime.mul_f64(0.1).min(MAX_MARGIN);
        let expires_at = sent_at.saturating_add(lifetime.saturating_sub(margin));
        self.held = Some(HeldToken { token, renew_at: sent_at.saturating_add(lifetime.mul_f64(0.8)), expires_at });
        self.renewing_until = None;
        self.error = None;
    }

    /// Discards the token, unless it has been replaced by another one.
    pub(crate) fn discard(&mut self, token: &Secret) {
        if self.held.as_ref().is_some_and(|held| held.token == *token) {
            self.held = None;
        }
    }
}

/// The lifetime if the response has no `expires_in` (RFC 6749 §5.1).
const DEFAULT_LIFETIME: Duration = Duration::from_secs(300);
const MAX_LIFETIME: Duration = Duration::from_secs(86_400);
/// The time between attempts after a failure.
const RETRY_AFTER: Duration = Duration::from_secs(2);
const MAX_MARGIN: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    const START: UnixTime = UnixTime::from_secs(1_000_000);
    const TIMEOUT: Duration = Duration::from_secs(1);

    fn after(seconds: u64) -> UnixTime {
        START.saturating_add(Duration::from_secs(seconds))
    }

    #[test]
    fn one_request_renews_the_token_early() {
        let mut client_token = ClientToken::default();
        assert!(client_token.usable(START).is_none());
        assert!(client_token.try_begin_renewal(START, TIMEOUT));
        client_token.keep(Secret::new("t".to_owned()), Duration::from_secs(100), START);
        assert!(client_token.usable(START).is_some());
        assert!(!client_token.try_begin_renewal(after(79), TIMEOUT));
        // One request renews the token, the others use the old one. A failed renewal is retried.
        assert!(
            client_token.try_begin_renewal(after(80), TIMEOUT) && !client_token.try_begin_renewal(after(80), TIMEOUT)
        );
        assert!(client_token.try_begin_renewal(after(81), TIMEOUT));
        assert!(client_token.usable(after(89)).is_some());
        assert!(client_token.usable(after(90)).is_none());
        assert!(
            client_token.try_begin_renewal(after(90), TIMEOUT) && client_token.try_begin_renewal(after(90), TIMEOUT)
        );
    }

    #[test]
    fn only_the_refused_token_is_discarded() {
        let mut client_token = ClientToken::default();
        let (old, new) = (Secret::new("old".to_owned()), Secret::new("new".to_owned()));
        client_token.keep(new.clone(), Duration::from_secs(100), START);
        client_token.discard(&old);
        assert_eq!(client_token.usable(START), Some(&new));
        client_token.discard(&new);
        assert_eq!(client_token.usable(START), None);
    }
}
