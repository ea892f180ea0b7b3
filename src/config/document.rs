//! Typed access to a configuration document: each value with its place, each failure with a report.
//!
//! A derived `Deserialize` stops at the first error and has no remedy for it. An operator wants all errors at once, so
//! a reader reads every part of a value before it gives up any: see [`all`].
//!
//! Reading is not fast code: `inline(never)` keeps it small in the module.

use std::collections::BTreeSet;
use std::time::Duration;

use super::diagnostics::{Diagnostics, Problem, Read, Reported};
use super::wording::{format_duration, known_words, quote};
use crate::base::Json;

/// A value of the document and its place.
#[derive(Clone)]
pub(crate) struct Node<'a> {
    diagnostics: &'a Diagnostics,
    document: &'a Json,
    position: Vec<usize>,
    json: &'a Json,
}

impl<'a> Node<'a> {
    /// The whole of a document.
    pub(crate) fn root(diagnostics: &'a Diagnostics, document: &'a Json) -> Self {
        Self { diagnostics, document, position: Vec::new(), json: document }
    }

    /// The whole of another document, whose problems are reported with those of this one.
    pub(crate) fn other_document<'b>(&self, document: &'b Json) -> Node<'b>
    where
        'a: 'b,
    {
        Node::root(self.diagnostics, document)
    }

    /// Reports a problem of this value and its remedy.
    pub(crate) fn report(&self, problem: impl AsRef<str>, hint: impl AsRef<str>) -> Reported {
        self.report_text(problem.as_ref(), hint.as_ref())
    }

    #[cold]
    #[inline(never)]
    fn report_text(&self, problem: &str, hint: &str) -> Reported {
        self.diagnostics.report(Problem::at(self.document, self.position.clone(), problem, hint))
    }

    #[inline(never)]
    fn expected(&self, expected: &str, hint: &str) -> Reported {
        self.report(format!("expected {expected}, found {}", self.json.kind()), hint)
    }

    #[inline(never)]
    fn child(&self, step: usize, json: &'a Json) -> Self {
        let mut position = self.position.clone();
        position.push(step);
        Node { position, json, ..*self }
    }

    /// The value behind `keys`, or the innermost on the way there if a key is absent.
    #[inline(never)]
    pub(crate) fn innermost(&self, keys: &[&str]) -> Self {
        let mut node = self.clone();
        for key in keys {
            let Json::Object(members) = node.json else { break };
            let Some((step, (_, json))) = members.iter().enumerate().find(|(_, (name, _))| name == key) else { break };
            node = node.child(step, json);
        }
        node
    }

    /// This value as an object that may have the keys `known` and no others, each once.
    #[inline(never)]
    pub(crate) fn object(&self, known: &[&str]) -> Read<Object<'a>> {
        let Json::Object(_) = self.json else {
            let example = known.first().copied().unwrap_or_default();
            return Err(self.expected(
                &format!("an object with keys such as `{example}`"),
                &format!("known keys: {}", known.join(", ")),
            ));
        };
        let object = self.members()?;
        for (key, node) in object.members.iter().filter(|(key, _)| !known.contains(key)) {
            node.report("unknown key", known_words(key, "known keys", known));
        }
        object.report_duplicates();
        Ok(object)
    }

    /// This value as an object with keys of the operator's choice, each once, from 1 to `max` of them.
    #[inline(never)]
    pub(crate) fn map(&self, max: usize, example: &str) -> Read<Vec<(&'a str, Self)>> {
        let members = self.free_members(example)?;
        if members.is_empty() {
            return Err(self.report("empty object", format!("set at least one key, as in {example}")));
        }
        if members.len() > max {
            return Err(self.report(
                format!("too many keys: {}", members.len()),
                format!("set at most {max} keys, as in {example}"),
            ));
        }
        Ok(members)
    }

    /// This value as an object with any number of keys of the operator's choice, each once.
    #[inline(never)]
    pub(crate) fn free_members(&self, example: &str) -> Read<Vec<(&'a str, Self)>> {
        let Json::Object(_) = self.json else {
            return Err(self.expected(&format!("an object such as {example}"), "write keys with values"));
        };
        let object = self.members()?;
        object.report_duplicates();
        Ok(object.members)
    }

    /// This value as an object with the keys that it has, in their order.
    #[inline(never)]
    pub(crate) fn members(&self) -> Read<Object<'a>> {
        let Json::Object(members) = self.json else {
            return Err(self.expected("an object", "write keys with values"));
        };
        let child = |(step, (key, json)): (usize, &'a (String, Json))| (key.as_str(), self.child(step, json));
        Ok(Object { node: self.clone(), members: members.iter().enumerate().map(child).collect() })
    }

    /// This value as a list with at least one item; `example` is a whole list: `[GET, POST]`.
    #[inline(never)]
    pub(crate) fn list(&self, example: &str) -> Read<Vec<Self>> {
        match self.json {
            Json::Array(items) if items.is_empty() => {
                Err(self.report("empty list", format!("list at least one item, as in {example}")))
            }
            Json::Array(_) => Ok(self.items()),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Object(_) => {
                Err(self.expected(&format!("a list such as {example}"), "write the items in brackets"))
            }
        }
    }

    /// Every item of a list that is not empty, as `read` returns it. All items are read.
    pub(crate) fn each<T>(&self, example: &str, read: impl FnMut(&Self) -> Read<T>) -> Read<Vec<T>> {
        gather(self.list(example)?.iter().map(read))
    }

    /// Every item of a list that may be empty, as `read` returns it. All items are read.
    pub(crate) fn each_if_any<T>(&self, example: &str, read: impl FnMut(&Self) -> Read<T>) -> Read<Vec<T>> {
        if self.is_list() && self.items().is_empty() { Ok(Vec::new()) } else { self.each(example, read) }
    }

    /// The strings of a list that is not empty.
    #[inline(never)]
    pub(crate) fn strings(&self, example: &str) -> Read<Vec<String>> {
        let item = example.trim_matches(['[', ']']).split(", ").next().unwrap_or_default();
        self.each(example, |node| node.string(item).map(str::to_owned))
    }

    /// The items of a list; none of any other value. Reports nothing.
    #[inline(never)]
    pub(crate) fn items(&self) -> Vec<Self> {
        let Json::Array(items) = self.json else {
            return Vec::new();
        };
        items.iter().enumerate().map(|(step, json)| self.child(step, json)).collect()
    }

    /// Reports every item of this list whose `name` an earlier item has.
    #[inline(never)]
    pub(crate) fn report_duplicate_names(&self, what: &str) {
        let mut seen = BTreeSet::new();
        for item in self.items() {
            let name = item.innermost(&["name"]);
            if let Some(text) = name.text()
                && !seen.insert(text)
            {
                let example = format!("give each {what} its own name, such as \"{}-2\"", quote(text));
                name.report(format!("duplicate name `{}`", quote(text)), example);
            }
        }
    }

    /// The text of a string. Reports nothing.
    pub(crate) fn text(&self) -> Option<&'a str> {
        self.json.as_str()
    }

    pub(crate) fn is_null(&self) -> bool {
        *self.json == Json::Null
    }

    pub(crate) fn is_true(&self) -> bool {
        *self.json == Json::Bool(true)
    }

    pub(crate) fn json(&self) -> &'a Json {
        self.json
    }

    pub(crate) fn is_list(&self) -> bool {
        matches!(self.json, Json::Array(_))
    }

    /// This value as a string that is not empty. The message shows `example`, never the value.
    #[inline(never)]
    pub(crate) fn string(&self, example: &str) -> Read<&'a str> {
        let hint = match self.json {
            Json::String(text) if !text.is_empty() => return Ok(text),
            Json::String(_) => return Err(self.report("empty string", format!("set a value such as \"{example}\""))),
            Json::Null => "set a value",
            Json::Bool(_) | Json::Number(_) => "put the value in quotes",
            Json::Array(_) => "write one string instead of the list",
            Json::Object(_) => "write one string instead of the object",
        };
        Err(self.expected(&format!("a string such as \"{example}\""), hint))
    }

    /// The meaning of this value, which has to be one of `words`.
    pub(crate) fn one_of<T: Copy>(&self, words: &[(&str, T)]) -> Read<T> {
        let text = self.word(&mut words.iter().map(|(word, _)| *word))?;
        let found = words.iter().find(|(word, _)| *word == text);
        found.map(|(_, meaning)| *meaning).ok_or_else(|| self.unknown_word(text, &[]))
    }

    /// The text of this value, which has to be one of `words`.
    #[inline(never)]
    fn word(&self, words: &mut dyn Iterator<Item = &str>) -> Read<&'a str> {
        let known: Vec<&str> = words.collect();
        let text = self.string(known.first().copied().unwrap_or_default())?;
        if known.contains(&text) { Ok(text) } else { Err(self.unknown_word(text, &known)) }
    }

    /// Reports that this value is none of the words that are possible here.
    #[inline(never)]
    pub(crate) fn unknown_word(&self, word: &str, known: &[&str]) -> Reported {
        self.report(format!("invalid `{}`", quote(word)), known_words(word, "expected one of", known))
    }

    /// Reports that this value refers to an item that `section` does not have, such as an `API` of `apis`.
    #[inline(never)]
    pub(crate) fn unknown_name(&self, what: &str, section: &str, name: &str, known: &[&str]) -> Reported {
        let mut hint = format!("add it to `{section}`");
        if !known.is_empty() {
            hint = known_words(name, &format!("{hint}, or write one of"), known);
        }
        self.report(format!("unknown {what} `{}`", quote(name)), hint)
    }

    #[inline(never)]
    pub(crate) fn boolean(&self) -> Read<bool> {
        let Json::Bool(value) = self.json else {
            return Err(self.expected("true or false", "write true or false without quotes"));
        };
        Ok(*value)
    }

    /// `true`, for keys whose presence is the whole of their meaning.
    #[inline(never)]
    pub(crate) fn require_true(&self) -> Read<()> {
        if self.boolean()? {
            return Ok(());
        }
        Err(self.report("`false` has no effect", "write true, or omit the key"))
    }

    /// A whole number from `min` to `max`. A Struct holds every number as a double: `16384.0` is whole.
    #[inline(never)]
    pub(crate) fn integer(&self, min: u32, max: u32, example: u32) -> Read<u32> {
        let Some(value) = self.json.as_f64() else {
            let hint = format!("write it without quotes, from {min} to {max}");
            return Err(self.expected(&format!("a whole number such as {example}"), &hint));
        };
        let integer = saturating_u32(value);
        if (min..=max).contains(&integer) && value.fract() == 0.0 && value >= 0.0 {
            return Ok(integer);
        }
        let hint = format!("expected a whole number from {min} to {max}, such as {example}");
        Err(self.report(format!("invalid `{value}`"), hint))
    }

    /// A duration from `min` to `max`: a whole number and `ms`, `s`, `m` or `h`.
    #[inline(never)]
    pub(crate) fn duration(&self, min: Duration, max: Duration, example: Duration) -> Read<Duration> {
        let [low, high, example] = [min, max, example].map(format_duration);
        let Some(text) = self.json.as_str() else {
            let hint = format!("write a whole number and its unit (ms, s, m or h), from {low} to {high}");
            return Err(self.expected(&format!("a duration such as \"{example}\""), &hint));
        };
        let found = parse_duration(text).filter(|duration| (min..=max).contains(duration));
        found.ok_or_else(|| {
            let hint = format!(
                "expected a whole number and its unit (ms, s, m or h), from {low} to {high}, such as \"{example}\""
            );
            self.report(format!("invalid `{}`", quote(text)), hint)
        })
    }
}

/// An object of the document.
#[derive(Clone)]
pub(crate) struct Object<'a> {
    node: Node<'a>,
    members: Vec<(&'a str, Node<'a>)>,
}

impl<'a> Object<'a> {
    #[inline(never)]
    fn report_duplicates(&self) {
        let mut seen = BTreeSet::new();
        for (_, node) in self.members.iter().filter(|(key, _)| !seen.insert(*key)) {
            node.report("duplicate key", "remove all but one of them");
        }
    }

    pub(crate) fn node(&self) -> &Node<'a> {
        &self.node
    }

    pub(crate) fn report(&self, problem: impl AsRef<str>, hint: impl AsRef<str>) -> Reported {
        self.node.report(problem, hint)
    }

    #[inline(never)]
    pub(crate) fn get(&self, key: &str) -> Option<&Node<'a>> {
        self.members.iter().find(|(name, _)| *name == key).map(|(_, node)| node)
    }

    /// A required value as `read` returns it; `hint` has an example of the key.
    pub(crate) fn required<T>(&self, key: &str, hint: &str, read: impl FnOnce(&Node<'a>) -> Read<T>) -> Read<T> {
        match self.get(key) {
            Some(node) => read(node),
            None => Err(self.report_missing(key, hint)),
        }
    }

    #[cold]
    #[inline(never)]
    fn report_missing(&self, key: &str, hint: &str) -> Reported {
        self.report(format!("`{key}` is missing"), hint)
    }

    /// An optional value as `read` returns it.
    pub(crate) fn optional<T>(&self, key: &str, read: impl FnOnce(&Node<'a>) -> Read<T>) -> Read<Option<T>> {
        self.get(key).map(read).transpose()
    }

    /// An optional value as `read` returns it, or `default`.
    pub(crate) fn or_default<T>(&self, key: &str, default: T, read: impl FnOnce(&Node<'a>) -> Read<T>) -> Read<T> {
        self.get(key).map_or(Ok(default), read)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }
}

/// All parts of a value. The tuple is complete before any part is given up, so that every problem is found.
pub(crate) fn all<P: Parts>(parts: P) -> Read<P::Values> {
    parts.values()
}

/// All items of a value. Every item is read before any is given up.
pub(crate) fn gather<T>(items: impl Iterator<Item = Read<T>>) -> Read<Vec<T>> {
    let mut values = Vec::new();
    let mut failed = None;
    for item in items {
        match item {
            Ok(value) => values.push(value),
            Err(reported) => failed = Some(reported),
        }
    }
    failed.map_or(Ok(values), Err)
}

/// A tuple of parts that were read.
pub(crate) trait Parts {
    type Values;

    /// The values, if all parts have one.
    fn values(self) -> Read<Self::Values>;
}

macro_rules! tuples {
    ($($($part:ident)+;)+) => {$(
        impl<$($part),+> Parts for ($(Read<$part>,)+) {
            type Values = ($($part,)+);

            #[expect(non_snake_case, reason = "a variable is named after its type")]
            fn values(self) -> Read<Self::Values> {
                let ($($part,)+) = self;
                // The parts of a failure are dropped in one place: much less code than at each `?`.
                let reported = 'failed: {
                    $(if let Err(reported) = &$part {
                        break 'failed *reported;
                    })+
                    return Ok(($($part?,)+));
                };
                Err(reported)
            }
        }
    )+};
}

tuples! {
    A B;
    A B C;
    A B C D;
    A B C D E;
    A B C D E F;
    A B C D E F G;
    A B C D E F G H;
    A B C D E F G H I;
}

fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_secs(number.checked_mul(60)?)),
        "h" => Some(Duration::from_secs(number.checked_mul(3600)?)),
        _ => None,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` from a float saturates, which is meant"
)]
fn saturating_u32(value: f64) -> u32 {
    value as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_whole_number_and_a_unit() {
        for (text, millis) in [("500ms", 500), ("0s", 0), ("60s", 60_000), ("5m", 300_000), ("1h", 3_600_000)] {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "s", "1", "1.5s", "-1s", "1 s", "1d", "1S", "99999999999999999999s", "9999999999999999999h"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn all_reads_every_part_before_it_fails() {
        let document = Json::parse(br#"{"a":1,"b":"x","c":2}"#).unwrap();
        let problems = Diagnostics::collect(|diagnostics| {
            let object = Node::root(diagnostics, &document).object(&["a", "b", "c"])?;
            let text = |key| object.required(key, "", |node| node.string("x"));
            all((text("a"), text("b"), text("c"))).map(drop)
        });
        let paths: Vec<String> = problems.unwrap_err().iter().map(|problem| problem.path.clone()).collect();
        assert_eq!(paths, ["a", "c"]);
    }
}
