//! Refusals in the format of other vendors' gateways.

use super::content_type::ContentType;
use crate::decision::{Challenge, Denial, DenialClass, ErrorResponse};

/// The vendor whose format refusals have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Vendor {
    /// RFC 6750 §3
    #[default]
    Rfc6750,
    /// The Validate Access Token filter of Axway API Gateway.
    Axway,
    /// NetIQ Secure API Manager: 403 for every defect of a token.
    Netiq,
    /// Like `Netiq`, and refused requests look like requests for an unknown API.
    NetiqHide,
    /// webMethods API Gateway: 401 for every defect of a token.
    Webmethods,
    /// RFC 9457 bodies, RFC 6750 challenges.
    ProblemJson,
}

impl Vendor {
    pub(crate) const WORDS: [(&str, Self); 6] = [
        ("rfc6750", Self::Rfc6750),
        ("axway", Self::Axway),
        ("netiq", Self::Netiq),
        ("netiq-hide", Self::NetiqHide),
        ("webmethods", Self::Webmethods),
        ("problem+json", Self::ProblemJson),
    ];

    /// The realm if the configuration sets none.
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

/// The statuses, codes and texts of the product's manual.
fn axway(denial: Denial) -> ErrorResponse {
    let invalid = |description| ErrorResponse::plain(401, "invalid_token", description).challenging(Challenge::Error);
    match denial.class() {
        DenialClass::NoCredentials | DenialClass::InvalidRequest => {
            ErrorResponse::plain(400, "invalid_request", "Unable to find token in the message.")
                .challenging(Challenge::Error)
        }
        DenialClass::InvalidToken if denial == Denial::Expired => invalid("The access token expired."),
        DenialClass::InvalidToken => invalid("Unable to find the access token in persistent storage."),
        DenialClass::UnregisteredClient => invalid("The client app was not found or is disabled."),
        DenialClass::InsufficientScope => {
            let text = "scope(s) associated with access token are not valid to access this resource.";
            ErrorResponse::plain(403, "insufficient_scope", text).challenging(Challenge::Scope)
        }
        class @ (DenialClass::AmbiguousTarget
        | DenialClass::NoRule
        | DenialClass::InsufficientPrivileges
        | DenialClass::TooManyUnknownTokens
        | DenialClass::Unavailable
        | DenialClass::Misconfigured) => class.wire(),
    }
}

fn netiq(class: DenialClass) -> ErrorResponse {
    match class {
        DenialClass::NoCredentials
        | DenialClass::InvalidRequest
        | DenialClass::InvalidToken
        | DenialClass::InsufficientScope
        | DenialClass::UnregisteredClient
        | DenialClass::InsufficientPrivileges => {
            ErrorResponse::plain(403, "access_denied", "Access to the API is forbidden")
        }
        DenialClass::AmbiguousTarget
        | DenialClass::NoRule
        | DenialClass::TooManyUnknownTokens
        | DenialClass::Unavailable
        | DenialClass::Misconfigured => class.wire(),
    }
}

fn netiq_hide(class: DenialClass) -> ErrorResponse {
    match class {
        DenialClass::TooManyUnknownTokens | DenialClass::Unavailable | DenialClass::Misconfigured => class.wire(),
        DenialClass::NoCredentials
        | DenialClass::InvalidRequest
        | DenialClass::InvalidToken
        | DenialClass::InsufficientScope
        | DenialClass::UnregisteredClient
        | DenialClass::InsufficientPrivileges
        | DenialClass::AmbiguousTarget
        | DenialClass::NoRule => ErrorResponse::plain(403, "not_available", "The API is not available"),
    }
}

fn webmethods(class: DenialClass) -> ErrorResponse {
    match class {
        DenialClass::InvalidRequest
        | DenialClass::InvalidToken
        | DenialClass::InsufficientScope
        | DenialClass::UnregisteredClient
        | DenialClass::InsufficientPrivileges => {
            ErrorResponse::plain(401, "invalid_token", "Token is invalid or expired").challenging(Challenge::Error)
        }
        DenialClass::NoCredentials
        | DenialClass::AmbiguousTarget
        | DenialClass::NoRule
        | DenialClass::TooManyUnknownTokens
        | DenialClass::Unavailable
        | DenialClass::Misconfigured => class.wire(),
    }
}
