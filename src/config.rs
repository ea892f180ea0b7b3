//! The plugin configuration: a document in, a [`Config`] out, or every problem at once.
//!
//! After this border nothing asks again whether the configuration is valid.

mod document;
mod rules;
mod servers;
mod structure;

use std::time::Duration;

pub use document::{Problem, Problems};
pub(crate) use servers::{Audience, AuthorizationServer};

use self::document::{Node, Notes, Object, shown};
use crate::forward::HeaderName;
use crate::json::Json;
use crate::policy::Policy;
use crate::request::PathOptions;

/// A valid configuration.
///
/// # Defaults
/// | key | value |
/// |---|---|
/// | `cache.capacity` | 10000 entries |
/// | `cache.max_ttl` | 60s |
/// | `cache.inactive_ttl` | 5s |
/// | `upstream.authorization` | remove |
/// | `upstream.headers` | none |
/// | `realm` | api |
/// | `bearer.max_bytes` | 16384 |
/// | `paths.allow_encoded_slash` | false |
/// | `log` | refusals |
/// | `introspection.timeout` | 1s |
#[derive(Debug)]
pub struct Config {
    pub(crate) servers: Vec<AuthorizationServer>,
    pub(crate) cache: CacheConfig,
    pub(crate) upstream: UpstreamConfig,
    pub(crate) realm: String,
    pub(crate) max_token_bytes: usize,
    /// Whether requests that pass are logged, too.
    pub(crate) logs_permits: bool,
    pub(crate) paths: PathOptions,
    pub(crate) policy: Policy,
    /// SHA-256 over the version, the document and the secrets it names.
    pub(crate) fingerprint: [u8; 32],
}

/// How long facts about tokens are kept, and how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CacheConfig {
    /// Entries for active tokens; as many again for inactive ones.
    pub(crate) capacity: u32,
    pub(crate) max_ttl: Duration,
    pub(crate) inactive_ttl: Duration,
}

/// What the application behind the proxy is told.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct UpstreamConfig {
    pub(crate) keep_authorization: bool,
    /// Header and the member of the introspection answer that it carries.
    pub(crate) headers: Vec<(HeaderName, String)>,
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
                    let notes = Notes::default();
                    notes.note(
                        "",
                        format!("is not JSON: {error}"),
                        "write the configuration as a google.protobuf.Struct, or as JSON in a StringValue",
                    );
                    notes.finish(None)
                }
            },
        }
    }

    /// Reads a plugin configuration from a parsed document.
    ///
    /// # Errors
    /// As [`Config::parse`].
    pub fn read(document: &Json, environment: &dyn Fn(&str) -> Option<String>) -> Result<Self, Problems> {
        let notes = Notes::default();
        let read = read(&notes.root(document), document, environment);
        notes.finish(read)
    }
}

const KEYS: &[&str] =
    &["authorization_servers", "cache", "upstream", "realm", "bearer", "paths", "log", "require", "rules"];

fn read(root: &Node<'_>, document: &Json, environment: &dyn Fn(&str) -> Option<String>) -> Option<Config> {
    let object = root.object(KEYS)?;
    // Every part is read before any is given up, so that all problems are found.
    let servers = object
        .required("authorization_servers", "list the authorization servers whose tokens are accepted")
        .and_then(|node| servers::read(node, environment));
    let cache = object.or_default("cache", CacheConfig::default(), read_cache);
    let upstream = object.or_default("upstream", UpstreamConfig::default(), read_upstream);
    let realm = object.or_default("realm", "api".to_owned(), read_realm);
    let max_token_bytes = object.or_default("bearer", DEFAULT_MAX_TOKEN_BYTES, read_bearer);
    let paths = object.or_default("paths", PathOptions::default(), read_paths);
    let logs_permits = object.or_default("log", false, |node| node.one_of(&[("refusals", false), ("decisions", true)]));
    let names = servers.as_ref().map(|servers| servers.iter().map(|server| server.name.as_str()).collect::<Vec<_>>());
    let policy = rules::read(&object, names.as_deref(), paths.unwrap_or_default());
    let servers = servers?;
    let fingerprint = fingerprint(document, &servers);
    Some(Config {
        servers,
        cache: cache?,
        upstream: upstream?,
        realm: realm?,
        max_token_bytes: usize::try_from(max_token_bytes?).unwrap_or(usize::MAX),
        logs_permits: logs_permits?,
        paths: paths?,
        policy: policy?,
        fingerprint,
    })
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self { capacity: 10_000, max_ttl: Duration::from_secs(60), inactive_ttl: Duration::from_secs(5) }
    }
}

fn read_cache(node: &Node<'_>) -> Option<CacheConfig> {
    let object = node.object(&["capacity", "max_ttl", "inactive_ttl"])?;
    let default = CacheConfig::default();
    let capacity = object.or_default("capacity", default.capacity, |node| node.integer(1, MAX_CAPACITY));
    let max_ttl = object.or_default("max_ttl", default.max_ttl, |node| node.duration(Duration::ZERO, MAX_TTL));
    let inactive_ttl =
        object.or_default("inactive_ttl", default.inactive_ttl, |node| node.duration(Duration::ZERO, MAX_TTL));
    Some(CacheConfig { capacity: capacity?, max_ttl: max_ttl?, inactive_ttl: inactive_ttl? })
}

fn read_upstream(node: &Node<'_>) -> Option<UpstreamConfig> {
    let object = node.object(&["authorization", "headers"])?;
    let keep_authorization =
        object.or_default("authorization", false, |node| node.one_of(&[("remove", false), ("keep", true)]));
    let headers = object.or_default("headers", Vec::new(), |node| {
        let mut headers: Vec<(HeaderName, String)> = Vec::new();
        let mut complete = true;
        for (key, value) in node.map(MAX_HEADERS)? {
            match HeaderName::parse(key) {
                Err(hint) => value.note("is no header to set", hint),
                Ok(name) if headers.iter().any(|(other, _)| other.is_alias_of(key)) => {
                    value.note(
                        format!("`{}` names the same header as an earlier one", name.as_str()),
                        "keep one of them",
                    );
                }
                Ok(name) => match value.string() {
                    Some(member) => headers.push((name, member.to_owned())),
                    None => complete = false,
                },
            }
        }
        // Facts keep the values in this order; two documents that differ in the order alone mean the same.
        headers.sort_by(|(a, _), (b, _)| a.as_str().cmp(b.as_str()));
        complete.then_some(headers)
    });
    Some(UpstreamConfig { keep_authorization: keep_authorization?, headers: headers? })
}

fn read_realm(node: &Node<'_>) -> Option<String> {
    let realm = node.string()?;
    // It stands in a quoted-string (RFC 9110 §5.6.4); what would need escaping there is not needed in a realm.
    if realm.len() <= 128 && realm.bytes().all(|b| matches!(b, b' '..=b'~') && b != b'"' && b != b'\\') {
        return Some(realm.to_owned());
    }
    node.note(format!("`{}` is no realm", shown(realm)), "at most 128 printable ASCII characters without \" and \\");
    None
}

fn read_bearer(node: &Node<'_>) -> Option<u32> {
    node.object(&["max_bytes"])?.or_default("max_bytes", DEFAULT_MAX_TOKEN_BYTES, |node| node.integer(16, 65_536))
}

fn read_paths(node: &Node<'_>) -> Option<PathOptions> {
    let object = node.object(&["allow_encoded_slash"])?;
    let allow_encoded_slash = object.or_default("allow_encoded_slash", false, Node::boolean)?;
    Some(PathOptions { allow_encoded_slash })
}

/// A name for messages, logs and references: printable, short.
fn read_name(object: &Object<'_>, hint: &str) -> Option<String> {
    let node = object.required("name", hint)?;
    let name = node.string()?;
    if name.chars().count() <= 128 && !name.chars().any(char::is_control) {
        return Some(name.to_owned());
    }
    node.note(format!("`{}` is no name", shown(name)), "at most 128 characters, none of them a control character");
    None
}

fn fingerprint(document: &Json, servers: &[AuthorizationServer]) -> [u8; 32] {
    let mut text = String::new();
    document.write_canonical(&mut text);
    let mut hash = hmac_sha256::Hash::new();
    // Another version may keep facts in another form.
    hash.update(env!("CARGO_PKG_VERSION"));
    hash.update(&text);
    for server in servers {
        // Secrets from the environment are not in the document.
        hash.update(hmac_sha256::Hash::hash(server.introspection.authorization.reveal().as_bytes()));
    }
    hash.finalize()
}

/// Every request header is compared with each of these.
const MAX_HEADERS: usize = 32;
const MAX_CAPACITY: u32 = 1_000_000;
const MAX_TTL: Duration = Duration::from_secs(86_400);
const DEFAULT_MAX_TOKEN_BYTES: u32 = 16_384;

#[cfg(test)]
mod tests;
