//! What the tests see of the verification of signatures (feature `vectors`), to hold both roads against published
//! vectors: the host's and this module's own. No released module has it.

use super::{Algorithm, Header, Jws, KeySet, host_arguments, verify};

/// The keys of an authorization server.
#[derive(Debug)]
pub struct Keys(KeySet);

/// One key that may have signed.
#[derive(Debug)]
pub struct Candidate {
    /// What the host is asked; `None` if it is not asked at all.
    pub host_arguments: Option<Vec<u8>>,
    /// What is found without the host.
    pub is_valid: bool,
}

/// What refuses a signature before any key is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// The algorithm is none of ours.
    Algorithm,
    /// The token could never be accepted, whatever its signature is.
    Token,
}

impl Keys {
    /// Reads a JWK set.
    ///
    /// # Errors
    /// What is wrong with the set as a whole.
    pub fn parse(jwks: &[u8]) -> Result<Self, &'static str> {
        KeySet::parse(jwks).map(Self)
    }

    /// Judges a bare signature by every key that may have made it.
    ///
    /// # Errors
    /// [`Unread::Algorithm`]
    pub fn judge(&self, algorithm: &str, text: &[u8], signature: &[u8]) -> Result<Vec<Candidate>, Unread> {
        let algorithm = Algorithm::parse(algorithm).ok_or(Unread::Algorithm)?;
        Ok(self.candidates(algorithm, None, text, signature))
    }

    /// Judges the signature of a JWT.
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
