//! What a token says: its claims, and where they stand in what an authorization server sends.

mod claim_set;
mod mapping;
mod path;
mod property;
mod reader;
#[cfg(test)]
mod tests;
mod token_state;
mod value;

pub(crate) use claim_set::{Claims, Interest, TokenKind};
pub(crate) use mapping::ClaimMapping;
pub(crate) use path::ClaimPath;
pub(crate) use property::{Property, encode};
pub(crate) use reader::seconds;
pub(crate) use token_state::Introspection;
pub(crate) use value::Fact;
