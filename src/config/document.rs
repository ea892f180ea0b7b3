//! Reading a configuration document: every value by its path, every problem noted, none of them the last.
//!
//! A derived `Deserialize` stops at the first error and cannot say how to mend it; an operator wants all of
//! them, each with a remedy, in one go.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use crate::base::Json;

/// Something in a configuration that has to change before the filter accepts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where: `rules[2].require.scope`; empty for the document itself.
    pub path: String,
    /// What is wrong.
    pub problem: String,
    /// What to do about it.
    pub hint: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() { "configuration" } else { &self.path };
        write!(f, "{path}: {}; {}", self.problem, self.hint)
    }
}

/// Every problem of one configuration, in the order of the reference. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// The problems, first to last.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Collects problems while a document is read.
#[derive(Debug, Default)]
pub(crate) struct Diagnostics(RefCell<Vec<Problem>>);

impl Diagnostics {
    /// What was read, if nothing at all was wrong. `None` without a problem noted cannot happen; should a
    /// reader forget to note one, the configuration is refused all the same.
    pub(crate) fn finish<T>(self, read: Option<T>) -> Result<T, Problems> {
        let mut problems = self.0.into_inner();
        match read {
            Some(read) if problems.is_empty() => Ok(read),
            _ => {
                if problems.is_empty() {
                    problems.push(Problem {
                        path: String::new(),
                        problem: "is not complete".to_owned(),
                        hint: "compare it with the configuration reference".to_owned(),
                    });
                }
                Err(Problems(problems))
            }
        }
    }

    pub(crate) fn root<'a>(&'a self, json: &'a Json) -> Node<'a> {
        Node { diagnostics: self, path: String::new(), json }
    }

    pub(crate) fn report(&self, path: &str, problem: impl Into<String>, hint: impl Into<String>) {
        self.0.borrow_mut().push(Problem { path: path.to_owned(), problem: problem.into(), hint: hint.into() });
    }
}

/// A value of the document and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Node<'a> {
    diagnostics: &'a Diagnostics,
    path: String,
    json: &'a Json,
}

impl<'a> Node<'a> {
    /// Notes a problem with this value.
    pub(crate) fn report(&self, problem: impl Into<String>, hint: impl Into<String>) {
        self.diagnostics.report(&self.path, problem, hint);
    }

    fn wrong_kind(&self, expected: &str) {
        let problem = format!("expected {expected}, found {}", self.json.kind());
        self.report(problem, format!("write {expected} here"));
    }

    /// This value as an object that may have the keys `known` and no others, each once.
    pub(crate) fn object(&self, known: &'static [&'static str]) -> Option<Object<'a>> {
        let object = self.members()?;
        for (_, node) in object.members.iter().filter(|(key, _)| !known.contains(key)) {
            node.report("unknown key", format!("known here: {}", known.join(", ")));
        }
        object.report_duplicates();
        Some(object)
    }

    /// This value as an object with keys of the operator's choice, each once, `max` at most.
    pub(crate) fn map(&self, max: usize) -> Option<Vec<(&'a str, Node<'a>)>> {
        let object = self.members()?;
        if object.members.is_empty() {
            self.report("is empty", "name at least one, or leave the key out");
        }
        if object.members.len() > max {
            self.report(format!("has {} keys", object.members.len()), format!("keep {max} at most"));
            return None;
        }
        object.report_duplicates();
        Some(object.members)
    }

    /// This value as an object with whatever keys it has, each once; also with none.
    pub(crate) fn free_members(&self) -> Option<Vec<(&'a str, Node<'a>)>> {
        let object = self.members()?;
        object.report_duplicates();
        Some(object.members)
    }

    /// This value as an object whose keys are in order.
    pub(crate) fn members(&self) -> Option<Object<'a>> {
        let Json::Object(members) = self.json else {
            self.wrong_kind("an object");
            return None;
        };
        let node = |(key, json): &'a (String, Json)| {
            let name = quote(key);
            let path = if self.path.is_empty() { name } else { format!("{}.{name}", self.path) };
            (key.as_str(), Node { diagnostics: self.diagnostics, path, json })
        };
        Some(Object { node: self.clone(), members: members.iter().map(node).collect() })
    }

    /// This value as a list with at least one item.
    pub(crate) fn list(&self) -> Option<Vec<Node<'a>>> {
        let Json::Array(items) = self.json else {
            self.wrong_kind("a list");
            return None;
        };
        if items.is_empty() {
            self.report("is empty", "list at least one, or leave the key out");
            return None;
        }
        Some(self.items())
    }

    /// Every item of this list as `read` takes it; `None` if one of them is wrong. All are read.
    pub(crate) fn each<T>(&self, read: impl Fn(&Node<'a>) -> Option<T>) -> Option<Vec<T>> {
        let read: Vec<Option<T>> = self.list()?.iter().map(read).collect();
        read.into_iter().collect()
    }

    /// The same for a list that may be empty.
    pub(crate) fn each_if_any<T>(&self, read: impl Fn(&Node<'a>) -> Option<T>) -> Option<Vec<T>> {
        if self.is_list() && self.items().is_empty() { Some(Vec::new()) } else { self.each(read) }
    }

    /// The items of this list, or none if it is no list; without a note.
    pub(crate) fn items(&self) -> Vec<Node<'a>> {
        let Json::Array(items) = self.json else {
            return Vec::new();
        };
        let node =
            |(index, json)| Node { diagnostics: self.diagnostics, path: format!("{}[{index}]", self.path), json };
        items.iter().enumerate().map(node).collect()
    }

    /// Notes every item of this list whose `name` an earlier one has already.
    pub(crate) fn report_duplicate_names(&self, what: &str) {
        let mut seen = BTreeSet::new();
        for item in self.items() {
            let Json::Object(members) = item.json else {
                continue;
            };
            if let Some((_, Json::String(name))) = members.iter().find(|(key, _)| key == "name")
                && !seen.insert(name)
            {
                let path = format!("{}.name", item.path);
                let problem = format!("`{}` is the name of two", quote(name));
                self.diagnostics.report(&path, problem, format!("give each {what} a name of its own"));
            }
        }
    }

    /// The text of this value, if it is a string; without a note.
    pub(crate) fn text(&self) -> Option<&'a str> {
        self.json.as_str()
    }

    pub(crate) fn is_null(&self) -> bool {
        *self.json == Json::Null
    }

    pub(crate) fn is_true(&self) -> bool {
        *self.json == Json::Bool(true)
    }

    /// The value itself.
    pub(crate) fn json(&self) -> &'a Json {
        self.json
    }

    pub(crate) fn is_list(&self) -> bool {
        matches!(self.json, Json::Array(_))
    }

    /// This value as a string that is not empty.
    pub(crate) fn string(&self) -> Option<&'a str> {
        let Some(text) = self.json.as_str() else {
            self.wrong_kind("a string");
            return None;
        };
        if text.is_empty() {
            self.report("is empty", "give it a value");
            return None;
        }
        Some(text)
    }

    /// What this value stands for among the `words` there are.
    pub(crate) fn one_of<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        let text = self.string()?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning);
        if found.is_none() {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.report(format!("`{}` is not among them", quote(text)), format!("write one of: {}", words.join(", ")));
        }
        found
    }

    pub(crate) fn boolean(&self) -> Option<bool> {
        let Json::Bool(value) = self.json else {
            self.wrong_kind("true or false");
            return None;
        };
        Some(*value)
    }

    /// `true`, for keys that say something by being there.
    pub(crate) fn require_true(&self) -> Option<()> {
        if self.boolean()? {
            return Some(());
        }
        self.report("`false` says nothing", "write true, or leave the key out");
        None
    }

    /// A whole number within bounds. A Struct carries every number as a double: `16384.0` is whole.
    pub(crate) fn integer(&self, min: u32, max: u32) -> Option<u32> {
        let Some(value) = self.json.as_f64() else {
            self.wrong_kind("a whole number");
            return None;
        };
        let found = (min..=max).contains(&saturating_u32(value)) && value.fract() == 0.0 && value >= 0.0;
        if !found {
            self.report(format!("`{value}` is out of bounds"), format!("a whole number from {min} to {max}"));
            return None;
        }
        Some(saturating_u32(value))
    }

    /// A duration within bounds: a whole number and `ms`, `s`, `m` or `h`.
    pub(crate) fn duration(&self, min: Duration, max: Duration) -> Option<Duration> {
        let bounds =
            || format!("from {} to {}, such as \"500ms\", \"30s\", \"5m\"", format_duration(min), format_duration(max));
        let Some(text) = self.json.as_str() else {
            let problem = format!("expected a duration with its unit, found {}", self.json.kind());
            self.report(problem, format!("write a string {}", bounds()));
            return None;
        };
        match parse_duration(text) {
            Some(duration) if (min..=max).contains(&duration) => Some(duration),
            Some(_) => {
                self.report(format!("`{}` is out of bounds", quote(text)), bounds());
                None
            }
            None => {
                self.report(format!("`{}` is no duration", quote(text)), bounds());
                None
            }
        }
    }
}

/// An object of the document.
#[derive(Debug)]
pub(crate) struct Object<'a> {
    node: Node<'a>,
    members: Vec<(&'a str, Node<'a>)>,
}

impl<'a> Object<'a> {
    fn report_duplicates(&self) {
        let mut seen = BTreeSet::new();
        for (_, node) in self.members.iter().filter(|(key, _)| !seen.insert(*key)) {
            node.report("duplicate key", "keep one of them");
        }
    }

    pub(crate) fn report(&self, problem: impl Into<String>, hint: impl Into<String>) {
        self.node.report(problem, hint);
    }

    pub(crate) fn optional(&self, key: &str) -> Option<&Node<'a>> {
        self.members.iter().find(|(name, _)| *name == key).map(|(_, node)| node)
    }

    /// The value of a key that must be there; `hint` says what it is for.
    pub(crate) fn required(&self, key: &str, hint: &str) -> Option<&Node<'a>> {
        let found = self.optional(key);
        if found.is_none() {
            self.report(format!("`{key}` is missing"), hint);
        }
        found
    }

    /// The value of an optional key as `read` takes it, or `default`; `None` only if the value is wrong.
    pub(crate) fn or_default<T>(&self, key: &str, default: T, read: impl FnOnce(&Node<'a>) -> Option<T>) -> Option<T> {
        match self.optional(key) {
            Some(node) => read(node),
            None => Some(default),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }
}

/// User input fit for a message: escaped, at most 60 characters.
pub(crate) fn quote(text: &str) -> String {
    let mut quote: String = text.chars().flat_map(char::escape_debug).take(61).collect();
    if quote.chars().count() > 60 {
        quote = quote.chars().take(60).chain(['…']).collect();
    }
    quote
}

/// A duration as a configuration writes it.
fn format_duration(duration: Duration) -> String {
    match (duration.as_millis(), duration.as_secs()) {
        (0, _) => "0s".to_owned(),
        (millis @ 1..1000, _) => format!("{millis}ms"),
        (_, secs) if secs.is_multiple_of(3600) => format!("{}h", secs.div_euclid(3600)),
        (_, secs) => format!("{secs}s"),
    }
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
    fn what_is_shown_of_user_input_is_escaped_and_short() {
        assert_eq!(quote("a\nb"), "a\\nb");
        assert_eq!(quote(&"x".repeat(100)).chars().count(), 61);
    }
}
