//! The access token of a request.

use std::fmt;

/// A bearer access token (RFC 6750 §2.1). It has been validated as a `b64token` within the size limit. `Debug` redacts
/// it.
#[derive(Clone)]
pub(crate) struct AccessToken(Vec<u8>);

/// The time of a comparison depends on the lengths only. The loop has no branch, so that the compiler can vectorize it.
impl PartialEq for AccessToken {
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (self.as_bytes(), other.as_bytes());
        a.len() == b.len() && a.iter().zip(b).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
    }
}

impl AccessToken {
    /// `b64token` must match the syntax of RFC 6750 §2.1, so it is ASCII.
    pub(crate) fn new(b64token: impl Into<Vec<u8>>) -> Self {
        Self(b64token.into())
    }

    /// Returns the token as text. Only the callout that introspects the token and the JWT parser may use it. Each call
    /// validates the bytes as UTF-8, so the path of a cache hit avoids it.
    pub(crate) fn reveal(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Returns the token as bytes, for comparison and digests.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken(redacted)")
    }
}
