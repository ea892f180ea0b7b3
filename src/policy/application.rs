//! Applications: clients that are known by name, and what they are registered for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Every application, by the clients it has.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Applications {
    /// For each authorization server, by its index, the client ids there.
    pub(crate) by_server: Vec<BTreeMap<String, Arc<Application>>>,
}

/// A consumer of APIs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Application {
    pub(crate) name: Arc<str>,
    pub(crate) apis: BTreeSet<String>,
    pub(crate) rules: BTreeSet<String>,
}

/// Whose tokens a rule takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ApplicationPolicy {
    /// Those of applications that are registered for it or for its API.
    Registered,
    /// Those of any application that there is.
    Any,
    /// Everybody's; who is no application is marked as [`UNKNOWN`].
    Anonymous,
}

impl ApplicationPolicy {
    pub(crate) const WORDS: [(&str, Self); 3] =
        [("registered", Self::Registered), ("any", Self::Any), ("anonymous", Self::Anonymous)];
}

impl Applications {
    /// The application that a client of an authorization server belongs to.
    pub(crate) fn find(&self, server: usize, client_id: Option<&str>) -> Option<&Arc<Application>> {
        self.by_server.get(server)?.get(client_id?)
    }
}

impl Application {
    pub(crate) fn is_registered_for(&self, rule: &str, api: Option<&str>) -> bool {
        self.rules.contains(rule) || api.is_some_and(|api| self.apis.contains(api))
    }
}

/// What stands for the name of an application where anonymous calls pass.
pub(crate) const UNKNOWN: &str = "unknown";
