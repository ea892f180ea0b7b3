//! The confidential values of the cases: tokens, secrets, and the claims in introspection responses.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use crate::format::{self, Answer, Case, Suite};

/// Texts to be searched for, and whose they are.
#[derive(Clone, Default)]
pub struct Secrets {
    texts: BTreeMap<String, String>,
}

impl Secrets {
    /// Those of a configuration: secrets, keys, and what is made of them.
    pub fn add_configuration(&mut self, name: &str, configuration: &Value) {
        match configuration {
            Value::Object(members) => {
                let text = |member: &str| members.get(member).and_then(Value::as_str).map(str::to_owned);
                for member in ["client_secret", "private_key", "value_secret"] {
                    if let Some(secret) = text(member) {
                        self.add_secret(&format!("{name}: {member}"), &text("client_id").unwrap_or_default(), &secret);
                    }
                }
                members.values().for_each(|member| self.add_configuration(name, member));
            }
            Value::Array(items) => items.iter().for_each(|item| self.add_configuration(name, item)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// Adds a client secret as configured and as sent, and each line of a private key.
    pub fn add_secret(&mut self, whose: &str, client_id: &str, secret: &str) {
        let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        self.add(whose, &encoded(secret));
        self.add(whose, &BASE64_STANDARD.encode(format!("{client_id}:{secret}")));
        self.add(whose, &BASE64_STANDARD.encode(format!("{}:{}", encoded(client_id), encoded(secret))));
        secret.lines().filter(|line| !line.starts_with("-----")).for_each(|line| self.add(whose, line));
    }

    /// A token, as a whole and in parts: its beginning, and each part of a JWT.
    pub fn add_token(&mut self, whose: &str, token: &str) {
        self.add(whose, token);
        token.split('.').for_each(|part| self.add(whose, part));
        if let Some(beginning) = token.get(..token.len().min(40)) {
            self.add(whose, beginning);
        }
    }

    /// Adds the credentials that a case sends: its token, and credentials of other forms.
    pub fn add_request(&mut self, suite: &Suite, case: &Case, token: &str) {
        let whose = format!("{} / {}", suite.name, case.name);
        self.add_token(&whose, token);
        for (_, value) in format::headers(&case.request, token) {
            let value = String::from_utf8_lossy(&value).into_owned();
            // Schemes, parameters of cookies.
            value.split([' ', ';', '=', ',']).filter(|word| word.len() >= 20).for_each(|word| self.add(&whose, word));
        }
    }

    /// Adds the values in the server's response, except those in the configuration, which may be logged.
    pub fn add_answer(&mut self, suite: &Suite, case: &Case) {
        let public = format!("{} {} {:?}", suite.configuration, suite.about, case.request);
        let mut texts = Vec::new();
        if let Some(Answer::Response { json: Some(json), .. }) = &case.answer {
            strings(json, &mut texts);
        }
        for text in texts.iter().filter(|text| !public.contains(text.as_str()) && !text.starts_with("$now")) {
            self.add(&format!("{} / {}: the answer", suite.name, case.name), text);
        }
    }

    /// Adds a text, if it is long enough that a match is not a coincidence.
    fn add(&mut self, whose: &str, text: &str) {
        if text.len() >= SHORTEST && !OF_ENVOY.contains(&text) {
            self.texts.entry(text.to_owned()).or_insert_with(|| whose.to_owned());
        }
    }

    /// Takes over those of others.
    pub fn extend(&mut self, others: Self) {
        self.texts.extend(others.texts);
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.texts.len()
    }

    /// Whose are found in a text.
    pub fn found_in(&self, text: &str) -> Vec<String> {
        let may_be_there = trigrams(text.as_bytes());
        let found = self.texts.iter().filter(|(secret, _)| may_be_there(secret) && text.contains(secret.as_str()));
        found.map(|(secret, whose)| format!("`{secret}` of {whose}")).collect()
    }
}

/// Whether something may be in a text. A log at trace level is long: it is looked through once, to note which three
/// bytes come in a row.
fn trigrams(text: &[u8]) -> impl Fn(&str) -> bool {
    let place = |bytes: &[u8]| bytes.iter().fold(0, |place, byte| (place << 8) | usize::from(*byte));
    let mut there = if text.len() < LONG { Vec::new() } else { vec![false; 1 << 24] };
    if !there.is_empty() {
        text.windows(3).for_each(|bytes| there[place(bytes)] = true);
    }
    move |secret| there.is_empty() || secret.as_bytes().windows(3).all(|bytes| there[place(bytes)])
}

#[allow(dead_code, reason = "the executor in Envoy needs it")]
fn strings(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::String(text) => into.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| strings(item, into)),
        Value::Object(members) => {
            let about_someone = members.iter().filter(|(name, _)| !PROTOCOL.contains(&name.as_str()));
            about_someone.for_each(|(_, member)| strings(member, into));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Texts shorter than this are searched for everything.
const LONG: usize = 1 << 20;

/// Shorter texts also occur within other words.
const SHORTEST: usize = 6;

/// Values in the cases that are also part of Envoy's metric names.
const OF_ENVOY: [&str; 1] = ["manager"];

/// Members whose values are protocol keywords, not secrets.
#[allow(dead_code, reason = "the executor in Envoy needs it")]
const PROTOCOL: [&str; 7] = ["active", "error", "error_description", "scope", "token_type", "token_use", "typ"];
