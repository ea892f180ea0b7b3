//! JWT access tokens (RFC 9068, and looser ones), judged here: form, algorithm, key, claims.
//!
//! Everything that costs little is judged before the signature, which costs most; nothing of a token is believed
//! before its signature is verified.

use std::time::Duration;

use crate::callout::{CalloutAnswer, CalloutRequest, MAX_ANSWER_BYTES, Trouble, USER_AGENT, is_json};
use crate::claims::{Claims, Interest, TokenKind};
use crate::denial::Denial;
use crate::introspection::AnswerDialect;
use crate::jose::{Algorithm, Jws, KeySet, Thumbprint};
use crate::json::Json;
use crate::time::UnixTime;

/// How JWTs of an authorization server are verified.
#[derive(Debug)]
pub(crate) struct JwtConfig {
    pub(crate) keys: KeySource,
    pub(crate) algorithms: Vec<Algorithm>,
    /// What `typ` may be, in lower case and without `application/`.
    pub(crate) types: Vec<String>,
    /// How far `nbf` and `iat` may lie ahead.
    pub(crate) leeway: Duration,
    pub(crate) requires_exp: bool,
    /// Whether the server is asked about tokens whose signature is good, too.
    pub(crate) introspects: bool,
    /// Where the claims are.
    pub(crate) claims: AnswerDialect,
}

/// Where the keys of an authorization server are, and how long they are believed.
#[derive(Debug)]
pub(crate) struct KeySource {
    pub(crate) cluster: String,
    pub(crate) authority: String,
    pub(crate) path: String,
    pub(crate) timeout: Duration,
    /// After this time they are fetched again.
    pub(crate) refresh: Duration,
    /// After this time they are not used any more if they could not be fetched again.
    pub(crate) max_age: Duration,
    /// An unknown key has them fetched at most once in this time.
    pub(crate) min_interval: Duration,
}

impl JwtConfig {
    /// What a token claims, if it is one that this server could have issued as an access token. Its signature is
    /// still to be verified.
    ///
    /// # Errors
    /// Why it is refused whatever its signature says.
    pub(crate) fn read(
        &self,
        jws: &Jws<'_>,
        issuer: &str,
        interest: &Interest,
        now: UnixTime,
    ) -> Result<Claims, Denial> {
        if !self.algorithms.contains(&jws.algorithm) {
            return Err(Denial::MalformedJwt);
        }
        // An ID token or a logout token says `JWT` or its own name; an access token says so (RFC 9068 §2.1).
        if !jws.kind.as_ref().is_some_and(|kind| self.types.contains(kind)) {
            return Err(Denial::NotAnAccessToken);
        }
        let member = |name: &str| jws.members.iter().find(|(held, _)| held == name).map(|(_, value)| value);
        if FOREIGN_CLAIMS.iter().any(|name| member(name).is_some()) {
            return Err(Denial::NotAnAccessToken);
        }
        let claims =
            Claims::from_members(&jws.members, &self.claims, interest, now).map_err(|_| Denial::MalformedJwt)?;
        if claims.kind == TokenKind::NotAccess {
            return Err(Denial::NotAnAccessToken);
        }
        if claims.issuer.as_deref() != Some(issuer) {
            return Err(Denial::WrongIssuer);
        }
        match claims.expires_at {
            None if self.requires_exp => return Err(Denial::MalformedJwt),
            Some(expires_at) if now >= expires_at => return Err(Denial::Expired),
            None | Some(_) => {}
        }
        let ahead = |value: &Json| value.as_f64().is_none_or(|time| seconds(now.saturating_add(self.leeway)) < time);
        if member("iat").is_some_and(ahead) {
            return Err(Denial::NotYetValid);
        }
        Ok(claims)
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds of this century fit")]
fn seconds(time: UnixTime) -> f64 {
    time.as_secs() as f64
}

/// Claims of ID tokens (OpenID Connect Core §2, §3.3.2.11) and of logout tokens (Back-Channel Logout §2.4) that
/// no access token has.
const FOREIGN_CLAIMS: [&str; 5] = ["nonce", "at_hash", "c_hash", "s_hash", "events"];

impl KeySource {
    pub(crate) fn request(&self) -> CalloutRequest<'_> {
        let headers = vec![
            (":method", "GET".into()),
            (":path", self.path.as_str().into()),
            (":authority", self.authority.as_str().into()),
            ("accept", "application/jwk-set+json, application/json".into()),
            USER_AGENT,
        ];
        CalloutRequest { cluster: &self.cluster, headers, body: String::new(), timeout: self.timeout }
    }

    /// The keys in an answer.
    pub(crate) fn understand(&self, answer: CalloutAnswer<'_>) -> Result<KeySet, Trouble> {
        let (status, content_type, body) = match answer {
            CalloutAnswer::NotSent => return Err(Trouble::NotSent),
            CalloutAnswer::NoAnswer => return Err(Trouble::NoAnswer),
            CalloutAnswer::Response { status, content_type, body } => (status, content_type, body),
        };
        match status {
            _ if body.len() > MAX_ANSWER_BYTES => Err(Trouble::TooLarge),
            200 if content_type.is_some_and(|value| !is_json(value)) => {
                Err(Trouble::BadKeys("its Content-Type is not JSON"))
            }
            200 => KeySet::parse(body).map_err(Trouble::BadKeys),
            _ => Err(Trouble::KeysStatus(status)),
        }
    }
}

/// The keys that a worker holds of one authorization server.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    held: Option<Held>,
    /// When they were last asked for.
    asked_at: Option<UnixTime>,
}

#[derive(Debug)]
struct Held {
    set: KeySet,
    fetched_at: UnixTime,
}

impl Keys {
    /// The keys, unless they are too old to be believed.
    pub(crate) fn usable(&self, source: &KeySource, now: UnixTime) -> Option<&KeySet> {
        let held = self.held.as_ref()?;
        (now.saturating_since(held.fetched_at) < source.max_age).then_some(&held.set)
    }

    /// Whether a key is still among those that are believed.
    pub(crate) fn vouch(&self, thumbprint: &Thumbprint, source: &KeySource, now: UnixTime) -> bool {
        self.usable(source, now).is_some_and(|set| set.holds(thumbprint))
    }

    /// Whether it is time to fetch them again, and this worker is not about to.
    pub(crate) fn are_due(&self, source: &KeySource, now: UnixTime) -> bool {
        let old = self.held.as_ref().is_none_or(|held| now.saturating_since(held.fetched_at) >= source.refresh);
        old && self.may_ask(source, now, RETRY_INTERVAL)
    }

    /// Notes that they are being asked for.
    pub(crate) fn ask(&mut self, now: UnixTime) {
        self.asked_at = Some(now);
    }

    /// Whether they may be fetched for a token that none of them has signed. Whoever is told so must try.
    pub(crate) fn claims_fetch_for_unknown(&mut self, source: &KeySource, now: UnixTime) -> bool {
        let interval = if self.usable(source, now).is_some() { source.min_interval } else { RETRY_INTERVAL };
        let free = self.may_ask(source, now, interval);
        if free {
            self.ask(now);
        }
        free
    }

    fn may_ask(&self, source: &KeySource, now: UnixTime, interval: Duration) -> bool {
        let interval = interval.max(source.timeout);
        // A clock that stepped back must not stop fetches.
        let recent = |asked: UnixTime| asked <= now && now.saturating_since(asked) < interval;
        !self.asked_at.is_some_and(recent)
    }

    /// Whether an answer may be on its way.
    pub(crate) fn are_coming(&self, source: &KeySource, now: UnixTime) -> bool {
        let answered = |asked: UnixTime| self.held.as_ref().is_some_and(|held| held.fetched_at >= asked);
        self.asked_at.is_some_and(|asked| now.saturating_since(asked) < source.timeout && !answered(asked))
    }

    /// Whether keys of that time would be news.
    pub(crate) fn are_older_than(&self, time: UnixTime) -> bool {
        self.held.as_ref().is_none_or(|held| held.fetched_at < time)
    }

    /// Keeps keys that were asked for at `asked_at`, unless newer ones are there.
    pub(crate) fn keep(&mut self, set: KeySet, asked_at: UnixTime) {
        if self.held.as_ref().is_none_or(|held| held.fetched_at <= asked_at) {
            self.held = Some(Held { set, fetched_at: asked_at });
        }
    }
}

/// After a fetch that failed.
const RETRY_INTERVAL: Duration = Duration::from_secs(2);
