//! The locations of tokens in a request.

use super::b64token::{CredentialsError, token};
use super::{authorization, cookie, query};
use crate::request::head::RequestHead;
use crate::request::header_edit::HeaderEdit;
use crate::request::header_name::HeaderName;
use crate::token::AccessToken;

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
