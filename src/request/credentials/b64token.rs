//! The syntax of a bearer token (RFC 6750 §2.1).

use crate::token::AccessToken;

/// Why credentials are rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialsError {
    /// More than one token, or more than one Authorization header: the upstream could use another one than the filter.
    Several,
    /// An empty header, parameter or cookie, or a scheme without a token.
    Empty,
    /// Not `1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`.
    NotB64Token,
    /// Longer than `bearer.max_bytes`.
    TooLong,
}

impl CredentialsError {
    /// Returns the word for logs.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Several => "several_credentials",
            Self::Empty => "empty_credentials",
            Self::NotB64Token => "not_a_b64token",
            Self::TooLong => "token_too_long",
        }
    }
}

/// Validates a value as a token.
pub(super) fn token(value: &[u8], max_bytes: usize) -> Result<AccessToken, CredentialsError> {
    if value.is_empty() {
        return Err(CredentialsError::Empty);
    }
    if value.len() > max_bytes {
        return Err(CredentialsError::TooLong);
    }
    if !is_b64token(value) {
        return Err(CredentialsError::NotB64Token);
    }
    Ok(AccessToken::new(value.to_vec()))
}

/// Returns whether a value matches `b64token` (RFC 6750 §2.1).
pub(super) fn is_b64token(value: &[u8]) -> bool {
    let padding = value.iter().rev().take_while(|b| **b == b'=').count();
    let body = value.split_at(value.len().saturating_sub(padding)).0;
    // Without a branch per byte, so that the compiler can vectorize the loop: a JWT has about a thousand bytes.
    !body.is_empty() && body.iter().fold(true, |good, b| good & is_b64token_byte(*b))
}

const fn is_b64token_byte(b: u8) -> bool {
    let letter = (b | 0x20).wrapping_sub(b'a') < 26;
    // The range from `-` to `9` consists of `-`, `.`, `/` and the digits.
    letter | (b.wrapping_sub(b'-') <= b'9' - b'-') | (b == b'_') | (b == b'~') | (b == b'+')
}
