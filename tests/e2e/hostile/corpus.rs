//! The hostile corpus: requests and responses as data, with expected outcomes. `tests/hostile/README.md` says how to
//! read and write it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::support::in_repository;

/// A file of requests.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requests {
    #[allow(dead_code, reason = "for readers of the file")]
    pub about: String,
    pub cases: Vec<RequestCase>,
}

/// One request in one spelling for both protocols, or in one for each.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestCase {
    pub name: String,
    #[serde(default)]
    pub request: Option<Message>,
    /// The bytes of an HTTP/1.1 message.
    #[serde(default)]
    pub http1: Option<Text>,
    #[serde(default)]
    pub http2: Option<Stream>,
    /// The token that the request may count on, where it is not the one of `request`.
    #[serde(default)]
    pub entitled: Option<String>,
    pub expect: Outcome,
    /// What must happen in other [`Place`]s.
    #[serde(default)]
    pub instead: BTreeMap<String, Outcome>,
}

/// A request that both protocols can express.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Message {
    pub method: Text,
    pub path: Text,
    /// `null`: there is none.
    pub authority: Option<Text>,
    /// An Authorization header, after all others.
    pub token: Option<String>,
    pub headers: Vec<(Text, Text)>,
    pub body: Option<Text>,
    pub trailers: Vec<(Text, Text)>,
}

/// What an HTTP/2 stream carries, field by field: nothing is added.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stream {
    pub fields: Vec<(Text, Text)>,
    #[serde(default)]
    pub body: Option<Text>,
    #[serde(default)]
    pub trailers: Vec<(Text, Text)>,
}

/// A string whose characters U+0000 to U+00FF are the bytes 0x00 to 0xFF; one of these many times; or several in a row.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
pub enum Text {
    Plain(String),
    Repeated(Repeated),
    Joined(Vec<Text>),
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repeated {
    pub repeat: String,
    pub times: usize,
}

/// What must become of a request.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    pub status: End,
    /// The filter refuses it, with this word in the log. A status of 300 or more without a word, and without a request
    /// upstream, is Envoy's own answer.
    #[serde(default)]
    pub reason: Option<String>,
    /// It reaches the upstream, and there looks like this.
    #[serde(default)]
    pub upstream: Option<Arrival>,
    /// It does so only if Envoy is quicker to send it than to see what is wrong with it.
    #[serde(default)]
    pub perhaps: bool,
}

/// How the client sees it end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum End {
    Status(u16),
    Closed(Closed),
}

/// Envoy closes the connection, or resets the stream, without a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Closed {
    Closed,
}

/// A request as it must arrive; what is not said must be as it was sent.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Arrival {
    pub method: Option<Text>,
    pub path: Option<Text>,
    /// All values of a header or trailer, joined by `" and "`; `null` says that there is none.
    pub headers: BTreeMap<String, Option<Text>>,
}

/// A file of answers of an identity server.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answers {
    #[allow(dead_code, reason = "for readers of the file")]
    pub about: String,
    pub cases: Vec<AnswerCase>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerCase {
    pub name: String,
    pub answer: Answer,
    pub expect: Outcome,
}

/// The response of the identity server. At most one of `raw` and `fault` replaces it.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Answer {
    pub status: u16,
    /// `content-type` defaults to `application/json`; the value `null` omits it.
    pub headers: Vec<(String, Option<String>)>,
    pub body: Text,
    /// Sends the body in chunks of this many bytes.
    pub chunks: Option<usize>,
    /// These bytes instead of a response; then the connection is closed.
    pub raw: Option<Text>,
    pub fault: Option<Fault>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The connection is closed without an answer.
    Close,
    /// No answer ever comes.
    Hang,
    /// The connection is reset behind the body, of which more was promised.
    Reset,
    /// The answer comes a byte at a time, too slowly.
    Drip,
}

impl Text {
    pub fn bytes(&self) -> Vec<u8> {
        let plain = |text: &str| -> Vec<u8> {
            text.chars().map(|c| u8::try_from(u32::from(c)).expect("a character up to U+00FF")).collect()
        };
        match self {
            Self::Plain(text) => plain(text),
            Self::Repeated(Repeated { repeat, times }) => plain(repeat).repeat(*times),
            Self::Joined(texts) => texts.iter().flat_map(Self::bytes).collect(),
        }
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::Plain(text.to_owned())
    }
}

impl Default for Message {
    fn default() -> Self {
        Self {
            method: "GET".into(),
            path: "/public".into(),
            authority: Some("api.example.test".into()),
            token: None,
            headers: Vec::new(),
            body: None,
            trailers: Vec::new(),
        }
    }
}

impl Default for Answer {
    fn default() -> Self {
        Self { status: 200, headers: Vec::new(), body: "".into(), chunks: None, raw: None, fault: None }
    }
}

/// Where something is expected: under these settings, over this protocol, by older Envoys; or by a part of it, as in
/// `before 1.39/hardened`.
#[derive(Clone, Copy, Debug)]
pub struct Place<'p> {
    /// The first minor version that does not count.
    before: Option<(u32, u32)>,
    pub settings: Option<&'p str>,
    pub protocol: Option<&'p str>,
}

impl<'p> Place<'p> {
    fn read(text: &'p str) -> Self {
        let mut place = Self { before: None, settings: None, protocol: None };
        for part in text.split('/') {
            if let Some(version) = part.strip_prefix("before ") {
                place.before = Some(minor_version(version));
            } else if part.starts_with("http") {
                place.protocol = Some(part);
            } else {
                place.settings = Some(part);
            }
        }
        place
    }

    fn holds(&self, settings: &str, protocol: &str, envoy: (u32, u32)) -> bool {
        self.before.is_none_or(|before| envoy < before)
            && self.settings.is_none_or(|of| of == settings)
            && self.protocol.is_none_or(|of| of == protocol)
    }

    /// If two places apply, the more specific one is closer: compare the version first, the protocol last.
    fn closeness(&self) -> (bool, bool, bool) {
        (self.before.is_some(), self.settings.is_some(), self.protocol.is_some())
    }
}

/// `(1, 40)` of `1.40` and of `1.40.0`.
pub fn minor_version(version: &str) -> (u32, u32) {
    let mut numbers = version.split('.').map(|number| number.parse().expect("a number in a version"));
    (numbers.next().expect("a major version"), numbers.next().expect("a minor version"))
}

impl RequestCase {
    /// The expected outcome under these settings, over this protocol, in this Envoy: the most specific one applies.
    pub fn expected(&self, settings: &str, protocol: &str, envoy: (u32, u32)) -> &Outcome {
        let mut said: Vec<_> = self.said().filter(|(place, _)| place.holds(settings, protocol, envoy)).collect();
        said.sort_by_key(|(place, _)| place.closeness());
        let Some((closest, outcome)) = said.pop() else { return &self.expect };
        let is_other = said.last().is_none_or(|(place, _)| place.closeness() != closest.closeness());
        assert!(is_other, "{}: {settings}/{protocol} stands twice", self.name);
        outcome
    }

    /// The places that `instead` speaks of.
    pub fn places(&self) -> impl Iterator<Item = Place<'_>> {
        self.said().map(|(place, _)| place)
    }

    fn said(&self) -> impl Iterator<Item = (Place<'_>, &Outcome)> {
        let said = self.instead.iter();
        said.flat_map(|(places, outcome)| places.split(", ").map(move |place| (Place::read(place), outcome)))
    }
}

/// A file of `tests/hostile`.
pub fn read<T: DeserializeOwned>(name: &str) -> T {
    let file = in_repository("tests/hostile").join(name);
    let text = std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Fails if two cases have one name.
pub fn assert_distinct<'a>(names: impl Iterator<Item = &'a str>) {
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    let twice: Vec<_> = names.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
    assert!(twice.is_empty(), "cases of one name: {twice:?}");
}
