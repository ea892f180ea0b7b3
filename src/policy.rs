//! The rules of a configuration: which one a request falls under, and what it demands.
//!
//! First match wins, in order. A request that no rule matches has no rule; the gate refuses it.

mod host;
mod method;
mod path;

use std::sync::Arc;

pub(crate) use host::HostPattern;
pub(crate) use method::Method;
pub(crate) use path::{PathPattern, PatternError};

use crate::application::Identification;
use crate::errors::ErrorProfile;
use crate::request::Target;
use crate::requirement::Requirement;

/// All rules, in the order of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Policy {
    pub(crate) rules: Vec<Arc<Rule>>,
}

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
        /// Which applications it is for, if that matters.
        identification: Option<Identification>,
    },
}

/// Conditions that must all hold; an empty list and `None` mean "any".
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RequestMatch {
    pub(crate) methods: Vec<Method>,
    pub(crate) hosts: Vec<HostPattern>,
    pub(crate) path: Option<PathPattern>,
    pub(crate) route: Option<String>,
}

impl Policy {
    /// The first rule that matches.
    pub(crate) fn find(&self, target: &Target<'_>) -> Option<&Arc<Rule>> {
        self.rules.iter().find(|rule| rule.matches.iter().any(|entry| entry.matches(target)))
    }

    /// The first rule that would match if no port counted, neither the request's nor those in `hosts`.
    pub(crate) fn find_without_ports(&self, target: &Target<'_>) -> Option<&Arc<Rule>> {
        self.rules.iter().find(|rule| rule.matches.iter().any(|entry| entry.matches_but_for_ports(target)))
    }

    /// Whether another route could bring the request under another rule.
    pub(crate) fn follows_route(&self, target: &Target<'_>) -> bool {
        let any_route = |rule: &&Arc<Rule>| rule.matches.iter().any(|entry| entry.matches_but_for_route(target));
        let first = self.rules.iter().find(any_route);
        first.is_some_and(|rule| {
            !rule.matches.iter().any(|entry| entry.route.is_none() && entry.matches_but_for_route(target))
        })
    }

    pub(crate) fn uses_hosts(&self) -> bool {
        self.rules.iter().flat_map(|rule| &rule.matches).any(|entry| !entry.hosts.is_empty())
    }

    pub(crate) fn uses_routes(&self) -> bool {
        self.rules.iter().flat_map(|rule| &rule.matches).any(|entry| entry.route.is_some())
    }

    /// The rules before `index` that take every request of rule `index`, so that it can never apply.
    /// Empty if some request reaches it.
    pub(crate) fn shadowing(&self, index: usize) -> Vec<&Arc<Rule>> {
        let Some((rule, earlier)) = self.rules.get(index).zip(self.rules.get(..index)) else {
            return Vec::new();
        };
        let mut shadowing: Vec<&Arc<Rule>> = Vec::new();
        for single in rule.matches.iter().flat_map(RequestMatch::singles) {
            match earlier.iter().find(|rule| rule.matches.iter().any(|entry| entry.covers(&single))) {
                Some(rule) if shadowing.iter().any(|known| known.name == rule.name) => {}
                Some(rule) => shadowing.push(rule),
                None => return Vec::new(),
            }
        }
        shadowing
    }
}

impl Rule {
    /// Whether the rule matches by an entry that names the host, and with it the port if there is one.
    pub(crate) fn names_host_of(&self, target: &Target<'_>) -> bool {
        self.matches.iter().any(|entry| !entry.hosts.is_empty() && entry.matches(target))
    }

    /// Whether the rule matches by an entry that spells the path as the request does.
    pub(crate) fn spells_path_of(&self, target: &Target<'_>) -> bool {
        self.matches.iter().any(|entry| entry.matches_as_spelled(target))
    }

    /// What the rule demands for a request that falls under it.
    pub(crate) fn requirement(&self, target: &Target<'_>) -> Option<Arc<Requirement>> {
        let Access::Protected { requirement, .. } = &self.access else {
            return None;
        };
        if !requirement.is_dynamic() {
            return Some(Arc::clone(requirement));
        }
        let entry = self.matches.iter().find(|entry| entry.matches_as_spelled(target));
        Some(Arc::new(requirement.resolve(target, entry.and_then(|entry| entry.path.as_ref()))))
    }
}

impl RequestMatch {
    fn matches(&self, target: &Target<'_>) -> bool {
        self.matches_but_for_route(target) && self.matches_route(target)
    }

    fn matches_but_for_route(&self, target: &Target<'_>) -> bool {
        (self.hosts.is_empty() || self.hosts.iter().any(|h| h.matches(&target.host)))
            && self.matches_method_and_path(target)
    }

    /// Whether it matches, and the path is spelled as in the pattern.
    pub(crate) fn matches_as_spelled(&self, target: &Target<'_>) -> bool {
        self.matches(target) && self.path.as_ref().is_none_or(|path| path.spells(&target.path))
    }

    fn matches_but_for_ports(&self, target: &Target<'_>) -> bool {
        (self.hosts.is_empty() || self.hosts.iter().any(|h| h.matches_name(&target.host)))
            && self.matches_method_and_path(target)
            && self.matches_route(target)
    }

    fn matches_method_and_path(&self, target: &Target<'_>) -> bool {
        (self.methods.is_empty() || self.methods.iter().any(|m| m.matches(target.method)))
            && self.path.as_ref().is_none_or(|p| p.matches(&target.path))
    }

    fn matches_route(&self, target: &Target<'_>) -> bool {
        self.route.as_ref().is_none_or(|route| target.route == Some(route.as_bytes()))
    }

    /// The same requests as entries of one method and one host each, so that several earlier entries
    /// can be seen to cover them together.
    fn singles(&self) -> Vec<Self> {
        let methods = options(&self.methods);
        let hosts = options(&self.hosts);
        methods
            .iter()
            .flat_map(|method| {
                hosts.iter().map(|host| Self {
                    methods: method.iter().cloned().collect(),
                    hosts: host.iter().cloned().collect(),
                    ..self.clone()
                })
            })
            .collect()
    }

    /// Whether every request that `single` matches is matched by `self`.
    fn covers(&self, single: &Self) -> bool {
        let method = self.methods.is_empty() || single.methods.iter().any(|m| self.methods.contains(m));
        let host = self.hosts.is_empty()
            || single.hosts.iter().any(|theirs| self.hosts.iter().any(|ours| ours.covers(theirs)));
        let path = match (&self.path, &single.path) {
            (None, _) => true,
            (Some(ours), Some(theirs)) => ours.covers(theirs),
            (Some(ours), None) => ours.covers_everything(),
        };
        method && host && path && (self.route.is_none() || self.route == single.route)
    }
}

/// Each item as an option, or the one option "any" for an empty list.
fn options<T: Clone>(items: &[T]) -> Vec<Option<T>> {
    if items.is_empty() { vec![None] } else { items.iter().cloned().map(Some).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{Path, PathOptions, RawHead};

    fn entry(methods: &[&str], hosts: &[&str], path: Option<PathPattern>, route: Option<&str>) -> RequestMatch {
        RequestMatch {
            methods: methods.iter().map(|m| Method::parse(m).unwrap()).collect(),
            hosts: hosts.iter().map(|h| HostPattern::parse(h).unwrap()).collect(),
            path,
            route: route.map(str::to_owned),
        }
    }

    fn exact(path: &str) -> Option<PathPattern> {
        Some(PathPattern::exact(path, PathOptions::default()).unwrap())
    }

    fn prefix(path: &str) -> Option<PathPattern> {
        Some(PathPattern::prefix(path, PathOptions::default()).unwrap())
    }

    fn policy(rules: Vec<Vec<RequestMatch>>) -> Policy {
        let rule = |(index, matches): (usize, _)| {
            Arc::new(Rule {
                name: Arc::from(format!("r{index}")),
                api: None,
                matches,
                access: Access::Public,
                cors_preflight: false,
                errors: Arc::default(),
            })
        };
        Policy { rules: rules.into_iter().enumerate().map(rule).collect() }
    }

    #[test]
    fn the_first_rule_that_matches_wins() {
        let policy = policy(vec![
            vec![entry(&["GET"], &[], exact("/a"), None)],
            vec![entry(&[], &["*.example.com"], prefix("/a"), None)],
            vec![entry(&[], &[], prefix("/"), Some("r"))],
        ]);
        let find = |method: &str, host: &str, path: &str, route: Option<&str>| {
            let headers: Vec<(String, Vec<u8>)> = [(":method", method), (":authority", host), (":path", path)]
                .map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()))
                .to_vec();
            let head = RawHead { headers: &headers, route: route.map(str::as_bytes), has_body: false };
            let target = Target::parse(head, PathOptions::default()).unwrap();
            policy.find(&target).map(|rule| rule.name.to_string())
        };
        assert_eq!(find("GET", "x.example.com", "/a", None).as_deref(), Some("r0"));
        assert_eq!(find("PUT", "x.example.com", "/a", None).as_deref(), Some("r1"));
        assert_eq!(find("PUT", "example.org", "/a", Some("r")).as_deref(), Some("r2"));
        assert_eq!(find("PUT", "example.org", "/a", Some("q")), None);
        assert_eq!(find("get", "x.example.org", "/a", None), None);
    }

    #[test]
    fn a_rule_that_earlier_ones_take_everything_from_is_shadowed() {
        let shadowed = |earlier: Vec<Vec<RequestMatch>>, later: Vec<RequestMatch>| {
            let index = earlier.len();
            let mut rules = earlier;
            rules.push(later);
            let policy = policy(rules);
            let names: Vec<String> = policy.shadowing(index).iter().map(|r| r.name.to_string()).collect();
            names
        };
        let all = || vec![entry(&[], &[], prefix("/"), None)];
        assert_eq!(shadowed(vec![all()], vec![entry(&["GET"], &["a.b"], exact("/x/{y}"), Some("r"))]), ["r0"]);
        assert_eq!(shadowed(vec![all()], vec![entry(&["GET"], &[], None, None)]), ["r0"]);
        assert_eq!(
            shadowed(
                vec![vec![entry(&["GET"], &[], exact("/a"), None)], vec![entry(&["POST"], &[], prefix("/a"), None)]],
                vec![entry(&["GET", "POST"], &[], exact("/a"), None)],
            ),
            ["r0", "r1"],
        );
        assert_eq!(
            shadowed(
                vec![vec![entry(&[], &["*.b.c"], exact("/a"), None)], vec![entry(&[], &["x.y"], exact("/a"), None)]],
                vec![entry(&["GET", "PUT"], &["a.b.c", "x.y"], exact("/a"), None)],
            ),
            ["r0", "r1"],
        );
        let none: [&str; 0] = [];
        for (earlier, later) in [
            (entry(&["GET"], &[], exact("/a"), None), entry(&[], &[], exact("/a"), None)),
            (entry(&[], &["a.b"], exact("/a"), None), entry(&[], &[], exact("/a"), None)),
            (entry(&[], &["a.b"], exact("/a"), None), entry(&[], &["a.b", "c.d"], exact("/a"), None)),
            (entry(&[], &[], exact("/a"), None), entry(&[], &[], prefix("/a"), None)),
            (entry(&[], &[], exact("/a/x"), None), entry(&[], &[], exact("/a/{id}"), None)),
            (entry(&[], &[], prefix("/a"), Some("r")), entry(&[], &[], exact("/a"), None)),
            (entry(&[], &[], prefix("/a"), None), entry(&[], &[], None, None)),
        ] {
            assert_eq!(shadowed(vec![vec![earlier.clone()]], vec![later.clone()]), none, "{earlier:?} {later:?}");
        }
    }

    #[test]
    fn a_target_keeps_the_segments_of_its_path() {
        let headers = [(":path".to_owned(), b"/a/b".to_vec())];
        let head = RawHead { headers: &headers, route: None, has_body: false };
        let target = Target::parse(head, PathOptions::default()).unwrap();
        assert_eq!(target.path, Path::parse(b"/a/b", PathOptions::default()).unwrap());
    }
}
