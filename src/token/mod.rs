//! The access token, its digest, and scopes (RFC 6749 §3.3).

mod access_token;
mod digest;
mod scope;

pub(crate) use access_token::AccessToken;
pub(crate) use digest::{DigestKey, TokenDigest};
pub(crate) use scope::{Scope, ScopeStrategy, ScopeToken};
