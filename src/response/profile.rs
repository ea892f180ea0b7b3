//! Error profiles: how a refusal looks to the caller. What is refused, and why, is the same in all of them.

use std::collections::BTreeMap;

use super::content_type::ContentType;
use super::template::{self, Template, Values};
use super::vendors::Vendor;
use crate::decision::{Challenge, Denial, DenialClass, ErrorResponse};

/// How refusals look: a vendor's way, and what the operator wants otherwise.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ErrorProfile {
    pub(crate) base: Vendor,
    pub(crate) realm: String,
    /// For each outcome of a denial ([`Denial::class`]), what is said instead.
    pub(crate) responses: BTreeMap<DenialClass, Response>,
    /// The same for every outcome that has no entry, but for those that are our own trouble.
    pub(crate) default_response: Option<Response>,
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
        let is_ours = matches!(
            denial.class(),
            DenialClass::TooManyUnknownTokens | DenialClass::Unavailable | DenialClass::Misconfigured
        );
        let response = self.responses.get(&denial.class()).or(self.default_response.as_ref().filter(|_| !is_ours));
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

    fn challenge(&self, wire: ErrorResponse, scope: &DemandedScope) -> Option<String> {
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
            Challenge::Scope if self.base == Vendor::Axway => {
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
        let base = Vendor::default();
        let realm = base.default_realm().to_owned();
        Self { base, realm, responses: BTreeMap::new(), default_response: None }
    }
}
