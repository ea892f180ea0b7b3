//! A token in the query of the URI (RFC 6750 §2.3): for clients that can do no better. It ends up in histories
//! and logs on its way here; from here on it is gone.

use std::borrow::Cow;

use super::alias::is_alias;

/// The values of every parameter of this name, decoded.
pub(super) fn find<'a>(targets: impl Iterator<Item = &'a [u8]>, name: &str) -> Vec<Vec<u8>> {
    targets.filter_map(query).flat_map(pieces).filter_map(|piece| value(piece, name)).collect()
}

/// The target without every parameter of this name, everything else as it was; `None` if there is none.
pub(super) fn without(target: &[u8], name: &str) -> Option<Vec<u8>> {
    let query = query(target)?;
    pieces(query).find_map(|piece| value(piece, name))?;
    let mut rest = target.split(|b| *b == b'?').next().unwrap_or_default().to_vec();
    let mut separator = b'?';
    // A piece goes together with what separates it from the one before.
    for (piece, next) in pieces(query).zip(separators(query)) {
        if value(piece, name).is_none() {
            rest.push(separator);
            rest.extend_from_slice(piece);
            separator = next;
        }
    }
    Some(rest)
}

fn query(target: &[u8]) -> Option<&[u8]> {
    target.splitn(2, |b| *b == b'?').nth(1)
}

/// Some applications separate parameters by `;`, too.
fn pieces(query: &[u8]) -> impl Iterator<Item = &[u8]> {
    query.split(is_separator)
}

/// What follows each piece.
fn separators(query: &[u8]) -> impl Iterator<Item = u8> {
    query.iter().copied().filter(is_separator).chain([b'&'])
}

fn is_separator(b: &u8) -> bool {
    matches!(b, b'&' | b';')
}

/// The value of a piece, if it has this name, in whatever spelling.
fn value(piece: &[u8], name: &str) -> Option<Vec<u8>> {
    let mut pairs = form_urlencoded::parse(piece);
    let (found, value) = pairs.next()?;
    is_alias(name, &found).then(|| match value {
        // What is not UTF-8 is no token either way.
        Cow::Borrowed(value) => value.as_bytes().to_vec(),
        Cow::Owned(value) => value.into_bytes(),
    })
}
