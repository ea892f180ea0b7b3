//! Combinations of settings that are valid one by one and unsafe together.

use super::document::{Node, Object};
use crate::policy::{Access, Mode, RuleSet, UpstreamSettings};
use crate::request::{HeaderName, TokenLocations};
use crate::server::ServerSettings;

/// Reports every rule that accepts tokens of one issuer from two servers of which only one introspects them: a token
/// that the first finds revoked would be valid for the second.
pub(super) fn report_same_issuers(root: &Object<'_>, policy: &RuleSet, servers: &[ServerSettings]) {
    let introspects = |server: &ServerSettings| server.jwt.as_ref().is_none_or(|jwt| jwt.introspects);
    let contradict = |a: &ServerSettings, b: &ServerSettings| {
        a.tokens.issuer.is_some() && a.tokens.issuer == b.tokens.issuer && introspects(a) != introspects(b)
    };
    let nodes = root.get("rules").map(Node::items).unwrap_or_default();
    for (rule, node) in policy.rules.iter().zip(nodes) {
        let Access::Protected { servers: indices, .. } = &rule.access else { continue };
        let of_rule: Vec<&ServerSettings> = indices.iter().filter_map(|index| servers.get(*index)).collect();
        if of_rule.iter().any(|a| of_rule.iter().any(|b| contradict(a, b))) {
            node.report(
                "tokens of one issuer would be accepted both with and without introspection",
                "set jwt: { introspect: true } in both authorization servers, or name one of them in the rule",
            );
        }
    }
}

/// Reports settings that would let Envoy select another route after the decision: credentials are removed from where
/// Envoy may have looked for its route, so the route that was authorized would not be the one that serves.
pub(super) fn report_rerouting(
    root: &Object<'_>,
    policy: &RuleSet,
    mode: Mode,
    upstream: &UpstreamSettings,
    locations: &TokenLocations,
) {
    let elsewhere = locations.header.is_some() || locations.query.is_some() || locations.cookie.is_some();
    if policy.uses_routes() && elsewhere && !upstream.keep_authorization {
        root.report(
            "rules match Envoy's routes, which may depend on the header, query or cookie that a token is removed from",
            "match `path` instead of `route`, or remove bearer.header, bearer.query and bearer.cookie",
        );
    }
    let reports = policy.rules.iter().filter(|rule| rule.mode == Mode::ReportOnly).count();
    let in_part = (reports > 0 || mode == Mode::ReportOnly) && (reports < policy.rules.len() || mode == Mode::Enforce);
    if policy.uses_routes() && in_part && !upstream.keep_authorization {
        root.report(
            "rules match Envoy's routes and only some of them are enforced, so Envoy may select another route once the token is removed",
            "use one mode for all rules, match `path` instead of `route`, or set upstream: { authorization: keep }",
        );
    }
    let is_own = |name: &HeaderName| upstream.headers.iter().any(|(own, _)| own.is_alias_of(name.as_str()));
    if locations.header.as_ref().is_some_and(is_own) {
        root.node().innermost(&["bearer", "header"]).report(
            "upstream.headers sets this header to another value",
            "read the token from another header, such as x-access-token",
        );
    }
}
