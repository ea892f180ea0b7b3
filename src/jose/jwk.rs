//! The keys of an authorization server (RFC 7517) that can verify signatures. Other keys are ignored.

use std::rc::Rc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac_sha256::Hash;

use super::{Algorithm, PublicKey};
use crate::base::Json;

/// A digest of a key, its `alg` and its `kid`.
pub(crate) type Thumbprint = [u8; 16];

/// A JWK set (RFC 7517 §5).
#[derive(Clone, Debug, Default)]
pub(crate) struct KeySet(Vec<Jwk>);

#[derive(Clone, Debug)]
struct Jwk {
    key_id: Option<String>,
    /// The only algorithm that the key may be used with, if the server states one.
    algorithm: Option<Algorithm>,
    key: Rc<PublicKey>,
    thumbprint: Thumbprint,
}

impl KeySet {
    /// Parses a JWK set. Keys that cannot verify signatures here are ignored, as RFC 7517 §5 requires: encryption keys,
    /// symmetric keys, unknown types, malformed keys, and keys that are too short or too long.
    ///
    /// # Errors
    /// The reason why the set as a whole is invalid.
    pub(crate) fn parse(json: &[u8]) -> Result<Self, &'static str> {
        let json = Json::parse(json).map_err(|_| "the body is not JSON")?;
        if json.has_duplicate_names() {
            return Err("a member name occurs twice");
        }
        let Some(Json::Array(keys)) = json.member("keys") else {
            return Err("`keys` is missing or is not a list");
        };
        if keys.len() > MAX_KEYS {
            return Err("it has more than 32 keys");
        }
        // An empty set is valid: the server has withdrawn all keys.
        Ok(Self(keys.iter().filter_map(Jwk::read).collect()))
    }

    /// Returns the keys that may have signed a token with this algorithm. If the token has a `kid`, only keys with that
    /// `kid` or without one are returned.
    pub(crate) fn candidates(
        &self,
        algorithm: Algorithm,
        key_id: Option<&str>,
    ) -> impl Iterator<Item = (&Rc<PublicKey>, Thumbprint)> {
        self.0
            .iter()
            .filter(move |jwk| jwk.algorithm.is_none_or(|only| only == algorithm) && jwk.key.fits(algorithm))
            .filter(move |jwk| match (key_id, &jwk.key_id) {
                (Some(wanted), Some(name)) => wanted == name,
                (None, _) | (_, None) => true,
            })
            .map(|jwk| (&jwk.key, jwk.thumbprint))
    }

    /// Returns whether the set contains this key.
    pub(crate) fn holds(&self, thumbprint: &Thumbprint) -> bool {
        self.0.iter().any(|jwk| jwk.thumbprint == *thumbprint)
    }
}

impl Jwk {
    fn read(jwk: &Json) -> Option<Self> {
        let text = |name: &str| jwk.member(name).and_then(Json::as_str);
        let bytes = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?).ok();
        if text("use").is_some_and(|purpose| purpose != "sig") {
            return None;
        }
        if let Some(Json::Array(operations)) = jwk.member("key_ops")
            && !operations.iter().any(|operation| operation.as_str() == Some("verify"))
        {
            return None;
        }
        let key = match (text("kty")?, text("crv")) {
            ("RSA", _) => PublicKey::rsa(&bytes("n")?, &bytes("e")?)?,
            ("EC", Some("P-256")) => PublicKey::p256(&bytes("x")?, &bytes("y")?)?,
            ("EC", Some("P-384")) => PublicKey::p384(&bytes("x")?, &bytes("y")?)?,
            ("OKP", Some("Ed25519")) => PublicKey::ed25519(&bytes("x")?)?,
            _ => return None,
        };
        // A key for an unsupported algorithm is ignored.
        let algorithm = match jwk.member("alg") {
            None => None,
            Some(name) => Some(Algorithm::parse(name.as_str()?)?),
        };
        let mut thumbprint = Thumbprint::default();
        // The thumbprint includes `alg` and `kid`, so that cached entries end if the server withdraws one use of a key.
        let [alg, kid] = ["alg", "kid"].map(|name| text(name).unwrap_or_default().as_bytes());
        let identity = [key.der(), &[0], alg, &[0], kid].concat();
        for (to, from) in thumbprint.iter_mut().zip(Hash::hash(&identity)) {
            *to = from;
        }
        Some(Self { key_id: text("kid").map(str::to_owned), algorithm, key: Rc::new(key), thumbprint })
    }
}

/// No server has more keys at a time. A token without `kid` may be verified with each of them.
const MAX_KEYS: usize = 32;
