//! Conversions from JSON to the types of claims. They accept the variants that servers send, and no others.

use std::time::Duration;

use crate::base::{Json, UnixTime};

pub(super) fn text(value: &Json) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// Accepts a string, or a list of exactly one string.
pub(super) fn only_text(value: &Json) -> Option<String> {
    let mut texts = texts(Some(value))?;
    texts.pop().filter(|_| texts.is_empty())
}

pub(super) fn text_or_number(value: &Json) -> Option<String> {
    if let Json::Number(number) = value { Some(number.to_string()) } else { text(value) }
}

/// Accepts a string or a list of strings. A missing value is an empty list. Other types result in `None`.
pub(super) fn texts(value: Option<&Json>) -> Option<Vec<String>> {
    match value {
        None => Some(Vec::new()),
        Some(Json::Array(items)) => items.iter().map(text).collect(),
        Some(value) => Some(vec![text(value)?]),
    }
}

/// Collects the roles of all values: strings, lists of strings, or the keys of objects.
pub(super) fn roles<'a>(values: impl Iterator<Item = &'a Json>) -> Option<Vec<String>> {
    let mut roles = Vec::new();
    for value in values {
        if let Json::Object(members) = value {
            roles.extend(members.iter().map(|(name, _)| name.clone()));
        } else {
            roles.extend(texts(Some(value))?);
        }
    }
    Some(roles)
}

/// Accepts seconds since the epoch, or an RFC 3339 string if `rfc3339` is set.
pub(super) fn time(value: &Json, rfc3339: bool) -> Option<UnixTime> {
    if rfc3339 {
        let time = humantime::parse_rfc3339(value.as_str()?).ok()?;
        let since = time.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        return Some(UnixTime::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX)));
    }
    Some(UnixTime::from_millis(millis(value)?))
}

/// Accepts a duration in seconds. Negative values are zero.
pub(crate) fn seconds(value: &Json) -> Option<Duration> {
    millis(value).map(Duration::from_millis)
}

/// Accepts seconds as an integer, a fraction, or a string with one of them.
fn millis(value: &Json) -> Option<u64> {
    let is_decimal = |text: &&str| {
        let digits = text.strip_prefix('-').unwrap_or(text);
        digits.starts_with(|c: char| c.is_ascii_digit()) && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.')
    };
    let seconds: f64 = match value.as_str() {
        Some(text) => Some(text).filter(is_decimal)?.parse().ok()?,
        None => value.as_f64()?,
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`as` from a float saturates: times before the epoch become the epoch, very late times never come"
    )]
    Some((seconds * 1000.0).floor() as u64)
}
