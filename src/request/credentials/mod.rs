//! Bearer credentials (RFC 6750 §2): none, or exactly one token, bounded, wherever it may stand.
//!
//! The Authorization header is always looked at; the query (§2.3), a cookie and another header only where the
//! configuration says so. A form body (§2.2) never is: it would have to be read before anything is decided.

mod alias;
mod authorization;
mod b64token;
mod cookie;
mod locations;
mod query;
#[cfg(test)]
mod tests;

pub(crate) use b64token::CredentialsError;
pub(crate) use locations::{DEFAULT_MAX_TOKEN_BYTES, TokenLocations};
