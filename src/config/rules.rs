//! `rules`: what each request needs.

use std::sync::Arc;

use super::apis::{Api, Apis};
use super::common::read_name;
use super::document::{Node, Object, quote};
use super::request_match::read_match;
use super::requirement::References;
use super::server_names::read_servers;
use super::{errors, request_match, requirement};
use crate::policy::{Access, ApplicationPolicy, Mode, RequestMatch, Requirement, Rule, RuleSet};
use crate::request::PathOptions;
use crate::response::ErrorProfile;

/// What rules are read with.
pub(super) struct RuleDefaults<'c> {
    pub(super) references: References<'c>,
    pub(super) apis: &'c Apis,
    pub(super) requirement: &'c Requirement,
    pub(super) errors: &'c Arc<ErrorProfile>,
    pub(super) realm: Option<&'c str>,
    pub(super) paths: PathOptions,
    pub(super) mode: Mode,
}

pub(super) fn read(root: &Object<'_>, defaults: &RuleDefaults<'_>) -> Option<RuleSet> {
    let list = root.required("rules", "list at least one rule; a request that no rule matches is refused")?;
    let rules = list.each(|node| read_rule(node, defaults));
    list.report_duplicate_names("rule");
    let policy = RuleSet::new(rules?);
    report_shadowed(&policy, &list.items());
    Some(policy)
}

fn report_shadowed(policy: &RuleSet, nodes: &[Node<'_>]) {
    for (index, node) in nodes.iter().enumerate() {
        let shadowing: Vec<String> =
            policy.shadowing(index).iter().map(|rule| format!("`{}`", quote(&rule.name))).collect();
        if !shadowing.is_empty() {
            node.report(
                format!("never applies: {} above matches all of its requests", shadowing.join(", ")),
                "move it up, narrow the rule above, or remove it",
            );
        }
    }
}

const KEYS: &[&str] = &[
    "name",
    "api",
    "match",
    "require",
    "public",
    "authorization_server",
    "application",
    "cors_preflight",
    "errors",
    "mode",
];

fn read_rule(node: &Node<'_>, defaults: &RuleDefaults<'_>) -> Option<Rule> {
    let object = node.object(KEYS)?;
    let name = read_name(&object, "name the rule; logs refer to it");
    let api = object.or_default("api", None, |node| read_api(node, defaults.apis).map(Some));
    let matches = object
        .required("match", "say which requests it is for, such as [{ methods: [GET], path: /bookings }]")
        .and_then(|node| node.each(|node| read_match(node, request_match::KEYS, defaults.paths)));
    let access = read_access(&object, api.flatten(), defaults);
    let preflight_default = api.flatten().is_some_and(|api| api.cors_preflight);
    let cors_preflight = object.or_default("cors_preflight", preflight_default, Node::boolean);
    let errors_default =
        api.flatten().and_then(|api| api.errors.clone()).unwrap_or_else(|| Arc::clone(defaults.errors));
    let errors = object.or_default("errors", errors_default, |node| errors::read(node, defaults.realm).map(Arc::new));
    let mode = object.or_default("mode", defaults.mode, |node| node.one_of(&Mode::WORDS));
    let (matches, access) = (matches?, access?);
    if let Access::Protected { requirement, servers, .. } = &access {
        report_unknown_segments(&object, requirement, &matches);
        if servers.len() > 1 && requirement.names_anyones_clients() {
            object.report(
                "client_ids are demanded of tokens of several authorization servers, without saying whose clients",
                "write authorization_server beside client_ids, for each server its own: any: [{ authorization_server, client_ids }]",
            );
        }
    }
    Some(Rule {
        name: Arc::from(name?),
        api: api?.map(|api| Arc::clone(&api.name)),
        matches,
        access,
        cors_preflight: cors_preflight?,
        errors: errors?,
        mode: mode?,
    })
}

fn read_api<'c>(node: &Node<'_>, apis: &'c Apis) -> Option<&'c Api> {
    let name = node.string()?;
    let found = apis.get(name);
    if found.is_none() {
        node.report(format!("there is no API `{}`", quote(name)), "name one of `apis`");
    }
    found
}

/// Notes every segment that a scope template asks for and that not every path of the rule names.
fn report_unknown_segments(object: &Object<'_>, requirement: &Requirement, matches: &[RequestMatch]) {
    for segment in requirement.template_segments() {
        let has = |entry: &RequestMatch| entry.path.as_ref().is_some_and(|path| path.has_parameter(segment));
        if !matches.iter().all(has) {
            object.report(
                format!("a scope template asks for `{{{}}}`, which not every path of the rule names", quote(segment)),
                "write it as a segment of each path, or leave it out of the template",
            );
        }
    }
}

fn read_access(object: &Object<'_>, api: Option<&Api>, defaults: &RuleDefaults<'_>) -> Option<Access> {
    let inherited = api.and_then(|api| api.requirement.as_ref());
    match (object.optional("public"), object.optional("require")) {
        (Some(public), None) => {
            let senseless = ["authorization_server", "application", "cors_preflight"];
            for node in senseless.iter().filter_map(|key| object.optional(key)) {
                node.report("has no use in a public rule", "remove this or `public`");
            }
            public.require_true().map(|()| Access::Public)
        }
        (Some(_), Some(_)) => {
            object.report("has both `public` and `require`", "keep one of them");
            None
        }
        (None, None) if inherited.is_none() => {
            object.report("says neither `require` nor `public: true`", "say what the rule demands: nothing is implied");
            None
        }
        (None, own) => {
            let references = References { mappings: api.map(|api| &api.mappings), ..defaults.references };
            let own = own.map(|node| requirement::read(node, references));
            let servers = read_own_servers(object, api, defaults.references.servers);
            let identification = object.or_default("application", api.and_then(|api| api.identification), |node| {
                node.one_of(&ApplicationPolicy::WORDS).map(Some)
            });
            let mut parts = vec![defaults.requirement.clone()];
            parts.extend(inherited.cloned());
            if let Some(own) = own {
                parts.push(own?);
            }
            Some(Access::protected(servers?, Requirement::All(parts), identification?))
        }
    }
}

/// The servers whose tokens a rule takes: its own, its API's, or the only one there is.
fn read_own_servers(object: &Object<'_>, api: Option<&Api>, servers: Option<&[&str]>) -> Option<Vec<usize>> {
    match (object.optional("authorization_server"), api.and_then(|api| api.servers.clone()), servers) {
        (Some(node), _, servers) => read_servers(node, servers),
        (None, Some(inherited), _) => Some(inherited),
        (None, None, Some([_])) => Some(vec![0]),
        (None, None, Some(servers)) => {
            object.report(
                "`authorization_server` is missing, and there are several",
                format!("name the one whose tokens it takes, or list them: {}", servers.join(", ")),
            );
            None
        }
        (None, None, None) => None,
    }
}
