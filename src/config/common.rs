//! Values that several parts of a configuration have.

use std::time::Duration;

use super::diagnostics::Read;
use super::document::{Node, Object};
use super::wording::quote;

/// Returns the value of an environment variable.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

pub(super) fn read_realm(node: &Node<'_>) -> Read<String> {
    let realm = node.string("bookings")?;
    // It becomes a quoted-string (RFC 9110 §5.6.4). A realm does not need the characters that are escaped there.
    if realm.len() <= 128 && realm.bytes().all(|b| matches!(b, b' '..=b'~') && b != b'"' && b != b'\\') {
        return Ok(realm.to_owned());
    }
    let hint = "expected at most 128 printable ASCII characters without \" and \\, such as \"bookings\"";
    Err(node.report(format!("invalid realm `{}`", quote(realm)), hint))
}

/// A name for messages, logs and references: at most 128 characters, none of them a control character.
#[inline(never)]
pub(super) fn read_name(object: &Object<'_>, purpose: &str, example: &str) -> Read<String> {
    object.required("name", &format!("{purpose}, as in name: {example}"), |node| {
        let name = node.string(example)?;
        if name.chars().count() <= 128 && !name.chars().any(char::is_control) {
            return Ok(name.to_owned());
        }
        let hint = format!("expected at most 128 characters without control characters, such as \"{example}\"");
        Err(node.report(format!("invalid name `{}`", quote(name)), hint))
    })
}

/// The longest time to live of a cached entry.
pub(super) const MAX_TTL: Duration = Duration::from_secs(86_400);
