//! The assertions by which the gateway's client authenticates (RFC 7523 §3).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac_sha256::Hash;
use p256::pkcs8::DecodePrivateKey;
use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::rand_core::{CryptoRng, CryptoRngCore, Error, RngCore, impls};
use rsa::signature::{RandomizedSigner, SignatureEncoding, Signer};
use rsa::traits::PublicKeyParts;
use serde::Serialize;

use crate::base::UnixTime;

/// A private key.
pub(crate) struct SigningKey {
    key: Key,
    key_id: Option<String>,
    fingerprint: String,
}

/// Both kinds of keys sign deterministically (RFC 6979, RFC 8017 §8.2): the signature depends only on key and text.
enum Key {
    Es256(p256::ecdsa::SigningKey),
    Rs256(Box<BlindedKey>),
}

/// An RSA key that always signs with blinding.
struct BlindedKey {
    key: Rs256,
    /// The seed of the blinding, derived from the private key.
    secret: [u8; 32],
}

type Rs256 = rsa::pkcs1v15::SigningKey<rsa::sha2::Sha256>;

/// The claims of an assertion.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Assertion<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) audience: &'a str,
    pub(crate) issued_at: UnixTime,
    pub(crate) expires_at: UnixTime,
    pub(crate) id: &'a str,
}

#[derive(Serialize)]
struct Header<'a> {
    alg: &'a str,
    typ: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'a str>,
}

#[derive(Serialize)]
struct Payload<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    iat: u64,
    exp: u64,
    jti: &'a str,
}

impl SigningKey {
    /// Parses a private key in PEM: PKCS#8 for P-256 (ES256), PKCS#8 or PKCS#1 for RSA of 2048 to 4096 bits (RS256).
    /// Returns `None` for other keys.
    pub(crate) fn from_pem(pem: &str, key_id: Option<&str>) -> Option<Self> {
        // Environment variables and YAML often contain line breaks as `\n`.
        let pem = pem.replace("\\n", "\n");
        let es256 = || p256::ecdsa::SigningKey::from_pkcs8_pem(&pem).ok().map(Key::Es256);
        let rs256 = || {
            let key = rsa::RsaPrivateKey::from_pkcs8_pem(&pem).or_else(|_| rsa::RsaPrivateKey::from_pkcs1_pem(&pem));
            let key = key.ok().filter(|key| RSA_BITS.contains(&key.n().bits()))?;
            let secret = Hash::hash(&[b"blinding\0", pem.as_bytes()].concat());
            Some(Key::Rs256(Box::new(BlindedKey { key: Rs256::new(key), secret })))
        };
        let key = es256().or_else(rs256)?;
        let fingerprint = Hash::hash(pem.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        Some(Self { key, key_id: key_id.map(str::to_owned), fingerprint })
    }

    /// Signs an assertion as a JWS in compact serialization; `None` if the key cannot sign.
    pub(crate) fn sign(&self, assertion: &Assertion<'_>) -> Option<String> {
        let alg = match self.key {
            Key::Es256(_) => "ES256",
            Key::Rs256(_) => "RS256",
        };
        let header = Header { alg, typ: "JWT", kid: self.key_id.as_deref() };
        let payload = Payload {
            iss: assertion.issuer,
            sub: assertion.subject,
            aud: assertion.audience,
            iat: assertion.issued_at.as_secs(),
            exp: assertion.expires_at.as_secs(),
            jti: assertion.id,
        };
        let part = |json: String| URL_SAFE_NO_PAD.encode(json);
        let input =
            format!("{}.{}", part(serde_json::to_string(&header).ok()?), part(serde_json::to_string(&payload).ok()?));
        let signature = match &self.key {
            Key::Es256(key) => {
                let signature: p256::ecdsa::Signature = key.try_sign(input.as_bytes()).ok()?;
                URL_SAFE_NO_PAD.encode(signature.to_bytes())
            }
            Key::Rs256(key) => URL_SAFE_NO_PAD.encode(key.sign(input.as_bytes())?),
        };
        Some(format!("{input}.{signature}"))
    }

    /// Returns whether the key can sign.
    pub(crate) fn can_sign(&self) -> bool {
        let time = UnixTime::from_secs(0);
        let probe = Assertion { issuer: "", subject: "", audience: "", issued_at: time, expires_at: time, id: "" };
        self.sign(&probe).is_some()
    }

    /// Returns whether signing is too slow for one signature per unknown token.
    pub(crate) fn is_slow(&self) -> bool {
        match &self.key {
            Key::Es256(_) => false,
            Key::Rs256(key) => key.key.as_ref().n().bits() > 2048,
        }
    }

    /// Returns a digest that identifies the key without revealing it.
    pub(crate) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(redacted)")
    }
}

impl BlindedKey {
    /// Blinds the exponentiation with random numbers (RUSTSEC-2023-0071), so that the time of a signature reveals
    /// nothing about the key. Blinding does not change the signature.
    fn sign(&self, text: &[u8]) -> Option<Box<[u8]>> {
        self.sign_with(&mut Blinding::new(&self.secret, text), text)
    }

    fn sign_with(&self, random: &mut impl CryptoRngCore, text: &[u8]) -> Option<Box<[u8]>> {
        Some(self.key.try_sign_with_rng(random, text).ok()?.to_bytes())
    }
}

/// The random numbers for one signature, derived from the secret and the text. They are unpredictable without the key,
/// and need no random source that could fail. Each assertion has a unique `jti`, so no two signatures share them.
struct Blinding {
    seed: [u8; 32],
    drawn: u64,
}

impl Blinding {
    fn new(secret: &[u8; 32], text: &[u8]) -> Self {
        let mut hash = Hash::new();
        hash.update(secret);
        hash.update(text);
        Self { seed: hash.finalize(), drawn: 0 }
    }
}

impl RngCore for Blinding {
    fn next_u32(&mut self) -> u32 {
        impls::next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        impls::next_u64_via_fill(self)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            self.drawn = self.drawn.wrapping_add(1);
            let mut hash = Hash::new();
            hash.update(self.seed);
            hash.update(self.drawn.to_le_bytes());
            for (to, from) in chunk.iter_mut().zip(hash.finalize()) {
                *to = from;
            }
        }
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

impl CryptoRng for Blinding {}

/// Shorter keys are weak. Longer keys are slow, and a signature blocks the worker thread.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;

#[cfg(test)]
mod tests {
    use rsa::pkcs8::EncodePrivateKey;

    use super::*;

    #[test]
    fn blinding_does_not_change_rsa_signatures() {
        let key = rsa::RsaPrivateKey::new(&mut rand_core::OsRng, 2048).unwrap();
        let pem = key.to_pkcs8_pem(rsa::pkcs8::LineEnding::LF).unwrap();
        let key = BlindedKey { key: Rs256::new(key), secret: [7; 32] };
        let mut blinding = Blinding::new(&key.secret, b"text");
        let blinded = key.sign_with(&mut blinding, b"text").unwrap();
        assert!(blinding.drawn > 0, "no random number was drawn");
        assert_eq!(blinded, key.key.sign(b"text").to_bytes());

        let signer = SigningKey::from_pem(&pem, None).unwrap();
        let time = UnixTime::from_secs(0);
        let assertion =
            Assertion { issuer: "a", subject: "a", audience: "b", issued_at: time, expires_at: time, id: "c" };
        let token = signer.sign(&assertion).unwrap();
        let (input, signature) = token.rsplit_once('.').unwrap();
        assert_eq!(signature, URL_SAFE_NO_PAD.encode(key.key.sign(input.as_bytes()).to_bytes()));
    }

    #[test]
    fn blinding_depends_on_secret_and_text() {
        let draw = |secret: [u8; 32], text: &[u8]| {
            let mut bytes = [0; 80];
            Blinding::new(&secret, text).fill_bytes(&mut bytes);
            bytes
        };
        let drawn = draw([7; 32], b"a");
        assert_eq!(drawn, draw([7; 32], b"a"));
        assert_ne!(drawn, draw([8; 32], b"a"));
        assert_ne!(drawn, draw([7; 32], b"b"));
        assert_ne!(drawn[..32], drawn[32..64], "a block is repeated");
        assert_ne!(drawn[64..], [0; 16], "the last bytes are not filled");
    }
}
