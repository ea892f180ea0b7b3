//! Facts about an active token, however they were won. Whether they suffice is for `authorize` to say.

use serde::{Deserialize, Serialize};

use crate::forward::header_value;
use crate::json::Json;
use crate::scope::Scope;
use crate::time::UnixTime;

/// What an authorization server states of an active token.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Claims {
    pub(crate) expires_at: Option<UnixTime>,
    pub(crate) not_before: Option<UnixTime>,
    pub(crate) issuer: Option<String>,
    pub(crate) audience: Vec<String>,
    pub(crate) scope: Scope,
    pub(crate) kind: TokenKind,
    /// Values for `upstream.headers`, in its order, fit to be header values.
    pub(crate) forwarded: Vec<Option<String>>,
}

/// What kind of token it is, as far as it can be recognised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum TokenKind {
    /// Nothing speaks against a bearer access token.
    #[default]
    Bearer,
    /// An access token bound to a key (RFC 7800 `cnf`, RFC 9449, RFC 8705): whoever merely bears it is nobody.
    SenderConstrained,
    /// A refresh token, an ID token, or one without the members that access tokens have here.
    NotAccess,
}

impl Claims {
    /// Reads the members of an introspection response (RFC 7662 §2.2) that says `active: true`.
    ///
    /// # Errors
    /// A member that is understood has a type that is not.
    pub(crate) fn from_members<'n>(
        members: &[(String, Json)],
        required: &[String],
        projection: impl Iterator<Item = &'n str>,
    ) -> Result<Self, &'static str> {
        // `null` says as little as a member that is not there.
        let member = |name: &str| {
            members.iter().find(|(held, value)| held == name && *value != Json::Null).map(|(_, value)| value)
        };
        let kinds = [string(member("token_type")), string(member("token_use")), string(member("typ"))];
        let kind = if required.iter().any(|name| member(name).is_none()) {
            TokenKind::NotAccess
        } else {
            kind(&kinds, member("cnf").is_some())
        };
        Ok(Self {
            expires_at: time(member("exp")).ok_or("`exp` is not a time")?,
            not_before: time(member("nbf")).ok_or("`nbf` is not a time")?,
            issuer: match member("iss") {
                None => None,
                issuer => Some(string(issuer).ok_or("`iss` is not a string")?.to_owned()),
            },
            audience: strings(member("aud"))
                .ok_or("`aud` is neither a string nor a list of strings")?
                .into_iter()
                .map(str::to_owned)
                .collect(),
            scope: Scope::from_lists(
                strings(member("scope")).ok_or("`scope` is neither a string nor a list of strings")?,
            ),
            kind,
            forwarded: projection
                .map(|name| member(name).map_or(Ok(None), |value| header_value(name, value)))
                .collect::<Result<_, _>>()
                .map_err(|_| "a member that is to be forwarded is longer than a header may be")?,
        })
    }
}

fn kind(words: &[Option<&str>], confirmation: bool) -> TokenKind {
    let is =
        |list: &[&str]| words.iter().flatten().any(|word| list.iter().any(|known| known.eq_ignore_ascii_case(word)));
    if is(OTHER_TOKENS) {
        TokenKind::NotAccess
    } else if confirmation || is(CONSTRAINED) {
        TokenKind::SenderConstrained
    } else {
        TokenKind::Bearer
    }
}

fn string(value: Option<&Json>) -> Option<&str> {
    value?.as_str()
}

/// No member: no strings. A string: that one. A list of strings: these. Anything else: `None`.
fn strings(value: Option<&Json>) -> Option<Vec<&str>> {
    match value {
        None => Some(Vec::new()),
        Some(Json::Array(items)) => items.iter().map(|item| string(Some(item))).collect(),
        Some(_) => Some(vec![string(value)?]),
    }
}

/// Seconds since the epoch: an integer, a fraction, or either in a string. Servers send all of them.
#[expect(clippy::option_option, reason = "no member, a time, or neither")]
fn time(value: Option<&Json>) -> Option<Option<UnixTime>> {
    let Some(value) = value else {
        return Some(None);
    };
    let is_decimal = |text: &&str| text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let seconds = match value.as_str() {
        Some(text) => Some(text).filter(is_decimal)?.parse().ok()?,
        None => value.as_f64()?,
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`as` from a float saturates: before the epoch is long ago, absurdly late is never"
    )]
    Some(Some(UnixTime::from_millis((seconds * 1000.0).floor() as u64)))
}

/// What servers call tokens that are not access tokens, in `token_type`, `token_use` or `typ`.
const OTHER_TOKENS: &[&str] = &[
    "refresh_token",
    "refresh",
    "offline",
    "urn:ietf:params:oauth:token-type:refresh_token",
    "id_token",
    "id",
    "urn:ietf:params:oauth:token-type:id_token",
    "logout",
    "logout+jwt",
];

/// Token types that a bearer may not use (RFC 9449 §7.1; RFC 6749 §7.1 names `mac`).
const CONSTRAINED: &[&str] = &["dpop", "mac", "pop"];

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(text: &str) -> Result<Claims, &'static str> {
        let Json::Object(members) = Json::parse(text.as_bytes()).unwrap() else { panic!("{text}") };
        Claims::from_members(&members, &["client_id".to_owned()], ["sub", "roles"].into_iter())
    }

    #[test]
    fn all_members_are_optional_and_null_is_absent() {
        let expected = Claims { forwarded: vec![None, None], ..Claims::default() };
        assert_eq!(claims(r#"{"client_id":"c"}"#), Ok(expected.clone()));
        let nulls = r#"{"client_id":"c","exp":null,"nbf":null,"iss":null,"aud":null,"scope":null,"sub":null,"cnf":null,"token_type":null}"#;
        assert_eq!(claims(nulls), Ok(expected));
    }

    #[test]
    fn times_are_integers_fractions_or_either_in_a_string() {
        for (exp, millis) in [
            ("1796041886", 1_796_041_886_000),
            ("1796041886.75", 1_796_041_886_750),
            ("\"1796041886\"", 1_796_041_886_000),
            ("1.796041886e9", 1_796_041_886_000),
            ("-5", 0),
            ("0", 0),
            ("9223372036854775807", u64::MAX),
            ("1e300", u64::MAX),
        ] {
            let claims = claims(&format!(r#"{{"client_id":"c","exp":{exp}}}"#)).unwrap();
            let found = claims.expires_at.unwrap().as_millis();
            assert!(found == millis || millis == u64::MAX && found > 1 << 60, "{exp}: {found}");
        }
        for exp in ["\"\"", "\"soon\"", "\"-1\"", "\"1e9\"", "\"NaN\"", "\"inf\"", "true", "[]", "{}"] {
            assert!(claims(&format!(r#"{{"client_id":"c","exp":{exp}}}"#)).is_err(), "{exp}");
            assert!(claims(&format!(r#"{{"client_id":"c","nbf":{exp}}}"#)).is_err(), "{exp}");
        }
    }

    #[test]
    fn audience_and_scope_are_strings_or_lists_of_strings() {
        let one = claims(r#"{"client_id":"c","aud":"a","scope":"x y"}"#).unwrap();
        assert_eq!((one.audience, one.scope), (vec!["a".to_owned()], Scope::from_lists(["x", "y"])));
        let many = claims(r#"{"client_id":"c","aud":["a","b"],"scope":["x","y z"]}"#).unwrap();
        assert_eq!((many.audience, many.scope), (vec!["a".to_owned(), "b".to_owned()], Scope::from_lists(["x y z"])));
        for wrong in [
            r#""aud":1"#,
            r#""aud":[1]"#,
            r#""aud":{}"#,
            r#""scope":7"#,
            r#""scope":[null]"#,
            r#""iss":["a"]"#,
            r#""iss":1"#,
        ] {
            assert!(claims(&format!(r#"{{"client_id":"c",{wrong}}}"#)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn tokens_that_are_no_bearer_access_tokens_are_recognised() {
        for (member, kind) in [
            (r#""token_type":"Bearer""#, TokenKind::Bearer),
            (r#""token_type":"bearer","typ":"Bearer","token_use":"access_token""#, TokenKind::Bearer),
            (r#""token_type":"access_token""#, TokenKind::Bearer),
            (r#""token_type":"refresh_token""#, TokenKind::NotAccess),
            (r#""token_type":"Bearer","token_use":"refresh_token""#, TokenKind::NotAccess),
            (r#""typ":"Refresh""#, TokenKind::NotAccess),
            (r#""typ":"ID""#, TokenKind::NotAccess),
            (r#""token_type":"DPoP""#, TokenKind::SenderConstrained),
            (r#""token_type":"Bearer","cnf":{"x5t#S256":"x"}"#, TokenKind::SenderConstrained),
        ] {
            assert_eq!(claims(&format!(r#"{{"client_id":"c",{member}}}"#)).unwrap().kind, kind, "{member}");
        }
        assert_eq!(claims(r#"{"token_type":"Bearer"}"#).unwrap().kind, TokenKind::NotAccess);
    }
}
