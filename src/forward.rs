//! What the application behind the proxy gets: the request, cleaned of what a client could have forged, and
//! who called.

use crate::authorize::Permit;
use crate::config::UpstreamConfig;
use crate::json::Json;
use crate::request::RawHead;

/// Let the request pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// Why it may pass.
    pub permit: Permit,
    /// Headers to set. Names and values are fit to be sent.
    pub set: Vec<(String, String)>,
}

/// The headers of this request that must not reach the application: identity headers that the client sent,
/// in any spelling, and the credentials.
pub(crate) fn unwanted_headers(head: RawHead<'_>, upstream: &UpstreamConfig) -> Vec<String> {
    let mut unwanted: Vec<String> = Vec::new();
    for (name, _) in head.headers {
        let credentials = name == "authorization" && !upstream.keep_authorization;
        if (credentials || is_identity_header(name, upstream)) && !unwanted.contains(name) {
            unwanted.push(name.clone());
        }
    }
    unwanted
}

/// Whether the client sent any identity header itself.
pub(crate) fn has_identity_headers(head: RawHead<'_>, upstream: &UpstreamConfig) -> bool {
    head.headers.iter().any(|(name, _)| is_identity_header(name, upstream))
}

fn is_identity_header(name: &str, upstream: &UpstreamConfig) -> bool {
    upstream.headers.iter().any(|(ours, _)| ours.is_alias_of(name))
}

/// The headers that say who called, where the facts have a value for them.
pub(crate) fn identity_headers(upstream: &UpstreamConfig, values: &[Option<String>]) -> Vec<(String, String)> {
    upstream
        .headers
        .iter()
        .zip(values)
        .filter_map(|((name, _), value)| Some((name.as_str().to_owned(), value.clone()?)))
        .collect()
}

/// The name of a header that the filter sets, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HeaderName(String);

impl HeaderName {
    /// Parses a header name (RFC 9110 §5.1).
    ///
    /// # Errors
    /// What to write instead, if it is none or one that is not ours to set.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let name = text.to_ascii_lowercase();
        let is_token = !name.is_empty()
            && name.len() <= 128
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        if !is_token {
            return Err("use letters, digits and -, such as x-auth-subject");
        }
        let name = Self(name);
        // In any spelling: headers like this one are removed from requests, and these must not be.
        if RESERVED.iter().any(|reserved| name.is_alias_of(reserved)) {
            return Err("choose a header of its own, such as x-auth-subject: this one has a meaning for the transport");
        }
        Ok(name)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether an application might take `name` for this header. CGI and its heirs turn `-`, and some every
    /// byte that is no letter or digit, into `_`, so that `x_auth_subject` and `x-auth-subject` become one
    /// variable.
    pub(crate) fn is_alias_of(&self, name: &str) -> bool {
        let fold = |b: u8| if b.is_ascii_alphanumeric() { b.to_ascii_lowercase() } else { b'-' };
        self.0.bytes().map(fold).eq(name.bytes().map(fold))
    }
}

/// The value of a member as a header value; `None` for what has no plain form, an object.
///
/// Strings, numbers and booleans stand as they are; a list of these is joined by `,`. Whatever is not
/// printable ASCII is percent-encoded as UTF-8, and so are `%`, a space at either end, and a `,` inside an
/// item of a list: nothing can break out of the header, and two different strings never look the same.
/// The scope is the list of its tokens with a space between each, in whatever form the server sent it.
///
/// # Errors
/// The value is longer than [`MAX_VALUE_BYTES`].
pub(crate) fn header_value(name: &str, value: &Json) -> Result<Option<String>, TooLong> {
    let text = if let Json::Array(items) = value {
        let (separator, encoded) = if name == "scope" { (" ", "") } else { (",", ",") };
        let items: Option<Vec<String>> = items.iter().map(|item| Some(encode(&plain(item)?, encoded))).collect();
        items.map(|items| items.join(separator))
    } else {
        plain(value).map(|text| encode(&text, ""))
    };
    match text {
        Some(text) if text.len() > MAX_VALUE_BYTES => Err(TooLong),
        text => Ok(text),
    }
}

/// A value longer than a header may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

fn plain(value: &Json) -> Option<String> {
    match value {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        Json::Bool(value) => Some(value.to_string()),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}

fn encode(text: &str, also: &str) -> String {
    let last = text.len().saturating_sub(1);
    let mut encoded = String::with_capacity(text.len());
    for (index, byte) in text.bytes().enumerate() {
        let inner_space = byte == b' ' && index != 0 && index != last;
        if inner_space || byte.is_ascii_graphic() && byte != b'%' && !also.as_bytes().contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// Longest value that is forwarded, after encoding.
const MAX_VALUE_BYTES: usize = 8_192;

/// Headers that HTTP, Envoy's routing or `upstream.authorization` decide about.
const RESERVED: &[&str] = &[
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_break_out_of_its_header_and_stays_distinct() {
        for (json, header) in [
            (r#""alice""#, Some("alice")),
            (r#""a b""#, Some("a b")),
            (r#"" a ""#, Some("%20a%20")),
            (r#""a\r\nx-auth-subject: root""#, Some("a%0D%0Ax-auth-subject: root")),
            (r#""a\u0000""#, Some("a%00")),
            (r#""zoë""#, Some("zo%C3%AB")),
            (r#""100%""#, Some("100%25")),
            (r#""zo%C3%AB""#, Some("zo%25C3%25AB")),
            (r#""""#, Some("")),
            ("42", Some("42")),
            ("true", Some("true")),
            (r#"["a","b,c"]"#, Some("a,b%2Cc")),
            ("[]", Some("")),
            (r#"[["a"]]"#, None),
            ("{}", None),
            ("null", None),
        ] {
            let value = Json::parse(json.as_bytes()).unwrap();
            assert_eq!(header_value("roles", &value), Ok(header.map(str::to_owned)), "{json}");
        }
        let scope = Json::parse(br#"["a","b"]"#).unwrap();
        assert_eq!(header_value("scope", &scope), Ok(Some("a b".to_owned())));
        let long = |n| Json::String("x".repeat(n));
        assert!(header_value("a", &long(MAX_VALUE_BYTES)).is_ok());
        assert_eq!(header_value("a", &long(MAX_VALUE_BYTES + 1)), Err(TooLong));
    }

    #[test]
    fn spellings_that_an_application_could_confuse_are_one_header() {
        let name = HeaderName::parse("X-Auth-Subject").unwrap();
        assert_eq!(name.as_str(), "x-auth-subject");
        for alias in ["x-auth-subject", "x_auth_subject", "x-auth_subject", "X_AUTH.SUBJECT", "x!auth~subject"] {
            assert!(name.is_alias_of(alias), "{alias}");
        }
        for other in ["x-auth-subjects", "x-auth-sub", "xauthsubject", ""] {
            assert!(!name.is_alias_of(other), "{other}");
        }
        for bad in [
            "",
            ":path",
            "a b",
            "a:b",
            "é",
            "Authorization",
            "host",
            "transfer-encoding",
            "content_length",
            "X.Forwarded.For",
        ] {
            assert!(HeaderName::parse(bad).is_err(), "{bad}");
        }
    }
}
