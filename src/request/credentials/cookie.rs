//! A token in a cookie (RFC 6265 §4.2). Browsers attach cookies automatically, so an API that accepts them needs its
//! own protection against cross-site request forgery.

use super::alias::is_alias;
use crate::request::header_edit::HeaderEdit;

/// Returns the values of every cookie with this name.
pub(super) fn find<'a>(headers: impl Iterator<Item = &'a [u8]>, name: &str) -> Vec<Vec<u8>> {
    headers.flat_map(pairs).filter_map(|pair| value(pair, name)).map(<[u8]>::to_vec).collect()
}

/// Returns the edit that removes every cookie with this name and keeps the others; `None` if there is none.
pub(super) fn without<'a>(headers: impl Iterator<Item = &'a [u8]>, name: &str) -> Option<HeaderEdit<'a>> {
    let all: Vec<&[u8]> = headers.flat_map(pairs).collect();
    let kept: Vec<&[u8]> = all.iter().copied().filter(|pair| value(pair, name).is_none()).collect();
    if kept.len() == all.len() {
        None
    } else if kept.is_empty() {
        Some(HeaderEdit::Remove("cookie"))
    } else {
        Some(HeaderEdit::Set("cookie", kept.join(&b"; "[..])))
    }
}

fn pairs(header: &[u8]) -> impl Iterator<Item = &[u8]> {
    header.split(|b| *b == b';').map(<[u8]>::trim_ascii).filter(|pair| !pair.is_empty())
}

/// Returns the value of a pair without quotes, if the pair has this name.
fn value<'a>(pair: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut parts = pair.splitn(2, |b| *b == b'=');
    let found = parts.next()?.trim_ascii();
    let value = parts.next().unwrap_or_default().trim_ascii();
    let unquoted = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    form_urlencoded::parse(found).any(|(found, _)| is_alias(name, &found)).then(|| unquoted.unwrap_or(value))
}
