//! JSON Object Signing and Encryption for access tokens: signed JWTs in compact serialization (RFC 7515, RFC 7519), the
//! keys that verify them (RFC 7517), and the assertions that the gateway signs (RFC 7523).
//!
//! Encrypted tokens, and all tokens without exactly three parts, are treated as opaque.

mod algorithm;
mod host;
mod jwk;
mod jws;
mod sign;
#[cfg(feature = "vectors")]
pub mod vectors;
mod verify;

pub(crate) use algorithm::Algorithm;
pub(crate) use host::host_arguments;
pub(crate) use jwk::{KeySet, Thumbprint};
pub(crate) use jws::{Header, Jws};
pub(crate) use sign::{Assertion, SigningKey};
pub(crate) use verify::{PublicKey, verify};
