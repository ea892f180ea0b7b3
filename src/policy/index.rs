//! An index of the `match` entries of all rules. A lookup visits only entries that could match.
//!
//! Each entry is stored in a tree of path segments. There is one such tree per route and host that entries name, and
//! one for entries without route and host. The hosts form a tree of their own, by their labels from last to first. A
//! lookup follows every branch of every tree that could match, and returns the first entry in the order of the
//! configuration. Each node has one parent, so a lookup visits no node twice, and its cost is bounded by the size of
//! the trees, whatever the path. Methods are few; the caller compares them.

use std::iter;

use super::host_pattern::HostPattern;
use super::path_pattern::{PathPattern, Segment};
use super::request_match::{RequestMatch, options};
use super::trie::Trie;
use crate::request::{PathSegment, Target};

/// The index. Entries are identified by their position among all entries.
#[derive(Debug)]
pub(super) struct Index {
    hosts: Trie<HostNode>,
    paths: Trie<PathNode>,
}

/// The part of the entries that is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ignored {
    Nothing,
    Ports,
    Routes,
}

/// A lookup: for entries that match a request, or for entries that match every request of another entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Query<'q> {
    pub(super) route: Option<&'q [u8]>,
    pub(super) host: Where<'q>,
    pub(super) path: Steps<'q>,
}

/// The hosts that an entry must match.
#[derive(Clone, Copy, Debug)]
pub(super) enum Where<'q> {
    Everywhere,
    At { name: &'q str, port: &'q str },
    Below { name: &'q str, port: &'q str },
}

/// The paths that an entry must match.
#[derive(Clone, Copy, Debug)]
pub(super) enum Steps<'q> {
    Request(&'q [PathSegment]),
    /// Every path that the pattern matches; every path for `None`.
    Pattern(Option<&'q PathPattern>),
}

/// One step down a tree of paths.
enum Step<'q> {
    Literal(&'q str),
    Parameter,
}

/// A label of a host, or the route or port before it.
#[derive(Debug, Default)]
struct HostNode {
    /// The tree of entries for exactly this host.
    here: Option<usize>,
    /// The tree of entries for every host below it.
    below: Option<usize>,
}

#[derive(Debug)]
struct PathNode {
    /// The first entry in or below this node.
    first: usize,
    /// The child for any non-empty segment.
    parameter: Option<usize>,
    /// Entries whose path ends here, in order.
    exact: Vec<usize>,
    /// Entries with a path prefix that ends here, in order.
    prefix: Vec<usize>,
}

impl Index {
    /// Creates an index of entries, in their order.
    pub(super) fn new(entries: &[&RequestMatch], ignored: Ignored) -> Self {
        let mut hosts = Trie::new();
        let (any, named) = (hosts.add(HostNode::default()), hosts.add(HostNode::default()));
        debug_assert_eq!((any, named), (ANY_ROUTE, ROUTES));
        let mut index = Self { hosts, paths: Trie::new() };
        for place in 0..entries.len() {
            index.insert(entries, place, ignored);
        }
        index
    }

    fn insert(&mut self, entries: &[&RequestMatch], place: usize, ignored: Ignored) {
        let Some(entry) = entries.get(place) else { return };
        let start = match &entry.route {
            Some(route) if ignored != Ignored::Routes => {
                self.hosts.child_or_new(ROUTES, route.as_bytes(), HostNode::default)
            }
            Some(_) | None => ANY_ROUTE,
        };
        if entry.hosts.is_empty() {
            self.insert_path(entries, place, start, true);
        }
        for host in &entry.hosts {
            let port = if ignored == Ignored::Ports { "" } else { host.port() };
            let mut node = self.hosts.child_or_new(start, port.as_bytes(), HostNode::default);
            for label in host.name().rsplit('.') {
                node = self.hosts.child_or_new(node, label.as_bytes(), HostNode::default);
            }
            self.insert_path(entries, place, node, host.is_below());
        }
    }

    fn insert_path(&mut self, entries: &[&RequestMatch], place: usize, host: usize, below: bool) {
        let (Some(entry), Some(host)) = (entries.get(place), self.hosts.node_mut(host)) else { return };
        let tree = if below { &mut host.below } else { &mut host.here };
        let mut node = *tree.get_or_insert_with(|| self.paths.add(PathNode::new(place)));
        for segment in entry.path.as_ref().map(PathPattern::segments).unwrap_or_default() {
            node = match segment {
                Segment::Literal(literal) => {
                    self.paths.child_or_new(node, literal.decoded().as_bytes(), || PathNode::new(place))
                }
                Segment::Parameter(_) => self.parameter_or_new(node, place),
            };
        }
        let Some(node) = self.paths.node_mut(node) else { return };
        let is_prefix = entry.path.as_ref().is_none_or(PathPattern::is_prefix);
        let list = if is_prefix { &mut node.prefix } else { &mut node.exact };
        // Thousands of entries may differ only in the ignored part. Only the first of them is stored.
        let earlier = list.iter().filter_map(|place| entries.get(*place)).filter(|other| other.path == entry.path);
        if options(&entry.methods).any(|method| !earlier.clone().any(|other| other.takes_all_of(method))) {
            list.push(place);
        }
    }

    fn parameter_or_new(&mut self, node: usize, place: usize) -> usize {
        if let Some(found) = self.paths.node(node).and_then(|node| node.parameter) {
            return found;
        }
        let added = self.paths.add(PathNode::new(place));
        if let Some(node) = self.paths.node_mut(node) {
            node.parameter = Some(added);
        }
        added
    }

    /// Returns the first entry before position `end` that matches the query and that `accept` accepts.
    pub(super) fn first(&self, query: &Query<'_>, end: usize, accept: impl Fn(usize) -> bool) -> Option<usize> {
        let first_of = |list: &[usize], end: usize| {
            let mut list = list.iter().copied().take_while(|place| *place < end);
            list.find(|place| accept(*place)).unwrap_or(end)
        };
        let mut best = end;
        let named = query.route.and_then(|route| self.hosts.child(ROUTES, route));
        for start in iter::once(ANY_ROUTE).chain(named) {
            self.for_each_tree(start, query.host, |tree| {
                self.walk(tree, query.path, |node, at_end| {
                    if node.first >= best {
                        return false;
                    }
                    best = first_of(&node.prefix, best);
                    if at_end {
                        best = first_of(&node.exact, best);
                    }
                    true
                });
            });
        }
        (best < end).then_some(best)
    }

    /// Returns the number of path nodes.
    #[cfg(test)]
    pub(super) fn path_nodes(&self) -> usize {
        self.paths.len()
    }

    /// Returns the number of path nodes that an unsuccessful lookup visits.
    #[cfg(test)]
    pub(super) fn visits(&self, query: &Query<'_>) -> usize {
        let mut visits = 0_usize;
        self.for_each_tree(ANY_ROUTE, query.host, |tree| {
            self.walk(tree, query.path, |_, _| {
                visits = visits.saturating_add(1);
                true
            });
        });
        visits
    }

    /// Visits every tree of paths for the hosts.
    fn for_each_tree(&self, start: usize, host: Where<'_>, mut see: impl FnMut(usize)) {
        let node_at = |id: usize| self.hosts.node(id);
        if let Some(everywhere) = node_at(start).and_then(|node| node.below) {
            see(everywhere);
        }
        let (name, port, is_below) = match host {
            Where::Everywhere => return,
            Where::At { name, port } => (name, port, false),
            Where::Below { name, port } => (name, port, true),
        };
        let mut rest = Some(name);
        let mut next = self.hosts.child(start, port.as_bytes());
        while let (Some(id), Some(text)) = (next, rest) {
            let (before, label) = text.rsplit_once('.').map_or((None, text), |(before, label)| (Some(before), label));
            rest = before;
            next = self.hosts.child(id, label.as_bytes());
            let Some(node) = next.and_then(node_at) else { return };
            let tree = match rest {
                // A name that begins with a dot is not below anything, because its first label is empty.
                Some(before) => node.below.filter(|_| !before.is_empty()),
                None if is_below => node.below,
                None => node.here,
            };
            tree.into_iter().for_each(&mut see);
        }
    }

    /// Visits every node that a path could match, and whether the path ends there. Visits the children of a node only
    /// if `see` returns `true`.
    fn walk(&self, tree: usize, path: Steps<'_>, mut see: impl FnMut(&PathNode, bool) -> bool) {
        let mut aside = Vec::new();
        let mut next = Some((tree, 0_usize));
        while let Some((id, depth)) = next.or_else(|| aside.pop()) {
            next = None;
            let Some(node) = self.paths.node(id) else { return };
            let step = path.step(depth);
            if !see(node, step.is_none() && path.ends()) {
                continue;
            }
            let deeper = depth.saturating_add(1);
            let down = |id: usize| (id, deeper);
            match step {
                None => {}
                Some(Step::Parameter) => next = node.parameter.map(down),
                Some(Step::Literal(text)) => {
                    let parameter = node.parameter.filter(|_| !text.is_empty()).map(down);
                    next = self.paths.child(id, text.as_bytes()).map(down);
                    match next {
                        Some(_) => aside.extend(parameter),
                        None => next = parameter,
                    }
                }
            }
        }
    }
}

impl<'q> Query<'q> {
    pub(super) fn of(target: &'q Target<'_>) -> Self {
        Self {
            route: target.route,
            host: Where::At { name: target.host.name(), port: target.host.port() },
            path: Steps::Request(target.path.segments()),
        }
    }

    /// Returns the query for the request without its port.
    pub(super) fn without_port(target: &'q Target<'_>) -> Self {
        Self { host: Where::At { name: target.host.name(), port: "" }, ..Self::of(target) }
    }
}

impl<'q> Where<'q> {
    /// Every host that the pattern matches; every host for `None`.
    pub(super) fn of(pattern: Option<&'q HostPattern>) -> Self {
        match pattern {
            None => Self::Everywhere,
            Some(host) if host.is_below() => Self::Below { name: host.name(), port: host.port() },
            Some(host) => Self::At { name: host.name(), port: host.port() },
        }
    }
}

impl<'q> Steps<'q> {
    fn step(self, depth: usize) -> Option<Step<'q>> {
        match self {
            Self::Request(segments) => segments.get(depth).map(|segment| Step::Literal(segment.decoded())),
            Self::Pattern(pattern) => pattern?.segments().get(depth).map(|segment| match segment {
                Segment::Literal(literal) => Step::Literal(literal.decoded()),
                Segment::Parameter(_) => Step::Parameter,
            }),
        }
    }

    /// Returns whether the path ends after the last step.
    fn ends(self) -> bool {
        match self {
            Self::Request(_) => true,
            Self::Pattern(pattern) => pattern.is_some_and(|pattern| !pattern.is_prefix()),
        }
    }
}

impl PathNode {
    fn new(first: usize) -> Self {
        Self { first, parameter: None, exact: Vec::new(), prefix: Vec::new() }
    }
}

/// The node of entries without a route, and of their hosts.
const ANY_ROUTE: usize = 0;
/// The parent of the nodes of all routes.
const ROUTES: usize = 1;
