//! `match` and `resources`: conditions on a request.

use super::diagnostics::Read;
use super::document::{Node, all};
use super::wording::quote;
use crate::policy::{HostPattern, Method, PathPattern, PatternError, RequestMatch};
use crate::request::{PathError, PathOptions};

pub(super) const KEYS: &[&str] = &["methods", "hosts", "path", "path_prefix", "route"];

#[inline(never)]
pub(super) fn read_match(node: &Node<'_>, known: &[&str], paths: PathOptions) -> Read<RequestMatch> {
    let object = node.object(known)?;
    if object.is_empty() {
        return Err(object.report("no condition", "set at least one; to match every request write path_prefix: /"));
    }
    let methods = object.or_default("methods", Vec::new(), |node| node.each("[GET, POST]", read_method));
    let hosts = object.or_default("hosts", Vec::new(), |node| node.each("[api.example.com]", read_host));
    let path = match (object.get("path"), object.get("path_prefix")) {
        (Some(node), None) => read_path(node, |text| PathPattern::exact(text, paths)).map(Some),
        (None, Some(node)) => read_path(node, |text| PathPattern::prefix(text, paths)).map(Some),
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(object.report(
            "`path` and `path_prefix` exclude each other",
            "remove one of them; path matches one path, path_prefix also the paths below it",
        )),
    };
    let route = object.optional("route", |node| node.string("bookings").map(str::to_owned));
    let (methods, hosts, path, route) = all((methods, hosts, path, route))?;
    Ok(RequestMatch { methods, hosts, path, route })
}

#[inline(never)]
fn read_method(node: &Node<'_>) -> Read<Method> {
    let text = node.string("GET")?;
    Method::parse(text).ok_or_else(|| {
        let hint = "methods are case-sensitive: write [GET, POST]; to match every method omit `methods`";
        node.report(format!("invalid method `{}`", quote(text)), hint)
    })
}

#[inline(never)]
fn read_host(node: &Node<'_>) -> Read<HostPattern> {
    let text = node.string("api.example.com")?;
    HostPattern::parse(text).ok_or_else(|| {
        let hint = "expected api.example.com, *.example.com or, to match the port too, api.example.com:8443";
        node.report(format!("invalid host pattern `{}`", quote(text)), hint)
    })
}

fn read_path(node: &Node<'_>, parse: impl FnOnce(&str) -> Result<PathPattern, PatternError>) -> Read<PathPattern> {
    let text = node.string("/bookings/{id}")?;
    parse(text).map_err(|error| {
        let hint = match error {
            PatternError::Wildcard => {
                "`*` matches nothing here: write {name} for one segment, as in /bookings/{id}, or use path_prefix: /bookings"
            }
            PatternError::Braces => {
                "{name} stands for one whole segment, as in /bookings/{id}; use letters, digits, - and _ in the name"
            }
            PatternError::SameName => "give each {name} its own name, as in /tenants/{tenant}/bookings/{id}",
            PatternError::Query => "remove the query, which is not matched: write /bookings",
            PatternError::TrailingSlash => {
                "remove the last /: a prefix always ends at a segment boundary, as in path_prefix: /bookings"
            }
            PatternError::Path(PathError::NotAbsolute | PathError::Missing) => "start it with /, as in /bookings",
            PatternError::Path(PathError::EncodedSlash) => "remove %2F, or set paths: { allow_encoded_slash: true }",
            PatternError::Path(PathError::ForbiddenByte) => {
                "percent-encode spaces and characters outside ASCII, as in /my%20bookings"
            }
            PatternError::Path(
                PathError::DotSegment
                | PathError::EmptySegment
                | PathError::Backslash
                | PathError::Semicolon
                | PathError::BadEscape
                | PathError::OtherSpelling
                | PathError::DoubleEscape
                | PathError::NotUtf8,
            ) => "requests with such a path are refused: write the normalized path, such as /bookings",
        };
        node.report(format!("invalid path pattern `{}`", quote(text)), hint)
    })
}
