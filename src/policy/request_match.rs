//! The entries of a rule's `match`: conditions on a request.

use super::host_pattern::HostPattern;
use super::method::Method;
use super::path_pattern::PathPattern;
use crate::request::Target;

/// Conditions that must all hold. An empty list and `None` match everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RequestMatch {
    pub(crate) methods: Vec<Method>,
    pub(crate) hosts: Vec<HostPattern>,
    pub(crate) path: Option<PathPattern>,
    pub(crate) route: Option<String>,
}

impl RequestMatch {
    /// Returns whether it matches and the path has the same encoding as the pattern.
    pub(crate) fn matches_as_spelled(&self, target: &Target<'_>) -> bool {
        (self.hosts.is_empty() || self.hosts.iter().any(|host| host.matches(&target.host)))
            && self.takes_method(target.method)
            && self.path.as_ref().is_none_or(|path| path.matches(&target.path))
            && self.route.as_ref().is_none_or(|route| target.route == Some(route.as_bytes()))
            && self.spells(target)
    }

    pub(super) fn takes_method(&self, method: &[u8]) -> bool {
        self.methods.is_empty() || self.methods.iter().any(|held| held.matches(method))
    }

    /// Returns whether it matches the method; for `None`, whether it matches every method.
    pub(super) fn takes_all_of(&self, method: Option<&Method>) -> bool {
        self.methods.is_empty() || method.is_some_and(|method| self.methods.contains(method))
    }

    /// Returns whether a matching path has the same encoding as the pattern.
    pub(super) fn spells(&self, target: &Target<'_>) -> bool {
        self.path.as_ref().is_none_or(|path| path.spells(&target.path))
    }

    /// Splits the entry into entries with one method and one host each, so that several earlier entries can be shown to
    /// cover it together.
    pub(super) fn singles(&self) -> impl Iterator<Item = Single<'_>> {
        options(&self.methods)
            .flat_map(move |method| options(&self.hosts).map(move |host| Single { entry: self, method, host }))
    }
}

/// An entry with one method and one host; `None` matches all.
pub(super) struct Single<'e> {
    pub(super) entry: &'e RequestMatch,
    pub(super) method: Option<&'e Method>,
    pub(super) host: Option<&'e HostPattern>,
}

/// Returns each item, or `None` once if the list is empty.
pub(super) fn options<T>(items: &[T]) -> impl Iterator<Item = Option<&T>> {
    items.iter().map(Some).chain(items.is_empty().then_some(None))
}
