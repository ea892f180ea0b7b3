//! Decision cases as data: a configuration, requests, what the authorization server answers, and what must
//! happen. The core and a real Envoy run the same files.
//!
//! Strings stand for bytes: U+0000 to U+00FF are the bytes 0x00 to 0xFF. In header values and in expected
//! callouts, `$token` becomes a token that is new in every case; in responses `"$now+60"` becomes
//! the time in 60 seconds.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

/// One file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suite {
    #[serde(skip)]
    pub name: String,
    /// A description of the suite.
    pub about: String,
    /// Named routes of the proxy, tried in order; a request without a match has no route name.
    #[serde(default)]
    pub routes: Vec<Route>,
    pub configuration: Value,
    pub cases: Vec<Case>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    pub name: String,
    pub prefix: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub name: String,
    #[serde(default)]
    pub request: Request,
    /// The reaction of the authorization server to a callout.
    #[serde(default)]
    pub answer: Option<Answer>,
    pub expect: Expect,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Request {
    pub method: String,
    pub host: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, untagged)]
pub enum Answer {
    /// A body, with status 200 and a JSON content type unless said otherwise.
    Response {
        #[serde(default = "ok")]
        status: u16,
        #[serde(default = "json_type")]
        content_type: Option<String>,
        #[serde(default)]
        json: Option<Value>,
        #[serde(default)]
        text: Option<String>,
        /// Repeats `text` that many times.
        #[serde(default = "once")]
        repeat: usize,
    },
    Fault {
        fault: Fault,
    },
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The connection is closed without an answer.
    Close,
    /// The connection is reset in the middle of the body.
    Reset,
    /// The server never responds.
    Hang,
    /// The response arrives a byte at a time, too slowly.
    Drip,
    /// The response is not HTTP.
    Noise,
}

impl Fault {
    /// The status that Envoy reports in the place of the server; `None` if it reports no response at all.
    pub fn seen_through_envoy(self) -> Option<u16> {
        match self {
            Self::Close | Self::Noise => Some(503),
            Self::Hang | Self::Drip => Some(504),
            Self::Reset => None,
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    pub status: u16,
    /// The word in the log; for requests that pass, absent.
    #[serde(default)]
    pub reason: Option<String>,
    /// WWW-Authenticate, the whole of it.
    #[serde(default)]
    pub challenge: Option<String>,
    /// The `error` of the body.
    #[serde(default)]
    pub error: Option<String>,
    /// The number of callouts to the authorization server.
    #[serde(default)]
    pub calls: usize,
    /// The expected callout, if the case checks it.
    #[serde(default)]
    pub callout: Option<Callout>,
    /// Headers as the application gets them; `null` says that one is absent.
    #[serde(default)]
    pub upstream: BTreeMap<String, Option<String>>,
    /// Envoy refuses the request itself, before any filter, with this status.
    #[serde(default)]
    pub by_envoy: bool,
}

/// A request to the authorization server.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Callout {
    #[serde(default = "post")]
    pub method: String,
    /// The whole target, query included.
    pub path: String,
    /// Some of its headers; `null` says that one is absent. The authority is called `host`.
    #[serde(default)]
    pub headers: BTreeMap<String, Option<String>>,
    #[serde(default)]
    pub body: String,
}

/// A request to the authorization server as an executor has seen it, to be compared with what was expected.
pub struct Asked {
    pub method: String,
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Asked {
    /// Whether it is about this token, wherever that stands.
    pub fn is_about(&self, token: &str) -> bool {
        let values = self.headers.iter().map(|(_, value)| value);
        values.chain([&self.path, &self.body]).any(|text| text.contains(token))
    }

    /// How it differs from what a case expects.
    pub fn differences(&self, callout: &Callout, token: &str) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut compare = |what: &str, found: &str, expected: &str| {
            let expected = expected.replace("$token", token);
            if found != expected {
                wrong.push(format!("{what} is {found:?}, not {expected:?}"));
            }
        };
        compare("the method of the callout", &self.method, &callout.method);
        compare("the path of the callout", &self.path, &callout.path);
        compare("the body of the callout", &self.body, &callout.body);
        for (name, value) in &callout.headers {
            let found: Vec<&str> =
                self.headers.iter().filter(|(held, _)| held == name).map(|(_, value)| value.as_str()).collect();
            // A header occurs at most once.
            let (found, expected) = (found.join(" and "), value.as_deref().unwrap_or_default());
            compare(&format!("{name} of the callout"), &found, expected);
        }
        wrong
    }
}

/// The token of a case. No other case has one that begins with it.
pub fn token(suite: &Suite, index: usize) -> String {
    format!("token-{}-{index:03}", suite.name)
}

impl Default for Request {
    fn default() -> Self {
        Self {
            method: "GET".to_owned(),
            host: "api.example.test".to_owned(),
            path: "/bookings".to_owned(),
            headers: vec![("authorization".to_owned(), "Bearer $token".to_owned())],
        }
    }
}

/// Every suite of `tests/cases`, by name.
pub fn suites() -> Vec<Suite> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder of the cases")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no cases in {}", folder.display());
    files
        .iter()
        .map(|file| {
            let text = std::fs::read(file).expect("a readable file");
            let suite: Suite =
                serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            Suite { name: file.file_stem().expect("a name").to_string_lossy().into_owned(), ..suite }
        })
        .collect()
}

/// The bytes that a string of a case stands for.
pub fn bytes(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).expect("a character up to U+00FF")).collect()
}

/// The request's headers with the token of this case in them.
pub fn headers(request: &Request, token: &str) -> Vec<(String, Vec<u8>)> {
    request.headers.iter().map(|(name, value)| (name.clone(), bytes(&value.replace("$token", token)))).collect()
}

/// An answer's body, with times relative to `now` (seconds).
pub fn body(json: Option<&Value>, text: Option<&str>, repeat: usize, now: u64) -> Vec<u8> {
    match (json, text) {
        (Some(json), _) => with_times(json, now).to_string().into_bytes(),
        (None, text) => bytes(&text.unwrap_or_default().repeat(repeat)),
    }
}

fn with_times(value: &Value, now: u64) -> Value {
    match value {
        Value::String(text) => match text.strip_prefix("$now") {
            Some(offset) => Value::from(now.saturating_add_signed(offset.parse().expect("an offset"))),
            None => value.clone(),
        },
        Value::Array(items) => items.iter().map(|item| with_times(item, now)).collect(),
        Value::Object(members) => {
            members.iter().map(|(name, member)| (name.clone(), with_times(member, now))).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

fn ok() -> u16 {
    200
}

#[allow(clippy::unnecessary_wraps, reason = "serde wants the field's type")]
fn json_type() -> Option<String> {
    Some("application/json".to_owned())
}

fn once() -> usize {
    1
}

fn post() -> String {
    "POST".to_owned()
}
