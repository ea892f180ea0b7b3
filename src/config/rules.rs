//! `rules`: what each request needs.

use std::sync::Arc;

use super::apis::{Api, Apis};
use super::document::{Node, Object, shown};
use super::requirement::{Scene, read_server_name};
use super::{errors, read_name, requirement};
use crate::application::Identification;
use crate::errors::ErrorProfile;
use crate::policy::{Access, HostPattern, Method, Mode, PathPattern, PatternError, Policy, RequestMatch, Rule};
use crate::request::{PathError, PathOptions};
use crate::requirement::Requirement;

/// What rules are read with.
pub(super) struct Common<'c> {
    pub(super) scene: Scene<'c>,
    pub(super) apis: &'c Apis,
    pub(super) requirement: &'c Requirement,
    pub(super) errors: &'c Arc<ErrorProfile>,
    pub(super) realm: Option<&'c str>,
    pub(super) paths: PathOptions,
    pub(super) mode: Mode,
}

pub(super) fn read(root: &Object<'_>, common: &Common<'_>) -> Option<Policy> {
    let list = root.required("rules", "list at least one rule; a request that no rule matches is refused")?;
    let rules = list.each(|node| read_rule(node, common));
    list.note_duplicate_names("rule");
    let policy = Policy::new(rules?);
    note_shadowed(&policy, &list.items());
    Some(policy)
}

fn note_shadowed(policy: &Policy, nodes: &[Node<'_>]) {
    for (index, node) in nodes.iter().enumerate() {
        let shadowing: Vec<String> =
            policy.shadowing(index).iter().map(|rule| format!("`{}`", shown(&rule.name))).collect();
        if !shadowing.is_empty() {
            node.note(
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
const MATCH_KEYS: &[&str] = &["methods", "hosts", "path", "path_prefix", "route"];

fn read_rule(node: &Node<'_>, common: &Common<'_>) -> Option<Rule> {
    let object = node.object(KEYS)?;
    let name = read_name(&object, "name the rule; logs refer to it");
    let api = object.or_default("api", None, |node| read_api(node, common.apis).map(Some));
    let matches = object
        .required("match", "say which requests it is for, such as [{ methods: [GET], path: /bookings }]")
        .and_then(|node| node.each(|node| read_match(node, MATCH_KEYS, common.paths)));
    let access = read_access(&object, api.flatten(), common);
    let preflight_default = api.flatten().is_some_and(|api| api.cors_preflight);
    let cors_preflight = object.or_default("cors_preflight", preflight_default, Node::boolean);
    let errors_default = api.flatten().and_then(|api| api.errors.clone()).unwrap_or_else(|| Arc::clone(common.errors));
    let errors = object.or_default("errors", errors_default, |node| errors::read(node, common.realm).map(Arc::new));
    let mode = object.or_default("mode", common.mode, |node| node.one_of(&Mode::WORDS));
    let (matches, access) = (matches?, access?);
    if let Access::Protected { requirement, servers, .. } = &access {
        note_unknown_segments(&object, requirement, &matches);
        if servers.len() > 1 && requirement.names_anyones_clients() {
            object.note(
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
        node.note(format!("there is no API `{}`", shown(name)), "name one of `apis`");
    }
    found
}

/// Notes every segment that a scope template asks for and that not every path of the rule names.
fn note_unknown_segments(object: &Object<'_>, requirement: &Requirement, matches: &[RequestMatch]) {
    for segment in requirement.template_segments() {
        let has = |entry: &RequestMatch| entry.path.as_ref().is_some_and(|path| path.has_parameter(segment));
        if !matches.iter().all(has) {
            object.note(
                format!("a scope template asks for `{{{}}}`, which not every path of the rule names", shown(segment)),
                "write it as a segment of each path, or leave it out of the template",
            );
        }
    }
}

fn read_access(object: &Object<'_>, api: Option<&Api>, common: &Common<'_>) -> Option<Access> {
    let inherited = api.and_then(|api| api.requirement.as_ref());
    match (object.optional("public"), object.optional("require")) {
        (Some(public), None) => {
            let senseless = ["authorization_server", "application", "cors_preflight"];
            for node in senseless.iter().filter_map(|key| object.optional(key)) {
                node.note("has no use in a public rule", "remove this or `public`");
            }
            public.said().map(|()| Access::Public)
        }
        (Some(_), Some(_)) => {
            object.note("has both `public` and `require`", "keep one of them");
            None
        }
        (None, None) if inherited.is_none() => {
            object.note("says neither `require` nor `public: true`", "say what the rule demands: nothing is implied");
            None
        }
        (None, own) => {
            let scene = Scene { mappings: api.map(|api| &api.mappings), ..common.scene };
            let own = own.map(|node| requirement::read(node, scene));
            let servers = read_own_servers(object, api, common.scene.servers);
            let identification = object.or_default("application", api.and_then(|api| api.identification), |node| {
                node.one_of(&Identification::WORDS).map(Some)
            });
            let mut parts = vec![common.requirement.clone()];
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
            object.note(
                "`authorization_server` is missing, and there are several",
                format!("name the one whose tokens it takes, or list them: {}", servers.join(", ")),
            );
            None
        }
        (None, None, None) => None,
    }
}

/// One name, or a list of them in the order they are asked.
pub(super) fn read_servers(node: &Node<'_>, servers: Option<&[&str]>) -> Option<Vec<usize>> {
    let servers = servers?;
    if !node.is_list() {
        return read_server_name(node, servers).map(|index| vec![index]);
    }
    let indices = node.each(|node| read_server_name(node, servers))?;
    let mut seen = Vec::new();
    for index in &indices {
        if seen.contains(index) {
            node.note("names an authorization server twice", "name each once");
            return None;
        }
        seen.push(*index);
    }
    Some(indices)
}

pub(super) fn read_match(node: &Node<'_>, known: &'static [&'static str], paths: PathOptions) -> Option<RequestMatch> {
    let object = node.object(known)?;
    if object.is_empty() {
        object.note("has no condition", "for every request write path_prefix: /");
        return None;
    }
    let methods = object.or_default("methods", Vec::new(), |node| node.each(read_method));
    let hosts = object.or_default("hosts", Vec::new(), |node| node.each(read_host));
    let path = match (object.optional("path"), object.optional("path_prefix")) {
        (Some(node), None) => read_path(node, |text| PathPattern::exact(text, paths)).map(Some),
        (None, Some(node)) => read_path(node, |text| PathPattern::prefix(text, paths)).map(Some),
        (None, None) => Some(None),
        (Some(_), Some(_)) => {
            object.note("has both `path` and `path_prefix`", "keep one of them");
            None
        }
    };
    let route = object.or_default("route", None, |node| Some(Some(node.string()?.to_owned())));
    Some(RequestMatch { methods: methods?, hosts: hosts?, path: path?, route: route? })
}

fn read_method(node: &Node<'_>) -> Option<Method> {
    let text = node.string()?;
    let method = Method::parse(text);
    if method.is_none() {
        let hint = "methods are case-sensitive: write GET, POST, …; for every method leave `methods` out";
        node.note(format!("`{}` is no method", shown(text)), hint);
    }
    method
}

fn read_host(node: &Node<'_>) -> Option<HostPattern> {
    let text = node.string()?;
    let host = HostPattern::parse(text);
    if host.is_none() {
        let hint = "write api.example.com, *.example.com or, if the port counts, api.example.com:8443";
        node.note(format!("`{}` is no host pattern", shown(text)), hint);
    }
    host
}

fn read_path(node: &Node<'_>, parse: impl FnOnce(&str) -> Result<PathPattern, PatternError>) -> Option<PathPattern> {
    let text = node.string()?;
    let hint = match parse(text) {
        Ok(pattern) => return Some(pattern),
        Err(PatternError::Wildcard) => "`*` is no wildcard here: write {name} for one segment, or path_prefix",
        Err(PatternError::Braces) => "a {name} stands for one whole segment; name it with letters, digits, - and _",
        Err(PatternError::SameName) => "give each {name} a name of its own",
        Err(PatternError::Query) => "leave the query out: it is not matched",
        Err(PatternError::TrailingSlash) => "leave the last / out: a prefix ends on a segment boundary by itself",
        Err(PatternError::Path(PathError::NotAbsolute | PathError::Missing)) => "start it with /",
        Err(PatternError::Path(PathError::EncodedSlash)) => "%2F needs paths.allow_encoded_slash: true",
        Err(PatternError::Path(PathError::ForbiddenByte)) => "percent-encode spaces and everything outside ASCII",
        Err(PatternError::Path(
            PathError::DotSegment
            | PathError::EmptySegment
            | PathError::Backslash
            | PathError::Semicolon
            | PathError::BadEscape
            | PathError::OtherSpelling
            | PathError::DoubleEscape
            | PathError::NotUtf8,
        )) => "no request with such a path is let in: write the plain path",
    };
    node.note(format!("`{}` is no path pattern", shown(text)), hint);
    None
}
