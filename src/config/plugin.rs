//! The plugin configuration: a document in, a [`Config`] out, or every problem at once.
//!
//! After this border nothing asks again whether the configuration is valid.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use super::common::{MAX_TTL, read_realm};
use super::document::{Diagnostics, Node, Object, Problems, quote};
use super::requirement::References;
use super::{apis, errors, requirement, rules, servers, structure, upstream};
use crate::base::Json;
use crate::cache::CacheSettings;
use crate::claims::RequestedClaims;
use crate::policy::{Access, Applications, Mode, Requirement, RuleSet, UpstreamSettings};
use crate::request::{HeaderName, PathOptions, TokenLocations};
use crate::response::ErrorProfile;
use crate::server::{ServerSettings, UnknownTokenLimitSettings};

/// A valid configuration.
///
/// # Defaults
/// | key | value |
/// |---|---|
/// | `cache.capacity` | 10000 entries |
/// | `cache.max_ttl` | 60s |
/// | `cache.inactive_ttl` | 5s |
/// | `cache.stale_if_error` | 0s: never |
/// | `unknown_tokens` | 200 a second and 2000 at once, for each client address and worker |
/// | `mode` | enforce |
/// | `upstream.authorization` | remove |
/// | `upstream.headers` | none |
/// | `realm` | api, or what the error profile has |
/// | `errors` | rfc6750 |
/// | `bearer.schemes` | Bearer |
/// | `bearer.max_bytes` | 16384 |
/// | `paths.allow_encoded_slash` | false |
/// | `log` | refusals |
/// | `introspection.preset` | rfc7662 |
/// | `introspection.timeout` | 1s |
/// | `scope_strategy` | exact |
#[derive(Debug)]
pub struct Config {
    pub(crate) servers: Vec<ServerSettings>,
    pub(crate) cache: CacheSettings,
    pub(crate) upstream: UpstreamSettings,
    pub(crate) locations: TokenLocations,
    /// How refusals look where no rule says otherwise.
    pub(crate) errors: Arc<ErrorProfile>,
    pub(crate) applications: Applications,
    /// What of an answer is kept.
    pub(crate) requested: RequestedClaims,
    /// Whether requests that pass are logged, too.
    pub(crate) logs_permits: bool,
    pub(crate) paths: PathOptions,
    pub(crate) policy: RuleSet,
    /// What a refusal means where no rule applies.
    pub(crate) mode: Mode,
    /// How many unknown tokens each client may have looked up; `None`: any number.
    pub(crate) unknown_tokens: Option<UnknownTokenLimitSettings>,
    /// SHA-256 over the version, the document and the secrets it names.
    pub(crate) fingerprint: [u8; 32],
    /// Whether it stands in for a configuration that was refused.
    pub(crate) is_misconfigured: bool,
}

impl Config {
    /// Reads a plugin configuration as Envoy hands it over: JSON text, or a google.protobuf.Struct.
    /// `environment` looks an environment variable up.
    ///
    /// # Errors
    /// Every problem of the document, each with its path and a hint.
    pub fn parse(bytes: &[u8], environment: &dyn Fn(&str) -> Option<String>) -> Result<Self, Problems> {
        match Json::parse(bytes) {
            Ok(document) => Self::read(&document, environment),
            // A Struct's bytes are never JSON: they start with a tag and a length.
            Err(error) => match structure::decode(bytes) {
                Some(document) => Self::read(&document, environment),
                None => {
                    let diagnostics = Diagnostics::default();
                    diagnostics.report(
                        "",
                        format!("is not JSON: {error}"),
                        "write the configuration as a google.protobuf.Struct, or as JSON in a StringValue",
                    );
                    diagnostics.finish(None)
                }
            },
        }
    }

    /// The configuration that refuses every request, in the place of one that was refused.
    pub(crate) fn misconfigured() -> Self {
        Self {
            servers: Vec::new(),
            cache: CacheSettings::default(),
            upstream: UpstreamSettings::default(),
            locations: TokenLocations::default(),
            errors: Arc::default(),
            applications: Applications::default(),
            requested: RequestedClaims::default(),
            logs_permits: false,
            paths: PathOptions::default(),
            policy: RuleSet::new(Vec::new()),
            mode: Mode::Enforce,
            unknown_tokens: None,
            fingerprint: [0; 32],
            is_misconfigured: true,
        }
    }

    /// Reads a plugin configuration from a parsed document.
    ///
    /// # Errors
    /// As [`Config::parse`].
    pub fn read(document: &Json, environment: &dyn Fn(&str) -> Option<String>) -> Result<Self, Problems> {
        let diagnostics = Diagnostics::default();
        let read = read(&diagnostics.root(document), document, environment);
        diagnostics.finish(read)
    }
}

const KEYS: &[&str] = &[
    "authorization_servers",
    "cache",
    "upstream",
    "realm",
    "errors",
    "bearer",
    "paths",
    "log",
    "require",
    "apis",
    "scope_mappings",
    "applications",
    "rules",
    "mode",
    "unknown_tokens",
];

fn read(root: &Node<'_>, document: &Json, environment: &dyn Fn(&str) -> Option<String>) -> Option<Config> {
    let object = root.object(KEYS)?;
    // Every part is read before any is given up, so that all problems are found.
    let servers = object
        .required("authorization_servers", "list the authorization servers whose tokens are accepted")
        .and_then(|node| servers::read(node, environment));
    let cache = object.or_default("cache", CacheSettings::default(), read_cache);
    let upstream = object.or_default("upstream", UpstreamSettings::default(), upstream::read);
    let realm = object.or_default("realm", None, |node| read_realm(node).map(Some));
    let known_realm = realm.as_ref().and_then(Option::as_deref);
    let locations = object.or_default("bearer", TokenLocations::default(), upstream::read_bearer);
    let paths = object.or_default("paths", PathOptions::default(), read_paths);
    let logs_permits = object.or_default("log", false, |node| node.one_of(&[("refusals", false), ("decisions", true)]));
    let mode = object.or_default("mode", Mode::default(), |node| node.one_of(&Mode::WORDS));
    let unknown_tokens = object.or_default("unknown_tokens", Some(UnknownTokenLimitSettings::default()), read_quota);
    let errors = match object.optional("errors") {
        Some(node) => errors::read(node, known_realm),
        None => Some(ErrorProfile { realm: known_realm.unwrap_or("api").to_owned(), ..ErrorProfile::default() }),
    };
    let errors = errors.map(Arc::new);

    let names = servers.as_ref().map(|servers| servers.iter().map(|server| server.name.as_str()).collect::<Vec<_>>());
    let claims = RefCell::default();
    let references = References { servers: names.as_deref(), mappings: None, claims: &claims };
    let requirement = object.or_default("require", Requirement::NONE, |node| requirement::read(node, references));
    let apis = apis::read(&object, references, known_realm, paths.unwrap_or_default());
    let (none, no_apis) = (Requirement::NONE, apis::Apis::new());
    let default_errors = errors.clone().unwrap_or_default();
    let defaults = rules::RuleDefaults {
        references,
        apis: apis.as_ref().unwrap_or(&no_apis),
        requirement: requirement.as_ref().unwrap_or(&none),
        errors: &default_errors,
        realm: known_realm,
        paths: paths.unwrap_or_default(),
        mode: mode.unwrap_or_default(),
    };
    let policy = rules::read(&object, &defaults);
    let known_rules = policy.as_ref().map(|policy| policy.rules.as_slice()).unwrap_or_default();
    let applications = apis::read_applications(&object, names.as_deref(), defaults.apis, known_rules);
    let (policy, applications) = (policy?, applications?);
    if let (Some(upstream), Some(locations)) = (&upstream, &locations) {
        report_rerouting(&object, &policy, mode.unwrap_or_default(), upstream, locations);
    }

    let (servers, mut upstream, cache) = (servers?, upstream?, cache?);
    if !cache.stale_if_error.is_zero() {
        upstream::mark_stale(&object, &mut upstream)?;
    }
    report_same_issuers(&object, &policy, &servers);
    let fingerprint = fingerprint(document, &servers);
    let (_, _, _) = (apis?, requirement?, realm?);
    Some(Config {
        servers,
        cache,
        requested: RequestedClaims { claims: claims.take(), properties: upstream.properties().cloned().collect() },
        upstream,
        locations: locations?,
        errors: errors?,
        applications,
        logs_permits: logs_permits?,
        paths: paths?,
        policy,
        mode: mode?,
        unknown_tokens: unknown_tokens?,
        fingerprint,
        is_misconfigured: false,
    })
}

/// Notes every rule that takes tokens of one issuer from two entries of which one asks about them and the other
/// does not: what the first calls revoked the second would honour.
fn report_same_issuers(root: &Object<'_>, policy: &RuleSet, servers: &[ServerSettings]) {
    let asks = |server: &ServerSettings| server.jwt.as_ref().is_none_or(|jwt| jwt.introspects);
    for rule in &policy.rules {
        let Access::Protected { servers: indices, .. } = &rule.access else { continue };
        let of_rule: Vec<&ServerSettings> = indices.iter().filter_map(|index| servers.get(*index)).collect();
        let contradicts = |a: &ServerSettings, b: &ServerSettings| {
            a.tokens.issuer.is_some() && a.tokens.issuer == b.tokens.issuer && asks(a) != asks(b)
        };
        if of_rule.iter().any(|a| of_rule.iter().any(|b| contradicts(a, b))) {
            root.report(
                format!(
                    "rule `{}` takes tokens of one issuer both with and without asking about them",
                    quote(&rule.name)
                ),
                "write jwt.introspect: true in both entries, or name one of them",
            );
        }
    }
}

/// Notes what would have Envoy route anew after the decision: credentials that are taken out of where Envoy may
/// have looked for its route. The route that was judged would not be the one that serves.
fn report_rerouting(
    root: &Object<'_>,
    policy: &RuleSet,
    mode: Mode,
    upstream: &UpstreamSettings,
    locations: &TokenLocations,
) {
    let elsewhere = locations.header.is_some() || locations.query.is_some() || locations.cookie.is_some();
    if policy.uses_routes() && elsewhere && !upstream.keep_authorization {
        root.report(
            "rules follow Envoy's routes, and tokens are taken out of headers, queries or cookies that these may depend on",
            "match on paths instead of `route`, or leave bearer.header, query and cookie out",
        );
    }
    let reports = policy.rules.iter().filter(|rule| rule.mode == Mode::ReportOnly).count();
    let in_part = (reports > 0 || mode == Mode::ReportOnly) && (reports < policy.rules.len() || mode == Mode::Enforce);
    if policy.uses_routes() && in_part && !upstream.keep_authorization {
        root.report(
            "rules follow Envoy's routes, only some of them are enforced, and Envoy would route anew when the token is taken out",
            "have all of them report, match on paths instead of `route`, or write upstream.authorization: keep",
        );
    }
    let own = |name: &HeaderName| upstream.headers.iter().any(|(ours, _)| ours.is_alias_of(name.as_str()));
    if locations.header.as_ref().is_some_and(own) {
        root.report("bearer.header is one of upstream.headers", "give the token a header of its own");
    }
}

fn read_cache(node: &Node<'_>) -> Option<CacheSettings> {
    let object = node.object(&["capacity", "max_ttl", "inactive_ttl", "stale_if_error"])?;
    let default = CacheSettings::default();
    let capacity = object.or_default("capacity", default.capacity, |node| node.integer(1, MAX_CAPACITY));
    let max_ttl = object.or_default("max_ttl", default.max_ttl, |node| node.duration(Duration::ZERO, MAX_TTL));
    let inactive_ttl =
        object.or_default("inactive_ttl", default.inactive_ttl, |node| node.duration(Duration::ZERO, MAX_TTL));
    let stale_if_error =
        object.or_default("stale_if_error", default.stale_if_error, |node| node.duration(Duration::ZERO, MAX_STALE));
    Some(CacheSettings {
        capacity: capacity?,
        max_ttl: max_ttl?,
        inactive_ttl: inactive_ttl?,
        stale_if_error: stale_if_error?,
    })
}

fn read_quota(node: &Node<'_>) -> Option<Option<UnknownTokenLimitSettings>> {
    if let Some(text) = node.text() {
        if text == "unlimited" {
            return Some(None);
        }
        node.report(
            format!("`{}` says nothing of how many", quote(text)),
            "write unlimited, or { per_second: 200, burst: 2000 }",
        );
        return None;
    }
    let object = node.object(&["per_second", "burst"])?;
    let default = UnknownTokenLimitSettings::default();
    let per_second = object.or_default("per_second", default.per_second, |node| node.integer(1, MAX_QUOTA));
    let burst = object.or_default("burst", default.burst, |node| node.integer(1, MAX_QUOTA));
    Some(Some(UnknownTokenLimitSettings { per_second: per_second?, burst: burst? }))
}

fn read_paths(node: &Node<'_>) -> Option<PathOptions> {
    let object = node.object(&["allow_encoded_slash"])?;
    let allow_encoded_slash = object.or_default("allow_encoded_slash", false, Node::boolean)?;
    Some(PathOptions { allow_encoded_slash })
}

fn fingerprint(document: &Json, servers: &[ServerSettings]) -> [u8; 32] {
    let mut text = String::new();
    document.write_canonical(&mut text);
    let mut hash = hmac_sha256::Hash::new();
    // Another version may keep facts in another form.
    hash.update(env!("CARGO_PKG_VERSION"));
    hash.update(&text);
    for server in servers {
        // Secrets from the environment are not in the document.
        let identity = server.introspection.as_ref().map(|endpoint| endpoint.authentication.identity());
        hash.update(hmac_sha256::Hash::hash(identity.unwrap_or_default().as_bytes()));
    }
    hash.finalize()
}

const MAX_CAPACITY: u32 = 1_000_000;
const MAX_STALE: Duration = Duration::from_secs(3_600);
const MAX_QUOTA: u32 = 1_000_000;
