//! A JWT whose signature is to be verified: by the host, or here if it cannot.

use std::fmt;
use std::rc::Rc;

use super::call;
use super::gate::Gate;
use super::step::Step;
use super::token_check::TokenCheck;
use crate::base::UnixTime;
use crate::cache::BucketUpdate;
use crate::claims::{Claims, Introspection};
use crate::decision::Denial;
use crate::host::CalloutError;
use crate::jose::{Algorithm, Header, Jws, PublicKey, Thumbprint, host_arguments, host_outcome, verify};
use crate::server::{JwtSettings, Server};

/// Waits for the verdict on a signature.
pub struct Verification {
    exchange: TokenCheck,
    candidate: usize,
    server: Rc<Server>,
    jwt: Rc<JwtSettings>,
    algorithm: Algorithm,
    text: String,
    signature: Vec<u8>,
    /// The keys that may have signed it, the first to be tried first.
    keys: Vec<(Rc<PublicKey>, Thumbprint)>,
    /// What the token says, and nobody believes yet.
    claims: Claims,
    /// Whether the keys have just been fetched for it.
    fetched: bool,
}

impl fmt::Debug for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verification").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// What the host says of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostVerdict {
    /// It is good.
    Valid,
    /// It is not.
    Invalid,
    /// The host cannot verify signatures.
    Unable,
}

/// What a verdict leads to.
#[derive(Debug)]
pub struct Verified {
    /// What to keep in shared data, if anything.
    pub insert: Option<BucketUpdate>,
    /// What comes next.
    pub step: Step,
}

impl HostVerdict {
    /// Reads the result of `verify_signature`. What cannot be read is no verdict.
    pub fn from_host(result: &[u8]) -> Self {
        match host_outcome(result) {
            Some(true) => Self::Valid,
            Some(false) => Self::Invalid,
            None => Self::Unable,
        }
    }
}

/// Judges everything about a JWT but its signature, and finds the keys for that. `fetched`: whether the keys
/// have just been fetched for it.
#[expect(clippy::too_many_arguments, reason = "a step of the exchange: its state, and the world")]
pub(super) fn begin(
    exchange: TokenCheck,
    candidate: usize,
    server: Rc<Server>,
    jwt: Rc<JwtSettings>,
    header: &Header,
    fetched: bool,
    gate: &Gate,
    now: UnixTime,
) -> Step {
    let Some(jws) = Jws::parse(exchange.token.reveal(), header) else {
        return exchange.reject(candidate, Denial::MalformedJwt, gate, now);
    };
    let issuer = server.config.tokens.issuer.as_deref().unwrap_or_default();
    let claims = match jwt.read(&jws, issuer, &gate.requested, now) {
        Ok(claims) => claims,
        Err(denial) => return exchange.reject(candidate, denial, gate, now),
    };
    let keys: Option<Vec<_>> = server.keys.borrow().usable(&jwt.keys, now).map(|set| {
        let candidates = set.candidates(jws.algorithm, jws.key_id.as_deref());
        candidates.map(|(key, thumbprint)| (Rc::clone(key), thumbprint)).collect()
    });
    let is_known = keys.as_ref().is_some_and(|keys| !keys.is_empty());
    // Whoever comes while they are being fetched waits for the same answer.
    let waits = || {
        let mut keys = server.keys.borrow_mut();
        keys.are_requested() || keys.claims_fetch_for_unknown(&jwt.keys, now)
    };
    if !is_known && !fetched && waits() {
        return call::fetch_keys(exchange, candidate, server, jwt, now);
    }
    match keys {
        None => exchange.give_up(candidate, CalloutError::NoKeys, gate, now),
        // The key may be among those that are on their way.
        Some(keys) if keys.is_empty() && server.keys.borrow().are_coming() => {
            exchange.give_up(candidate, CalloutError::NoKeys, gate, now)
        }
        Some(keys) if keys.is_empty() => exchange.reject(candidate, Denial::UnknownKey, gate, now),
        Some(keys) => {
            let (algorithm, text, signature) = (jws.algorithm, jws.signing_input.to_owned(), jws.signature);
            let verification =
                Verification { exchange, candidate, server, jwt, algorithm, text, signature, keys, claims, fetched };
            Step::Verify(Box::new(verification))
        }
    }
}

impl Verification {
    /// The argument of the host's `verify_signature`; `None` if the host has nothing to say of such a signature,
    /// which [`HostVerdict::Unable`] then stands for.
    pub fn host_arguments(&self) -> Option<Vec<u8>> {
        let (key, _) = self.keys.first()?;
        host_arguments(key, self.algorithm, self.text.as_bytes(), &self.signature)
    }

    /// Goes on with the verdict on the first key.
    pub fn resume(mut self, gate: &Gate, verdict: HostVerdict, now: UnixTime) -> Verified {
        let Some((key, thumbprint)) = (!self.keys.is_empty()).then(|| self.keys.remove(0)) else {
            return self.refuse(gate, now);
        };
        let is_valid = match verdict {
            HostVerdict::Valid => true,
            HostVerdict::Invalid => false,
            HostVerdict::Unable => {
                // If not even a signature that it should know, it verifies none.
                if key.for_host(self.algorithm, &self.signature).is_some() {
                    gate.host_verifies.set(false);
                }
                verify(&key, self.algorithm, self.text.as_bytes(), &self.signature)
            }
        };
        match (is_valid, self.keys.is_empty()) {
            (true, _) => self.believe(gate, thumbprint, verdict, now),
            (false, true) => self.refuse(gate, now),
            // Without a name any key may be the one.
            (false, false) => Verified { insert: None, step: Step::Verify(Box::new(self)) },
        }
    }

    /// The signature is good.
    fn believe(self, gate: &Gate, thumbprint: Thumbprint, verdict: HostVerdict, now: UnixTime) -> Verified {
        let Self { exchange, candidate, server, jwt, claims, .. } = self;
        let claims = Rc::new(Claims { verified_by: Some(thumbprint), ..claims });
        if let (true, Some(endpoint)) = (jwt.introspects, &server.config.introspection) {
            let question = call::Question { endpoint: Rc::clone(endpoint), signed: Some(claims) };
            let step = call::introspect(exchange, candidate, server, question, gate, now);
            return Verified { insert: None, step };
        }
        let facts = Introspection::Active(claims);
        let fresh = exchange.remember(candidate, &facts, gate, now, now);
        // What the host has verified it would verify again for another worker sooner than that one would find this.
        let fresh = fresh.filter(|_| verdict != HostVerdict::Valid);
        let insert = fresh.and_then(|fresh| exchange.insert(candidate, &fresh, gate, now));
        Verified { insert, step: exchange.decide(candidate, gate, facts, now) }
    }

    /// It is not, unless the server has other keys by now. By those that have just come it is as bad the next
    /// time.
    fn refuse(self, gate: &Gate, now: UnixTime) -> Verified {
        let Self { exchange, candidate, server, jwt, fetched, .. } = self;
        if !fetched && server.keys.borrow_mut().claims_fetch_for_unknown(&jwt.keys, now) {
            return Verified { insert: None, step: call::fetch_keys(exchange, candidate, server, jwt, now) };
        }
        let learned = fetched.then(|| exchange.remember(candidate, &Introspection::Inactive, gate, now, now));
        let insert = learned.flatten().and_then(|fresh| exchange.insert(candidate, &fresh, gate, now));
        Verified { insert, step: exchange.reject(candidate, Denial::BadSignature, gate, now) }
    }
}
