//! Keys of a fictitious authorization server, and tokens that it could have issued.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::signature::{SignatureEncoding, Signer};
use rand_core::{OsRng, RngCore};
use rsa::traits::PublicKeyParts;
use rsa::{RsaPrivateKey, pkcs1v15, pss, sha2};
use serde_json::{Value, json};

/// `iss` of every token.
pub const ISSUER: &str = "https://id.example.test";
/// `aud` of every token.
pub const AUDIENCE: &str = "https://bookings.example.test/";
/// A scope that every token has.
pub const SCOPE: &str = "view";

/// A signature algorithm by its name (RFC 7518 §3, RFC 8037 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// ECDSA with P-256 and SHA-256.
    Es256,
    /// ECDSA with P-384 and SHA-384.
    Es384,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Rs256, Self::Rs384, Self::Rs512, Self::Ps256, Self::Es256, Self::Es384, Self::EdDsa];

    /// As `alg` spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }

    /// Whether Envoy's `verify_signature` knows it.
    #[must_use]
    pub const fn host_verifies(self) -> bool {
        !matches!(self, Self::Ps256 | Self::EdDsa)
    }
}

/// One key of each kind.
pub struct Issuer {
    rsa: RsaPrivateKey,
    p256: p256::ecdsa::SigningKey,
    p384: p384::ecdsa::SigningKey,
    ed25519: ed25519_compact::KeyPair,
}

impl Issuer {
    /// New ones.
    pub fn new() -> Result<Self> {
        let mut seed = [0; 32];
        OsRng.fill_bytes(&mut seed);
        Ok(Self {
            rsa: RsaPrivateKey::new(&mut OsRng, 2048)?,
            p256: p256::ecdsa::SigningKey::random(&mut OsRng),
            p384: p384::ecdsa::SigningKey::random(&mut OsRng),
            ed25519: ed25519_compact::KeyPair::from_seed(ed25519_compact::Seed::new(seed)),
        })
    }

    /// The JWK set (RFC 7517 §5), with one key for each algorithm, so that a verifier never has to try several.
    pub fn keys(&self) -> Result<Value> {
        let keys: Result<Vec<Value>> = Algorithm::ALL.into_iter().map(|algorithm| self.key(algorithm)).collect();
        Ok(json!({ "keys": keys? }))
    }

    fn key(&self, algorithm: Algorithm) -> Result<Value> {
        let mut key = match algorithm {
            Algorithm::Rs256 | Algorithm::Rs384 | Algorithm::Rs512 | Algorithm::Ps256 => json!({
                "kty": "RSA",
                "n": encode(&self.rsa.n().to_bytes_be()),
                "e": encode(&self.rsa.e().to_bytes_be()),
            }),
            Algorithm::Es256 => {
                let point = self.p256.verifying_key().to_encoded_point(false);
                let (x, y) = (point.x().context("no x")?, point.y().context("no y")?);
                json!({ "kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y) })
            }
            Algorithm::Es384 => {
                let point = self.p384.verifying_key().to_encoded_point(false);
                let (x, y) = (point.x().context("no x")?, point.y().context("no y")?);
                json!({ "kty": "EC", "crv": "P-384", "x": encode(x), "y": encode(y) })
            }
            Algorithm::EdDsa => json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(&self.ed25519.pk[..]) }),
        };
        key["kid"] = json!(algorithm.name());
        key["alg"] = json!(algorithm.name());
        key["use"] = json!("sig");
        Ok(key)
    }

    /// Distinct access tokens (RFC 9068) of about [`JWT_BYTES`], good for an hour.
    pub fn jwts(&self, algorithm: Algorithm, count: usize) -> Result<Vec<String>> {
        let halves = count / 2;
        // Signing thousands with RSA takes a while, so two threads share it.
        std::thread::scope(|scope| {
            let other =
                scope.spawn(|| (0..halves).map(|number| self.jwt(algorithm, number, HOUR)).collect::<Result<Vec<_>>>());
            let rest: Result<Vec<String>> = (halves..count).map(|number| self.jwt(algorithm, number, HOUR)).collect();
            let mut tokens = other.join().map_err(|_| anyhow::anyhow!("a thread that signs panicked"))??;
            tokens.extend(rest?);
            Ok(tokens)
        })
    }

    /// An access token that expires in so many seconds, or expired so many seconds ago.
    pub fn jwt(&self, algorithm: Algorithm, number: usize, life_seconds: i64) -> Result<String> {
        let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?;
        let header = json!({ "alg": algorithm.name(), "typ": "at+jwt", "kid": algorithm.name() });
        let mut claims = json!({
            "iss": ISSUER,
            "sub": format!("6f9619ff-8b86-d011-b42d-{number:012x}"),
            "aud": AUDIENCE,
            "client_id": "travel-agency",
            "iat": now.min(now + life_seconds) - 1,
            "exp": now + life_seconds,
            "jti": format!("{:016x}{number:016x}", OsRng.next_u64()),
            "scope": "openid profile view book",
            "preferred_username": format!("traveller{number}"),
            "email": format!("traveller{number}@example.test"),
            "groups": [],
        });
        let signature_bytes = match algorithm {
            Algorithm::Rs256 | Algorithm::Rs384 | Algorithm::Rs512 | Algorithm::Ps256 => 256,
            Algorithm::Es256 | Algorithm::EdDsa => 64,
            Algorithm::Es384 => 96,
        };
        let around = encode(header.to_string().as_bytes()).len() + signature_bytes * 4 / 3 + 2;
        for group in 0.. {
            if around + claims.to_string().len() * 4 / 3 >= JWT_BYTES - 8 {
                break;
            }
            claims["groups"].as_array_mut().context("groups")?.push(json!(format!("group-{group:03}")));
        }
        let input = format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()));
        let signature = self.sign(algorithm, input.as_bytes())?;
        Ok(format!("{input}.{}", encode(&signature)))
    }

    fn sign(&self, algorithm: Algorithm, input: &[u8]) -> Result<Vec<u8>> {
        let rsa = || self.rsa.clone();
        Ok(match algorithm {
            Algorithm::Rs256 => pkcs1v15::SigningKey::<sha2::Sha256>::new(rsa()).try_sign(input)?.to_vec(),
            Algorithm::Rs384 => pkcs1v15::SigningKey::<sha2::Sha384>::new(rsa()).try_sign(input)?.to_vec(),
            Algorithm::Rs512 => pkcs1v15::SigningKey::<sha2::Sha512>::new(rsa()).try_sign(input)?.to_vec(),
            Algorithm::Ps256 => {
                use rsa::signature::RandomizedSigner;
                pss::SigningKey::<sha2::Sha256>::new(rsa()).try_sign_with_rng(&mut OsRng, input)?.to_vec()
            }
            Algorithm::Es256 => {
                let signature: p256::ecdsa::Signature = self.p256.try_sign(input)?;
                signature.to_bytes().to_vec()
            }
            Algorithm::Es384 => {
                let signature: p384::ecdsa::Signature = self.p384.try_sign(input)?;
                signature.to_bytes().to_vec()
            }
            Algorithm::EdDsa => self.ed25519.sk.sign(input, None).to_vec(),
        })
    }
}

/// The token with another signature.
pub fn tampered(token: &str) -> Result<String> {
    let (signed, signature) = token.rsplit_once('.').context("no JWT")?;
    let mut bytes = URL_SAFE_NO_PAD.decode(signature)?;
    let last = bytes.last_mut().context("no signature")?;
    *last ^= 1;
    Ok(format!("{signed}.{}", encode(&bytes)))
}

/// Distinct opaque tokens, which all begin alike.
#[must_use]
pub fn opaque(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}{:016x}{number:08x}", OsRng.next_u64())).collect()
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The life of a token, in seconds.
const HOUR: i64 = 3600;

/// How long real tokens are, more or less.
const JWT_BYTES: usize = 1024;
