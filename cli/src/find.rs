//! Finds the plugins and configurations of Scopegate in a document.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use p256::SecretKey;
use p256::pkcs8::{EncodePrivateKey, LineEnding};
use scopegate::Json;

use crate::path::shown;
use crate::yaml;

pub(crate) type Members = [(String, Json)];

/// The name by which a plugin is recognized.
const NAME: &str = "scopegate";

/// The keys of a plugin configuration.
const KEYS: &[&str] = &["authorization_servers", "cache", "upstream", "realm", "bearer", "paths", "require", "rules"];

/// Whether `document` is a plugin configuration, with nothing around it.
pub(crate) fn is_bare(document: &Json) -> bool {
    // Other resources, such as a Kubernetes ClusterRole, have `rules`, too.
    members(document).is_some_and(|members| {
        members.iter().any(|(key, _)| KEYS.contains(&key.as_str())) && field(members, "api_version").is_none()
    })
}

/// An Istio WasmPlugin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resource<'a> {
    name: Option<&'a str>,
}

impl<'a> Resource<'a> {
    pub(crate) fn of(object: &'a Members) -> Option<Self> {
        let name = at(object, &["metadata", "name"]).and_then(text);
        (field(object, "kind").and_then(text) == Some("WasmPlugin")).then_some(Self { name })
    }
}

/// A Wasm plugin as Envoy or Istio describes it.
#[derive(Debug)]
pub(crate) struct Plugin<'a> {
    pub(crate) kind: Kind,
    pub(crate) members: &'a Members,
    pub(crate) configuration: Option<Configuration<'a>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// envoy.extensions.wasm.v3.PluginConfig
    Envoy,
    /// The `spec` of an Istio WasmPlugin
    Istio,
}

impl Kind {
    /// The key of the plugin's configuration.
    pub(crate) fn configuration_key(self) -> &'static str {
        match self {
            Self::Envoy => "configuration",
            Self::Istio => "pluginConfig",
        }
    }
}

impl<'a> Plugin<'a> {
    /// Scopegate's plugin, if the member `key` of an object holds one.
    pub(crate) fn of(resource: Option<Resource<'a>>, key: &str, value: &'a Json) -> Option<Self> {
        let members = members(value)?;
        let plugin = match key {
            "config" if field(members, "configuration").is_some() || field(members, "vm_config").is_some() => Self {
                kind: Kind::Envoy,
                members,
                configuration: field(members, "configuration").map(Configuration::unpack),
            },
            "spec" if resource.is_some() => Self {
                kind: Kind::Istio,
                members,
                configuration: field(members, "pluginConfig").map(Configuration::plain),
            },
            _ => return None,
        };
        (plugin.is_named(resource) || plugin.configuration.as_ref().is_some_and(Configuration::is_ours))
            .then_some(plugin)
    }

    /// The keys that lead from the plugin to its configuration.
    pub(crate) fn way(&self) -> &'static [&'static str] {
        match (self.kind, self.configuration.as_ref().and_then(|configuration| configuration.content.as_ref())) {
            (_, None) => &[],
            (Kind::Istio, Some(_)) => &["pluginConfig"],
            (Kind::Envoy, Some(("", _))) => &["configuration"],
            (Kind::Envoy, Some(_)) => &["configuration", "value"],
        }
    }

    fn is_named(&self, resource: Option<Resource<'a>>) -> bool {
        let resource = resource.and_then(|resource| resource.name).filter(|_| self.kind == Kind::Istio);
        let modules: &[&[&str]] = match self.kind {
            Kind::Envoy => {
                &[&["vm_config", "code", "local", "filename"], &["vm_config", "code", "remote", "http_uri", "uri"]]
            }
            Kind::Istio => &[&["url"]],
        };
        let named = |key: &&str| field(self.members, key).and_then(text) == Some(NAME);
        let loads = |path: &&[&str]| {
            let module = at(self.members, path).and_then(text);
            module.and_then(|module| module.rsplit('/').next()).is_some_and(|file| file.contains(NAME))
        };
        resource == Some(NAME) || ["name", "root_id", "plugin_name"].iter().any(named) || modules.iter().any(loads)
    }

    /// The environment variables of the module. The values from Envoy's own environment are unknown: [`STAND_IN`] replaces
    /// them.
    pub(crate) fn environment(&self) -> BTreeMap<&'a str, &'a str> {
        let mut environment = BTreeMap::new();
        match self.kind {
            Kind::Envoy => {
                let variables = |key| at(self.members, &["vm_config", "environment_variables", key]);
                for key in variables("host_env_keys").map(items).unwrap_or_default() {
                    environment.extend(text(key).map(|key| (key, STAND_IN.as_str())));
                }
                for (key, value) in variables("key_values").and_then(members).unwrap_or_default() {
                    environment.insert(key, text(value).unwrap_or(STAND_IN.as_str()));
                }
            }
            Kind::Istio => {
                for variable in at(self.members, &["vmConfig", "env"]).map(items).unwrap_or_default() {
                    let Some(variable) = members(variable) else { continue };
                    let of_the_host = field(variable, "valueFrom").and_then(text) == Some("HOST");
                    let value =
                        if of_the_host { Some(STAND_IN.as_str()) } else { field(variable, "value").and_then(text) };
                    environment.extend(field(variable, "name").and_then(text).zip(value));
                }
            }
        }
        environment
    }
}

/// Replaces the unknown value of an environment variable: a private key, which is valid as a secret, too. The tool signs
/// nothing with it.
pub(crate) static STAND_IN: LazyLock<String> = LazyLock::new(|| {
    let key = SecretKey::from_slice(&[1; 32]).ok().and_then(|key| key.to_pkcs8_pem(LineEnding::LF).ok());
    key.map_or_else(|| "set".to_owned(), |pem| pem.to_string())
});

/// A configuration in its envelope, google.protobuf.Any as JSON.
#[derive(Debug)]
pub(crate) struct Configuration<'a> {
    /// A problem of the envelope: the key in it, or an empty text, the problem, the remedy.
    pub(crate) problem: Option<(&'static str, String, &'static str)>,
    /// The key in the envelope and its content.
    pub(crate) content: Option<(&'static str, Content<'a>)>,
}

#[derive(Debug)]
pub(crate) enum Content<'a> {
    Document(&'a Json),
    /// The bytes of a StringValue or BytesValue.
    Bytes(Cow<'a, [u8]>),
}

impl<'a> Configuration<'a> {
    fn plain(json: &'a Json) -> Self {
        Self { problem: None, content: Some(("", Content::Document(json))) }
    }

    fn unpack(json: &'a Json) -> Self {
        let refused = |key, problem: &str, hint| Some((key, problem.to_owned(), hint));
        let Some(object) = members(json) else {
            return Self { problem: refused("", "the configuration has no envelope", ENVELOPE), content: None };
        };
        let (Some(name), value) = (field(object, "@type"), field(object, "value")) else {
            // The content can be checked in either case.
            let content = field(object, "value").map_or(("", json), |value| ("value", value));
            return Self {
                problem: refused("", "`@type` is missing", ENVELOPE),
                content: Some((content.0, Content::Document(content.1))),
            };
        };
        let name = text(name).unwrap_or_default();
        let Some(value) = value else {
            let ours = object.iter().any(|(key, _)| KEYS.contains(&key.as_str()));
            let hint = if ours { "move the configuration under `value`" } else { ENVELOPE };
            return Self { problem: refused("", "`value` is missing", hint), content: None };
        };
        match (name.rsplit('/').next(), value) {
            (Some("google.protobuf.Struct"), document) => {
                Self { problem: None, content: Some(("value", Content::Document(document))) }
            }
            (Some("google.protobuf.StringValue"), Json::String(text)) => {
                Self { problem: None, content: Some(("value", Content::Bytes(Cow::Borrowed(text.as_bytes())))) }
            }
            (Some("google.protobuf.StringValue"), _) => Self {
                problem: refused(
                    "value",
                    "a StringValue needs a string",
                    "write JSON text, or use a google.protobuf.Struct",
                ),
                content: Some(("value", Content::Document(value))),
            },
            (Some("google.protobuf.BytesValue"), Json::String(text)) => match STANDARD.decode(text) {
                Ok(bytes) => Self { problem: None, content: Some(("value", Content::Bytes(Cow::Owned(bytes)))) },
                Err(_) => Self {
                    problem: refused("value", "not base64", "use a google.protobuf.Struct instead"),
                    content: None,
                },
            },
            _ => Self {
                problem: Some(("@type", format!("invalid type `{}`", shown(name)), ENVELOPE)),
                content: Some(("value", Content::Document(value))),
            },
        }
    }

    fn is_ours(&self) -> bool {
        match &self.content {
            Some((_, Content::Document(document))) => has_our_keys(document),
            Some((_, Content::Bytes(bytes))) => match Json::parse(bytes) {
                Ok(document) => has_our_keys(&document),
                Err(_) => yaml_object(bytes).is_some_and(|document| has_our_keys(&document)),
            },
            None => false,
        }
    }
}

const ENVELOPE: &str =
    "write \"@type\": type.googleapis.com/google.protobuf.Struct, and the configuration under `value`";

/// The object that `bytes` are as YAML.
pub(crate) fn yaml_object(bytes: &[u8]) -> Option<Json> {
    let (documents, problem) = yaml::read(str::from_utf8(bytes).ok()?);
    let mut documents = documents.into_iter().map(|document| document.json);
    documents.next().filter(|document| members(document).is_some() && documents.next().is_none() && problem.is_none())
}

fn has_our_keys(document: &Json) -> bool {
    let members = members(document).unwrap_or_default();
    // Other modules have `rules` too, as lists of strings.
    field(members, "authorization_servers").is_some()
        || field(members, "rules").is_some_and(|rules| items(rules).iter().any(|rule| self::members(rule).is_some()))
}

/// The last member of this name: Envoy takes the last of several.
pub(crate) fn field<'a>(members: &'a Members, name: &str) -> Option<&'a Json> {
    members.iter().rev().find(|(key, _)| is_field(key, name)).map(|(_, value)| value)
}

/// Whether `key` is the field `name` of a protobuf message, which JSON may write as `fieldName` as well.
pub(crate) fn is_field(key: &str, name: &str) -> bool {
    let mut key = key.chars();
    if key.as_str() == name {
        return true;
    }
    let mut upper = false;
    for c in name.chars() {
        if c == '_' {
            upper = true;
        } else if key.next() != Some(if upper { c.to_ascii_uppercase() } else { c }) {
            return false;
        } else {
            upper = false;
        }
    }
    key.next().is_none()
}

/// The value behind the keys of nested objects.
pub(crate) fn at<'a>(members: &'a Members, path: &[&str]) -> Option<&'a Json> {
    let (first, rest) = path.split_first()?;
    let value = field(members, first)?;
    if rest.is_empty() { Some(value) } else { at(self::members(value)?, rest) }
}

pub(crate) fn members(json: &Json) -> Option<&Members> {
    if let Json::Object(members) = json { Some(members) } else { None }
}

pub(crate) fn items(json: &Json) -> &[Json] {
    if let Json::Array(items) = json { items } else { &[] }
}

pub(crate) fn text(json: &Json) -> Option<&str> {
    if let Json::String(text) = json { Some(text) } else { None }
}
