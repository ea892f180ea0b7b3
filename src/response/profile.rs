//! Error profiles: the format of refusals. Which requests are refused, and why, is the same in all profiles.

use std::collections::BTreeMap;

use super::content_type::ContentType;
use super::template::{self, Template, Values};
use super::vendors::Vendor;
use crate::decision::{Challenge, Denial, DenialClass, ErrorResponse};

/// The format of refusals: that of a vendor, and the operator's changes to it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ErrorProfile {
    pub(crate) base: Vendor,
    pub(crate) realm: String,
    /// The changes for single classes of denials ([`Denial::class`]).
    pub(crate) responses: BTreeMap<DenialClass, Response>,
    /// The changes for all other classes, except those that report a failure of the gateway or authorization server.
    pub(crate) default_response: Option<Response>,
}

/// The operator's changes to a response; `None` keeps the value of the vendor.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Response {
    pub(crate) status: Option<u16>,
    pub(crate) content_type: Option<ContentType>,
    pub(crate) body: Option<Template>,
    /// Whether the response has a WWW-Authenticate header, if the vendor's format has one.
    pub(crate) challenge: Option<bool>,
}

/// The required scope that a refusal reports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DemandedScope {
    /// Scope tokens, separated by single spaces.
    pub(crate) tokens: String,
    /// Whether one of them suffices.
    pub(crate) any: bool,
}

/// A rendered refusal.
#[derive(Debug)]
pub(crate) struct Rendered {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) challenge: Option<String>,
    pub(crate) retry: bool,
    pub(crate) body: String,
}

impl ErrorProfile {
    /// Renders the refusal for a denial. `scope` is the scope that the rule requires.
    pub(crate) fn render(&self, denial: Denial, scope: &DemandedScope) -> Rendered {
        let wire = self.base.wire(denial);
        let is_gateway_failure = matches!(
            denial.class(),
            DenialClass::TooManyUnknownTokens | DenialClass::Unavailable | DenialClass::Misconfigured
        );
        let response =
            self.responses.get(&denial.class()).or(self.default_response.as_ref().filter(|_| !is_gateway_failure));
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
            // No scope would help, and the syntax has no empty list of scopes (RFC 6750 §3).
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
