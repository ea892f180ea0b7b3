//! Verifies JWTs: everything except the signature first, because the signature costs most; then the signature, by the
//! host or here.

use std::rc::Rc;

use super::cache_updates::{insertion, store_local};
use super::gate::Context;
use super::introspection::Introspection;
use super::token_check::{Next, Step, TokenCheck, Verification};
use crate::cache::BucketUpdate;
use crate::claims::{Claims, TokenState};
use crate::decision::Denial;
use crate::host::{CalloutError, SignatureVerdict};
use crate::jose::{Header, Jws, Thumbprint, host_arguments, verify};
use crate::server::JwtSettings;

/// Checks everything about a JWT except its signature, and selects the keys for the signature. `fetched`: whether the
/// keys were just fetched for it.
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
    let has_keys = keys.as_ref().is_some_and(|keys| !keys.is_empty());
    // Requests that arrive while the keys are being fetched wait for the same response.
    let may_fetch = || server.keys().are_requested() || server.keys_mut().try_begin_fetch(&jwt.keys, cx.now);
    if !has_keys && !fetched && may_fetch() {
        return Next::FetchKeys(check, jwt);
    }
    let Some(keys) = keys else { return check.give_up(CalloutError::NoKeys) };
    let mut keys = keys.into_iter();
    let Some(key) = keys.next() else {
        // The key may be among those that are being fetched.
        let are_pending = server.keys().are_pending();
        return if are_pending { check.give_up(CalloutError::NoKeys) } else { check.reject(Denial::UnknownKey) };
    };
    let (algorithm, text, signature) = (jws.algorithm, jws.signing_input.to_owned(), jws.signature);
    let verification = Verification { check, jwt, algorithm, text, signature, key, other_keys: keys, claims, fetched };
    Next::Step(Step::VerifySignature(Box::new(verification)))
}

impl Verification {
    /// Returns the argument of the host's `verify_signature`; `None` if the host cannot verify this signature.
    pub(crate) fn host_arguments(&self) -> Option<Vec<u8>> {
        host_arguments(&self.key.0, self.algorithm, self.text.as_bytes(), &self.signature)
    }
}

/// Continues with the verdict for the current key. Also returns an update of the shared cache, if any.
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
            // The host rejects a signature that every host with this function supports, so it has no such function.
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
        let introspection = Introspection { endpoint: Rc::clone(endpoint), signed: Some(claims) };
        return (None, Next::Introspect(check, introspection));
    }
    let state = TokenState::Active(claims);
    let entry = store_local(&check, &state, cx.now, cx);
    // Other workers get the verdict of the host faster than this entry.
    let entry = entry.filter(|_| verdict != SignatureVerdict::Valid);
    let update = entry.and_then(|entry| insertion(&check, &entry, cx));
    (update, Next::Decide(check, state))
}

/// The signature is invalid, unless the server has new keys. If the keys were just fetched, the token is cached as
/// inactive.
fn refuse(verification: Verification, cx: &mut Context<'_>) -> (Option<BucketUpdate>, Next) {
    let Verification { check, jwt, fetched, .. } = verification;
    if !fetched && check.server().keys_mut().try_begin_fetch(&jwt.keys, cx.now) {
        return (None, Next::FetchKeys(check, jwt));
    }
    let entry = fetched.then(|| store_local(&check, &TokenState::Inactive, cx.now, cx)).flatten();
    let update = entry.and_then(|entry| insertion(&check, &entry, cx));
    (update, check.reject(Denial::BadSignature))
}
