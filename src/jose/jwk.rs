//! The keys of an authorization server (RFC 7517): those that can verify signatures, the others left out.

use std::rc::Rc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac_sha256::Hash;

use super::{Algorithm, PublicKey};
use crate::base::Json;

/// What tells one key from another, whatever it is called.
pub(crate) type Thumbprint = [u8; 16];

/// A JWK set (RFC 7517 §5).
#[derive(Clone, Debug, Default)]
pub(crate) struct KeySet(Vec<Jwk>);

#[derive(Clone, Debug)]
struct Jwk {
    key_id: Option<String>,
    /// The only algorithm that it may be used with, if the server says so.
    algorithm: Option<Algorithm>,
    key: Rc<PublicKey>,
    thumbprint: Thumbprint,
}

impl KeySet {
    /// Reads a JWK set. Keys that cannot verify signatures here are passed over, as RFC 7517 §5 wants it: for
    /// encryption, symmetric, of an unknown kind, malformed, too short or too long.
    ///
    /// # Errors
    /// What is wrong with the set as a whole.
    pub(crate) fn parse(json: &[u8]) -> Result<Self, &'static str> {
        let json = Json::parse(json).map_err(|_| "it is not JSON")?;
        if json.has_duplicate_names() {
            return Err("a member occurs twice");
        }
        let Some(Json::Array(keys)) = json.member("keys") else {
            return Err("it has no list `keys`");
        };
        if keys.len() > MAX_KEYS {
            return Err("it has too many keys");
        }
        // None at all is a statement, too: the server has withdrawn them.
        Ok(Self(keys.iter().filter_map(Jwk::read).collect()))
    }

    /// The keys that may have signed with this algorithm: of the name, if the token gives one, or without a name;
    /// else all.
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

    /// Whether this key is still among them.
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
        // An algorithm that is not ours makes the key none of ours, too.
        let algorithm = match jwk.member("alg") {
            None => None,
            Some(name) => Some(Algorithm::parse(name.as_str()?)?),
        };
        let mut thumbprint = Thumbprint::default();
        // With what it is called and may be used for: whoever withdraws one use of a key ends what that has vouched for.
        let [alg, kid] = ["alg", "kid"].map(|name| text(name).unwrap_or_default().as_bytes());
        let identity = [key.der(), &[0], alg, &[0], kid].concat();
        for (to, from) in thumbprint.iter_mut().zip(Hash::hash(&identity)) {
            *to = from;
        }
        Some(Self { key_id: text("kid").map(str::to_owned), algorithm, key: Rc::new(key), thumbprint })
    }
}

/// More keys than any server has at a time; each token without `kid` may be tried with all of them.
const MAX_KEYS: usize = 32;
