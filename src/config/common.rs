//! What several parts of a configuration are read with.

use std::time::Duration;

use super::document::{Node, Object, quote};

/// The environment that secrets come from.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

pub(super) fn read_realm(node: &Node<'_>) -> Option<String> {
    let realm = node.string()?;
    // It stands in a quoted-string (RFC 9110 §5.6.4); what would need escaping there is not needed in a realm.
    if realm.len() <= 128 && realm.bytes().all(|b| matches!(b, b' '..=b'~') && b != b'"' && b != b'\\') {
        return Some(realm.to_owned());
    }
    node.report(format!("`{}` is no realm", quote(realm)), "at most 128 printable ASCII characters without \" and \\");
    None
}

/// A name for messages, logs and references: printable, short.
pub(super) fn read_name(object: &Object<'_>, hint: &str) -> Option<String> {
    let node = object.required("name", hint)?;
    let name = node.string()?;
    if name.chars().count() <= 128 && !name.chars().any(char::is_control) {
        return Some(name.to_owned());
    }
    node.report(format!("`{}` is no name", quote(name)), "at most 128 characters, none of them a control character");
    None
}

pub(super) const MAX_TTL: Duration = Duration::from_secs(86_400);
