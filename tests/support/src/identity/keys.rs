//! Keys that a test makes for itself, and what is signed with them.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use p256::ecdsa::signature::{SignatureEncoding as _, Signer as _};
use p256::elliptic_curve::sec1::ToEncodedPoint as _;
use p256::pkcs8::{EncodePrivateKey as _, EncodePublicKey as _, LineEnding};
use rand_core::OsRng;
use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, PublicKeyData, SignatureAlgorithm};
use rsa::pkcs1::EncodeRsaPublicKey as _;
use rsa::traits::PublicKeyParts as _;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::certificates;

/// Returns the current time as a NumericDate, as in `exp`, `iat` and `nbf`.
pub fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970").as_secs()
}

/// A key pair, also in files that are removed with this value.
pub struct SigningKey {
    pair: Pair,
    /// The public key as a certificate holds it.
    public: Vec<u8>,
    directory: TempDir,
}

enum Pair {
    Rsa(Box<rsa::RsaPrivateKey>),
    P256(p256::SecretKey),
}

impl SigningKey {
    #[track_caller]
    pub fn rs256() -> Self {
        Self::rsa(2048)
    }

    /// An RSA key of any length, for RS256.
    #[track_caller]
    pub fn rsa(bits: usize) -> Self {
        Self::keep(Pair::Rsa(Box::new(rsa::RsaPrivateKey::new(&mut OsRng, bits).expect("a key"))))
    }

    #[track_caller]
    pub fn es256() -> Self {
        Self::keep(Pair::P256(p256::SecretKey::random(&mut OsRng)))
    }

    #[track_caller]
    fn keep(pair: Pair) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (private_pem, public_pem, public) = match &pair {
            Pair::Rsa(key) => (
                key.to_pkcs8_pem(LineEnding::LF).expect("a PEM"),
                key.to_public_key().to_public_key_pem(LineEnding::LF).expect("a PEM"),
                key.to_public_key().to_pkcs1_der().expect("a public key").into_vec(),
            ),
            Pair::P256(key) => (
                key.to_pkcs8_pem(LineEnding::LF).expect("a PEM"),
                key.public_key().to_public_key_pem(LineEnding::LF).expect("a PEM"),
                key.public_key().to_encoded_point(false).as_bytes().to_vec(),
            ),
        };
        std::fs::write(directory.path().join("private.pem"), &*private_pem).expect("the private key");
        std::fs::write(directory.path().join("public.pem"), public_pem).expect("the public key");
        Self { pair, public, directory }
    }

    pub fn private_pem(&self) -> PathBuf {
        self.directory.path().join("private.pem")
    }

    pub fn public_pem(&self) -> PathBuf {
        self.directory.path().join("public.pem")
    }

    /// The public key as it stands in a JWK set, with `kid` and no more than that (RFC 7517 §4).
    #[track_caller]
    pub fn jwk(&self, kid: &str) -> Value {
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        match &self.pair {
            Pair::P256(key) => {
                let point = key.public_key().to_encoded_point(false);
                let (x, y) = (point.x().expect("a point"), point.y().expect("a point"));
                json!({ "kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y), "kid": kid })
            }
            Pair::Rsa(key) => {
                let (n, e) = (encode(&key.n().to_bytes_be()), encode(&key.e().to_bytes_be()));
                json!({ "kty": "RSA", "n": n, "e": e, "kid": kid })
            }
        }
    }

    /// Returns a self-signed certificate in DER.
    #[track_caller]
    pub fn certificate(&self) -> Vec<u8> {
        certificates::self_signed(self).der().to_vec()
    }

    /// Returns a self-signed certificate in PEM.
    #[track_caller]
    pub fn certificate_pem(&self) -> String {
        certificates::self_signed(self).pem()
    }

    /// A JWT of these claims, of the type that assertions have.
    #[track_caller]
    pub fn jwt(&self, claims: &Value) -> String {
        let algorithm = match self.pair {
            Pair::Rsa(_) => "RS256",
            Pair::P256(_) => "ES256",
        };
        self.sign(&json!({ "typ": "JWT", "alg": algorithm }), claims)
    }

    /// A JWT with this header, whatever it says.
    #[track_caller]
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        self.sign_texts(header.to_string(), claims.to_string())
    }

    /// A JWS of these bytes (RFC 7515 §7.1), whether they make sense or not.
    #[track_caller]
    pub fn sign_texts(&self, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        self.sign_input(&format!("{}.{}", encode(header.as_ref()), encode(payload.as_ref())))
    }

    /// The text, a dot, and the signature of the text.
    #[track_caller]
    pub fn sign_input(&self, input: &str) -> String {
        let signature = match &self.pair {
            // Two integers of 32 bytes, one after the other (RFC 7518 §3.4), not in DER.
            Pair::P256(key) => ecdsa(key, input.as_bytes()).to_bytes().to_vec(),
            Pair::Rsa(_) => self.signature(input.as_bytes()),
        };
        format!("{input}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }

    /// A signature as a certificate has it: by SHA-256, of ECDSA in DER.
    #[track_caller]
    pub fn signature(&self, text: &[u8]) -> Vec<u8> {
        match &self.pair {
            Pair::P256(key) => ecdsa(key, text).to_der().as_bytes().to_vec(),
            Pair::Rsa(key) => {
                let key = rsa::pkcs1v15::SigningKey::<rsa::sha2::Sha256>::new((**key).clone());
                key.sign(text).to_vec()
            }
        }
    }
}

fn ecdsa(key: &p256::SecretKey, text: &[u8]) -> p256::ecdsa::Signature {
    p256::ecdsa::SigningKey::from(key).sign(text)
}

impl PublicKeyData for SigningKey {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        match self.pair {
            Pair::Rsa(_) => &PKCS_RSA_SHA256,
            Pair::P256(_) => &PKCS_ECDSA_P256_SHA256,
        }
    }
}

impl rcgen::SigningKey for SigningKey {
    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(self.signature(text))
    }
}

/// Returns the header and the claims of a JWT without verifying its signature.
#[track_caller]
pub fn jwt_parts(token: &str) -> (Value, Value) {
    let read = |part: &str| {
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("a part in JSON")
    };
    let parts: Vec<_> = token.split('.').collect();
    (read(parts[0]), read(parts[1]))
}

/// The JWT with another header and other claims, and the signature that it had.
#[track_caller]
pub fn forged(token: &str, header: &Value, claims: &Value) -> String {
    let (_, signature) = token.rsplit_once('.').expect("a JWT");
    let write = |json: &Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
    format!("{}.{}.{signature}", write(header), write(claims))
}
