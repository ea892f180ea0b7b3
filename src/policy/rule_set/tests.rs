mod linear;

use super::*;
use crate::policy::HostPattern;
use crate::policy::Method;
use crate::policy::Mode;
use crate::policy::PathPattern;
use crate::request::{Path, PathOptions, RequestHead};

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

fn policy(rules: Vec<Vec<RequestMatch>>) -> RuleSet {
    let rule = |(index, matches): (usize, _)| Rule {
        name: Arc::from(format!("r{index}")),
        api: None,
        matches,
        access: Access::Public,
        cors_preflight: false,
        errors: Arc::default(),
        mode: Mode::default(),
    };
    RuleSet::new(rules.into_iter().enumerate().map(rule).collect())
}

/// Calls `see` with the target of a request.
fn with_target<T>(method: &str, host: &str, path: &str, route: Option<&str>, see: impl FnOnce(&Target<'_>) -> T) -> T {
    let headers =
        [(":method", method), (":authority", host), (":path", path)].map(|(name, value)| (name, value.as_bytes()));
    let head = RequestHead { headers: &headers, route: route.map(str::as_bytes), has_body: false };
    see(&Target::parse(head, PathOptions { allow_encoded_slash: true }).unwrap())
}

/// Returns the name of the rule of a request.
fn found(policy: &RuleSet, method: &str, host: &str, path: &str, route: Option<&str>) -> Option<String> {
    with_target(method, host, path, route, |target| policy.find(target).map(|found| found.rule.name.to_string()))
}

#[test]
fn the_first_matching_rule_applies() {
    let policy = policy(vec![
        vec![entry(&["GET"], &[], exact("/a"), None)],
        vec![entry(&[], &["*.example.com"], prefix("/a"), None)],
        vec![entry(&[], &[], prefix("/"), Some("r"))],
    ]);
    let find = |method: &str, host: &str, path: &str, route: Option<&str>| found(&policy, method, host, path, route);
    assert_eq!(find("GET", "x.example.com", "/a", None).as_deref(), Some("r0"));
    assert_eq!(find("PUT", "x.example.com", "/a", None).as_deref(), Some("r1"));
    assert_eq!(find("PUT", "example.org", "/a", Some("r")).as_deref(), Some("r2"));
    assert_eq!(find("PUT", "example.org", "/a", Some("q")), None);
    assert_eq!(find("get", "x.example.org", "/a", None), None);
}

#[test]
fn rules_covered_by_earlier_rules_are_shadowed() {
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
    for (earlier, later) in [
        (prefix("/a"), exact("/a/{x}")),
        (prefix("/a"), prefix("/a/b")),
        (prefix("/{x}"), prefix("/a")),
        (exact("/{x}"), exact("/a")),
        (exact("/{x}"), exact("/{y}")),
        (exact("/%61"), exact("/a")),
    ] {
        let rules = (entry(&[], &[], earlier, None), entry(&[], &[], later, None));
        assert_eq!(shadowed(vec![vec![rules.0.clone()]], vec![rules.1.clone()]), ["r0"], "{rules:?}");
    }
    for (earlier, later) in [
        ("*.b.c", "a.b.c"),
        ("*.c", "*.b.c"),
        ("a.b", "A.b"),
        ("*.b", "*.b"),
        ("a.b:80", "a.b:80"),
        ("*.c:1", "*.b.c:1"),
    ] {
        let rules = (entry(&[], &[earlier], None, None), entry(&[], &[later], None, None));
        assert_eq!(shadowed(vec![vec![rules.0.clone()]], vec![rules.1.clone()]), ["r0"], "{rules:?}");
    }
    let none: [&str; 0] = [];
    for (earlier, later) in [
        (entry(&["GET"], &[], exact("/a"), None), entry(&[], &[], exact("/a"), None)),
        (entry(&[], &["a.b"], exact("/a"), None), entry(&[], &[], exact("/a"), None)),
        (entry(&[], &["a.b"], exact("/a"), None), entry(&[], &["a.b", "c.d"], exact("/a"), None)),
        (entry(&[], &[], exact("/a"), None), entry(&[], &[], prefix("/a"), None)),
        (entry(&[], &[], exact("/a/x"), None), entry(&[], &[], exact("/a/{id}"), None)),
        (entry(&[], &[], prefix("/a"), Some("r")), entry(&[], &[], exact("/a"), None)),
        (entry(&[], &[], prefix("/a"), None), entry(&[], &[], None, None)),
        (entry(&[], &[], exact("/{x}"), None), entry(&[], &[], exact("/"), None)),
        (entry(&[], &[], exact("/{x}"), None), entry(&[], &[], prefix("/{x}"), None)),
        (entry(&[], &["*.a.b"], None, None), entry(&[], &["a.b"], None, None)),
        (entry(&[], &["*.a.b:80"], None, None), entry(&[], &["x.a.b"], None, None)),
        (entry(&[], &["x.a.b"], None, None), entry(&[], &["*.a.b"], None, None)),
        (entry(&[], &["*.b.c"], None, None), entry(&[], &["*.c"], None, None)),
        (entry(&[], &["a.b"], None, None), entry(&[], &["*.b"], None, None)),
        (entry(&[], &["a.b"], None, None), entry(&[], &["a.b:80"], None, None)),
    ] {
        assert_eq!(shadowed(vec![vec![earlier.clone()]], vec![later.clone()]), none, "{earlier:?} {later:?}");
    }
}

#[test]
fn target_keeps_the_path_segments() {
    let headers = [(":path", &b"/a/b"[..])];
    let head = RequestHead { headers: &headers, route: None, has_body: false };
    let target = Target::parse(head, PathOptions::default()).unwrap();
    assert_eq!(target.path, Path::parse(b"/a/b", PathOptions::default()).unwrap());
}

#[test]
fn one_rule_may_match_several_encodings() {
    let spellings = ["/caf%C3%A9/{a}", "/caf%c3%a9/{b}"];
    let policy = policy(vec![spellings.map(|spelling| entry(&[], &[], exact(spelling), None)).into()]);
    for (path, parameter) in [("/caf%C3%A9/1", Some("a")), ("/caf%c3%a9/1", Some("b")), ("/caf%C3%a9/1", None)] {
        with_target("GET", "h.test", path, None, |target| {
            let found = policy.as_spelled(policy.find(target).unwrap(), target);
            let has = |name: &str| found.is_some_and(|found| found.entry.path.as_ref().unwrap().has_parameter(name));
            assert_eq!(["a", "b"].into_iter().find(|name| has(name)), parameter, "{path}");
        });
    }
}

/// All patterns of `depth` segments, each of them `a` or a parameter, except the one with only `a`.
fn patterns(depth: u32) -> RuleSet {
    let pattern = |bits: u32| {
        let segment = |at: u32| if bits >> at & 1 == 1 { format!("/{{p{at}}}") } else { "/a".to_owned() };
        vec![entry(&[], &[], exact(&(0..depth).map(segment).collect::<String>()), None)]
    };
    policy((1..1 << depth).map(pattern).collect())
}

#[test]
fn lookup_visits_no_node_twice() {
    let policy = patterns(10);
    let (nodes, mut seen) = (policy.index.path_nodes(), 0_usize);
    for length in [1, 9, 10, 11, 1_000] {
        let path = Path::parse("/a".repeat(length).as_bytes(), PathOptions::default()).unwrap();
        let query = Query { route: None, host: Where::Everywhere, path: Steps::Request(path.segments()) };
        let visits = policy.index.visits(&query);
        assert!(visits <= nodes, "{visits} visits of {nodes} nodes");
        seen = seen.max(visits);
    }
    // This is the worst case: the lookup visits every node.
    assert_eq!(seen, nodes);
}

#[test]
fn deep_paths_and_hosts_do_not_overflow_the_stack() {
    const DEPTH: usize = 100_000;
    let host = |depth: usize| vec!["a"; depth].join(".");
    let path = |depth: usize| "/a".repeat(depth);
    let deep = policy(vec![vec![entry(&[], &[&host(DEPTH)], exact(&path(DEPTH)), None)]]);
    assert_eq!(found(&deep, "GET", &host(DEPTH), &path(DEPTH), None).as_deref(), Some("r0"));
    for other in [DEPTH - 1, DEPTH + 1] {
        assert_eq!(found(&deep, "GET", &host(other), &path(DEPTH), None), None);
        assert_eq!(found(&deep, "GET", &host(DEPTH), &path(other), None), None);
    }
}

#[test]
fn all_of_ten_thousand_rules_are_found() {
    let of_path = |number: usize| vec![entry(&["GET"], &[], exact(&format!("/service{number}/{{id}}")), None)];
    let of_host = |number: usize| vec![entry(&["GET"], &[&format!("*.h{number}.test")], None, None)];
    let of_route = |number: usize| vec![entry(&["GET"], &[], None, Some(&format!("route{number}")))];
    let numbers = 0..10_000_usize;
    let paths = policy(numbers.clone().map(of_path).collect());
    let hosts = policy(numbers.clone().map(of_host).collect());
    let routes = policy(numbers.clone().map(of_route).collect());
    for number in numbers {
        let name = Some(format!("r{number}"));
        assert_eq!(found(&paths, "GET", "h.test", &format!("/service{number}/7"), None), name);
        assert_eq!(found(&hosts, "GET", &format!("a.h{number}.test"), "/", None), name);
        assert_eq!(found(&routes, "GET", "h.test", "/", Some(&format!("route{number}"))), name);
        for policy in [&paths, &hosts, &routes] {
            assert!(policy.shadowing(number).is_empty());
        }
    }
}
