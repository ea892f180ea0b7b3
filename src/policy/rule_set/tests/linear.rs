//! Compares the index with a linear search through the rules.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::super::super::path_pattern::Segment;
use super::*;
use crate::policy::HostPattern;
use crate::policy::PathPattern;

fn matches(entry: &RequestMatch, target: &Target<'_>) -> bool {
    matches_on_any_route(entry, target) && is_of_route(entry, target)
}

fn matches_on_any_route(entry: &RequestMatch, target: &Target<'_>) -> bool {
    (entry.hosts.is_empty() || entry.hosts.iter().any(|host| host.matches(&target.host))) && is_of_path(entry, target)
}

fn matches_on_any_port(entry: &RequestMatch, target: &Target<'_>) -> bool {
    (entry.hosts.is_empty() || entry.hosts.iter().any(|host| host.matches_name(&target.host)))
        && is_of_path(entry, target)
        && is_of_route(entry, target)
}

fn is_of_path(entry: &RequestMatch, target: &Target<'_>) -> bool {
    (entry.methods.is_empty() || entry.methods.iter().any(|method| method.matches(target.method)))
        && entry.path.as_ref().is_none_or(|path| path.matches(&target.path))
}

fn is_of_route(entry: &RequestMatch, target: &Target<'_>) -> bool {
    entry.route.as_ref().is_none_or(|route| target.route == Some(route.as_bytes()))
}

fn first(policy: &RuleSet, takes: impl Fn(&RequestMatch) -> bool) -> Option<&Arc<Rule>> {
    policy.rules.iter().find(|rule| rule.matches.iter().any(&takes))
}

fn follows_route(policy: &RuleSet, target: &Target<'_>) -> bool {
    first(policy, |entry| matches_on_any_route(entry, target)).is_some_and(|rule| {
        !rule.matches.iter().any(|entry| entry.route.is_none() && matches_on_any_route(entry, target))
    })
}

fn shadowing(policy: &RuleSet, index: usize) -> Vec<&Arc<Rule>> {
    let mut shadowing: Vec<&Arc<Rule>> = Vec::new();
    for single in policy.rules[index].matches.iter().flat_map(RequestMatch::singles) {
        let mut earlier = policy.rules[..index].iter();
        match earlier.find(|rule| rule.matches.iter().any(|entry| covers(entry, &single))) {
            Some(rule) if shadowing.iter().any(|known| known.name == rule.name) => {}
            Some(rule) => shadowing.push(rule),
            None => return Vec::new(),
        }
    }
    shadowing
}

/// Returns whether `entry` matches every request of `single`.
fn covers(entry: &RequestMatch, single: &Single<'_>) -> bool {
    let method = entry.methods.is_empty() || single.method.is_some_and(|method| entry.methods.contains(method));
    let covers_host = |theirs| entry.hosts.iter().any(|ours| host_covers(ours, theirs));
    let host = entry.hosts.is_empty() || single.host.is_some_and(covers_host);
    let path = match (&entry.path, &single.entry.path) {
        (None, _) => true,
        (Some(ours), Some(theirs)) => path_covers(ours, theirs),
        (Some(ours), None) => ours.is_prefix() && ours.segments().is_empty(),
    };
    method && host && path && (entry.route.is_none() || entry.route == single.entry.route)
}

fn host_covers(ours: &HostPattern, theirs: &HostPattern) -> bool {
    let same_port = ours.port() == theirs.port();
    let suffix = format!(".{}", ours.name());
    let below = theirs.name().len() > suffix.len() && theirs.name().ends_with(&suffix);
    same_port
        && match (ours.is_below(), theirs.is_below()) {
            (true, true) => ours.name() == theirs.name() || below,
            (true, false) => below,
            (false, true) => false,
            (false, false) => ours.name() == theirs.name(),
        }
}

fn path_covers(ours: &PathPattern, theirs: &PathPattern) -> bool {
    let (mine, other) = (ours.segments(), theirs.segments());
    let enough = match (ours.is_prefix(), theirs.is_prefix()) {
        (true, _) => other.len() >= mine.len(),
        (false, false) => other.len() == mine.len(),
        (false, true) => false,
    };
    enough
        && mine.iter().zip(other).all(|pair| match pair {
            (Segment::Literal(ours), Segment::Literal(theirs)) => ours.decoded() == theirs.decoded(),
            (Segment::Literal(_), Segment::Parameter(_)) => false,
            (Segment::Parameter(_), Segment::Literal(literal)) => !literal.decoded().is_empty(),
            (Segment::Parameter(_), Segment::Parameter(_)) => true,
        })
}

const OPTIONS: PathOptions = PathOptions { allow_encoded_slash: true };

const METHODS: [&str; 3] = ["GET", "POST", "PUT"];
const HOST_PATTERNS: [&str; 14] = [
    "a.t",
    "b.t",
    "x.a.t",
    "*.a.t",
    "*.t",
    "a.t:80",
    "*.t:80",
    "*.a.t:81",
    "x.a.t:80",
    ".a.t",
    "*..t",
    "[::1]",
    "[::1.2]:80",
    "t",
];
const HOSTS: [&str; 15] = [
    "",
    "a.t",
    "A.T",
    "b.t",
    "x.a.t",
    "y.x.a.t",
    "t",
    "a.t:80",
    "x.a.t:80",
    "x.a.t:81",
    ".t",
    "..t",
    "x..t",
    ".a.t",
    "[::1.2]:80",
];
const SEGMENTS: [&str; 7] = ["a", "%61", "b", "caf%C3%A9", "caf%c3%a9", "a%2Fb", "{}"];

fn pattern() -> impl Strategy<Value = PathPattern> {
    (vec(select(&SEGMENTS[..]), 0..4), any::<bool>(), any::<bool>()).prop_map(|(segments, prefix, slash)| {
        // Parameters have unique names.
        let segment = |(at, text): (usize, &&str)| format!("/{}", text.replace("{}", &format!("{{p{at}}}")));
        let text: String = segments.iter().enumerate().map(segment).collect();
        match (prefix, text.is_empty() || slash) {
            (true, false) => PathPattern::prefix(&text, OPTIONS),
            (true, true) if text.is_empty() => PathPattern::prefix("/", OPTIONS),
            (_, true) => PathPattern::exact(&format!("{text}/"), OPTIONS),
            (false, false) => PathPattern::exact(&text, OPTIONS),
        }
        .unwrap()
    })
}

/// An entry. `routes` and `hosts` permit it to name routes and hosts.
fn an_entry(routes: bool, hosts: bool) -> impl Strategy<Value = RequestMatch> {
    let route = option::of(select(&["r", "s", "a"][..])).prop_map(move |route| route.filter(|_| routes));
    let hosts = subsequence(&HOST_PATTERNS[..], if hosts { 0..3 } else { 0..1 });
    (subsequence(&METHODS[..], 0..3), hosts, option::weighted(0.9, pattern()), route)
        .prop_map(|(methods, hosts, path, route)| entry(&methods, &hosts, path, route))
}

fn a_policy() -> impl Strategy<Value = RuleSet> {
    (any::<bool>(), any::<bool>())
        .prop_flat_map(|(routes, hosts)| vec(vec(an_entry(routes, hosts), 1..4), 1..12))
        .prop_map(policy)
}

fn a_request() -> impl Strategy<Value = (&'static str, &'static str, String, Option<&'static str>)> {
    let segment = select(&["a", "%61", "b", "c", "caf%C3%A9", "caf%c3%a9", "a%2Fb"][..]);
    let path = (vec(segment, 0..5), any::<bool>()).prop_map(|(segments, slash)| {
        let text: String = segments.iter().map(|segment| format!("/{segment}")).collect();
        if slash || text.is_empty() { format!("{text}/") } else { text }
    });
    let method = select(&["GET", "POST", "PATCH"][..]);
    (method, select(&HOSTS[..]), path, option::of(select(&["r", "s", "q"][..])))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn index_finds_the_same_rule_as_linear_search(policy in a_policy(), requests in vec(a_request(), 16)) {
        for (method, host, path, route) in requests {
            with_target(method, host, &path, route, |target| -> Result<(), TestCaseError> {
                let pointer = |rule: &Arc<Rule>| Arc::as_ptr(rule);
                let rule_of = |found: Option<RuleMatch<'_>>| found.map(|found| pointer(found.rule));
                let found = policy.find(target);
                prop_assert_eq!(rule_of(found), first(&policy, |entry| matches(entry, target)).map(pointer));
                prop_assert_eq!(
                    rule_of(policy.find_without_ports(target)),
                    first(&policy, |entry| matches_on_any_port(entry, target)).map(pointer)
                );
                prop_assert_eq!(policy.follows_route(target), follows_route(&policy, target));
                if let Some(found) = found {
                    let mut entries = found.rule.matches.iter();
                    let names_host = entries.any(|entry| !entry.hosts.is_empty() && matches(entry, target));
                    prop_assert_eq!(policy.names_host(found, target), names_host);
                    let mut entries = found.rule.matches.iter();
                    let spelled = entries.find(|entry| entry.matches_as_spelled(target)).map(std::ptr::from_ref);
                    let as_spelled = policy.as_spelled(found, target);
                    prop_assert_eq!(as_spelled.map(|found| std::ptr::from_ref(found.entry)), spelled);
                    prop_assert!(as_spelled.is_none_or(|other| other.is_of(found)));
                }
                Ok(())
            })?;
        }
    }

    #[test]
    fn index_finds_the_same_shadowing_rules_as_linear_search(policy in a_policy()) {
        for index in 0..policy.rules.len() {
            let names = |rules: Vec<&Arc<Rule>>| rules.iter().map(|rule| rule.name.to_string()).collect::<Vec<_>>();
            prop_assert_eq!(names(policy.shadowing(index)), names(shadowing(&policy, index)));
        }
    }
}
