//! Bearer credentials (RFC 6750 §2): none, or exactly one token, bounded, wherever it may stand.
//!
//! The Authorization header is always looked at; the query (§2.3), a cookie and another header only where the
//! configuration says so. A form body (§2.2) never is: it would have to be read before anything is decided.

use crate::request::head::RequestHead;
use crate::request::header_edit::HeaderEdit;
use crate::request::header_name::HeaderName;
use crate::token::AccessToken;

mod authorization;
mod cookie;
mod query;

/// Where tokens are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TokenLocations {
    /// Authentication schemes of the Authorization header, in any case.
    pub(crate) schemes: Vec<String>,
    /// A header whose whole value is the token.
    pub(crate) header: Option<HeaderName>,
    /// A query parameter.
    pub(crate) query: Option<String>,
    /// A cookie.
    pub(crate) cookie: Option<String>,
    /// The longest token.
    pub(crate) max_bytes: usize,
}

/// Why credentials that are there cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialsError {
    /// More than one token, or more than one Authorization header: who reads which?
    Several,
    /// An empty header, parameter or cookie, or a scheme without a token.
    Empty,
    /// Not `1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`.
    NotB64Token,
    /// Longer than `bearer.max_bytes`.
    TooLong,
}

impl CredentialsError {
    /// The word for it in logs.
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
    /// The token of a request, if it has one.
    pub(crate) fn find(&self, head: RequestHead<'_>) -> Result<Option<AccessToken>, CredentialsError> {
        let authorization = authorization::find(head.values("authorization"), &self.schemes, self.max_bytes)?;
        let mut elsewhere: Vec<Vec<u8>> = Vec::new();
        if let Some(header) = &self.header {
            // In every spelling that an application could take for it.
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

    /// What takes the credentials out of a request, wherever they may stand.
    pub(crate) fn removal<'a>(&self, head: RequestHead<'a>) -> Vec<HeaderEdit<'a>> {
        let mut edits = Vec::new();
        for (name, _) in head.headers {
            let is_ours = self.header.as_ref().is_some_and(|header| header.is_alias_of(name));
            let edit = HeaderEdit::Remove(name);
            if (*name == "authorization" || is_ours) && !edits.contains(&edit) {
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

/// Whether an application might take one name of a parameter or cookie for the other: some ignore case, some turn
/// every byte that is no letter or digit into `_`, some stop at a NUL, some read `name[]` as a list of that name.
fn is_alias(ours: &str, name: &str) -> bool {
    let name = name.split('\0').next().unwrap_or_default().trim();
    let list = name.split('[').next().unwrap_or_default();
    let fold = |b: u8| if b.is_ascii_alphanumeric() { b.to_ascii_lowercase() } else { b'_' };
    let is = |name: &str| ours.bytes().map(fold).eq(name.bytes().map(fold));
    is(name) || is(list)
}

/// A value as a token.
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
    // Without a branch for each byte: of a JWT there are a thousand, on every request.
    !body.is_empty() && body.iter().fold(true, |good, b| good & is_b64token_byte(*b))
}

const fn is_b64token_byte(b: u8) -> bool {
    let letter = (b | 0x20).wrapping_sub(b'a') < 26;
    // Between `-` and `9` stand `.`, `/` and the digits, and nothing else.
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
/// The default bound on the length of a token.
pub(crate) const DEFAULT_MAX_TOKEN_BYTES: u32 = 16_384;

#[cfg(test)]
mod tests;
