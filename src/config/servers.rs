//! `authorization_servers`: who answers for tokens, and which of its answers count.

use std::rc::Rc;
use std::time::Duration;

use super::common::{Environment, read_name};
use super::document::{Node, quote};
use super::endpoint::{Place, authority_of, host_of_cluster, read_cluster};
use super::{introspection, jwt};
use crate::policy::{Audience, INTROSPECTED_NOT_BEFORE_LEEWAY, TokenPolicy};
use crate::server::{CircuitBreakerSettings, ServerSettings};
use crate::token::ScopeStrategy;

pub(super) fn read(node: &Node<'_>, environment: Environment<'_>) -> Option<Vec<ServerSettings>> {
    let servers = node.each(|node| read_server(node, environment));
    node.report_duplicate_names("authorization server");
    servers
}

const KEYS: &[&str] = &[
    "name",
    "cluster",
    "fallback_clusters",
    "issuer",
    "audience",
    "token_prefix",
    "scope_strategy",
    "circuit_breaker",
    "max_callouts",
    "introspection",
    "jwt",
];

fn read_server(node: &Node<'_>, environment: Environment<'_>) -> Option<ServerSettings> {
    let object = node.object(KEYS)?;
    let name = read_name(&object, "name the server; rules and logs refer to it");
    let cluster = object.required("cluster", "name the Envoy cluster that leads to the server").and_then(read_cluster);
    let fallback = object.or_default("fallback_clusters", Vec::new(), |node| read_fallback(node, cluster));
    let issuer = object.or_default("issuer", None, |node| Some(Some(node.string()?.to_owned())));
    let audience = object
        .required("audience", "write `any`, or list the audiences that tokens must be meant for")
        .and_then(read_audience);
    let token_prefix = object.or_default("token_prefix", None, |node| Some(Some(node.string()?.to_owned())));
    let scope_strategy =
        object.or_default("scope_strategy", ScopeStrategy::default(), |node| node.one_of(&ScopeStrategy::WORDS));
    let circuit_breaker = object.or_default("circuit_breaker", CircuitBreakerSettings::default(), read_breaker);
    let max_callouts = object.or_default("max_callouts", DEFAULT_MAX_CALLOUTS, |node| node.integer(1, 10_000));
    let known_issuer = issuer.as_ref().and_then(Option::as_deref);
    let authority = known_issuer.and_then(authority_of).or_else(|| cluster.and_then(host_of_cluster));
    let others = fallback.as_deref().unwrap_or_default();
    let place = Place { cluster, fallback: others, issuer: known_issuer, authority: authority.as_deref() };
    let introspection =
        object.or_default("introspection", None, |node| introspection::read(node, environment, &place).map(Some));
    let jwt = object.or_default("jwt", None, |node| jwt::read(node, &place).map(Some));
    let (audience, introspection, jwt) = (audience?, introspection?, jwt?);
    match (&introspection, &jwt) {
        (None, None) => {
            let hint = "introspection: { path, client_id, client_secret_env }, jwt: { jwks_path }, or both";
            object.report("says neither `introspection` nor `jwt`: nobody would judge its tokens", hint);
            return None;
        }
        (None, Some(jwt)) if jwt.introspects => {
            object.report("`jwt.introspect` is true, and there is no `introspection`", "say how: introspection");
            return None;
        }
        (Some(_), _) | (None, Some(_)) => {}
    }
    let tolerant = jwt.as_ref().is_some_and(|jwt| jwt.types.iter().any(|kind| kind == "jwt"));
    if tolerant && audience == Audience::Any {
        object.report(
            "with jwt.types: JWT and `audience: any`, an ID token of any client would do",
            "list the audiences of access tokens, or leave JWT out of jwt.types",
        );
        return None;
    }
    let audience_required = introspection.as_ref().is_some_and(|introspection| introspection.audience_required);
    let nameless = introspection.as_ref().is_some_and(|read| read.endpoint.response.claims.audience.is_empty());
    match (&audience, nameless) {
        (Audience::Any, _) if audience_required => {
            let hint =
                "list the client ids whose tokens are meant for this API: every token of this server is good somewhere";
            object.report("`audience: any` would let tokens of every client of this server in", hint);
            return None;
        }
        (Audience::OneOf(_), true) => {
            object.report(
                "this server names no audience, so no token would meet the list in `audience`",
                "write audience: any, and demand client ids or scopes in the rules",
            );
            return None;
        }
        (Audience::Any | Audience::OneOf(_), _) => {}
    }
    Some(ServerSettings {
        name: name?,
        tokens: TokenPolicy {
            issuer: issuer?,
            audience,
            scope_strategy: scope_strategy?,
            not_before_leeway: jwt.as_ref().map_or(INTROSPECTED_NOT_BEFORE_LEEWAY, |jwt| jwt.leeway),
        },
        token_prefix: token_prefix?,
        clusters: fallback?.len().saturating_add(1),
        circuit_breaker: circuit_breaker?,
        max_callouts: usize::try_from(max_callouts?).unwrap_or(usize::MAX),
        max_ttl: introspection.as_ref().and_then(|introspection| introspection.max_ttl),
        introspection: introspection.map(|introspection| Rc::new(introspection.endpoint)),
        jwt: jwt.map(Rc::new),
    })
}

fn read_breaker(node: &Node<'_>) -> Option<CircuitBreakerSettings> {
    let object = node.object(&["failures", "open_for"])?;
    let default = CircuitBreakerSettings::default();
    let failures = object.or_default("failures", default.failures, |node| node.integer(0, 1000));
    let open_for = object.or_default("open_for", default.open_for, |node| {
        node.duration(Duration::from_millis(100), Duration::from_secs(300))
    });
    Some(CircuitBreakerSettings { failures: failures?, open_for: open_for? })
}

fn read_audience(node: &Node<'_>) -> Option<Audience> {
    if node.is_list() {
        return node.each(|node| node.string().map(str::to_owned)).map(Audience::OneOf);
    }
    match node.string()? {
        "any" => Some(Audience::Any),
        other => {
            node.report(
                format!("`{}` stands alone", quote(other)),
                format!("write any, or a list: [{}]", quote(other)),
            );
            None
        }
    }
}

fn read_fallback(node: &Node<'_>, first: Option<&str>) -> Option<Vec<String>> {
    let clusters = node.each(|node| read_cluster(node).map(str::to_owned))?;
    let mut seen: Vec<&str> = first.into_iter().collect();
    for cluster in &clusters {
        if seen.contains(&cluster.as_str()) {
            node.report(format!("`{}` is there already", quote(cluster)), "name each cluster once");
            return None;
        }
        seen.push(cluster);
    }
    if clusters.len() > MAX_FALLBACK {
        node.report("are too many", format!("name {MAX_FALLBACK} at most"));
        return None;
    }
    Some(clusters)
}

/// Enough for 10 000 questions a second to a server that takes 10 ms for each.
const DEFAULT_MAX_CALLOUTS: u32 = 100;

const MAX_FALLBACK: usize = 3;
