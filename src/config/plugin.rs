//! [`Config`], its defaults, and the keys at the top of a plugin configuration.

use std::sync::Arc;
use std::time::Duration;

use super::apis::ApiDefaults;
use super::common::{Environment, MAX_TTL, read_realm};
use super::consistency::{report_rerouting, report_same_issuers};
use super::diagnostics::{Diagnostics, Problem, Problems, Read};
use super::document::{Node, all};
use super::requirement::{References, RequirementReader};
use super::rules::RuleDefaults;
use super::wording::quote;
use super::{apis, applications, errors, rules, servers, structure, upstream};
use crate::base::Json;
use crate::cache::CacheSettings;
use crate::claims::RequestedClaims;
use crate::policy::{Applications, Mode, Requirement, RuleSet, UpstreamSettings};
use crate::request::{PathOptions, TokenLocations};
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
    /// The responses to refused requests, unless a rule or an API sets others.
    pub(crate) errors: Arc<ErrorProfile>,
    pub(crate) applications: Applications,
    /// The claims of a token that are kept.
    pub(crate) requested: RequestedClaims,
    /// Whether accepted requests are logged, too.
    pub(crate) logs_permits: bool,
    pub(crate) paths: PathOptions,
    pub(crate) policy: RuleSet,
    /// Whether a refusal is enforced where no rule applies.
    pub(crate) mode: Mode,
    /// The limit of introspection requests for unknown tokens of each client address; `None` for no limit.
    pub(crate) unknown_tokens: Option<UnknownTokenLimitSettings>,
    /// SHA-256 over the version, the document and the secrets that it names.
    pub(crate) fingerprint: [u8; 32],
    /// Whether it replaces a configuration that was refused.
    pub(crate) is_misconfigured: bool,
}

impl Config {
    /// Reads a plugin configuration in the forms that Envoy passes to a module: JSON text, or a serialized
    /// google.protobuf.Struct. `environment` returns the value of an environment variable.
    ///
    /// # Errors
    /// Every problem of the document, each with its path and a remedy.
    pub fn parse(bytes: &[u8], environment: &dyn Fn(&str) -> Option<String>) -> Result<Self, Problems> {
        match Json::parse(bytes) {
            Ok(document) => Self::read(&document, environment),
            // The bytes of a Struct are never JSON: they start with a tag and a length.
            Err(error) => match structure::decode(bytes) {
                Some(document) => Self::read(&document, environment),
                None => Diagnostics::collect(|diagnostics| {
                    Err(diagnostics.report(Problem::at(
                        &Json::Null,
                        Vec::new(),
                        format!("invalid JSON: {error}"),
                        "write the configuration as a google.protobuf.Struct, or as JSON text in a StringValue",
                    )))
                }),
            },
        }
    }

    /// The configuration that refuses every request; it replaces one that was refused.
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
        Diagnostics::collect(|diagnostics| read(&Node::root(diagnostics, document), environment))
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

fn read(root: &Node<'_>, environment: Environment<'_>) -> Read<Config> {
    let object = root.object(KEYS)?;
    let hint = "list the servers whose tokens are accepted, as in authorization_servers: [{ name: main, cluster: identity_server, audience: any, introspection: { path: /introspect } }]";
    let servers = object.required("authorization_servers", hint, |node| servers::read(node, environment));
    let names = servers.as_ref().map(|servers| servers.iter().map(|server| server.name.as_str()).collect::<Vec<_>>());
    let names = names.as_deref().map_err(|reported| **reported);
    let cache = object.or_default("cache", CacheSettings::default(), read_cache);
    let upstream = object.or_default("upstream", UpstreamSettings::default(), upstream::read);
    let realm = object.optional("realm", read_realm);
    let known_realm = realm.as_ref().map(Option::as_deref).map_err(|reported| *reported);
    let locations = object.or_default("bearer", TokenLocations::default(), upstream::read_bearer);
    let paths = object.or_default("paths", PathOptions::default(), read_paths);
    let known_paths = paths.unwrap_or_default();
    let logs_permits = object.or_default("log", false, |node| node.one_of(&[("refusals", false), ("decisions", true)]));
    let mode = object.or_default("mode", Mode::default(), |node| node.one_of(&Mode::WORDS));
    let unknown_tokens = object.or_default("unknown_tokens", Some(UnknownTokenLimitSettings::default()), read_limit);
    let errors = match object.get("errors") {
        Some(node) => errors::read(node, known_realm),
        None => known_realm
            .map(|realm| ErrorProfile { realm: realm.unwrap_or("api").to_owned(), ..ErrorProfile::default() }),
    };
    let errors = errors.map(Arc::new);

    let mut claims = Vec::new();
    let references = References { servers: names, mappings: Ok(None) };
    let requirement = object.or_default("require", Requirement::NONE, |node| {
        RequirementReader { references, claims: &mut claims }.read(node)
    });
    let api_defaults = ApiDefaults { servers: names, realm: known_realm, paths: known_paths };
    let apis = apis::read(&object, api_defaults, &mut claims);
    let known_apis = apis.as_ref().map_err(|reported| *reported);
    let defaults = RuleDefaults {
        servers: names,
        apis: known_apis,
        requirement: requirement.as_ref().map_err(|reported| *reported),
        errors: errors.as_ref().map_err(|reported| *reported),
        realm: known_realm,
        paths: known_paths,
        mode,
    };
    let policy = rules::read(&object, &defaults, &mut claims);
    let applications = applications::read(&object, names, known_apis, policy.as_ref().map_err(|reported| *reported));

    all((known_apis, defaults.requirement, known_realm))?;
    let limits = all((cache, paths, logs_permits, unknown_tokens));
    let parts = all((servers, upstream, locations, errors, mode, policy, applications));
    let ((cache, paths, logs_permits, unknown_tokens), parts) = all((limits, parts))?;
    let (servers, mut upstream, locations, errors, mode, policy, applications) = parts;
    report_rerouting(&object, &policy, mode, &upstream, &locations);
    report_same_issuers(&object, &policy, &servers);
    if !cache.stale_if_error.is_zero() {
        upstream::mark_stale(root, &mut upstream)?;
    }
    Ok(Config {
        fingerprint: fingerprint(root.json(), &servers),
        servers,
        cache,
        requested: RequestedClaims { claims, properties: upstream.properties().cloned().collect() },
        upstream,
        locations,
        errors,
        applications,
        logs_permits,
        paths,
        policy,
        mode,
        unknown_tokens,
        is_misconfigured: false,
    })
}

fn read_cache(node: &Node<'_>) -> Read<CacheSettings> {
    let object = node.object(&["capacity", "max_ttl", "inactive_ttl", "stale_if_error"])?;
    let default = CacheSettings::default();
    let duration = |key: &str, default: Duration, max: Duration, example: Duration| {
        object.or_default(key, default, |node| node.duration(Duration::ZERO, max, example))
    };
    let (capacity, max_ttl, inactive_ttl, stale_if_error) = all((
        object.or_default("capacity", default.capacity, |node| node.integer(1, MAX_CAPACITY, default.capacity)),
        duration("max_ttl", default.max_ttl, MAX_TTL, default.max_ttl),
        duration("inactive_ttl", default.inactive_ttl, MAX_TTL, default.inactive_ttl),
        duration("stale_if_error", default.stale_if_error, MAX_STALE, Duration::from_secs(60)),
    ))?;
    Ok(CacheSettings { capacity, max_ttl, inactive_ttl, stale_if_error })
}

fn read_limit(node: &Node<'_>) -> Read<Option<UnknownTokenLimitSettings>> {
    if let Some(text) = node.text() {
        if text == "unlimited" {
            return Ok(None);
        }
        let hint = "expected unlimited, or a limit such as { per_second: 200, burst: 2000 }";
        return Err(node.report(format!("invalid `{}`", quote(text)), hint));
    }
    let object = node.object(&["per_second", "burst"])?;
    let default = UnknownTokenLimitSettings::default();
    let (per_second, burst) = all((
        object.or_default("per_second", default.per_second, |node| node.integer(1, MAX_LIMIT, default.per_second)),
        object.or_default("burst", default.burst, |node| node.integer(1, MAX_LIMIT, default.burst)),
    ))?;
    Ok(Some(UnknownTokenLimitSettings { per_second, burst }))
}

fn read_paths(node: &Node<'_>) -> Read<PathOptions> {
    let object = node.object(&["allow_encoded_slash"])?;
    let allow_encoded_slash = object.or_default("allow_encoded_slash", false, Node::boolean)?;
    Ok(PathOptions { allow_encoded_slash })
}

fn fingerprint(document: &Json, servers: &[ServerSettings]) -> [u8; 32] {
    let mut text = String::new();
    document.write_canonical(&mut text);
    let mut hash = hmac_sha256::Hash::new();
    // Another version may encode cached claims differently.
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
const MAX_LIMIT: u32 = 1_000_000;
