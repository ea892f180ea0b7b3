//! A token in the query of the URI (RFC 6750 §2.3): for clients that can do no better. It ends up in histories
//! and logs on its way here; from here on it is gone.

use std::borrow::Cow;

/// The values of every parameter of this name, decoded.
pub(super) fn find<'a>(targets: impl Iterator<Item = &'a [u8]>, name: &str) -> Vec<Vec<u8>> {
    targets.filter_map(query).flat_map(pieces).filter_map(|piece| value(piece, name)).collect()
}

/// The target without every parameter of this name, everything else as it was; `None` if there is none.
pub(super) fn without(target: &[u8], name: &str) -> Option<Vec<u8>> {
    let query = query(target)?;
    let kept: Vec<&[u8]> = pieces(query).filter(|piece| value(piece, name).is_none()).collect();
    if kept.len() == pieces(query).count() {
        return None;
    }
    let mut rest = target.split(|b| *b == b'?').next().unwrap_or_default().to_vec();
    if !kept.is_empty() {
        rest.push(b'?');
        rest.extend(kept.join(&b'&'));
    }
    Some(rest)
}

fn query(target: &[u8]) -> Option<&[u8]> {
    target.splitn(2, |b| *b == b'?').nth(1)
}

fn pieces(query: &[u8]) -> impl Iterator<Item = &[u8]> {
    query.split(|b| *b == b'&')
}

/// The value of a piece, if it has this name, in whatever spelling.
fn value(piece: &[u8], name: &str) -> Option<Vec<u8>> {
    let mut pairs = form_urlencoded::parse(piece);
    let (found, value) = pairs.next()?;
    (found == name).then(|| match value {
        // What is not UTF-8 is no token either way.
        Cow::Borrowed(value) => value.as_bytes().to_vec(),
        Cow::Owned(value) => value.into_bytes(),
    })
}
