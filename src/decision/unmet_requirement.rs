//! The part of a requirement that a token does not meet.

use crate::base::words;

words! {
    /// The kind of requirement that a token does not meet.
    pub enum UnmetRequirement {
        /// A required scope is missing.
        Scope = "lacks_scope",
        /// A required role is missing.
        Role = "lacks_role",
        /// The token was issued to another client.
        Client = "other_client",
        /// The token is for another audience.
        Audience = "other_audience",
        /// A required claim is missing or has another value.
        Claim = "claim_mismatch",
        /// The token was issued by another authorization server.
        Server = "other_authorization_server",
    }
}
