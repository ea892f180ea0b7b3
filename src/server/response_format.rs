//! The format of introspection responses (RFC 7662 §2.2).

use crate::claims::{ClaimMapping, ClaimPath};

/// The format of the introspection response, as in RFC 7662 §2.2 or a variant of it.
#[derive(Clone, Debug)]
pub(crate) struct ResponseFormat {
    pub(crate) active: Activity,
    /// Statuses that mean that the token is invalid.
    pub(crate) invalid_statuses: Vec<u16>,
    /// Members that mean that the token is invalid although the status is 200.
    pub(crate) error_members: Vec<ClaimPath>,
    /// The mapping of claims.
    pub(crate) claims: ClaimMapping,
}

/// The part of the response that states that a token is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activity {
    /// The member `active`, a boolean.
    Boolean,
    /// The member `active`, a boolean or a string with one.
    BooleanOrString,
    /// Status 200.
    Status,
}

impl Activity {
    pub(crate) const WORDS: [(&str, Self); 3] =
        [("boolean", Self::Boolean), ("boolean_or_string", Self::BooleanOrString), ("status", Self::Status)];
}
