//! A rule: the requests it matches, and its requirement.

use std::sync::Arc;

use super::application::ApplicationPolicy;
use super::request_match::RequestMatch;
use super::requirement::Requirement;
use crate::response::ErrorProfile;

/// A rule.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rule {
    pub(crate) name: Arc<str>,
    /// The API that the rule belongs to.
    pub(crate) api: Option<Arc<str>>,
    pub(crate) matches: Vec<RequestMatch>,
    pub(crate) access: Access,
    /// Whether CORS preflights for its requests pass without a token.
    pub(crate) cors_preflight: bool,
    /// The format of its refusals.
    pub(crate) errors: Arc<ErrorProfile>,
    pub(crate) mode: Mode,
}

/// Whether refusals are enforced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    /// A refused request does not pass.
    #[default]
    Enforce,
    /// A refused request passes, and is counted and logged. Set explicitly in the configuration, never by default.
    ReportOnly,
}

impl Mode {
    pub(crate) const WORDS: [(&str, Self); 2] = [("enforce", Self::Enforce), ("report_only", Self::ReportOnly)];
}

/// Who may send the requests of a rule.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Access {
    /// Anyone, without a token. Set explicitly in the configuration, never by default.
    Public,
    /// Clients with an active token that meets the requirement.
    Protected {
        /// The indexes of the authorization servers whose tokens are accepted, in the order in which they are tried.
        servers: Vec<usize>,
        requirement: Arc<Requirement>,
        /// Whether the requirement depends on the request.
        is_dynamic: bool,
        /// Which applications may use the rule; `None` for any client.
        identification: Option<ApplicationPolicy>,
    },
}

impl Access {
    pub(crate) fn protected(
        servers: Vec<usize>,
        requirement: Requirement,
        identification: Option<ApplicationPolicy>,
    ) -> Self {
        let is_dynamic = requirement.is_dynamic();
        Self::Protected { servers, requirement: Arc::new(requirement), is_dynamic, identification }
    }
}
