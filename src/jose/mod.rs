//! JSON Object Signing and Encryption, as far as access tokens need it: signed JWTs in compact serialization
//! (RFC 7515, RFC 7519), the keys that vouch for them (RFC 7517), and the assertions that we sign ourselves.
//!
//! Encrypted tokens are opaque here, and so is whatever has other than three parts.

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
