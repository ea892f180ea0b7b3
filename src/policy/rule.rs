//! One rule: which requests it is for, and what it requires of them.

use std::sync::Arc;

use super::application::ApplicationPolicy;
use super::request_match::RequestMatch;
use super::requirement::Requirement;
use crate::response::ErrorProfile;

/// One rule.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rule {
    pub(crate) name: Arc<str>,
    /// The API it belongs to.
    pub(crate) api: Option<Arc<str>>,
    pub(crate) matches: Vec<RequestMatch>,
    pub(crate) access: Access,
    /// Whether CORS preflights for its requests pass without a token.
    pub(crate) cors_preflight: bool,
    /// How its refusals look.
    pub(crate) errors: Arc<ErrorProfile>,
    pub(crate) mode: Mode,
}

/// What a refusal means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The request does not pass.
    #[default]
    Enforce,
    /// It is counted and logged, and the request passes: to see what a configuration would do. Said in the
    /// configuration, never implied.
    ReportOnly,
}

impl Mode {
    pub(crate) const WORDS: [(&str, Self); 2] = [("enforce", Self::Enforce), ("report_only", Self::ReportOnly)];
}

/// What a rule opens its requests to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Access {
    /// Everybody, without a token. Said in the configuration, never implied.
    Public,
    /// Holders of an active token that has what is demanded.
    Protected {
        /// Indices of the authorization servers that may answer for the token, in the order they are tried.
        servers: Vec<usize>,
        requirement: Arc<Requirement>,
        /// Whether the requirement depends on the request.
        is_dynamic: bool,
        /// Which applications it is for, if that matters.
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
