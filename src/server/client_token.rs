//! Our own access token, for introspection endpoints that take a bearer token of their callers (RFC 7662 §2.1):
//! obtained by client credentials (RFC 6749 §4.4), renewed before it ends.

use std::borrow::Cow;
use std::time::Duration;

use super::client_authentication::{ClientAuthentication, form};
use super::clusters::Clusters;
use super::failover::Attempt;
use crate::base::{Json, Secret, SeededRandom, UnixTime};
use crate::claims::seconds;
use crate::host::{CalloutError, CalloutRequest, CalloutResult, USER_AGENT};

/// The token endpoint that issues our own token.
#[derive(Debug)]
pub(crate) struct TokenEndpoint {
    pub(crate) clusters: Clusters,
    /// Whether it has a cluster of its own.
    pub(crate) is_elsewhere: bool,
    pub(crate) authority: String,
    pub(crate) path: String,
    pub(crate) authentication: ClientAuthentication,
    /// `grant_type`, `scope` and whatever else the request has.
    pub(crate) parameters: Vec<(String, String)>,
    pub(crate) timeout: Duration,
}

impl TokenEndpoint {
    /// RFC 6749 §4.4.2
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

    /// RFC 6749 §5.1: the token, and how long after the request it lives.
    pub(crate) fn parse_response(&self, result: CalloutResult<'_>) -> Result<(Secret, Duration), CalloutError> {
        let response = result.response()?;
        match response.status {
            200 => {}
            status @ (401 | 403) => return Err(CalloutError::ClientRefused(status)),
            status => return Err(CalloutError::TokenStatus(status)),
        }
        if !response.may_be_json() {
            return Err(CalloutError::BadTokenAnswer("its Content-Type is not JSON"));
        }
        let Ok(json @ Json::Object(_)) = Json::parse(response.body) else {
            return Err(CalloutError::BadTokenAnswer("it is not a JSON object"));
        };
        if json.has_duplicate_names() {
            return Err(CalloutError::BadTokenAnswer("a member occurs twice"));
        }
        let member = |name: &str| json.member(name);
        if !member("token_type").and_then(Json::as_str).is_some_and(|kind| kind.eq_ignore_ascii_case("bearer")) {
            return Err(CalloutError::BadTokenAnswer("its token_type is not Bearer"));
        }
        let token = member("access_token").and_then(Json::as_str).filter(|token| is_header_safe(token));
        let token = token.ok_or(CalloutError::BadTokenAnswer("it has no access_token that a header could carry"))?;
        let lifetime = match member("expires_in") {
            None => DEFAULT_LIFETIME,
            Some(value) => seconds(value).ok_or(CalloutError::BadTokenAnswer("its expires_in is not a number"))?,
        };
        Ok((Secret::new(token.to_owned()), lifetime.min(MAX_LIFETIME)))
    }
}

fn is_header_safe(token: &str) -> bool {
    !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic())
}

/// The token that a worker holds for one authorization server.
#[derive(Debug, Default)]
pub(crate) struct ClientToken {
    held: Option<Held>,
    /// Until when a renewal may be under way.
    renewing_until: Option<UnixTime>,
    /// Why there is none, or none that is taken, and until when nobody tries again.
    error: Option<(CalloutError, UnixTime)>,
}

#[derive(Debug)]
struct Held {
    token: Secret,
    renew_at: UnixTime,
    expires_at: UnixTime,
}

impl ClientToken {
    /// Why it makes no sense to ask at the moment: a token that is refused for good must not have every request
    /// obtain another.
    pub(crate) fn error(&self, now: UnixTime) -> Option<CalloutError> {
        // A clock that stepped back must not make it last.
        let lasts = |until: UnixTime| now < until && until <= now.saturating_add(RETRY_AFTER);
        self.error.filter(|(_, until)| lasts(*until)).map(|(error, _)| error)
    }

    /// Notes that there is no token to be had, or none that is taken.
    pub(crate) fn fail(&mut self, error: CalloutError, now: UnixTime) {
        self.error = Some((error, now.saturating_add(RETRY_AFTER)));
    }

    /// The token, if it lives; without regard to whether it is time to renew it.
    pub(crate) fn usable(&self, now: UnixTime) -> Option<&Secret> {
        self.held.as_ref().filter(|held| now < held.expires_at).map(|held| &held.token)
    }

    /// Whether this request should obtain a token: there is none, or it nears its end and no other request is
    /// about to renew it. Whoever is told so must try, within `timeout`.
    pub(crate) fn try_begin_renewal(&mut self, now: UnixTime, timeout: Duration) -> bool {
        let Some(held) = self.held.as_ref().filter(|held| now < held.expires_at) else {
            return true;
        };
        let due = now >= held.renew_at && self.renewing_until.is_none_or(|until| now >= until);
        if due {
            self.renewing_until = Some(now.saturating_add(timeout));
        }
        due
    }

    /// Keeps a token that was asked for at `asked_at`.
    pub(crate) fn keep(&mut self, token: Secret, lifetime: Duration, asked_at: UnixTime) {
        // A token must outlive the request that it is sent with.
        let margin = lifetime.mul_f64(0.1).min(MAX_MARGIN);
        let expires_at = asked_at.saturating_add(lifetime.saturating_sub(margin));
        self.held = Some(Held { token, renew_at: asked_at.saturating_add(lifetime.mul_f64(0.8)), expires_at });
        self.renewing_until = None;
        self.error = None;
    }

    /// Forgets the token, if it is still this one.
    pub(crate) fn discard(&mut self, token: &Secret) {
        if self.held.as_ref().is_some_and(|held| held.token == *token) {
            self.held = None;
        }
    }
}

/// For servers that do not say how long a token lives (RFC 6749 §5.1).
const DEFAULT_LIFETIME: Duration = Duration::from_secs(300);
const MAX_LIFETIME: Duration = Duration::from_secs(86_400);
/// After a failure.
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
    fn a_token_is_renewed_by_one_request_before_it_ends() {
        let mut own = ClientToken::default();
        assert!(own.usable(START).is_none() && own.try_begin_renewal(START, TIMEOUT));
        own.keep(Secret::new("t".to_owned()), Duration::from_secs(100), START);
        assert!(own.usable(START).is_some() && !own.try_begin_renewal(after(79), TIMEOUT));
        // One renews, the others go on with the old one; a renewal that comes to nothing is tried again.
        assert!(own.try_begin_renewal(after(80), TIMEOUT) && !own.try_begin_renewal(after(80), TIMEOUT));
        assert!(own.try_begin_renewal(after(81), TIMEOUT));
        assert!(own.usable(after(89)).is_some() && own.usable(after(90)).is_none());
        assert!(own.try_begin_renewal(after(90), TIMEOUT) && own.try_begin_renewal(after(90), TIMEOUT));
    }

    #[test]
    fn only_the_token_that_was_refused_is_forgotten() {
        let mut own = ClientToken::default();
        let (old, new) = (Secret::new("old".to_owned()), Secret::new("new".to_owned()));
        own.keep(new.clone(), Duration::from_secs(100), START);
        own.discard(&old);
        assert_eq!(own.usable(START), Some(&new));
        own.discard(&new);
        assert_eq!(own.usable(START), None);
    }
}
