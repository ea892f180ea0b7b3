//! How the introspection response of a server looks (RFC 7662 §2.2).

use crate::claims::{ClaimMapping, ClaimPath};

/// The introspection response of RFC 7662 §2.2, or what stands in its place.
#[derive(Clone, Debug)]
pub(crate) struct ResponseFormat {
    pub(crate) active: Activity,
    /// Statuses that say the token is not good.
    pub(crate) invalid_statuses: Vec<u16>,
    /// Members that say so although the status is 200.
    pub(crate) error_members: Vec<ClaimPath>,
    /// Where the claims are.
    pub(crate) claims: ClaimMapping,
}

/// What says that a token is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activity {
    /// The member `active`, a boolean.
    Boolean,
    /// The member `active`, a boolean or the text of one.
    BooleanOrString,
    /// Status 200.
    Status,
}

impl Activity {
    pub(crate) const WORDS: [(&str, Self); 3] =
        [("boolean", Self::Boolean), ("boolean_or_string", Self::BooleanOrString), ("status", Self::Status)];
}
