//! The test vectors of signatures, and what is expected of each: README.md describes their form.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    clippy::unreachable,
    missing_docs,
    reason = "a test stops by panicking"
)]

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;

/// Signatures of one source.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    #[expect(dead_code, reason = "for readers")]
    source: String,
    #[expect(dead_code, reason = "for readers")]
    license: Option<String>,
    pub groups: Vec<Group>,
}

/// Signatures that are judged by the same keys.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    #[serde(default)]
    pub comment: String,
    pub jwks: Value,
    /// The algorithm by which bare signatures are read; a token names its own.
    pub alg: Option<String>,
    pub signatures: Vec<Vector>,
}

/// A bare signature or a whole token.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vector {
    pub id: String,
    pub comment: String,
    /// In base64url, as is `signature`.
    pub text: Option<String>,
    pub signature: Option<String>,
    pub token: Option<String>,
    valid: bool,
    refused: Option<Refused>,
    /// The verdict of the source, where Scopegate is stricter.
    elsewhere: Option<String>,
    why: Option<String>,
}

/// Why a signature is refused before it is verified.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Refused {
    /// It is unreadable, or names an unsupported algorithm.
    Token,
    /// The algorithm of a bare signature is unsupported.
    Algorithm,
    /// No key is suitable.
    Key,
}

/// The outcome for a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Refused(Refused),
    /// Keys have judged it.
    Judged(bool),
}

impl Document {
    /// All of them, each by its name.
    pub fn all() -> Vec<(&'static str, Self)> {
        CORPUS.iter().map(|(name, signatures, valid)| (*name, Self::read(name, *signatures, *valid))).collect()
    }

    fn read(name: &str, signatures: usize, valid: usize) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        let json = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let document: Self = serde_json::from_slice(&json).unwrap_or_else(|error| panic!("{name}: {error}"));
        let vectors: Vec<_> = document.groups.iter().flat_map(|group| &group.signatures).collect();
        let of_them_valid = vectors.iter().filter(|vector| vector.valid).count();
        assert_eq!((vectors.len(), of_them_valid), (signatures, valid), "signatures and valid ones in {name}");
        for vector in vectors {
            let Vector { valid, refused, elsewhere, why, .. } = vector;
            assert!(!valid || (refused.is_none() && elsewhere.is_none()), "{name}: valid, and not: {vector:?}");
            assert_eq!(elsewhere.is_some(), why.is_some(), "{name}: what is stricter says why: {vector:?}");
        }
        document
    }
}

impl Group {
    /// The algorithm by which one of its signatures is read, if there is any.
    pub fn algorithm(&self, vector: &Vector) -> Option<String> {
        self.alg.clone().or_else(|| {
            let header = URL_SAFE_NO_PAD.decode(vector.token.as_ref()?.split('.').next()?).ok()?;
            Some(serde_json::from_slice::<Value>(&header).ok()?.get("alg")?.as_str()?.to_owned())
        })
    }
}

impl Vector {
    pub fn expected(&self) -> Outcome {
        self.refused.map_or(Outcome::Judged(self.valid), Outcome::Refused)
    }
}

/// Whether the host verifies signatures of an algorithm.
pub fn is_for_host(algorithm: &str) -> bool {
    algorithm.starts_with("RS") || algorithm.starts_with("ES")
}

/// How often the host is asked, once for each signature and each key that may have made it.
pub const FOR_HOST: usize = 1643;

/// How often a key judges a signature, by the host or not.
pub const JUDGED: usize = 3472;

/// Every file, its number of signatures, and the number of valid ones, so that a missing one fails the test.
const CORPUS: &[(&str, usize, usize)] = &[
    ("rfc.json", 24, 9),
    ("own/ecdsa.json", 142, 10),
    ("own/ed25519.json", 17, 1),
    ("own/rsa.json", 155, 37),
    ("own/tokens.json", 554, 48),
    ("wycheproof/ecdsa_secp256r1_sha256.json", 484, 0),
    ("wycheproof/ecdsa_secp256r1_sha256_p1363.json", 262, 173),
    ("wycheproof/ecdsa_secp384r1_sha384_p1363.json", 280, 193),
    ("wycheproof/ed25519.json", 151, 88),
    ("wycheproof/rsa_pss_2048_sha256_mgf1_0.json", 102, 0),
    ("wycheproof/rsa_pss_2048_sha256_mgf1_32.json", 108, 63),
    ("wycheproof/rsa_pss_2048_sha256_mgf1sha1_20.json", 108, 0),
    ("wycheproof/rsa_pss_2048_sha384_mgf1_48.json", 141, 95),
    ("wycheproof/rsa_pss_3072_sha256_mgf1_32.json", 108, 63),
    ("wycheproof/rsa_pss_4096_sha512_mgf1_64.json", 179, 132),
    ("wycheproof/rsa_pss_misc.json", 90, 3),
    ("wycheproof/rsa_signature_2048_sha256.json", 259, 9),
    ("wycheproof/rsa_signature_3072_sha384.json", 259, 7),
    ("wycheproof/rsa_signature_4096_sha512.json", 259, 7),
    ("wycheproof/rsa_signature_8192_sha256.json", 258, 7),
];
