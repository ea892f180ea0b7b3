//! Applications: named groups of clients, and the APIs and rules that they are registered for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// All applications, indexed by their clients.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Applications {
    /// The client ids of each authorization server, by the index of the server.
    pub(crate) by_server: Vec<BTreeMap<String, Arc<Application>>>,
}

/// A named consumer of APIs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Application {
    pub(crate) name: Arc<str>,
    pub(crate) apis: BTreeSet<String>,
    pub(crate) rules: BTreeSet<String>,
}

/// Which applications may use a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ApplicationPolicy {
    /// Applications that are registered for the rule or its API.
    Registered,
    /// Any configured application.
    Any,
    /// Any client; the name of a client without an application is [`UNKNOWN`].
    Anonymous,
}

impl ApplicationPolicy {
    pub(crate) const WORDS: [(&str, Self); 3] =
        [("registered", Self::Registered), ("any", Self::Any), ("anonymous", Self::Anonymous)];
}

impl Applications {
    /// Returns the application of a client of an authorization server.
    pub(crate) fn find(&self, server: usize, client_id: Option<&str>) -> Option<&Arc<Application>> {
        self.by_server.get(server)?.get(client_id?)
    }
}

impl Application {
    pub(crate) fn is_registered_for(&self, rule: &str, api: Option<&str>) -> bool {
        self.rules.contains(rule) || api.is_some_and(|api| self.apis.contains(api))
    }
}

/// The application name of clients without an application, where they are permitted.
pub(crate) const UNKNOWN: &str = "unknown";
