//! The assertions by which our client shows its key (RFC 7523 §3).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac_sha256::Hash;
use p256::pkcs8::DecodePrivateKey;
use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::signature::{SignatureEncoding, Signer};
use rsa::traits::PublicKeyParts;
use serde::Serialize;

use crate::base::UnixTime;

/// A private key.
pub(crate) struct SigningKey {
    key: Key,
    key_id: Option<String>,
    fingerprint: String,
}

/// Both sign deterministically (RFC 6979, RFC 8017 §8.2): no chance is needed.
enum Key {
    Es256(p256::ecdsa::SigningKey),
    Rs256(Box<rsa::pkcs1v15::SigningKey<rsa::sha2::Sha256>>),
}

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
    /// Reads a private key in PEM: PKCS#8 for P-256 (ES256) or RSA of 2048 to 4096 bits (RS256), PKCS#1 for RSA.
    /// `None` if it is none of these.
    pub(crate) fn from_pem(pem: &str, key_id: Option<&str>) -> Option<Self> {
        // Environment variables and YAML often carry line ends as two characters.
        let pem = pem.replace("\\n", "\n");
        let es256 = || p256::ecdsa::SigningKey::from_pkcs8_pem(&pem).ok().map(Key::Es256);
        let rs256 = || {
            let key = rsa::RsaPrivateKey::from_pkcs8_pem(&pem).or_else(|_| rsa::RsaPrivateKey::from_pkcs1_pem(&pem));
            let key = key.ok().filter(|key| RSA_BITS.contains(&key.n().bits()))?;
            Some(Key::Rs256(Box::new(rsa::pkcs1v15::SigningKey::new(key))))
        };
        let key = es256().or_else(rs256)?;
        let fingerprint = Hash::hash(pem.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        Some(Self { key, key_id: key_id.map(str::to_owned), fingerprint })
    }

    /// The assertion as a JWS in compact serialization; `None` if the key cannot sign.
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
            Key::Rs256(key) => URL_SAFE_NO_PAD.encode(key.try_sign(input.as_bytes()).ok()?.to_bytes()),
        };
        Some(format!("{input}.{signature}"))
    }

    /// Whether it signs at all.
    pub(crate) fn can_sign(&self) -> bool {
        let time = UnixTime::from_secs(0);
        let probe = Assertion { issuer: "", subject: "", audience: "", issued_at: time, expires_at: time, id: "" };
        self.sign(&probe).is_some()
    }

    /// Whether each signature takes so long that one for every unknown token would be too many.
    pub(crate) fn is_slow(&self) -> bool {
        match &self.key {
            Key::Es256(_) => false,
            Key::Rs256(key) => key.as_ref().as_ref().n().bits() > 2048,
        }
    }

    /// Tells keys apart without showing them.
    pub(crate) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(redacted)")
    }
}

/// Shorter keys are weak, longer ones slow: signing happens between two bytes of somebody's request.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;
