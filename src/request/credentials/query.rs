//! A token in the query of the URI (RFC 6750 §2.3), for clients that cannot set headers. The token may end up in
//! histories and logs before it reaches this filter, which removes it.

use std::borrow::Cow;

use super::alias::is_alias;

/// Returns the decoded values of every parameter with this name.
pub(super) fn find<'a>(targets: impl Iterator<Item = &'a [u8]>, name: &str) -> Vec<Vec<u8>> {
    targets.filter_map(query).flat_map(pieces).filter_map(|piece| value(piece, name)).collect()
}

/// Returns the target without every parameter with this name, and otherwise unchanged; `None` if there is none.
pub(super) fn without(target: &[u8], name: &str) -> Option<Vec<u8>> {
    let query = query(target)?;
    pieces(query).find_map(|piece| value(piece, name))?;
    let mut rest = target.split(|b| *b == b'?').next().unwrap_or_default().to_vec();
    let mut separator = b'?';
    // A removed piece also removes its separator from the previous piece.
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

/// Some applications also accept `;` as a separator.
fn pieces(query: &[u8]) -> impl Iterator<Item = &[u8]> {
    query.split(is_separator)
}

/// Returns the separator after each piece.
fn separators(query: &[u8]) -> impl Iterator<Item = u8> {
    query.iter().copied().filter(is_separator).chain([b'&'])
}

fn is_separator(b: &u8) -> bool {
    matches!(b, b'&' | b';')
}

/// Returns the value of a piece, if the piece has this name or an alias of it.
fn value(piece: &[u8], name: &str) -> Option<Vec<u8>> {
    let mut pairs = form_urlencoded::parse(piece);
    let (found, value) = pairs.next()?;
    is_alias(name, &found).then(|| match value {
        // Values that are not UTF-8 are not valid tokens in either case.
        Cow::Borrowed(value) => value.as_bytes().to_vec(),
        Cow::Owned(value) => value.into_bytes(),
    })
}
