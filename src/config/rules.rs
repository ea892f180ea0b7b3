//! `rules` and the top-level `require`: what each request needs.

use std::sync::Arc;

use super::document::{Node, Object, shown};
use super::read_name;
use crate::policy::{Access, HostPattern, Method, PathPattern, PatternError, Policy, RequestMatch, Rule};
use crate::request::{PathError, PathOptions};
use crate::scope::{ScopeRequirement, ScopeToken};

/// `servers` is `None` where the authorization servers could not be read; rules are read all the same.
pub(super) fn read(root: &Object<'_>, servers: Option<&[&str]>, paths: PathOptions) -> Option<Policy> {
    let common = root.or_default("require", ScopeRequirement::default(), read_require);
    let list = root.required("rules", "list at least one rule; a request that no rule matches is refused")?;
    let common_or_none = common.clone().unwrap_or_default();
    let rules = list.each(|node| read_rule(node, servers, &common_or_none, paths));
    list.note_duplicate_names("rule");
    let policy = Policy { rules: rules?.into_iter().map(Arc::new).collect() };
    note_shadowed(&policy, &list.items());
    common.map(|_| policy)
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

fn read_rule(node: &Node<'_>, servers: Option<&[&str]>, common: &ScopeRequirement, paths: PathOptions) -> Option<Rule> {
    let object = node.object(&["name", "match", "require", "public", "authorization_server"])?;
    let name = read_name(&object, "name the rule; logs refer to it");
    let matches = object
        .required("match", "say which requests it is for, such as [{ methods: [GET], path: /bookings }]")
        .and_then(|node| node.each(|node| read_match(node, paths)));
    let access = read_access(&object, servers, common);
    Some(Rule { name: Arc::from(name?), matches: matches?, access: access? })
}

fn read_access(object: &Object<'_>, servers: Option<&[&str]>, common: &ScopeRequirement) -> Option<Access> {
    let server = object.optional("authorization_server");
    match (object.optional("public"), object.optional("require")) {
        (Some(public), None) => {
            if let Some(server) = server {
                server.note("a public rule asks no server", "remove this or `public`");
                return None;
            }
            public.said().map(|()| Access::Public)
        }
        (None, Some(require)) => {
            let own = read_require(require);
            let server = read_server(object, server, servers);
            let mut requirement = common.clone();
            requirement.demand(&own?);
            Some(Access::Protected { server: server?, requirement })
        }
        (Some(_), Some(_)) => {
            object.note("has both `public` and `require`", "keep one of them");
            None
        }
        (None, None) => {
            object.note("says neither `require` nor `public: true`", "say what the rule demands: nothing is implied");
            None
        }
    }
}

fn read_server(object: &Object<'_>, named: Option<&Node<'_>>, servers: Option<&[&str]>) -> Option<usize> {
    match (named, servers) {
        (Some(node), Some(servers)) => {
            let name = node.string()?;
            let found = servers.iter().position(|server| *server == name);
            if found.is_none() {
                node.note(
                    format!("there is no authorization server `{}`", shown(name)),
                    format!("known: {}", servers.join(", ")),
                );
            }
            found
        }
        (None, Some([_])) => Some(0),
        (None, Some(servers)) => {
            object.note(
                "`authorization_server` is missing, and there are several",
                format!("name the one whose tokens it takes: {}", servers.join(", ")),
            );
            None
        }
        (_, None) => None,
    }
}

fn read_require(node: &Node<'_>) -> Option<ScopeRequirement> {
    let object = node.object(&["scope", "any_scope", "authenticated"])?;
    if object.is_empty() {
        object.note("demands nothing", "name a scope, or write authenticated: true for any active token");
        return None;
    }
    let mut requirement = ScopeRequirement::default();
    let all = object.or_default("scope", Vec::new(), |node| {
        let tokens: Option<Vec<_>> = node.string()?.split(' ').map(|text| read_scope_token(node, text)).collect();
        tokens
    });
    let any =
        object.or_default("any_scope", Vec::new(), |node| node.each(|node| read_scope_token(node, node.string()?)));
    let authenticated = object.or_default("authenticated", (), Node::said);
    if object.optional("authenticated").is_some() && !(all.as_ref()?.is_empty() && any.as_ref()?.is_empty()) {
        object.note("`authenticated` says less than the scopes beside it", "remove `authenticated`");
        return None;
    }
    requirement.demand_all(all?);
    let any = any?;
    if !any.is_empty() {
        requirement.demand_any(any);
    }
    authenticated.map(|()| requirement)
}

fn read_scope_token(node: &Node<'_>, text: &str) -> Option<ScopeToken> {
    match ScopeToken::parse(text) {
        Ok(token) => Some(token),
        Err(Some(bad)) => {
            node.note(
                format!("`{}` contains `{}`", shown(text), bad.escape_debug()),
                "a scope token has printable ASCII characters without space, \" and \\ (RFC 6749 §3.3)",
            );
            None
        }
        Err(None) => {
            node.note("has an empty scope token", "separate scope tokens by one space");
            None
        }
    }
}

fn read_match(node: &Node<'_>, paths: PathOptions) -> Option<RequestMatch> {
    let object = node.object(&["methods", "hosts", "path", "path_prefix", "route"])?;
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
