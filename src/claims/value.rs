//! Claim values, in the form that rules compare.

use serde::Deserialize;
use serde::Serialize;

use crate::base::Json;

/// The value of a claim. The members of objects are not kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum ClaimValue {
    Null,
    Boolean(bool),
    /// Integers beyond 2^53 lose precision.
    Number(f64),
    Text(String),
    List(Vec<ClaimValue>),
    Object,
}

impl From<&Json> for ClaimValue {
    fn from(json: &Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Boolean(*value),
            // Every number of serde_json has an `f64` value.
            Json::Number(number) => number.as_f64().map_or(Self::Null, Self::Number),
            Json::String(text) => Self::Text(text.clone()),
            Json::Array(items) => Self::List(items.iter().map(Self::from).collect()),
            Json::Object(_) => Self::Object,
        }
    }
}

impl ClaimValue {
    /// Returns the approximate size in memory, in bytes.
    pub(super) fn estimated_size(&self) -> usize {
        let content = match self {
            Self::Text(text) => text.len(),
            Self::List(items) => items.iter().fold(0, |sum: usize, item| sum.saturating_add(item.estimated_size())),
            Self::Null | Self::Boolean(_) | Self::Number(_) | Self::Object => 0,
        };
        size_of::<Self>().saturating_add(content)
    }

    /// Returns whether this claim equals `value`, or is a list that contains it.
    pub(crate) fn is_or_contains(&self, value: &Self) -> bool {
        self == value || matches!(self, Self::List(items) if items.contains(value))
    }
}
