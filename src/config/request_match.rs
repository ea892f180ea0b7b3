//! `match` and `resources`: conditions on a request.

use super::document::{Node, quote};
use crate::policy::{HostPattern, Method, PathPattern, PatternError, RequestMatch};
use crate::request::{PathError, PathOptions};

pub(super) const KEYS: &[&str] = &["methods", "hosts", "path", "path_prefix", "route"];

pub(super) fn read_match(node: &Node<'_>, known: &'static [&'static str], paths: PathOptions) -> Option<RequestMatch> {
    let object = node.object(known)?;
    if object.is_empty() {
        object.report("has no condition", "for every request write path_prefix: /");
        return None;
    }
    let methods = object.or_default("methods", Vec::new(), |node| node.each(read_method));
    let hosts = object.or_default("hosts", Vec::new(), |node| node.each(read_host));
    let path = match (object.optional("path"), object.optional("path_prefix")) {
        (Some(node), None) => read_path(node, |text| PathPattern::exact(text, paths)).map(Some),
        (None, Some(node)) => read_path(node, |text| PathPattern::prefix(text, paths)).map(Some),
        (None, None) => Some(None),
        (Some(_), Some(_)) => {
            object.report("has both `path` and `path_prefix`", "keep one of them");
            None
        }
    };
    let route = object.or_default("route", None, |node| Some(Some(node.string()?.to_owned())));
    Some(RequestMatch { methods: methods?, hosts: hosts?, path: path?, route: route? })
}

fn read_method(node: &Node<'_>) -> Option<Method> {
    let text = node.string()?;
    let method = Method::parse(text);
    if method.is_none() {
        let hint = "methods are case-sensitive: write GET, POST, …; for every method leave `methods` out";
        node.report(format!("`{}` is no method", quote(text)), hint);
    }
    method
}

fn read_host(node: &Node<'_>) -> Option<HostPattern> {
    let text = node.string()?;
    let host = HostPattern::parse(text);
    if host.is_none() {
        let hint = "write api.example.com, *.example.com or, if the port counts, api.example.com:8443";
        node.report(format!("`{}` is no host pattern", quote(text)), hint);
    }
    host
}

fn read_path(node: &Node<'_>, parse: impl FnOnce(&str) -> Result<PathPattern, PatternError>) -> Option<PathPattern> {
    let text = node.string()?;
    let hint = match parse(text) {
        Ok(pattern) => return Some(pattern),
        Err(PatternError::Wildcard) => "`*` is no wildcard here: write {name} for one segment, or path_prefix",
        Err(PatternError::Braces) => "a {name} stands for one whole segment; name it with letters, digits, - and _",
        Err(PatternError::SameName) => "give each {name} a name of its own",
        Err(PatternError::Query) => "leave the query out: it is not matched",
        Err(PatternError::TrailingSlash) => "leave the last / out: a prefix ends on a segment boundary by itself",
        Err(PatternError::Path(PathError::NotAbsolute | PathError::Missing)) => "start it with /",
        Err(PatternError::Path(PathError::EncodedSlash)) => "%2F needs paths.allow_encoded_slash: true",
        Err(PatternError::Path(PathError::ForbiddenByte)) => "percent-encode spaces and everything outside ASCII",
        Err(PatternError::Path(
            PathError::DotSegment
            | PathError::EmptySegment
            | PathError::Backslash
            | PathError::Semicolon
            | PathError::BadEscape
            | PathError::OtherSpelling
            | PathError::DoubleEscape
            | PathError::NotUtf8,
        )) => "no request with such a path is let in: write the plain path",
    };
    node.report(format!("`{}` is no path pattern", quote(text)), hint);
    None
}
