//! The part of a requirement that a token does not meet.

/// What a token lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnmetRequirement {
    /// A scope.
    Scope,
    /// A role.
    Role,
    /// It was issued to another client.
    Client,
    /// It is meant for somebody else.
    Audience,
    /// A claim, or its value.
    Claim,
    /// Another authorization server vouches for it.
    Server,
}

impl UnmetRequirement {
    /// The word for it in logs.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Scope => "lacks_scope",
            Self::Role => "lacks_role",
            Self::Client => "other_client",
            Self::Audience => "other_audience",
            Self::Claim => "claim_mismatch",
            Self::Server => "other_authorization_server",
        }
    }
}
