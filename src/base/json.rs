//! JSON parser that keeps member order and duplicate names, so that callers can reject documents with duplicate names.
//!
//! `serde_json::Value` silently keeps the last of two members with the same name. Two parsers could then disagree about
//! the meaning of one text (RFC 8259 §4).

use serde::de;
use serde::de::Deserialize;
use serde::de::Deserializer;
use serde::de::MapAccess;
use serde::de::SeqAccess;
use serde::de::Visitor;
use std::fmt;

/// A JSON value, with members in the order of the text.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// An integer or a fraction; JSON text cannot express NaN or infinities.
    Number(serde_json::Number),
    /// A string
    String(String),
    /// An array
    Array(Vec<Json>),
    /// The members of an object in the order of the text. Names may repeat.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Parses one JSON text. Nesting is limited to 128 levels (`serde_json`).
    ///
    /// # Errors
    /// The position at which the text stops being JSON. The message quotes no value from the text.
    pub fn parse(text: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(text)
    }

    /// Returns the first member of an object with this name.
    pub(crate) fn member(&self, name: &str) -> Option<&Self> {
        let Self::Object(members) = self else { return None };
        members.iter().find(|(held, _)| held == name).map(|(_, value)| value)
    }

    /// Returns the text of a string.
    pub(crate) fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    /// Returns the value of a number. Integers beyond 2^53 lose precision.
    pub(crate) fn as_f64(&self) -> Option<f64> {
        if let Self::Number(number) = self { number.as_f64() } else { None }
    }

    /// Names the type of the value, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "a list",
            Self::Object(_) => "an object",
        }
    }

    /// Returns whether any object at any depth has two members with the same name.
    pub(crate) fn has_duplicate_names(&self) -> bool {
        match self {
            Self::Object(members) => {
                let mut names: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
                names.sort_unstable();
                names.windows(2).any(|pair| matches!(pair, [a, b] if a == b))
                    || members.iter().any(|(_, value)| value.has_duplicate_names())
            }
            Self::Array(values) => values.iter().any(Self::has_duplicate_names),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::String(_) => false,
        }
    }

    /// Appends a canonical form that does not depend on the order of members.
    ///
    /// The same configuration can arrive as JSON text or as a protobuf Struct, which has no member order.
    pub(crate) fn write_canonical(&self, out: &mut String) {
        match self {
            Self::Object(members) => {
                let mut sorted: Vec<_> = members.iter().collect();
                sorted.sort_by(|(a, _), (b, _)| a.cmp(b));
                out.push('{');
                for (name, value) in sorted {
                    out.push_str(&format!("{name:?}:"));
                    value.write_canonical(out);
                    out.push(',');
                }
                out.push('}');
            }
            Self::Array(values) => {
                out.push('[');
                for value in values {
                    value.write_canonical(out);
                    out.push(',');
                }
                out.push(']');
            }
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::String(_) => {
                out.push_str(&format!("{self:?}"));
            }
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Json, E> {
        serde_json::Number::from_f64(value).map(Json::Number).ok_or_else(|| E::custom("a number is not finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Json, E> {
        Ok(Json::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element()? {
            values.push(value);
        }
        Ok(Json::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Json::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicate_names_are_found_at_any_depth() {
        for (text, expected) in [
            (r#"{"a":1,"b":1}"#, false),
            (r#"{"a":1,"a":1}"#, true),
            (r#"{"x":[{"a":1},{"a":2}]}"#, false),
            (r#"{"x":[0,{"y":{"a":1,"b":2,"a":3}}]}"#, true),
        ] {
            assert_eq!(Json::parse(text.as_bytes()).unwrap().has_duplicate_names(), expected, "{text}");
        }
    }

    #[test]
    fn canonical_form_ignores_member_order_only() {
        let canonical = |text: &str| {
            let mut out = String::new();
            Json::parse(text.as_bytes()).unwrap().write_canonical(&mut out);
            out
        };
        assert_eq!(canonical(r#"{"a":1,"b":[1,2]}"#), canonical(r#"{ "b":[1,2], "a":1 }"#));
        assert_ne!(canonical(r#"{"b":[1,2]}"#), canonical(r#"{"b":[2,1]}"#));
        assert_ne!(canonical(r#"["a,b"]"#), canonical(r#"["a","b"]"#));
        assert_ne!(canonical(r#"["1"]"#), canonical("[1]"));
    }

    #[test]
    fn deep_nesting_is_rejected() {
        let deep = "[".repeat(100_000);
        assert!(Json::parse(deep.as_bytes()).is_err());
    }
}
