//! Every reason for which a request does not pass: one closed list, one table to the wire.
//!
//! The caller learns the class of a failure, the operator the reason.

use crate::bearer::CredentialsError;
use crate::introspection::Trouble;
use crate::request::TargetError;

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
    /// The authorization server gave no usable answer.
    Unavailable(Trouble),
    /// The configuration was refused.
    Misconfigured,
}

/// What a caller is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wire {
    pub(crate) status: u16,
    /// The `error` of the body; RFC 6750 §3.1 and RFC 6749 §4.1.2.1 have most of them.
    pub(crate) error: &'static str,
    pub(crate) description: &'static str,
    pub(crate) challenge: Challenge,
    pub(crate) retry: bool,
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

impl Denial {
    pub(crate) const fn wire(self) -> Wire {
        match self {
            Self::Target(_) => Wire {
                status: 400,
                error: "invalid_request",
                description: "The request target is ambiguous",
                challenge: Challenge::None,
                retry: false,
            },
            Self::NoRule => Wire {
                status: 403,
                error: "access_denied",
                description: "The request is not allowed",
                challenge: Challenge::None,
                retry: false,
            },
            Self::NoCredentials => Wire {
                status: 401,
                error: "unauthorized",
                description: "An access token is required",
                challenge: Challenge::Realm,
                retry: false,
            },
            Self::Credentials(_) => Wire {
                status: 400,
                error: "invalid_request",
                description: "The bearer credentials are malformed",
                challenge: Challenge::Error,
                retry: false,
            },
            // One text for all of them: what is wrong with a token is nobody's business but the operator's.
            Self::Inactive
            | Self::Expired
            | Self::NotYetValid
            | Self::WrongIssuer
            | Self::WrongAudience
            | Self::NotAnAccessToken
            | Self::SenderConstrained => Wire {
                status: 401,
                error: "invalid_token",
                description: "The access token is not valid",
                challenge: Challenge::Error,
                retry: false,
            },
            Self::InsufficientScope => Wire {
                status: 403,
                error: "insufficient_scope",
                description: "The access token does not have the scope required",
                challenge: Challenge::Scope,
                retry: false,
            },
            Self::Unavailable(_) | Self::Misconfigured => Wire {
                status: 503,
                error: "temporarily_unavailable",
                description: "The request cannot be authorized at the moment",
                challenge: Challenge::None,
                retry: true,
            },
        }
    }

    /// The class of the decision, for metrics: one of [`Denial::OUTCOMES`].
    pub const fn outcome(self) -> &'static str {
        match self {
            Self::Target(_) => "ambiguous_target",
            Self::NoRule => "no_rule",
            Self::NoCredentials => "no_credentials",
            Self::Credentials(_) => "invalid_request",
            Self::Inactive
            | Self::Expired
            | Self::NotYetValid
            | Self::WrongIssuer
            | Self::WrongAudience
            | Self::NotAnAccessToken
            | Self::SenderConstrained => "invalid_token",
            Self::InsufficientScope => "insufficient_scope",
            Self::Unavailable(_) => "unavailable",
            Self::Misconfigured => "misconfigured",
        }
    }

    /// Every class there is.
    pub const OUTCOMES: [&'static str; 8] = [
        "ambiguous_target",
        "no_rule",
        "no_credentials",
        "invalid_request",
        "invalid_token",
        "insufficient_scope",
        "unavailable",
        "misconfigured",
    ];

    /// The reason itself, for logs.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Target(TargetError::Path(error)) => error.reason(),
            Self::Target(TargetError::Host) => "bad_authority",
            Self::Target(TargetError::HostPort) => "host_port_decides",
            Self::Target(TargetError::Route) => "identity_header_before_route",
            Self::NoRule => "no_rule",
            Self::NoCredentials => "no_credentials",
            Self::Credentials(error) => error.reason(),
            Self::Inactive => "inactive",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::WrongIssuer => "wrong_issuer",
            Self::WrongAudience => "wrong_audience",
            Self::NotAnAccessToken => "not_an_access_token",
            Self::SenderConstrained => "sender_constrained",
            Self::InsufficientScope => "insufficient_scope",
            Self::Unavailable(trouble) => trouble.outcome(),
            Self::Misconfigured => "misconfigured",
        }
    }
}
