//! Bearer credentials (RFC 6750 §2): none, or exactly one token of bounded length, from all configured locations.
//!
//! The Authorization header is always read. The query (§2.3), a cookie and another header are read only if configured.
//! A form body (§2.2) is never read, because it would have to be buffered before the decision.

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
