//! How the gateways of other vendors word their refusals.

use super::content_type::ContentType;
use crate::decision::{Challenge, Class, Denial, ErrorResponse};

/// Whose way of refusing it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Base {
    /// RFC 6750 §3
    #[default]
    Rfc6750,
    /// The Validate Access Token filter of Axway API Gateway.
    Axway,
    /// NetIQ Secure API Manager: 403, whatever is wrong with a token.
    Netiq,
    /// The same, and no difference between a call that is refused and an API that does not exist.
    NetiqHide,
    /// webMethods API Gateway: 401, whatever is wrong with a token.
    Webmethods,
    /// RFC 9457 bodies, RFC 6750 challenges.
    ProblemJson,
}

impl Base {
    pub(crate) const WORDS: [(&str, Self); 6] = [
        ("rfc6750", Self::Rfc6750),
        ("axway", Self::Axway),
        ("netiq", Self::Netiq),
        ("netiq-hide", Self::NetiqHide),
        ("webmethods", Self::Webmethods),
        ("problem+json", Self::ProblemJson),
    ];

    /// The realm where the configuration names none.
    pub(crate) const fn default_realm(self) -> &'static str {
        match self {
            Self::Axway => "DefaultRealm",
            Self::Rfc6750 | Self::Netiq | Self::NetiqHide | Self::Webmethods | Self::ProblemJson => "api",
        }
    }

    pub(super) fn wire(self, denial: Denial) -> ErrorResponse {
        match self {
            Self::Rfc6750 | Self::ProblemJson => denial.class().wire(),
            Self::Axway => axway(denial),
            Self::Netiq => netiq(denial.class()),
            Self::NetiqHide => netiq_hide(denial.class()),
            Self::Webmethods => webmethods(denial.class()),
        }
    }

    pub(super) const fn content_type(self) -> ContentType {
        match self {
            Self::ProblemJson => ContentType::ProblemJson,
            Self::Rfc6750 | Self::Axway | Self::Netiq | Self::NetiqHide | Self::Webmethods => ContentType::Json,
        }
    }
}

/// Statuses, codes and texts of the product's manual.
fn axway(denial: Denial) -> ErrorResponse {
    let invalid = |description| ErrorResponse::plain(401, "invalid_token", description).challenging(Challenge::Error);
    match denial.class() {
        Class::NoCredentials | Class::InvalidRequest => {
            ErrorResponse::plain(400, "invalid_request", "Unable to find token in the message.")
                .challenging(Challenge::Error)
        }
        Class::InvalidToken if denial == Denial::Expired => invalid("The access token expired."),
        Class::InvalidToken => invalid("Unable to find the access token in persistent storage."),
        Class::UnregisteredClient => invalid("The client app was not found or is disabled."),
        Class::InsufficientScope => {
            let text = "scope(s) associated with access token are not valid to access this resource.";
            ErrorResponse::plain(403, "insufficient_scope", text).challenging(Challenge::Scope)
        }
        class @ (Class::AmbiguousTarget
        | Class::NoRule
        | Class::InsufficientPrivileges
        | Class::TooManyUnknownTokens
        | Class::Unavailable
        | Class::Misconfigured) => class.wire(),
    }
}

fn netiq(class: Class) -> ErrorResponse {
    match class {
        Class::NoCredentials
        | Class::InvalidRequest
        | Class::InvalidToken
        | Class::InsufficientScope
        | Class::UnregisteredClient
        | Class::InsufficientPrivileges => ErrorResponse::plain(403, "access_denied", "Access to the API is forbidden"),
        Class::AmbiguousTarget
        | Class::NoRule
        | Class::TooManyUnknownTokens
        | Class::Unavailable
        | Class::Misconfigured => class.wire(),
    }
}

fn netiq_hide(class: Class) -> ErrorResponse {
    match class {
        Class::TooManyUnknownTokens | Class::Unavailable | Class::Misconfigured => class.wire(),
        Class::NoCredentials
        | Class::InvalidRequest
        | Class::InvalidToken
        | Class::InsufficientScope
        | Class::UnregisteredClient
        | Class::InsufficientPrivileges
        | Class::AmbiguousTarget
        | Class::NoRule => ErrorResponse::plain(403, "not_available", "The API is not available"),
    }
}

fn webmethods(class: Class) -> ErrorResponse {
    match class {
        Class::InvalidRequest
        | Class::InvalidToken
        | Class::InsufficientScope
        | Class::UnregisteredClient
        | Class::InsufficientPrivileges => {
            ErrorResponse::plain(401, "invalid_token", "Token is invalid or expired").challenging(Challenge::Error)
        }
        Class::NoCredentials
        | Class::AmbiguousTarget
        | Class::NoRule
        | Class::TooManyUnknownTokens
        | Class::Unavailable
        | Class::Misconfigured => class.wire(),
    }
}
