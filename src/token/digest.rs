//! The digest of an access token: the only form in which a token is stored in shared data.

use hmac_sha256::Hash;
use std::fmt;

use super::access_token::AccessToken;

/// SHA-256 over the digest key and the token: the full name under which facts about a token are kept.
///
/// Without the digest key nobody can compute it, so nobody can aim tokens at one place of the cache.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct TokenDigest([u8; TokenDigest::BYTES]);

impl TokenDigest {
    pub(crate) const BYTES: usize = 32;

    pub(crate) fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    /// Eight bytes of the digest, uniform over all values: chooses the place in the cache.
    pub(crate) fn as_u64(&self) -> u64 {
        self.0.first_chunk().map_or(0, |first| u64::from_le_bytes(*first))
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenDigest(redacted)")
    }
}

/// Binds digests to one configuration, with its secrets, and to one authorization server in it.
///
/// Shared data outlives a configuration; a digest made under another key never meets an entry of this one.
#[derive(Clone)]
pub(crate) struct DigestKey(Hash);

impl DigestKey {
    /// `configuration` must identify every setting that facts depend on, secrets included.
    pub(crate) fn new(configuration: &[u8; 32], server: usize) -> Self {
        // One whole SHA-256 block, so that it is absorbed here and not on every request.
        let mut block = [0_u8; 64];
        let server = u64::try_from(server).unwrap_or(u64::MAX).to_le_bytes();
        for (to, from) in block.iter_mut().zip(configuration.iter().chain(&server)) {
            *to = *from;
        }
        let mut hash = Hash::new();
        hash.update(block);
        Self(hash)
    }

    pub(crate) fn digest(&self, token: &AccessToken) -> TokenDigest {
        let mut hash = self.0;
        hash.update(token.as_bytes());
        TokenDigest(hash.finalize())
    }
}

impl fmt::Debug for DigestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DigestKey(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Secret;

    #[test]
    fn secrets_do_not_print() {
        let token = AccessToken::new("s3cret".to_owned());
        let key = DigestKey::new(&[7; 32], 0);
        let printed = format!("{token:?} {:?} {:?} {key:?}", Secret::new("s3cret".to_owned()), key.digest(&token));
        assert_eq!(printed, "AccessToken(redacted) Secret(redacted) TokenDigest(redacted) DigestKey(redacted)");
    }

    #[test]
    fn a_digest_depends_on_token_configuration_and_server() {
        let digest = |configuration: u8, server, token: &str| {
            DigestKey::new(&[configuration; 32], server).digest(&AccessToken::new(token.to_owned()))
        };
        assert!(digest(1, 0, "a") == digest(1, 0, "a"));
        assert!(digest(1, 0, "a") != digest(1, 0, "b"));
        assert!(digest(1, 0, "a") != digest(2, 0, "a"));
        assert!(digest(1, 0, "a") != digest(1, 1, "a"));
    }
}
