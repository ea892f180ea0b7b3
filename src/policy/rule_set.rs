//! The rules of a configuration: they select the rule and the requirement of a request.
//!
//! The first matching rule applies, in the order of the configuration. The gate refuses requests that no rule matches.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::index::{Ignored, Index, Query, Steps, Where};
use super::request_match::{RequestMatch, Single};
use super::requirement::Requirement;
use super::rule::{Access, Rule};
use crate::request::Target;

/// All rules, in the order of the configuration, and the index of their entries.
#[derive(Debug)]
pub(crate) struct RuleSet {
    pub(crate) rules: Vec<Arc<Rule>>,
    /// Every entry of every rule, in order.
    places: Vec<Place>,
    index: Index,
    /// The index that ignores ports; `None` if no entry has a port.
    without_ports: Option<Index>,
    /// The index that ignores routes; `None` if no entry has a route.
    without_routes: Option<Index>,
}

/// The position of an entry.
#[derive(Clone, Copy, Debug)]
struct Place {
    rule: usize,
    entry: usize,
}

/// The rule of a request, and a matching entry of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RuleMatch<'p> {
    pub(crate) rule: &'p Arc<Rule>,
    entry: &'p RequestMatch,
}

impl RuleSet {
    pub(crate) fn new(rules: Vec<Rule>) -> Self {
        let rules: Vec<Arc<Rule>> = rules.into_iter().map(Arc::new).collect();
        let of_rule =
            |(rule, held): (usize, &Arc<Rule>)| (0..held.matches.len()).map(move |entry| Place { rule, entry });
        let places = rules.iter().enumerate().flat_map(of_rule).collect();
        let entries: Vec<&RequestMatch> = rules.iter().flat_map(|rule| &rule.matches).collect();
        let index = |ignored: Ignored| Index::new(&entries, ignored);
        let names_port = |entry: &RequestMatch| entry.hosts.iter().any(|host| !host.port().is_empty());
        Self {
            places,
            index: index(Ignored::Nothing),
            without_ports: entries.iter().any(|entry| names_port(entry)).then(|| index(Ignored::Ports)),
            without_routes: entries.iter().any(|entry| entry.route.is_some()).then(|| index(Ignored::Routes)),
            rules,
        }
    }

    /// Returns the first matching rule, with its first matching entry.
    pub(crate) fn find(&self, target: &Target<'_>) -> Option<RuleMatch<'_>> {
        self.first(&self.index, &Query::of(target), target.method, |_| true)
    }

    /// Returns the first rule that would match if ports were ignored, in the request and in `hosts`.
    pub(crate) fn find_without_ports(&self, target: &Target<'_>) -> Option<RuleMatch<'_>> {
        let index = self.without_ports.as_ref().unwrap_or(&self.index);
        self.first(index, &Query::without_port(target), target.method, |_| true)
    }

    /// Returns whether another Envoy route could change the rule of the request.
    pub(crate) fn follows_route(&self, target: &Target<'_>) -> bool {
        let Some(without_routes) = &self.without_routes else {
            return false;
        };
        let query = Query::of(target);
        let by_any_entry = self.first(without_routes, &query, target.method, |_| true);
        let on_any_route = self.first(&self.index, &Query { route: None, ..query }, target.method, |_| true);
        by_any_entry.is_some_and(|found| !on_any_route.is_some_and(|other| other.is_of(found)))
    }

    /// Returns whether the rule that was found for this target has a matching entry that names the host, including the
    /// port if the request has one.
    pub(crate) fn names_host(&self, found: RuleMatch<'_>, target: &Target<'_>) -> bool {
        let names_host = |entry: &RequestMatch| !entry.hosts.is_empty();
        names_host(found.entry) || self.other_entry(found, target, names_host).is_some()
    }

    /// Returns the rule that was found for this target, with its first entry that encodes the path as the request does.
    pub(crate) fn as_spelled<'p>(&'p self, found: RuleMatch<'p>, target: &Target<'_>) -> Option<RuleMatch<'p>> {
        let spells = |entry: &RequestMatch| entry.spells(target);
        if spells(found.entry) { Some(found) } else { self.other_entry(found, target, spells) }
    }

    pub(crate) fn uses_hosts(&self) -> bool {
        self.rules.iter().flat_map(|rule| &rule.matches).any(|entry| !entry.hosts.is_empty())
    }

    pub(crate) fn uses_routes(&self) -> bool {
        self.without_routes.is_some()
    }

    /// Returns the rules before `index` that together match every request of rule `index`, so that it never applies.
    /// Empty if some request reaches the rule.
    pub(crate) fn shadowing(&self, index: usize) -> Vec<&Arc<Rule>> {
        let Some(rule) = self.rules.get(index) else {
            return Vec::new();
        };
        let mut seen = BTreeSet::new();
        let mut shadowing = Vec::new();
        for single in rule.matches.iter().flat_map(RequestMatch::singles) {
            match self.first_to_cover(&single, index) {
                Some(place) if !seen.insert(place.rule) => {}
                Some(place) => shadowing.extend(self.rules.get(place.rule)),
                None => return Vec::new(),
            }
        }
        shadowing
    }

    /// Returns the first entry of the rules before `index` that matches every request of `single`.
    fn first_to_cover(&self, single: &Single<'_>, index: usize) -> Option<Place> {
        let query = Query {
            route: single.entry.route.as_deref().map(str::as_bytes),
            host: Where::of(single.host),
            path: Steps::Pattern(single.entry.path.as_ref()),
        };
        let end = self.places.partition_point(|place| place.rule < index);
        let place = self.index.first(&query, end, |place| {
            self.places
                .get(place)
                .and_then(|place| self.entry(*place))
                .is_some_and(|found| found.entry.takes_all_of(single.method))
        });
        self.places.get(place?).copied()
    }

    /// Returns the first entry of the same rule that matches and that `accept` accepts. No earlier rule matches.
    fn other_entry<'p>(
        &'p self,
        found: RuleMatch<'p>,
        target: &Target<'_>,
        accept: impl Fn(&RequestMatch) -> bool,
    ) -> Option<RuleMatch<'p>> {
        self.first(&self.index, &Query::of(target), target.method, accept).filter(|other| other.is_of(found))
    }

    fn first(
        &self,
        index: &Index,
        query: &Query<'_>,
        method: &[u8],
        accept: impl Fn(&RequestMatch) -> bool,
    ) -> Option<RuleMatch<'_>> {
        let at = |place: usize| self.places.get(place).and_then(|place| self.entry(*place));
        let accepted = |place| at(place).is_some_and(|found| found.entry.takes_method(method) && accept(found.entry));
        index.first(query, self.places.len(), accepted).and_then(at)
    }

    fn entry(&self, place: Place) -> Option<RuleMatch<'_>> {
        let rule = self.rules.get(place.rule)?;
        rule.matches.get(place.entry).map(|entry| RuleMatch { rule, entry })
    }
}

impl RuleMatch<'_> {
    /// Returns whether both are the same rule.
    pub(crate) fn is_of(self, other: RuleMatch<'_>) -> bool {
        Arc::ptr_eq(self.rule, other.rule)
    }

    /// Returns the requirement of the rule for a request that matches by this entry.
    pub(crate) fn requirement(self, target: &Target<'_>) -> Option<Arc<Requirement>> {
        match &self.rule.access {
            Access::Public => None,
            Access::Protected { requirement, is_dynamic: false, .. } => Some(Arc::clone(requirement)),
            Access::Protected { requirement, is_dynamic: true, .. } => {
                Some(Arc::new(requirement.resolve(target, self.entry.path.as_ref())))
            }
        }
    }
}

#[cfg(test)]
mod tests;
