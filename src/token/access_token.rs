//! The access token: a secret from the request to the callout.

use std::fmt;

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
