//! Every reason for which a request does not pass: one closed list, one table to the wire.
//!
//! The caller learns the class of a failure, the operator the reason.

use super::unmet_requirement::UnmetRequirement;
use crate::base::words;
use crate::host::CalloutError;
use crate::request::{CredentialsError, TargetError};

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// The request target could be read two ways.
    Target(TargetError),
    /// No rule matches.
    NoRule,
    /// The rule demands a token and there is none.
    NoCredentials,
    /// There are credentials that cannot be used.
    Credentials(CredentialsError),
    /// The authorization server says that the token is not active.
    Inactive,
    /// A JWT that cannot be read, or that no token of this server is like: by algorithm, form or claims.
    MalformedJwt,
    /// None of the server's keys has the name that the token gives.
    UnknownKey,
    /// The signature is not one of the server's keys.
    BadSignature,
    /// `exp` has passed.
    Expired,
    /// `nbf` lies ahead.
    NotYetValid,
    /// `iss` is another than the one configured.
    WrongIssuer,
    /// `aud` meets none of those configured.
    WrongAudience,
    /// A refresh token, an ID token, or an answer without the members that access tokens have.
    NotAnAccessToken,
    /// The token is bound to a key that the bearer has not shown to hold.
    SenderConstrained,
    /// The token lacks a scope that the rule demands.
    InsufficientScope,
    /// The client that the token was issued to is no application that is registered for this.
    UnregisteredClient,
    /// The token lacks something else that the rule demands.
    Lacks(UnmetRequirement),
    /// The client has sent too many tokens that nobody knows.
    TooManyUnknownTokens,
    /// The authorization server gave no usable answer.
    Unavailable(CalloutError),
    /// The configuration was refused.
    Misconfigured,
}

/// What a caller is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ErrorResponse {
    pub(crate) status: u16,
    /// The `error` of the body; RFC 6750 §3.1 and RFC 6749 §4.1.2.1 have most of them.
    pub(crate) error: &'static str,
    pub(crate) description: &'static str,
    pub(crate) challenge: Challenge,
    pub(crate) retry: bool,
}

impl ErrorResponse {
    /// An answer without a challenge.
    pub(crate) const fn plain(status: u16, error: &'static str, description: &'static str) -> Self {
        Self { status, error, description, challenge: Challenge::None, retry: false }
    }

    pub(crate) const fn challenging(self, challenge: Challenge) -> Self {
        Self { challenge, ..self }
    }
}

/// Which WWW-Authenticate a reply has (RFC 6750 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// None at all.
    None,
    /// The realm only: whoever sent no token is told no error.
    Realm,
    /// With error and error_description.
    Error,
    /// With the scope demanded as well.
    Scope,
}

words! {
    /// What callers, error profiles and metrics tell apart of denials. The log says which of the reasons it was.
    pub enum DenialClass {
        /// The request target could be read in two ways.
        AmbiguousTarget = "ambiguous_target",
        /// No rule matches.
        NoRule = "no_rule",
        /// A token is required, and there is none.
        NoCredentials = "no_credentials",
        /// The credentials are malformed.
        InvalidRequest = "invalid_request",
        /// One class for all of them: only the operator learns what is wrong with a token.
        InvalidToken = "invalid_token",
        /// The token does not have the scope.
        InsufficientScope = "insufficient_scope",
        /// The client is not registered for the API.
        UnregisteredClient = "unregistered_client",
        /// The token does not meet another requirement.
        InsufficientPrivileges = "insufficient_privileges",
        /// The client has sent too many unknown tokens.
        TooManyUnknownTokens = "too_many_unknown_tokens",
        /// The authorization server is unavailable.
        Unavailable = "unavailable",
        /// The configuration was refused.
        Misconfigured = "misconfigured",
    }
}

impl DenialClass {
    /// What a caller is told by RFC 6750 §3; error profiles change what is theirs to change.
    pub(crate) const fn wire(self) -> ErrorResponse {
        match self {
            Self::AmbiguousTarget => ErrorResponse::plain(400, "invalid_request", "The request target is ambiguous"),
            Self::NoRule => ErrorResponse::plain(403, "access_denied", "The request is not allowed"),
            Self::NoCredentials => {
                ErrorResponse::plain(401, "unauthorized", "An access token is required").challenging(Challenge::Realm)
            }
            Self::InvalidRequest => {
                ErrorResponse::plain(400, "invalid_request", "The bearer credentials are malformed")
                    .challenging(Challenge::Error)
            }
            Self::InvalidToken => ErrorResponse::plain(401, "invalid_token", "The access token is not valid")
                .challenging(Challenge::Error),
            Self::InsufficientScope => {
                ErrorResponse::plain(403, "insufficient_scope", "The access token does not have the scope required")
                    .challenging(Challenge::Scope)
            }
            // No challenge: another token of the same client or user would not help.
            Self::UnregisteredClient => {
                ErrorResponse::plain(403, "access_denied", "The client is not registered for this API")
            }
            Self::InsufficientPrivileges => {
                ErrorResponse::plain(403, "access_denied", "The access token does not have the privileges required")
            }
            // RFC 6585 §4
            Self::TooManyUnknownTokens => ErrorResponse {
                retry: true,
                ..ErrorResponse::plain(429, "too_many_requests", "Too many requests have been made with unknown tokens")
            },
            Self::Unavailable | Self::Misconfigured => ErrorResponse {
                retry: true,
                ..ErrorResponse::plain(503, "temporarily_unavailable", "The request cannot be authorized at the moment")
            },
        }
    }
}

impl Denial {
    pub(crate) const fn class(self) -> DenialClass {
        match self {
            Self::Target(_) => DenialClass::AmbiguousTarget,
            Self::NoRule => DenialClass::NoRule,
            Self::NoCredentials => DenialClass::NoCredentials,
            Self::Credentials(_) => DenialClass::InvalidRequest,
            Self::Inactive
            | Self::MalformedJwt
            | Self::UnknownKey
            | Self::BadSignature
            | Self::Expired
            | Self::NotYetValid
            | Self::WrongIssuer
            | Self::WrongAudience
            | Self::NotAnAccessToken
            | Self::SenderConstrained => DenialClass::InvalidToken,
            Self::InsufficientScope => DenialClass::InsufficientScope,
            Self::UnregisteredClient => DenialClass::UnregisteredClient,
            Self::Lacks(_) => DenialClass::InsufficientPrivileges,
            Self::TooManyUnknownTokens => DenialClass::TooManyUnknownTokens,
            Self::Unavailable(_) => DenialClass::Unavailable,
            Self::Misconfigured => DenialClass::Misconfigured,
        }
    }

    /// The reason itself, for logs.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Target(TargetError::Path(error)) => error.reason(),
            Self::Target(TargetError::Authority) => "bad_authority",
            Self::Target(TargetError::HostPort) => "host_port_decides",
            Self::Target(TargetError::Route) => "removed_header_before_route",
            Self::NoRule => "no_rule",
            Self::NoCredentials => "no_credentials",
            Self::Credentials(error) => error.reason(),
            Self::Inactive => "inactive",
            Self::MalformedJwt => "malformed_jwt",
            Self::UnknownKey => "unknown_key",
            Self::BadSignature => "bad_signature",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::WrongIssuer => "wrong_issuer",
            Self::WrongAudience => "wrong_audience",
            Self::NotAnAccessToken => "not_an_access_token",
            Self::SenderConstrained => "sender_constrained",
            Self::InsufficientScope => "insufficient_scope",
            Self::UnregisteredClient => "unregistered_client",
            Self::Lacks(unmet) => unmet.as_str(),
            Self::TooManyUnknownTokens => "too_many_unknown_tokens",
            Self::Unavailable(trouble) => trouble.outcome().as_str(),
            Self::Misconfigured => "misconfigured",
        }
    }
}
