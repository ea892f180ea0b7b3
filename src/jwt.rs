//! JWT access tokens (RFC 9068, and looser ones), judged here: form, algorithm, key, claims.
//!
//! Everything that costs little is judged before the signature, which costs most; nothing of a token is believed
//! before its signature is verified.

use std::time::Duration;

use crate::callout::{CalloutAnswer, CalloutRequest, Trouble, USER_AGENT};
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
        let response = answer.response()?;
        match response.status {
            200 if !response.may_be_json() => Err(Trouble::BadKeys("its Content-Type is not JSON")),
            200 => KeySet::parse(response.body).map_err(Trouble::BadKeys),
            status => Err(Trouble::KeysStatus(status)),
        }
    }
}

/// The keys that a worker holds of one authorization server.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    held: Option<Held>,
    /// When they were last asked for.
    asked_at: Option<UnixTime>,
    /// Whether somebody has asked for them and left before they came.
    wanted: bool,
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
        // Of a time that is still to come: the clock has stepped back, and their age is unknown.
        let is_old = |held: &Held| held.fetched_at > now || now.saturating_since(held.fetched_at) >= source.refresh;
        self.wanted || self.held.as_ref().is_none_or(is_old) && self.may_ask(source, now, RETRY_INTERVAL)
    }

    /// Notes that they are wanted although nobody waits for them any more.
    pub(crate) fn want(&mut self) {
        self.wanted = true;
    }

    /// Notes that they are being asked for.
    pub(crate) fn ask(&mut self, now: UnixTime) {
        self.asked_at = Some(now);
        self.wanted = false;
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

    /// Whether they have been asked for and have not come: what they would say nobody knows.
    pub(crate) fn are_coming(&self) -> bool {
        let came = |asked: UnixTime| self.held.as_ref().is_some_and(|held| held.fetched_at >= asked);
        self.asked_at.is_some_and(|asked| !came(asked))
    }

    /// Whether keys of that time would be news.
    pub(crate) fn are_older_than(&self, time: UnixTime, now: UnixTime) -> bool {
        self.held.as_ref().is_none_or(|held| held.fetched_at < time || held.fetched_at > now)
    }

    /// Keeps keys that were asked for at `asked_at`, unless newer ones are there.
    pub(crate) fn keep(&mut self, set: KeySet, asked_at: UnixTime, now: UnixTime) {
        if self.held.as_ref().is_none_or(|held| held.fetched_at <= asked_at || held.fetched_at > now) {
            self.held = Some(Held { set, fetched_at: asked_at });
        }
    }
}

/// After a fetch that failed.
const RETRY_INTERVAL: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    const START: UnixTime = UnixTime::from_secs(1_000_000);

    fn after(seconds: u64) -> UnixTime {
        START.saturating_add(Duration::from_secs(seconds))
    }

    fn source() -> KeySource {
        KeySource {
            cluster: "c".to_owned(),
            authority: "a".to_owned(),
            path: "/jwks".to_owned(),
            timeout: Duration::from_secs(1),
            refresh: Duration::from_secs(300),
            max_age: Duration::from_secs(3600),
            min_interval: Duration::from_secs(30),
        }
    }

    fn set() -> KeySet {
        KeySet::parse(br#"{"keys":[]}"#).unwrap()
    }

    #[test]
    fn keys_are_fetched_when_they_are_due_and_for_unknown_ones_at_a_bounded_rate() {
        let (source, mut keys) = (source(), Keys::default());
        assert!(keys.are_due(&source, START) && keys.usable(&source, START).is_none());
        keys.ask(START);
        assert!(!keys.are_due(&source, after(1)) && keys.are_due(&source, after(2)));
        keys.keep(set(), START, after(1));
        assert!(!keys.are_due(&source, after(299)) && keys.are_due(&source, after(300)));
        assert!(
            !keys.claims_fetch_for_unknown(&source, after(29)) && keys.claims_fetch_for_unknown(&source, after(30))
        );
        assert!(!keys.claims_fetch_for_unknown(&source, after(31)));
        assert!(keys.usable(&source, after(3599)).is_some() && keys.usable(&source, after(3600)).is_none());
    }

    #[test]
    fn until_keys_that_were_asked_for_have_come_nobody_knows_what_they_say() {
        let mut keys = Keys::default();
        keys.keep(set(), START, START);
        assert!(!keys.are_coming());
        keys.ask(after(10));
        assert!(keys.are_coming());
        keys.keep(set(), after(10), after(11));
        assert!(!keys.are_coming());
    }

    #[test]
    fn keys_that_somebody_left_without_are_fetched_at_once() {
        let (source, mut keys) = (source(), Keys::default());
        keys.keep(set(), START, START);
        keys.ask(after(10));
        assert!(!keys.are_due(&source, after(10)));
        keys.want();
        assert!(keys.are_due(&source, after(10)));
        keys.ask(after(11));
        assert!(!keys.are_due(&source, after(11)));
    }

    #[test]
    fn keys_of_a_time_to_come_give_way_to_any_others() {
        let (source, mut keys) = (source(), Keys::default());
        // The clock was far ahead, and has been set right.
        keys.ask(after(1_000_000));
        keys.keep(set(), after(1_000_000), after(1_000_000));
        assert!(keys.are_due(&source, START) && keys.are_older_than(START, START));
        keys.ask(START);
        keys.keep(set(), START, START);
        assert!(!keys.are_due(&source, after(299)) && keys.are_due(&source, after(300)));
        // Older ones do not take the place of newer ones.
        keys.keep(set(), after(300), after(300));
        keys.keep(set(), after(200), after(301));
        assert!(!keys.are_due(&source, after(599)));
    }

    #[test]
    fn each_thing_that_is_wrong_with_a_jwt_is_refused_before_its_signature_is_looked_at() {
        use base64::Engine;
        let text = r#"{"authorization_servers":[{"name":"a","cluster":"c","issuer":"https://as.test","audience":["x"],
            "jwt":{"jwks_path":"/jwks"}}],"rules":[{"name":"r","match":[{"path":"/"}],"require":{"authenticated":true}}]}"#;
        let config = crate::config::Config::parse(text.as_bytes(), &|_| None).unwrap();
        let jwt = config.servers[0].jwt.clone().unwrap();
        let read = |header: &str, payload: &str| {
            let encode = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
            let token = format!("{}.{}.c2ln", encode(header), encode(payload));
            let jws = Jws::parse(&token).unwrap();
            jwt.read(&jws, "https://as.test", &Interest::default(), START).map(|claims| claims.client_id)
        };
        let (header, good) = (r#"{"alg":"RS256","typ":"at+jwt"}"#, r#""iss":"https://as.test","exp":1000060"#);
        let with = |more: &str| format!("{{{good}{more}}}");
        assert_eq!(read(header, &with(r#","azp":"web""#)), Ok(Some("web".to_owned())));
        assert_eq!(read(r#"{"alg":"ES256","typ":"application/AT+JWT"}"#, &with(r#","iat":1000030"#)), Ok(None));
        for (header, payload, denial) in [
            (r#"{"alg":"PS256","typ":"at+jwt"}"#, with(""), Denial::MalformedJwt),
            (r#"{"alg":"RS256","typ":"JWT"}"#, with(""), Denial::NotAnAccessToken),
            (r#"{"alg":"RS256"}"#, with(""), Denial::NotAnAccessToken),
            (header, with(r#","nonce":"n""#), Denial::NotAnAccessToken),
            (header, with(r#","events":{}"#), Denial::NotAnAccessToken),
            (header, with(r#","token_use":"id""#), Denial::NotAnAccessToken),
            (header, with(r#","aud":7"#), Denial::MalformedJwt),
            (header, with(r#","iat":1000031"#), Denial::NotYetValid),
            (header, with(r#","iat":"1""#), Denial::NotYetValid),
            (header, r#"{"iss":"https://as.test"}"#.to_owned(), Denial::MalformedJwt),
            (header, r#"{"iss":"https://as.test","exp":1000000}"#.to_owned(), Denial::Expired),
            (header, r#"{"iss":"https://as.test/","exp":1000060}"#.to_owned(), Denial::WrongIssuer),
            (header, r#"{"exp":1000060}"#.to_owned(), Denial::WrongIssuer),
        ] {
            assert_eq!(read(header, &payload), Err(denial), "{header} {payload}");
        }
    }
}
