//! The reasons for a refusal: one closed list, and one table of the responses.
//!
//! The client learns the class of a denial, the operator learns the reason.

use super::unmet_requirement::UnmetRequirement;
use crate::base::words;
use crate::host::CalloutError;
use crate::request::{CredentialsError, TargetError};

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// The request target is ambiguous.
    Target(TargetError),
    /// No rule matches.
    NoRule,
    /// The rule requires a token, and the request has none.
    NoCredentials,
    /// The credentials are malformed or ambiguous.
    Credentials(CredentialsError),
    /// The authorization server states that the token is not active.
    Inactive,
    /// The JWT is malformed, or its algorithm, header or claims do not match the configuration of the server.
    MalformedJwt,
    /// None of the server's keys matches the `kid` of the token.
    UnknownKey,
    /// None of the server's keys verifies the signature.
    BadSignature,
    /// `exp` has passed.
    Expired,
    /// `nbf` or `iat` is in the future.
    NotYetValid,
    /// `iss` is not the configured issuer.
    WrongIssuer,
    /// `aud` contains none of the accepted audiences.
    WrongAudience,
    /// A refresh token, an ID token, or an introspection response without the members that access tokens have.
    NotAnAccessToken,
    /// The token is bound to a key, and bearer use proves no possession of it (RFC 9449, RFC 8705).
    SenderConstrained,
    /// The token does not have a required scope.
    InsufficientScope,
    /// The client of the token belongs to no application that is registered for the API or rule.
    UnregisteredClient,
    /// The token does not meet another requirement of the rule.
    Unmet(UnmetRequirement),
    /// The client has sent too many unknown tokens.
    TooManyUnknownTokens,
    /// The authorization server is unavailable, or its response is unusable.
    Unavailable(CalloutError),
    /// The configuration was refused.
    Misconfigured,
}

/// The parts of the response to the client that depend on the class of the denial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ErrorResponse {
    pub(crate) status: u16,
    /// The `error` member of the body. Most values are from RFC 6750 §3.1 and RFC 6749 §4.1.2.1.
    pub(crate) error: &'static str,
    pub(crate) description: &'static str,
    pub(crate) challenge: Challenge,
    pub(crate) retry: bool,
}

impl ErrorResponse {
    /// A response without a challenge.
    pub(crate) const fn plain(status: u16, error: &'static str, description: &'static str) -> Self {
        Self { status, error, description, challenge: Challenge::None, retry: false }
    }

    pub(crate) const fn challenging(self, challenge: Challenge) -> Self {
        Self { challenge, ..self }
    }
}

/// The WWW-Authenticate header of a response (RFC 6750 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// No WWW-Authenticate header.
    None,
    /// The realm only: a request without a token gets no error code (RFC 6750 §3.1).
    Realm,
    /// Also `error` and `error_description`.
    Error,
    /// Also the required scope.
    Scope,
}

words! {
    /// The classes of denials in responses, error profiles and metrics. The log gives the exact reason.
    pub enum DenialClass {
        /// The request target is ambiguous.
        AmbiguousTarget = "ambiguous_target",
        /// No rule matches.
        NoRule = "no_rule",
        /// A token is required, and there is none.
        NoCredentials = "no_credentials",
        /// The credentials are malformed.
        InvalidRequest = "invalid_request",
        /// One class for every defect of a token: only the operator learns which one it is.
        InvalidToken = "invalid_token",
        /// The token does not have a required scope.
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
    /// Returns the response for RFC 6750 §3. Error profiles may change it.
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
            // No challenge: another token of the same client would not help.
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
            Self::Unmet(_) => DenialClass::InsufficientPrivileges,
            Self::TooManyUnknownTokens => DenialClass::TooManyUnknownTokens,
            Self::Unavailable(_) => DenialClass::Unavailable,
            Self::Misconfigured => DenialClass::Misconfigured,
        }
    }

    /// Returns the word for the reason, for logs.
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
            Self::Unmet(unmet) => unmet.as_str(),
            Self::TooManyUnknownTokens => "too_many_unknown_tokens",
            Self::Unavailable(error) => error.outcome().as_str(),
            Self::Misconfigured => "misconfigured",
        }
    }
}
