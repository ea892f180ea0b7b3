//! The access token, a secret from the request to the callout, and its digest, which is all that is ever stored.

use std::fmt;

use hmac_sha256::Hash;

/// A bearer access token (RFC 6750 §2.1), already known to be a `b64token` within the size limit.
#[derive(Clone)]
pub(crate) struct AccessToken(Vec<u8>);

/// In a time that depends on the lengths only, and sixteen bytes at a time.
impl PartialEq for AccessToken {
    fn eq(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.as_bytes(), other.as_bytes());
        ours.len() == theirs.len() && ours.iter().zip(theirs).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
    }
}

impl AccessToken {
    /// `b64token` must be one, so it is ASCII.
    pub(crate) fn new(b64token: impl Into<Vec<u8>>) -> Self {
        Self(b64token.into())
    }

    /// The token itself. Only who asks about it or reads it may ask. Each time its bytes are looked through, which is
    /// why whoever knows it already has no use for this.
    pub(crate) fn reveal(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Likewise, for caches and digests.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken(redacted)")
    }
}

/// A secret of ours: a client secret or what is derived from one.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn new(text: String) -> Self {
        Self(text)
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

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
