//! The presets: the requests and responses of each kind of authorization server.

use std::io::{self, Write};

use scopegate::{Json, PRESETS};

use crate::find::{Members, field, members, text};
use crate::path::shown;

/// The preset that all others build on.
const BASE: &str = "rfc7662";

/// The keys of a preset that are shown, in this order.
const KEYS: [&str; 4] = ["client_authentication", "max_ttl", "request", "answer"];

/// Prints each preset with its client authentication and path.
pub(crate) fn list(out: &mut impl Write) -> io::Result<bool> {
    let presets = presets()?;
    let presets = members(&presets).unwrap_or_default();
    for (name, preset) in presets {
        let preset = Preset::of(presets, members(preset).unwrap_or_default());
        let authentication = preset.field("client_authentication").and_then(text).unwrap_or_default();
        let path = match preset.path() {
            (path, true) => path.to_owned(),
            (path, false) => format!("such as {path}"),
        };
        writeln!(out, "{name:<28} {authentication:<24} {path}")?;
    }
    out.flush()?;
    Ok(true)
}

/// Prints a preset with all that it has from the one it builds on; whether it is there.
pub(crate) fn show(name: &str, out: &mut impl Write) -> io::Result<bool> {
    let presets = presets()?;
    let presets = members(&presets).unwrap_or_default();
    let Some(preset) = field(presets, name).and_then(members) else {
        let known: Vec<&str> = presets.iter().map(|(name, _)| name.as_str()).collect();
        writeln!(out, "unknown preset `{}`; known presets: {}", shown(name), known.join(", "))?;
        return Ok(false);
    };
    let preset = Preset::of(presets, preset);
    writeln!(out, "preset: {name}")?;
    match preset.path() {
        (path, true) => writeln!(out, "path: {}", yaml(&Json::String(path.to_owned())))?,
        (path, false) => writeln!(out, "path: {path} # the server's own")?,
    }
    for key in KEYS {
        match (preset.field(key), preset.base(key)) {
            (Some(Json::Object(own)), Some(Json::Object(base))) => {
                writeln!(out, "{key}:")?;
                for (key, value) in base {
                    writeln!(out, "  {key}: {}", yaml(field(own, key).unwrap_or(value)))?;
                }
            }
            (Some(value), _) => writeln!(out, "{key}: {}", yaml(value))?,
            (None, _) => {}
        }
    }
    out.flush()?;
    Ok(true)
}

fn presets() -> io::Result<Json> {
    Json::parse(PRESETS.as_bytes()).map_err(|error| io::Error::other(error.to_string()))
}

/// A preset over the one it builds on.
struct Preset<'a> {
    own: &'a Members,
    base: &'a Members,
}

impl<'a> Preset<'a> {
    fn of(presets: &'a Members, own: &'a Members) -> Self {
        Self { own, base: field(presets, BASE).and_then(members).unwrap_or_default() }
    }

    fn field(&self, key: &str) -> Option<&'a Json> {
        field(self.own, key).or_else(|| self.base(key))
    }

    fn base(&self, key: &str) -> Option<&'a Json> {
        field(self.base, key)
    }

    /// The path of the endpoint, and whether it is the same at every server.
    fn path(&self) -> (&'a str, bool) {
        let own = |key| field(self.own, key).and_then(text);
        match own("path") {
            Some(path) => (path, true),
            None => (own("path_example").unwrap_or("/oauth2/introspect"), false),
        }
    }
}

/// A value on one line of YAML.
fn yaml(value: &Json) -> String {
    match value {
        Json::Null => "null".to_owned(),
        Json::Bool(value) => value.to_string(),
        Json::Number(number) => number.to_string(),
        Json::String(text) if is_plain(text) => text.clone(),
        // A string of JSON is one of YAML, too.
        Json::String(text) => serde_json::Value::from(text.as_str()).to_string(),
        Json::Array(items) => format!("[{}]", items.iter().map(yaml).collect::<Vec<_>>().join(", ")),
        Json::Object(members) if members.is_empty() => "{}".to_owned(),
        Json::Object(members) => {
            let pair =
                |(name, value): &(String, Json)| format!("{}: {}", yaml(&Json::String(name.clone())), yaml(value));
            format!("{{ {} }}", members.iter().map(pair).collect::<Vec<_>>().join(", "))
        }
    }
}

/// Whether a text is one in YAML without quotes: a word of several letters that stands for nothing else.
fn is_plain(text: &str) -> bool {
    let words = ["true", "false", "null", "yes", "no", "on", "off"];
    text.len() > 1
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-./".contains(&b))
        && !words.contains(&text.to_ascii_lowercase().as_str())
}
