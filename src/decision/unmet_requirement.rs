//! The part of a requirement that a token does not meet.

use crate::base::words;

words! {
    /// What a token does not have.
    pub enum UnmetRequirement {
        /// A scope.
        Scope = "lacks_scope",
        /// A role.
        Role = "lacks_role",
        /// It was issued to another client.
        Client = "other_client",
        /// It is meant for another audience.
        Audience = "other_audience",
        /// A claim, or its value.
        Claim = "claim_mismatch",
        /// It was issued by another authorization server.
        Server = "other_authorization_server",
    }
}
