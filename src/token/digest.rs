//! The digest of an access token: the only form in which shared data contain a token.

use hmac_sha256::Hash;
use std::fmt;

use super::access_token::AccessToken;

/// SHA-256 over the digest key and the token: the key of an entry in the shared cache.
///
/// The digest key is secret, so clients cannot choose tokens that fall into the same bucket.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct TokenDigest([u8; TokenDigest::BYTES]);

impl TokenDigest {
    pub(crate) const BYTES: usize = 32;

    pub(crate) fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    /// Returns eight bytes of the digest, which are uniformly distributed. They select the bucket.
    pub(crate) fn as_u64(&self) -> u64 {
        self.0.first_chunk().map_or(0, |first| u64::from_le_bytes(*first))
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenDigest(redacted)")
    }
}

/// The key of digests: it depends on one configuration, including its secrets, and on one authorization server of it.
///
/// Shared data outlive a configuration. Digests under another key never match an entry of this configuration.
#[derive(Clone)]
pub(crate) struct DigestKey(Hash);

impl DigestKey {
    /// `configuration` must be a fingerprint of every setting that affects the state of a token, including secrets.
    pub(crate) fn new(configuration: &[u8; 32], server: usize) -> Self {
        // One whole SHA-256 block: it is hashed here once instead of on every request.
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
    fn debug_output_redacts_secrets() {
        let token = AccessToken::new("s3cret".to_owned());
        let key = DigestKey::new(&[7; 32], 0);
        let printed = format!("{token:?} {:?} {:?} {key:?}", Secret::new("s3cret".to_owned()), key.digest(&token));
        assert_eq!(printed, "AccessToken(redacted) Secret(redacted) TokenDigest(redacted) DigestKey(redacted)");
    }

    #[test]
    fn digest_depends_on_token_configuration_and_server() {
        let digest = |configuration: u8, server, token: &str| {
            DigestKey::new(&[configuration; 32], server).digest(&AccessToken::new(token.to_owned()))
        };
        assert!(digest(1, 0, "a") == digest(1, 0, "a"));
        assert!(digest(1, 0, "a") != digest(1, 0, "b"));
        assert!(digest(1, 0, "a") != digest(2, 0, "a"));
        assert!(digest(1, 0, "a") != digest(1, 1, "a"));
    }
}
