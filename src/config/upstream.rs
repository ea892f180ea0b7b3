//! `upstream` and `bearer`: what is taken from a request, and what the application gets instead.

use super::document::{Node, Object, quote};
use crate::claims::ForwardedValue;
use crate::policy::UpstreamSettings;
use crate::request::{DEFAULT_MAX_TOKEN_BYTES, HeaderName, TokenLocations};

pub(super) fn read(node: &Node<'_>) -> Option<UpstreamSettings> {
    let object = node.object(&["authorization", "headers", "filter_state"])?;
    let keep_authorization =
        object.or_default("authorization", false, |node| node.one_of(&[("remove", false), ("keep", true)]));
    let headers = object.or_default("headers", Vec::new(), read_headers);
    let filter_state = object.or_default("filter_state", Vec::new(), |node| {
        let read = |(name, value): (&str, Node<'_>)| {
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) {
                value.report(
                    "is no name for filter state",
                    "use letters, digits, ., _ and -, such as scopegate.client_id",
                );
                return None;
            }
            Some((name.to_owned(), read_property(&value)?))
        };
        let read: Vec<_> = node.map(MAX_PROPERTIES)?.into_iter().map(read).collect();
        let mut state = read.into_iter().collect::<Option<Vec<_>>>()?;
        state.sort_by(|(a, _), (b, _)| a.cmp(b));
        Some(state)
    });
    Some(UpstreamSettings { keep_authorization: keep_authorization?, headers: headers?, filter_state: filter_state? })
}

fn read_headers(node: &Node<'_>) -> Option<Vec<(HeaderName, ForwardedValue)>> {
    let mut headers: Vec<(HeaderName, ForwardedValue)> = Vec::new();
    let mut complete = true;
    for (key, value) in node.map(MAX_PROPERTIES)? {
        match HeaderName::parse(key) {
            Err(hint) => value.report("is no header to set", hint),
            Ok(name) if headers.iter().any(|(other, _)| other.is_alias_of(key)) => {
                value
                    .report(format!("`{}` names the same header as an earlier one", name.as_str()), "keep one of them");
            }
            Ok(name) => match read_property(&value) {
                Some(property) => headers.push((name, property)),
                None => complete = false,
            },
        }
    }
    // Facts keep the values in this order; two documents that differ in the order alone mean the same.
    headers.sort_by(|(a, _), (b, _)| a.as_str().cmp(b.as_str()));
    complete.then_some(headers)
}

/// Has the application be told of facts that are past their end, under a name of ours if none is configured.
pub(super) fn mark_stale(root: &Object<'_>, upstream: &mut UpstreamSettings) -> Option<()> {
    if upstream.headers.iter().any(|(_, property)| *property == ForwardedValue::Stale) {
        return Some(());
    }
    if upstream.headers.iter().any(|(name, _)| name.is_alias_of(STALE_HEADER)) {
        root.report(
            format!(
                "cache.stale_if_error marks requests by {STALE_HEADER}, which upstream.headers has for something else"
            ),
            "name another header for it there, such as x-auth-age: stale",
        );
        return None;
    }
    upstream.headers.push((HeaderName::parse(STALE_HEADER).ok()?, ForwardedValue::Stale));
    upstream.headers.sort_by(|(a, _), (b, _)| a.as_str().cmp(b.as_str()));
    Some(())
}

fn read_property(node: &Node<'_>) -> Option<ForwardedValue> {
    let text = node.string()?;
    let property = ForwardedValue::parse(text);
    if property.is_none() {
        let words: Vec<&str> = ForwardedValue::WORDS.iter().map(|(word, _)| *word).collect();
        let hint = format!("one of {}, or the path of a claim, such as claims.department", words.join(", "));
        node.report(format!("`{}` is no property of a token", quote(text)), hint);
    }
    property
}

pub(super) fn read_bearer(node: &Node<'_>) -> Option<TokenLocations> {
    let object = node.object(&["schemes", "header", "query", "cookie", "max_bytes"])?;
    let default = TokenLocations::default();
    let schemes = object.or_default("schemes", default.schemes, |node| {
        node.each(|node| {
            let scheme = node.string()?;
            let valid = scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            if !valid || ["basic", "dpop", "digest", "negotiate"].contains(&scheme.to_ascii_lowercase().as_str()) {
                node.report(
                    format!("`{}` is no scheme for bearer tokens", quote(scheme)),
                    "write Bearer, or a name of your own, such as OAuth",
                );
                return None;
            }
            Some(scheme.to_owned())
        })
    });
    let header = object.or_default("header", None, |node| {
        let read = HeaderName::parse(node.string()?);
        read.map_err(|hint| node.report("is no header for a token", hint)).ok().map(Some)
    });
    let query = object.or_default("query", None, |node| read_word(node, "a query parameter").map(Some));
    let cookie = object.or_default("cookie", None, |node| read_word(node, "a cookie").map(Some));
    let max_bytes = object.or_default("max_bytes", DEFAULT_MAX_TOKEN_BYTES, |node| node.integer(16, 65_536));
    Some(TokenLocations {
        schemes: schemes?,
        header: header?,
        query: query?,
        cookie: cookie?,
        max_bytes: usize::try_from(max_bytes?).unwrap_or(usize::MAX),
    })
}

fn read_word(node: &Node<'_>, what: &str) -> Option<String> {
    let word = node.string()?;
    if word.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')) {
        return Some(word.to_owned());
    }
    node.report(format!("`{}` is no name of {what}", quote(word)), "use letters, digits, _, - and .");
    None
}

/// Says that a request has passed by facts that are past their end.
const STALE_HEADER: &str = "x-auth-stale";

/// Every request header is compared with each of these.
const MAX_PROPERTIES: usize = 32;
