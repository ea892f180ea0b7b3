//! What of a token can be told to others: named facts and claims, as header values.

use super::path::ClaimPath;
use crate::base::Json;

/// Something about a token that can be forwarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ForwardedValue {
    /// A claim as the authorization server sent it.
    Claim(ClaimPath),
    ClientId,
    Owner,
    Scope,
    Roles,
    Issuer,
    Audience,
    /// In seconds since the epoch.
    ExpiresAt,
    Application,
    AuthorizationServer,
    /// For how many seconds the facts have been past their end; only where `stale_if_error` has let a request pass.
    Stale,
}

impl ForwardedValue {
    /// The words for what every authorization server states, by whatever name.
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

    /// One of the words, or the path of a claim, which `claims.` in front sets apart from the words; `None` if
    /// it is neither.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Some((_, property)) = Self::WORDS.iter().find(|(word, _)| *word == text) {
            return Some(property.clone());
        }
        ClaimPath::parse(text.strip_prefix("claims.").unwrap_or(text)).map(Self::Claim)
    }
}

/// The value of a claim as a header value; `None` for what has no plain form, an object.
///
/// Strings, numbers and booleans stand as they are; a list of these is joined by `,`. Whatever is not
/// printable ASCII is percent-encoded as UTF-8, and so are `%`, a space at either end, and a `,` inside an
/// item of a list: nothing can break out of the header, and two different strings never look the same.
pub(super) fn header_value(value: &Json) -> Option<String> {
    if let Json::Array(items) = value {
        let items: Option<Vec<String>> = items.iter().map(|item| Some(encode(&plain(item)?, ","))).collect();
        items.map(|items| items.join(","))
    } else {
        plain(value).map(|text| encode(&text, ""))
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

/// Longest value that is forwarded, after encoding.
pub(super) const MAX_VALUE_BYTES: usize = 8_192;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::UnixTime;
    use crate::claims::Claims;

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
            assert_eq!(header_value(&value), header.map(str::to_owned), "{json}");
        }
        let property = ForwardedValue::parse("a").unwrap();
        let long = |n: usize| [("a".to_owned(), Json::String("x".repeat(n)))];
        assert!(property.value(&Claims::default(), &long(MAX_VALUE_BYTES)).is_ok());
        assert_eq!(property.value(&Claims::default(), &long(MAX_VALUE_BYTES + 1)), Err(TooLong));
    }

    #[test]
    fn a_word_is_what_every_server_states_and_anything_else_a_claim() {
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
