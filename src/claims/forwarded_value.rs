//! Values of a token that can be forwarded to the upstream, as header values.

use super::path::ClaimPath;
use crate::base::Json;

/// A value that can be forwarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ForwardedValue {
    /// A claim of the introspection response or JWT, without mapping.
    Claim(ClaimPath),
    ClientId,
    Owner,
    Scope,
    Roles,
    Issuer,
    Audience,
    /// `exp`, in seconds since the epoch.
    ExpiresAt,
    Application,
    AuthorizationServer,
    /// How long the cached entry has been stale, in seconds. Only set if `cache.stale_if_error` let the request pass.
    Stale,
}

impl ForwardedValue {
    /// The names of the mapped values.
    pub(crate) const WORDS: [(&str, Self); 10] = [
        ("client_id", Self::ClientId),
        ("owner", Self::Owner),
        ("scope", Self::Scope),
        ("roles", Self::Roles),
        ("issuer", Self::Issuer),
        ("audience", Self::Audience),
        ("expires_at", Self::ExpiresAt),
        ("application", Self::Application),
        ("authorization_server", Self::AuthorizationServer),
        ("stale", Self::Stale),
    ];

    /// Parses one of the names in [`Self::WORDS`], or the path of a claim. The prefix `claims.` marks a path that
    /// equals a name. Returns `None` if the text is neither.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Some((_, property)) = Self::WORDS.iter().find(|(word, _)| *word == text) {
            return Some(property.clone());
        }
        ClaimPath::parse(text.strip_prefix("claims.").unwrap_or(text)).map(Self::Claim)
    }
}

/// Converts a claim to a header value; `None` for objects, `null` and nested lists.
///
/// Strings, numbers and booleans are written as they are; items of a list are joined by `,`. Percent-encoded, as UTF-8,
/// are all bytes that are not printable ASCII, `%`, a space at either end, and `,` inside an item of a list. The value
/// therefore cannot break out of the header, and different strings have different header values.
pub(super) fn header_value(value: &Json) -> Option<String> {
    if let Json::Array(items) = value {
        let items: Option<Vec<String>> = items.iter().map(|item| Some(encode(&plain(item)?, ","))).collect();
        items.map(|items| items.join(","))
    } else {
        plain(value).map(|text| encode(&text, ""))
    }
}

/// The value is longer than [`MAX_VALUE_BYTES`].
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

pub(crate) fn encode(text: &str, also: &str) -> String {
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

/// The longest value that is forwarded, in bytes after encoding.
pub(super) const MAX_VALUE_BYTES: usize = 8_192;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::UnixTime;
    use crate::claims::Claims;

    #[test]
    fn values_cannot_break_out_of_their_header() {
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
            assert_eq!(header_value(&value), header.map(str::to_owned), "{json}");
        }
        let property = ForwardedValue::parse("a").unwrap();
        let long = |n: usize| [("a".to_owned(), Json::String("x".repeat(n)))];
        assert!(property.value(&Claims::default(), &long(MAX_VALUE_BYTES)).is_ok());
        assert_eq!(property.value(&Claims::default(), &long(MAX_VALUE_BYTES + 1)), Err(TooLong));
    }

    #[test]
    fn mapped_names_take_precedence_over_claims() {
        let claims = Claims {
            client_id: Some("a,b".to_owned()),
            roles: vec!["x".to_owned(), "y,z".to_owned()],
            expires_at: Some(UnixTime::from_millis(7_900)),
            ..Claims::default()
        };
        let members = [("client_id".to_owned(), Json::String("raw".to_owned()))];
        for (text, expected) in [
            ("client_id", Some("a,b")),
            ("claims.client_id", Some("raw")),
            ("roles", Some("x,y%2Cz")),
            ("expires_at", Some("7")),
            ("scope", None),
            ("owner", None),
            ("claims.owner", None),
        ] {
            let value = ForwardedValue::parse(text).unwrap().value(&claims, &members);
            assert_eq!(value, Ok(expected.map(str::to_owned)), "{text}");
        }
        assert_eq!(ForwardedValue::parse("claims."), None);
    }
}
