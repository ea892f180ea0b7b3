//! The claims of a token, and their mapping from introspection responses and JWTs.

mod claim_set;
mod forwarded_value;
mod mapping;
mod path;
mod reader;
#[cfg(test)]
mod tests;
mod token_state;
mod value;

pub(crate) use claim_set::{Claims, RequestedClaims, TokenKind};
pub(crate) use forwarded_value::{ForwardedValue, encode};
pub(crate) use mapping::ClaimMapping;
pub(crate) use path::ClaimPath;
pub(crate) use reader::seconds;
pub(crate) use token_state::TokenState;
pub(crate) use value::ClaimValue;
