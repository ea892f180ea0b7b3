//! `authorization_servers`: the issuers of tokens, and which of their tokens are accepted.

use std::rc::Rc;
use std::time::Duration;

use super::common::{Environment, read_name};
use super::diagnostics::Read;
use super::document::{Node, Object, all};
use super::endpoint::{Place, authority_of, host_of_cluster, read_cluster};
use super::introspection::{self, Introspection};
use super::jwt;
use super::wording::quote;
use crate::policy::{Audience, INTROSPECTED_NOT_BEFORE_LEEWAY, TokenPolicy};
use crate::server::{CircuitBreakerSettings, JwtSettings, ServerSettings};
use crate::token::ScopeStrategy;

pub(super) fn read(node: &Node<'_>, environment: Environment<'_>) -> Read<Vec<ServerSettings>> {
    let example = "[{ name: main, cluster: identity_server, audience: any, introspection: { path: /introspect } }]";
    let servers = node.each(example, |node| read_server(node, environment));
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

fn read_server(node: &Node<'_>, environment: Environment<'_>) -> Read<ServerSettings> {
    let object = node.object(KEYS)?;
    let name = read_name(&object, "name the server for rules and logs", "main");
    let hint = "name the Envoy cluster that leads to the server, as in cluster: identity_server";
    let cluster = object.required("cluster", hint, read_cluster);
    let fallback = object.or_default("fallback_clusters", Vec::new(), |node| read_fallback(node, cluster));
    let issuer = object.optional("issuer", |node| node.string("https://as.example.com"));
    let hint = "list the audiences whose tokens are accepted, as in audience: [api], or write audience: any";
    let audience = object.required("audience", hint, read_audience);
    let options = all((
        object.optional("token_prefix", |node| node.string("main_").map(str::to_owned)),
        object.or_default("scope_strategy", ScopeStrategy::default(), |node| node.one_of(&ScopeStrategy::WORDS)),
        object.or_default("circuit_breaker", CircuitBreakerSettings::default(), read_breaker),
        object.or_default("max_callouts", DEFAULT_MAX_CALLOUTS, |node| node.integer(1, 10_000, DEFAULT_MAX_CALLOUTS)),
    ));
    let authority = issuer.and_then(|issuer| match issuer.and_then(authority_of) {
        Some(authority) => Ok(Some(authority)),
        None => cluster.map(host_of_cluster),
    });
    let authority = authority.as_ref().map(Option::as_deref).map_err(|reported| *reported);
    let fallback_clusters = fallback.as_deref().map_err(|reported| *reported);
    let place = Place { cluster, fallback: fallback_clusters, issuer, authority };
    let judges = all((
        audience,
        object.optional("introspection", |node| introspection::read(node, environment, &place)),
        object.optional("jwt", |node| jwt::read(node, &place)),
    ));
    let judges = judges.and_then(|(audience, introspection, jwt)| {
        check_acceptance(&object, &audience, introspection.as_ref(), jwt.as_ref())?;
        Ok((audience, introspection, jwt))
    });
    let (name, _, fallback, issuer, options, judges) = all((name, cluster, fallback, issuer, options, judges))?;
    let (token_prefix, scope_strategy, circuit_breaker, max_callouts) = options;
    let (audience, introspection, jwt) = judges;
    Ok(ServerSettings {
        name,
        tokens: TokenPolicy {
            issuer: issuer.map(str::to_owned),
            audience,
            scope_strategy,
            not_before_leeway: jwt.as_ref().map_or(INTROSPECTED_NOT_BEFORE_LEEWAY, |jwt| jwt.leeway),
        },
        token_prefix,
        clusters: fallback.len().saturating_add(1),
        circuit_breaker,
        max_callouts: usize::try_from(max_callouts).unwrap_or(usize::MAX),
        max_ttl: introspection.as_ref().and_then(|introspection| introspection.max_ttl),
        introspection: introspection.map(|introspection| Rc::new(introspection.endpoint)),
        jwt: jwt.map(Rc::new),
    })
}

/// Refuses a server whose tokens cannot be verified, or whose `audience` accepts more or fewer tokens than it says.
fn check_acceptance(
    object: &Object<'_>,
    audience: &Audience,
    introspection: Option<&Introspection>,
    jwt: Option<&JwtSettings>,
) -> Read<()> {
    let accepts_plain_jwt = jwt.is_some_and(|jwt| jwt.types.iter().any(|kind| kind == "jwt"));
    let audience_required = introspection.is_some_and(|introspection| introspection.audience_required);
    let has_no_audience = introspection.is_some_and(|read| read.endpoint.response.claims.audience.is_empty());
    let (problem, hint) = match (audience, introspection, jwt) {
        (_, None, None) => (
            "`introspection` or `jwt` is missing",
            "set how tokens are verified, as in introspection: { path, client_id, client_secret_env }, jwt: { jwks_path }, or both",
        ),
        (_, None, Some(jwt)) if jwt.introspects => (
            "`jwt.introspect` is true, and `introspection` is missing",
            "set it, as in introspection: { path: /introspect, client_id: gateway, client_secret_env: GATEWAY_SECRET }",
        ),
        (Audience::Any, _, _) if accepts_plain_jwt => (
            "with `jwt.types: [JWT]` and `audience: any`, an ID token of any client would be valid",
            "list the audiences of access tokens, as in audience: [api], or remove JWT from jwt.types",
        ),
        (Audience::Any, _, _) if audience_required => (
            "`audience: any` would accept tokens of every client of this server",
            "list the client ids whose tokens are meant for this API, as in audience: [web]",
        ),
        (Audience::OneOf(_), _, _) if has_no_audience => (
            "responses of this server name no audience, so no token would match the list in `audience`",
            "write audience: any, and require client_ids or a scope in the rules",
        ),
        (Audience::Any | Audience::OneOf(_), _, _) => return Ok(()),
    };
    Err(object.report(problem, hint))
}

fn read_breaker(node: &Node<'_>) -> Read<CircuitBreakerSettings> {
    let object = node.object(&["failures", "open_for"])?;
    let default = CircuitBreakerSettings::default();
    let (min, max) = (Duration::from_millis(100), Duration::from_secs(300));
    let (failures, open_for) = all((
        object.or_default("failures", default.failures, |node| node.integer(0, 1000, default.failures)),
        object.or_default("open_for", default.open_for, |node| node.duration(min, max, default.open_for)),
    ))?;
    Ok(CircuitBreakerSettings { failures, open_for })
}

fn read_audience(node: &Node<'_>) -> Read<Audience> {
    if node.is_list() {
        return node.strings("[api]").map(Audience::OneOf);
    }
    match node.string("any")? {
        "any" => Ok(Audience::Any),
        other => {
            let hint = format!("expected any, or a list such as [{}]", quote(other));
            Err(node.report(format!("invalid `{}`", quote(other)), hint))
        }
    }
}

fn read_fallback(node: &Node<'_>, first: Read<&str>) -> Read<Vec<String>> {
    let clusters = node.strings("[second_cluster]")?;
    let mut seen: Vec<&str> = first.into_iter().collect();
    for cluster in &clusters {
        if seen.contains(&cluster.as_str()) {
            let hint = "name each cluster once, and not the one in `cluster`, as in [second_cluster]";
            return Err(node.report(format!("duplicate cluster `{}`", quote(cluster)), hint));
        }
        seen.push(cluster);
    }
    if clusters.len() > MAX_FALLBACK {
        let hint = format!("name at most {MAX_FALLBACK}, as in [second_cluster]");
        return Err(node.report(format!("too many clusters: {}", clusters.len()), hint));
    }
    Ok(clusters)
}

/// Enough for 10 000 introspection requests a second to a server that takes 10 ms for each.
const DEFAULT_MAX_CALLOUTS: u32 = 100;

const MAX_FALLBACK: usize = 3;
