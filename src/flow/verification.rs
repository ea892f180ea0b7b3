//! Verifies JWTs: everything but the signature first, which costs most; then the signature, by the host or here.

use std::rc::Rc;

use super::gate::Context;
use super::question::Question;
use super::remember::{insertion, keep_local};
use super::states::{Next, Step, TokenCheck, Verification};
use crate::cache::BucketUpdate;
use crate::claims::{Claims, TokenState};
use crate::decision::Denial;
use crate::host::{CalloutError, SignatureVerdict};
use crate::jose::{Header, Jws, Thumbprint, host_arguments, verify};
use crate::server::JwtSettings;

/// Checks everything about a JWT but its signature, and finds the keys for that. `fetched`: whether the keys have just
/// been fetched for it.
pub(super) fn begin(
    check: TokenCheck,
    jwt: Rc<JwtSettings>,
    header: &Header,
    fetched: bool,
    cx: &mut Context<'_>,
) -> Next {
    let server = Rc::clone(check.server());
    let Some(jws) = Jws::parse(check.token.reveal(), header) else { return check.reject(Denial::MalformedJwt) };
    let issuer = server.config.tokens.issuer.as_deref().unwrap_or_default();
    let claims = match jwt.read(&jws, issuer, &cx.gate.requested, cx.now) {
        Ok(claims) => claims,
        Err(denial) => return check.reject(denial),
    };
    let keys: Option<Vec<_>> = server.keys().usable(&jwt.keys, cx.now).map(|set| {
        let candidates = set.candidates(jws.algorithm, jws.key_id.as_deref());
        candidates.map(|(key, thumbprint)| (Rc::clone(key), thumbprint)).collect()
    });
    let is_known = keys.as_ref().is_some_and(|keys| !keys.is_empty());
    // Requests that come while the keys are being fetched wait for the same response.
    let may_fetch = || server.keys().are_requested() || server.keys_mut().try_begin_fetch(&jwt.keys, cx.now);
    if !is_known && !fetched && may_fetch() {
        return Next::FetchKeys(check, jwt);
    }
    let Some(keys) = keys else { return check.give_up(CalloutError::NoKeys) };
    let mut keys = keys.into_iter();
    let Some(key) = keys.next() else {
        // The key may be among those that are being fetched.
        let are_coming = server.keys().are_coming();
        return if are_coming { check.give_up(CalloutError::NoKeys) } else { check.reject(Denial::UnknownKey) };
    };
    let (algorithm, text, signature) = (jws.algorithm, jws.signing_input.to_owned(), jws.signature);
    let verification = Verification { check, jwt, algorithm, text, signature, key, other_keys: keys, claims, fetched };
    Next::Step(Step::VerifySignature(Box::new(verification)))
}

impl Verification {
    /// The argument of the host's `verify_signature`; `None` if the host cannot verify such a signature.
    pub(crate) fn host_arguments(&self) -> Option<Vec<u8>> {
        host_arguments(&self.key.0, self.algorithm, self.text.as_bytes(), &self.signature)
    }
}

/// Goes on with the verdict on the key that is tried; and what to put into the shared cache, if anything.
pub(super) fn resume(
    mut verification: Verification,
    verdict: SignatureVerdict,
    cx: &mut Context<'_>,
) -> (Option<BucketUpdate>, Next) {
    let Verification { key: (key, thumbprint), algorithm, text, signature, .. } = &verification;
    let is_valid = match verdict {
        SignatureVerdict::Valid => true,
        SignatureVerdict::Invalid => false,
        SignatureVerdict::Unsupported => {
            // If not even a signature that every such host verifies, it verifies none.
            if key.for_host(*algorithm, signature).is_some() {
                cx.state.host_verifies = false;
            }
            verify(key, *algorithm, text.as_bytes(), signature)
        }
    };
    if is_valid {
        let thumbprint = *thumbprint;
        return accept(verification, thumbprint, verdict, cx);
    }
    // A token without a key id may have been signed by any of the keys.
    match verification.other_keys.next() {
        Some(key) => {
            verification.key = key;
            (None, Next::Step(Step::VerifySignature(Box::new(verification))))
        }
        None => refuse(verification, cx),
    }
}

fn accept(
    verification: Verification,
    thumbprint: Thumbprint,
    verdict: SignatureVerdict,
    cx: &mut Context<'_>,
) -> (Option<BucketUpdate>, Next) {
    let Verification { check, jwt, claims, .. } = verification;
    let claims = Rc::new(Claims { verified_by: Some(thumbprint), ..claims });
    if let (true, Some(endpoint)) = (jwt.introspects, &check.server().config.introspection) {
        let question = Question { endpoint: Rc::clone(endpoint), signed: Some(claims) };
        return (None, Next::Introspect(check, question));
    }
    let state = TokenState::Active(claims);
    let entry = keep_local(&check, &state, cx.now, cx);
    // The host verifies the signature for another worker sooner than that worker would find this entry.
    let entry = entry.filter(|_| verdict != SignatureVerdict::Valid);
    let update = entry.and_then(|entry| insertion(&check, &entry, cx));
    (update, Next::Decide(check, state))
}

/// The signature is not valid, unless the server has other keys by now. If the keys have just been fetched, the token is
/// cached as inactive.
fn refuse(verification: Verification, cx: &mut Context<'_>) -> (Option<BucketUpdate>, Next) {
    let Verification { check, jwt, fetched, .. } = verification;
    if !fetched && check.server().keys_mut().try_begin_fetch(&jwt.keys, cx.now) {
        return (None, Next::FetchKeys(check, jwt));
    }
    let entry = fetched.then(|| keep_local(&check, &TokenState::Inactive, cx.now, cx)).flatten();
    let update = entry.and_then(|entry| insertion(&check, &entry, cx));
    (update, check.reject(Denial::BadSignature))
}
