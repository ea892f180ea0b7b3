//! Error profiles: how a refusal looks to the caller. What is refused, and why, is the same in all of them.

mod template;

use std::collections::BTreeMap;

pub(crate) use template::{Template, TemplateError, Values};

use crate::denial::{Challenge, Class, Denial, Wire};

/// How refusals look: a vendor's way, and what the operator wants otherwise.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ErrorProfile {
    pub(crate) base: Base,
    pub(crate) realm: String,
    /// For each outcome of a denial ([`Denial::outcome`]), what is said instead.
    pub(crate) responses: BTreeMap<&'static str, Response>,
    /// The same for every outcome that has no entry, but for those that are our own trouble.
    pub(crate) default_response: Option<Response>,
}

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

    fn wire(self, denial: Denial) -> Wire {
        match self {
            Self::Rfc6750 | Self::ProblemJson => denial.class().wire(),
            Self::Axway => axway(denial),
            Self::Netiq => netiq(denial.class()),
            Self::NetiqHide => netiq_hide(denial.class()),
            Self::Webmethods => webmethods(denial.class()),
        }
    }

    const fn content_type(self) -> ContentType {
        match self {
            Self::ProblemJson => ContentType::ProblemJson,
            Self::Rfc6750 | Self::Axway | Self::Netiq | Self::NetiqHide | Self::Webmethods => ContentType::Json,
        }
    }
}

/// What an operator wants said instead; what is `None` stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Response {
    pub(crate) status: Option<u16>,
    pub(crate) content_type: Option<ContentType>,
    pub(crate) body: Option<Template>,
    /// Whether there is a WWW-Authenticate, where the profile has one.
    pub(crate) challenge: Option<bool>,
}

/// What a body is, and so how values are escaped in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContentType {
    Json,
    ProblemJson,
    Text,
    Html,
}

impl ContentType {
    pub(crate) const WORDS: [(&str, Self); 4] = [
        ("application/json", Self::Json),
        ("application/problem+json", Self::ProblemJson),
        ("text/plain", Self::Text),
        ("text/html", Self::Html),
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::ProblemJson => "application/problem+json",
            Self::Text => "text/plain; charset=utf-8",
            Self::Html => "text/html; charset=utf-8",
        }
    }
}

/// The scope that a refusal is about, as profiles speak of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DemandedScope {
    /// Scope tokens, one space between each.
    pub(crate) tokens: String,
    /// Whether one of them would do.
    pub(crate) any: bool,
}

/// A refusal as it goes out.
#[derive(Debug)]
pub(crate) struct Rendered {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) challenge: Option<String>,
    pub(crate) retry: bool,
    pub(crate) body: String,
}

impl ErrorProfile {
    /// The refusal for a denial. `scope` is what the rule demands.
    pub(crate) fn render(&self, denial: Denial, scope: &DemandedScope) -> Rendered {
        let wire = self.base.wire(denial);
        let is_ours = matches!(denial.class(), Class::TooManyUnknownTokens | Class::Unavailable | Class::Misconfigured);
        let response = self.responses.get(denial.outcome()).or(self.default_response.as_ref().filter(|_| !is_ours));
        let status = response.and_then(|response| response.status).unwrap_or(wire.status);
        let content_type =
            response.and_then(|response| response.content_type).unwrap_or_else(|| self.base.content_type());
        let values = Values {
            status,
            error: wire.error,
            error_description: wire.description,
            realm: &self.realm,
            scope: &scope.tokens,
        };
        let body = match response.and_then(|response| response.body.as_ref()) {
            Some(template) => template.fill(&values, content_type),
            None => template::standard(&values, content_type),
        };
        let challenged = response.and_then(|response| response.challenge).unwrap_or(true);
        Rendered {
            status,
            content_type: content_type.name(),
            challenge: self.challenge(wire, scope).filter(|_| challenged),
            retry: wire.retry,
            body,
        }
    }

    fn challenge(&self, wire: Wire, scope: &DemandedScope) -> Option<String> {
        let realm = &self.realm;
        let full = || {
            format!("Bearer realm=\"{realm}\", error=\"{}\", error_description=\"{}\"", wire.error, wire.description)
        };
        match wire.challenge {
            Challenge::None => None,
            Challenge::Realm => Some(format!("Bearer realm=\"{realm}\"")),
            Challenge::Error => Some(full()),
            // No scope would help, and an empty list of them has no spelling (RFC 6750 §3).
            Challenge::Scope if scope.tokens.is_empty() => Some(full()),
            Challenge::Scope if self.base == Base::Axway => {
                let quantifier = if scope.any { "Any" } else { "All" };
                let prose = format!("Scopes must match {quantifier} of these scopes:{}", scope.tokens);
                Some(format!("{}, scope=\"{prose}\"", full()))
            }
            Challenge::Scope => Some(format!("{}, scope=\"{}\"", full(), scope.tokens)),
        }
    }
}

impl Default for ErrorProfile {
    fn default() -> Self {
        let base = Base::default();
        let realm = base.default_realm().to_owned();
        Self { base, realm, responses: BTreeMap::new(), default_response: None }
    }
}

/// Statuses, codes and texts of the product's manual.
fn axway(denial: Denial) -> Wire {
    let invalid = |description| Wire::plain(401, "invalid_token", description).challenging(Challenge::Error);
    match denial.class() {
        Class::NoCredentials | Class::InvalidRequest => {
            Wire::plain(400, "invalid_request", "Unable to find token in the message.").challenging(Challenge::Error)
        }
        Class::InvalidToken if denial == Denial::Expired => invalid("The access token expired."),
        Class::InvalidToken => invalid("Unable to find the access token in persistent storage."),
        Class::UnregisteredClient => invalid("The client app was not found or is disabled."),
        Class::InsufficientScope => {
            let text = "scope(s) associated with access token are not valid to access this resource.";
            Wire::plain(403, "insufficient_scope", text).challenging(Challenge::Scope)
        }
        class @ (Class::AmbiguousTarget
        | Class::NoRule
        | Class::InsufficientPrivileges
        | Class::TooManyUnknownTokens
        | Class::Unavailable
        | Class::Misconfigured) => class.wire(),
    }
}

fn netiq(class: Class) -> Wire {
    match class {
        Class::NoCredentials
        | Class::InvalidRequest
        | Class::InvalidToken
        | Class::InsufficientScope
        | Class::UnregisteredClient
        | Class::InsufficientPrivileges => Wire::plain(403, "access_denied", "Access to the API is forbidden"),
        Class::AmbiguousTarget
        | Class::NoRule
        | Class::TooManyUnknownTokens
        | Class::Unavailable
        | Class::Misconfigured => class.wire(),
    }
}

fn netiq_hide(class: Class) -> Wire {
    match class {
        Class::TooManyUnknownTokens | Class::Unavailable | Class::Misconfigured => class.wire(),
        Class::NoCredentials
        | Class::InvalidRequest
        | Class::InvalidToken
        | Class::InsufficientScope
        | Class::UnregisteredClient
        | Class::InsufficientPrivileges
        | Class::AmbiguousTarget
        | Class::NoRule => Wire::plain(403, "not_available", "The API is not available"),
    }
}

fn webmethods(class: Class) -> Wire {
    match class {
        Class::InvalidRequest
        | Class::InvalidToken
        | Class::InsufficientScope
        | Class::UnregisteredClient
        | Class::InsufficientPrivileges => {
            Wire::plain(401, "invalid_token", "Token is invalid or expired").challenging(Challenge::Error)
        }
        Class::NoCredentials
        | Class::AmbiguousTarget
        | Class::NoRule
        | Class::TooManyUnknownTokens
        | Class::Unavailable
        | Class::Misconfigured => class.wire(),
    }
}

#[cfg(test)]
mod tests;
