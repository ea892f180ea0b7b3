//! `upstream` and `bearer`: which parts of a request hold the token, and what the application gets instead.

use super::diagnostics::Read;
use super::document::{Node, all, gather};
use super::wording::{known_words, quote};
use crate::claims::ForwardedValue;
use crate::policy::UpstreamSettings;
use crate::request::{DEFAULT_MAX_TOKEN_BYTES, HeaderName, TokenLocations};

pub(super) fn read(node: &Node<'_>) -> Read<UpstreamSettings> {
    let object = node.object(&["authorization", "headers", "filter_state"])?;
    let (keep_authorization, headers, filter_state) = all((
        object.or_default("authorization", false, |node| node.one_of(&[("remove", false), ("keep", true)])),
        object.or_default("headers", Vec::new(), read_headers),
        object.or_default("filter_state", Vec::new(), read_filter_state),
    ))?;
    Ok(UpstreamSettings { keep_authorization, headers, filter_state })
}

fn read_filter_state(node: &Node<'_>) -> Read<Vec<(String, ForwardedValue)>> {
    let read = |(name, value): (&str, Node<'_>)| {
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) {
            let hint = "use letters, digits, ., _ and -, as in scopegate.client_id: client_id";
            return Err(value.report("invalid name of filter state", hint));
        }
        Ok((name.to_owned(), read_property(&value)?))
    };
    let mut state = gather(node.map(MAX_PROPERTIES, "{ scopegate.client_id: client_id }")?.into_iter().map(read))?;
    state.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(state)
}

fn read_headers(node: &Node<'_>) -> Read<Vec<(HeaderName, ForwardedValue)>> {
    let mut names: Vec<HeaderName> = Vec::new();
    let read = |(key, value): (&str, Node<'_>)| {
        let name = HeaderName::parse(key).map_err(|hint| value.report("invalid header name", hint))?;
        if names.iter().any(|other| other.is_alias_of(key)) {
            let problem = format!("`{}` is the same header as an earlier one", name.as_str());
            return Err(value.report(problem, "remove one of them: many applications treat - and _ alike"));
        }
        names.push(name.clone());
        Ok((name, read_property(&value)?))
    };
    let mut headers = gather(node.map(MAX_PROPERTIES, "{ x-auth-subject: sub }")?.into_iter().map(read))?;
    // The values are kept in this order; the order of keys in a document has no meaning.
    headers.sort_by(|(a, _), (b, _)| a.as_str().cmp(b.as_str()));
    Ok(headers)
}

/// Adds the header by which the application recognizes stale claims, unless one is configured.
pub(super) fn mark_stale(root: &Node<'_>, upstream: &mut UpstreamSettings) -> Read<()> {
    if upstream.headers.iter().any(|(_, property)| *property == ForwardedValue::Stale) {
        return Ok(());
    }
    let is_taken = upstream.headers.iter().any(|(name, _)| name.is_alias_of(STALE_HEADER));
    let name = HeaderName::parse(STALE_HEADER).ok().filter(|_| !is_taken).ok_or_else(|| {
        root.innermost(&["cache", "stale_if_error"]).report(
            format!("sets the header {STALE_HEADER}, which upstream.headers sets to another value"),
            "add another header for it to upstream.headers, such as x-auth-age: stale",
        )
    })?;
    upstream.headers.push((name, ForwardedValue::Stale));
    upstream.headers.sort_by(|(a, _), (b, _)| a.as_str().cmp(b.as_str()));
    Ok(())
}

#[inline(never)]
fn read_property(node: &Node<'_>) -> Read<ForwardedValue> {
    let text = node.string("sub")?;
    ForwardedValue::parse(text).ok_or_else(|| {
        let words: Vec<&str> = ForwardedValue::WORDS.iter().map(|(word, _)| *word).collect();
        let hint = known_words(text, "expected the path of a claim, such as claims.department, or one of", &words);
        node.report(format!("invalid `{}`", quote(text)), hint)
    })
}

pub(super) fn read_bearer(node: &Node<'_>) -> Read<TokenLocations> {
    let object = node.object(&["schemes", "header", "query", "cookie", "max_bytes"])?;
    let (schemes, header, query, cookie, max_bytes) = all((
        object.or_default("schemes", TokenLocations::default().schemes, |node| node.each("[Bearer]", read_scheme)),
        object.optional("header", |node| {
            HeaderName::parse(node.string("x-access-token")?).map_err(|hint| node.report("invalid header name", hint))
        }),
        object.optional("query", |node| read_word(node, "query parameter")),
        object.optional("cookie", |node| read_word(node, "cookie")),
        object
            .or_default("max_bytes", DEFAULT_MAX_TOKEN_BYTES, |node| node.integer(16, 65_536, DEFAULT_MAX_TOKEN_BYTES)),
    ))?;
    Ok(TokenLocations { schemes, header, query, cookie, max_bytes: usize::try_from(max_bytes).unwrap_or(usize::MAX) })
}

fn read_scheme(node: &Node<'_>) -> Read<String> {
    let scheme = node.string("Bearer")?;
    let valid = scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if valid && !["basic", "dpop", "digest", "negotiate"].contains(&scheme.to_ascii_lowercase().as_str()) {
        return Ok(scheme.to_owned());
    }
    let hint = "expected Bearer, or a scheme of your applications for bearer tokens, such as OAuth";
    Err(node.report(format!("invalid scheme `{}`", quote(scheme)), hint))
}

#[inline(never)]
fn read_word(node: &Node<'_>, what: &str) -> Read<String> {
    let word = node.string("access_token")?;
    if word.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')) {
        return Ok(word.to_owned());
    }
    let hint = "use letters, digits, _, - and ., such as access_token";
    Err(node.report(format!("invalid name of a {what}: `{}`", quote(word)), hint))
}

/// Tells the application that the claims are older than their TTL.
const STALE_HEADER: &str = "x-auth-stale";

/// Every request header is compared with each of these.
const MAX_PROPERTIES: usize = 32;
