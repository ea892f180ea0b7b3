//! `rules`: what each request needs.

use std::sync::Arc;

use super::apis::{Api, Apis};
use super::common::read_name;
use super::diagnostics::Read;
use super::document::{Node, Object, all};
use super::request_match::read_match;
use super::requirement::{References, RequirementReader};
use super::server_names::{ServerNames, read_servers};
use super::wording::quote;
use super::{errors, request_match};
use crate::claims::ClaimPath;
use crate::policy::{Access, ApplicationPolicy, Mode, RequestMatch, Requirement, Rule, RuleSet};
use crate::request::PathOptions;
use crate::response::ErrorProfile;

/// The parts of a configuration on which rules depend. Each may have a reported problem.
pub(super) struct RuleDefaults<'c> {
    pub(super) servers: ServerNames<'c>,
    pub(super) apis: Read<&'c Apis>,
    pub(super) requirement: Read<&'c Requirement>,
    pub(super) errors: Read<&'c Arc<ErrorProfile>>,
    pub(super) realm: Read<Option<&'c str>>,
    pub(super) paths: PathOptions,
    pub(super) mode: Read<Mode>,
}

pub(super) fn read(root: &Object<'_>, defaults: &RuleDefaults<'_>, claims: &mut Vec<ClaimPath>) -> Read<RuleSet> {
    let hint = "list at least one, as in rules: [{ name: View, match: [{ path: /bookings }], require: { scope: view } }]; a request that no rule matches is refused";
    root.required("rules", hint, |list| {
        let rules = list.each(EXAMPLE, |node| read_rule(node, defaults, claims));
        list.report_duplicate_names("rule");
        let policy = RuleSet::new(rules?);
        report_shadowed(&policy, &list.items());
        Ok(policy)
    })
}

fn report_shadowed(policy: &RuleSet, nodes: &[Node<'_>]) {
    for (index, node) in nodes.iter().enumerate() {
        let shadowing: Vec<String> =
            policy.shadowing(index).iter().map(|rule| format!("`{}`", quote(&rule.name))).collect();
        if !shadowing.is_empty() {
            node.report(
                format!("this rule never applies: {} above matches all of its requests", shadowing.join(", ")),
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

fn read_rule(node: &Node<'_>, defaults: &RuleDefaults<'_>, claims: &mut Vec<ClaimPath>) -> Read<Rule> {
    let object = node.object(KEYS)?;
    let name = read_name(&object, "name the rule for logs", "View bookings");
    let api = object.optional("api", |node| read_api(node, defaults.apis));
    let hint = "set which requests the rule applies to, as in match: [{ methods: [GET], path: /bookings }]";
    let matches = object.required("match", hint, |node| {
        node.each(MATCH_EXAMPLE, |node| read_match(node, request_match::KEYS, defaults.paths))
    });
    let access = read_access(&object, api, defaults, claims);
    let errors = match object.get("errors") {
        Some(node) => errors::read(node, defaults.realm).map(Arc::new),
        None => api.and_then(|api| match api.and_then(|api| api.errors.as_ref()) {
            Some(inherited) => Ok(Arc::clone(inherited)),
            None => defaults.errors.cloned(),
        }),
    };
    let cors_preflight = object.optional("cors_preflight", Node::boolean);
    let mode = object.get("mode").map_or(defaults.mode, |node| node.one_of(&Mode::WORDS));
    let (name, api, matches, access, cors_preflight, errors, mode) =
        all((name, api, matches, access, cors_preflight, errors, mode))?;
    if let Access::Protected { requirement, servers, .. } = &access {
        report_unknown_segments(&object, requirement, &matches);
        if servers.len() > 1 && requirement.names_clients_of_any_server() {
            object.report(
                "`client_ids` applies to tokens of several authorization servers, which may use the same ids",
                "set the server beside the ids, as in any: [{ authorization_server: main, client_ids: [web] }]",
            );
        }
    }
    Ok(Rule {
        name: Arc::from(name),
        api: api.map(|api| Arc::clone(&api.name)),
        matches,
        access,
        cors_preflight: cors_preflight.unwrap_or_else(|| api.is_some_and(|api| api.cors_preflight)),
        errors,
        mode,
    })
}

fn read_api<'c>(node: &Node<'_>, apis: Read<&'c Apis>) -> Read<&'c Api> {
    let name = node.string("bookings")?;
    let apis = apis?;
    apis.get(name).ok_or_else(|| {
        let known: Vec<&str> = apis.keys().map(|name| &**name).collect();
        node.unknown_name("API", "apis", name, &known)
    })
}

/// Reports every segment in a scope template that some path of the rule does not have.
fn report_unknown_segments(object: &Object<'_>, requirement: &Requirement, matches: &[RequestMatch]) {
    for segment in requirement.template_segments() {
        let has = |entry: &RequestMatch| entry.path.as_ref().is_some_and(|path| path.has_parameter(segment));
        if !matches.iter().all(has) {
            let segment = quote(segment);
            object.report(
                format!("the scope template needs `{{{segment}}}`, which not every path of the rule has"),
                format!("add it to each path, as in path: /bookings/{{{segment}}}, or remove it from the template"),
            );
        }
    }
}

fn read_access(
    object: &Object<'_>,
    api: Read<Option<&Api>>,
    defaults: &RuleDefaults<'_>,
    claims: &mut Vec<ClaimPath>,
) -> Read<Access> {
    let inherited = api.map(|api| api.and_then(|api| api.requirement.as_ref()));
    match (object.get("public"), object.get("require")) {
        (Some(public), None) => {
            for key in ["authorization_server", "application", "cors_preflight"] {
                if let Some(node) = object.get(key) {
                    node.report(format!("`{key}` has no effect in a public rule"), "remove it, or `public`");
                }
            }
            public.require_true().map(|()| Access::Public)
        }
        (Some(_), Some(_)) => Err(object.report(
            "`public` and `require` exclude each other",
            "remove one of them; public: true accepts requests without a token",
        )),
        (None, None) if inherited == Ok(None) => Err(object.report(
            "`require` or `public: true` is missing",
            "set what the rule requires, as in require: { scope: view }, or public: true to accept requests without a token",
        )),
        (None, own) => {
            let mappings = api.map(|api| api.map(|api| &api.mappings));
            let references = References { servers: defaults.servers, mappings };
            let mut reader = RequirementReader { references, claims };
            let (own, servers, application, shared, inherited) = all((
                own.map(|node| reader.read(node)).transpose(),
                read_own_servers(object, api, defaults.servers),
                object.optional("application", |node| node.one_of(&ApplicationPolicy::WORDS)),
                defaults.requirement,
                inherited,
            ))?;
            let application = application.or(api?.and_then(|api| api.identification));
            let parts = [Some(shared.clone()), inherited.cloned(), own].into_iter().flatten().collect();
            Ok(Access::protected(servers, Requirement::All(parts), application))
        }
    }
}

/// The servers whose tokens a rule accepts: its own, its API's, or the only one.
fn read_own_servers(object: &Object<'_>, api: Read<Option<&Api>>, servers: ServerNames<'_>) -> Read<Vec<usize>> {
    if let Some(node) = object.get("authorization_server") {
        return read_servers(node, servers);
    }
    match (api?.and_then(|api| api.servers.clone()), servers?) {
        (Some(inherited), _) => Ok(inherited),
        (None, [_]) => Ok(vec![0]),
        (None, servers) => Err(object.report(
            "`authorization_server` is missing, and several are configured",
            format!("name the one whose tokens the rule accepts, or list several of: {}", servers.join(", ")),
        )),
    }
}

const EXAMPLE: &str = "[{ name: View, match: [{ path: /bookings }], require: { scope: view } }]";
const MATCH_EXAMPLE: &str = "[{ methods: [GET], path: /bookings }]";
