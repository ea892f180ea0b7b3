//! Bearer credentials (RFC 6750 §2): none, or exactly one token of bounded length, from all configured locations.
//!
//! The Authorization header is always read. The query (§2.3), a cookie and another header are read only if configured.
//! A form body (§2.2) is never read, because it would have to be buffered before the decision.

use crate::request::head::RequestHead;
use crate::request::header_edit::HeaderEdit;
use crate::request::header_name::HeaderName;
use crate::token::AccessToken;

mod authorization;
mod cookie;
mod query;

/// The locations of tokens in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TokenLocations {
    /// Accepted schemes of the Authorization header, case-insensitive.
    pub(crate) schemes: Vec<String>,
    /// A header whose whole value is the token.
    pub(crate) header: Option<HeaderName>,
    /// A query parameter.
    pub(crate) query: Option<String>,
    /// A cookie.
    pub(crate) cookie: Option<String>,
    /// The length of the longest accepted token, in bytes.
    pub(crate) max_bytes: usize,
}

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

impl TokenLocations {
    /// Returns the token of a request, if it has one.
    pub(crate) fn find(&self, head: RequestHead<'_>) -> Result<Option<AccessToken>, CredentialsError> {
        let authorization = authorization::find(head.values("authorization"), &self.schemes, self.max_bytes)?;
        let mut elsewhere: Vec<Vec<u8>> = Vec::new();
        if let Some(header) = &self.header {
            // Includes aliases of the header, because an application could read them.
            let values = head.headers.iter().filter(|(name, _)| header.is_alias_of(name));
            elsewhere.extend(values.map(|(_, value)| value.trim_ascii().to_vec()));
        }
        if let Some(parameter) = &self.query {
            elsewhere.extend(query::find(head.values(":path"), parameter));
        }
        if let Some(name) = &self.cookie {
            elsewhere.extend(cookie::find(head.values("cookie"), name));
        }
        match (authorization, elsewhere.as_slice()) {
            (found, []) => Ok(found),
            (None, [value]) => token(value, self.max_bytes).map(Some),
            _ => Err(CredentialsError::Several),
        }
    }

    /// Returns the edits that remove the credentials from all configured locations.
    pub(crate) fn removal<'a>(&self, head: RequestHead<'a>) -> Vec<HeaderEdit<'a>> {
        let mut edits = Vec::new();
        for (name, _) in head.headers {
            let is_token_header = self.header.as_ref().is_some_and(|header| header.is_alias_of(name));
            let edit = HeaderEdit::Remove(name);
            if (*name == "authorization" || is_token_header) && !edits.contains(&edit) {
                edits.push(edit);
            }
        }
        if let Some(parameter) = &self.query
            && let Some(path) = head.values(":path").next()
            && let Some(rest) = query::without(path, parameter)
        {
            edits.push(HeaderEdit::Set(":path", rest));
        }
        if let Some(name) = &self.cookie {
            edits.extend(cookie::without(head.values("cookie"), name));
        }
        edits
    }
}

/// Returns whether an application may treat `name` as the configured parameter or cookie name: some ignore case, some
/// replace every byte other than letters and digits by `_`, some stop at a NUL, some read `name[]` as a list.
fn is_alias(configured: &str, name: &str) -> bool {
    let name = name.split('\0').next().unwrap_or_default().trim();
    let list = name.split('[').next().unwrap_or_default();
    let fold = |b: u8| if b.is_ascii_alphanumeric() { b.to_ascii_lowercase() } else { b'_' };
    let is = |name: &str| configured.bytes().map(fold).eq(name.bytes().map(fold));
    is(name) || is(list)
}

/// Validates a value as a token.
fn token(value: &[u8], max_bytes: usize) -> Result<AccessToken, CredentialsError> {
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

/// RFC 6750 §2.1
fn is_b64token(value: &[u8]) -> bool {
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

impl Default for TokenLocations {
    fn default() -> Self {
        Self {
            schemes: vec!["Bearer".to_owned()],
            header: None,
            query: None,
            cookie: None,
            max_bytes: usize::try_from(DEFAULT_MAX_TOKEN_BYTES).unwrap_or(usize::MAX),
        }
    }
}
/// The default of `bearer.max_bytes`.
pub(crate) const DEFAULT_MAX_TOKEN_BYTES: u32 = 16_384;

#[cfg(test)]
mod tests;
