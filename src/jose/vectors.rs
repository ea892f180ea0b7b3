//! Access to signature verification for tests (feature `vectors`): they check both the host and this module against
//! published test vectors. Released modules do not contain it.

use super::{Algorithm, Header, Jws, KeySet, host_arguments, verify};

/// The keys of an authorization server.
#[derive(Debug)]
pub struct Keys(KeySet);

/// One key that may have signed.
#[derive(Debug)]
pub struct Candidate {
    /// The argument of the host's `verify_signature`; `None` if the host cannot verify the signature.
    pub host_arguments: Option<Vec<u8>>,
    /// The verdict of this module.
    pub is_valid: bool,
}

/// Why a signature is rejected before any key is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// The algorithm is not supported.
    Algorithm,
    /// The token cannot be accepted with any signature.
    Token,
}

impl Keys {
    /// Parses a JWK set.
    ///
    /// # Errors
    /// The reason why the set as a whole is invalid.
    pub fn parse(jwks: &[u8]) -> Result<Self, &'static str> {
        KeySet::parse(jwks).map(Self)
    }

    /// Verifies a detached signature with every key that may have made it.
    ///
    /// # Errors
    /// [`Unread::Algorithm`]
    pub fn judge(&self, algorithm: &str, text: &[u8], signature: &[u8]) -> Result<Vec<Candidate>, Unread> {
        let algorithm = Algorithm::parse(algorithm).ok_or(Unread::Algorithm)?;
        Ok(self.candidates(algorithm, None, text, signature))
    }

    /// Verifies the signature of a JWT.
    ///
    /// # Errors
    /// [`Unread::Token`]
    pub fn judge_token(&self, token: &str) -> Result<Vec<Candidate>, Unread> {
        let jws = Header::of(token).and_then(|header| Jws::parse(token, &header)).ok_or(Unread::Token)?;
        Ok(self.candidates(jws.algorithm, jws.key_id.as_deref(), jws.signing_input.as_bytes(), &jws.signature))
    }

    fn candidates(&self, algorithm: Algorithm, key_id: Option<&str>, text: &[u8], signature: &[u8]) -> Vec<Candidate> {
        let candidates = self.0.candidates(algorithm, key_id);
        candidates
            .map(|(key, _)| Candidate {
                host_arguments: host_arguments(key, algorithm, text, signature),
                is_valid: verify(key, algorithm, text, signature),
            })
            .collect()
    }
}
