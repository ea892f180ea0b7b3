//! The claims of an active token, from an introspection response or a JWT. `authorize` decides whether they suffice.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::forwarded_value::{ForwardedValue, MAX_VALUE_BYTES, TooLong, encode, header_value};
use super::mapping::ClaimMapping;
use super::path::ClaimPath;
use super::reader;
use super::value::ClaimValue;
use crate::base::{Json, UnixTime};
use crate::jose::Thumbprint;
use crate::token::Scope;

/// The claims of an active token.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Claims {
    pub(crate) expires_at: Option<UnixTime>,
    pub(crate) not_before: Option<UnixTime>,
    pub(crate) issuer: Option<String>,
    pub(crate) audience: Vec<String>,
    pub(crate) scope: Scope,
    pub(crate) client_id: Option<String>,
    /// The resource owner: the user who granted the token, if any.
    pub(crate) owner: Option<String>,
    pub(crate) roles: Vec<String>,
    pub(crate) kind: TokenKind,
    /// The key that verified the signature, if the JWT was verified here. The entry is valid only while the key is
    /// trusted.
    pub(crate) verified_by: Option<Thumbprint>,
    /// Values of the claims that rules require, in the order of [`RequestedClaims::claims`].
    pub(crate) asked: Vec<Option<ClaimValue>>,
    /// Values for the upstream, in the order of [`RequestedClaims::properties`], encoded as header values.
    pub(crate) forwarded: Vec<Option<String>>,
}

/// The claims that a configuration uses, in addition to those that every decision needs.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RequestedClaims {
    pub(crate) claims: Vec<ClaimPath>,
    pub(crate) properties: Vec<ForwardedValue>,
}

/// The kind of a token, as far as its members show it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum TokenKind {
    /// A bearer access token.
    #[default]
    Bearer,
    /// An access token bound to a key (RFC 7800 `cnf`, RFC 9449, RFC 8705). Bearer use does not prove possession of the
    /// key.
    SenderConstrained,
    /// A refresh token, an ID token, or a token without the members that access tokens of this server have.
    NotAccess,
}

impl Claims {
    /// Reads the members of an introspection response or JWT. The request was sent at `sent_at`: relative lifetimes
    /// start there, because the response time is part of them.
    ///
    /// # Errors
    /// The reason why the response is invalid: a member has an unexpected type.
    pub(crate) fn from_members(
        members: &[(String, Json)],
        mapping: &ClaimMapping,
        requested: &RequestedClaims,
        sent_at: UnixTime,
    ) -> Result<Self, &'static str> {
        let first = |paths: &[ClaimPath]| paths.iter().find_map(|path| path.find(members));
        let time = |paths: &[ClaimPath]| match first(paths) {
            None => Some(None),
            Some(value) => reader::time(value, mapping.rfc3339).map(Some),
        };
        let expires_at = time(&mapping.expires_at).ok_or("the expiry time (exp) is not a valid time")?;
        let lifetime = match first(&mapping.expires_in) {
            None => None,
            Some(value) => Some(reader::seconds(value).ok_or("the lifetime (expires_in) is not a number of seconds")?),
        };
        let ends_at = lifetime.map(|lifetime: Duration| sent_at.saturating_add(lifetime));
        let mut claims = Self {
            expires_at: match (expires_at, ends_at) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            },
            not_before: time(&mapping.not_before).ok_or("the not-before time (nbf) is not a valid time")?,
            issuer: optional(first(&mapping.issuer), reader::text).ok_or("the issuer is not a string")?,
            audience: reader::texts(first(&mapping.audience))
                .ok_or("the audience is neither a string nor a list of strings")?,
            scope: reader::texts(first(&mapping.scope))
                .map(|lists| Scope::from_lists(lists.iter().map(String::as_str), mapping.scope_commas))
                .ok_or("the scope is neither a string nor a list of strings")?,
            client_id: client_id(members, &mapping.client_id).ok_or("the client id is not a string")?,
            owner: optional(first(&mapping.owner), reader::text_or_number)
                .ok_or("the owner is neither a string nor a number")?,
            roles: reader::roles(mapping.roles.iter().filter_map(|path| path.find(members)))
                .ok_or("roles are neither strings nor the keys of an object")?,
            kind: kind(members, mapping),
            verified_by: None,
            asked: requested.claims.iter().map(|path| path.find(members).map(ClaimValue::from)).collect(),
            forwarded: Vec::new(),
        };
        // A client that acts for itself has no user, even if its client id equals a user name (RFC 9700 §4.15).
        if claims.owner == claims.client_id {
            claims.owner = None;
        }
        claims.forwarded = requested
            .properties
            .iter()
            .map(|property| property.value(&claims, members))
            .collect::<Result<_, _>>()
            .map_err(|_| "a claim in upstream.headers or upstream.filter_state is longer than 8192 bytes")?;
        Ok(claims)
    }
}

impl Claims {
    /// Returns the approximate size in memory, in bytes.
    pub(crate) fn estimated_size(&self) -> usize {
        let texts = [&self.issuer, &self.client_id, &self.owner].into_iter().flatten();
        let lists = self.audience.iter().chain(&self.roles).chain(self.forwarded.iter().flatten());
        let texts = texts.chain(lists).fold(0, |sum: usize, text| sum.saturating_add(text.len()).saturating_add(16));
        let values = self.asked.iter().flatten().fold(0, |sum: usize, one| sum.saturating_add(one.estimated_size()));
        size_of::<Self>().saturating_add(self.scope.as_str().len()).saturating_add(texts).saturating_add(values)
    }

    /// Restricts these claims by those of the signed token: the earlier `exp`, the later `nbf`, the common audiences,
    /// and the key binding of either.
    pub(crate) fn intersect(self, signed: &Self) -> Self {
        let audience = match (self.audience.is_empty(), signed.audience.is_empty()) {
            (true, _) => signed.audience.clone(),
            (false, true) => self.audience,
            (false, false) => self.audience.into_iter().filter(|one| signed.audience.contains(one)).collect(),
        };
        Self {
            expires_at: match (self.expires_at, signed.expires_at) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            },
            not_before: self.not_before.max(signed.not_before),
            issuer: self.issuer.or_else(|| signed.issuer.clone()),
            audience,
            kind: if self.kind == TokenKind::Bearer { signed.kind } else { self.kind },
            verified_by: signed.verified_by,
            ..self
        }
    }
}

impl ForwardedValue {
    /// Returns this value of a token, encoded as a header value; `None` if the authorization server does not state it.
    ///
    /// # Errors
    /// The value is longer than [`MAX_VALUE_BYTES`].
    pub(crate) fn value(&self, claims: &Claims, members: &[(String, Json)]) -> Result<Option<String>, TooLong> {
        let list = |items: &[String]| {
            let items: Vec<String> = items.iter().map(|item| encode(item, ",")).collect();
            (!items.is_empty()).then(|| items.join(","))
        };
        let one = |text: &Option<String>| text.as_ref().map(|text| encode(text, ""));
        let text = match self {
            Self::Claim(path) => match path.find(members) {
                Some(value) => header_value(value),
                None => None,
            },
            Self::ClientId => one(&claims.client_id),
            Self::Owner => one(&claims.owner),
            Self::Scope => Some(encode(claims.scope.as_str(), "")).filter(|scope| !scope.is_empty()),
            Self::Roles => list(&claims.roles),
            Self::Issuer => one(&claims.issuer),
            Self::Audience => list(&claims.audience),
            Self::ExpiresAt => claims.expires_at.map(|time| time.as_secs().to_string()),
            Self::Application | Self::AuthorizationServer | Self::Stale => None,
        };
        match text {
            Some(text) if text.len() > MAX_VALUE_BYTES => Err(TooLong),
            text => Ok(text),
        }
    }
}

/// Converts an optional value: `Some(None)` if it is absent, `None` if it has another type.
#[expect(clippy::option_option, reason = "absent, present, or of another type")]
fn optional<T>(value: Option<&Json>, read: impl FnOnce(&Json) -> Option<T>) -> Option<Option<T>> {
    match value {
        None => Some(None),
        Some(value) => read(value).map(Some),
    }
}

/// Returns the client id. The first path must hold one string. Later paths may be substitutes, such as an audience:
/// several values there mean that the client is unknown.
#[expect(clippy::option_option, reason = "absent, present, or of another type")]
fn client_id(members: &[(String, Json)], paths: &[ClaimPath]) -> Option<Option<String>> {
    let mut found = paths.iter().enumerate().filter_map(|(index, path)| Some((index, path.find(members)?)));
    match found.next() {
        None => Some(None),
        Some((0, value)) => reader::only_text(value).map(Some),
        Some((_, value)) => reader::texts(Some(value)).map(|_| reader::only_text(value)),
    }
}

fn kind(members: &[(String, Json)], mapping: &ClaimMapping) -> TokenKind {
    let text = |path: &ClaimPath| path.find(members).and_then(Json::as_str);
    let has = |name: &str| members.iter().any(|(held, value)| held == name && *value != Json::Null);
    let words = members
        .iter()
        .filter(|(name, _)| TYPE_MEMBERS.contains(&name.as_str()))
        .filter_map(|(_, value)| value.as_str())
        .collect::<Vec<_>>();
    let is_incomplete = mapping.required_members.iter().any(|path| path.find(members).is_none())
        || mapping
            .required_values
            .iter()
            .any(|(path, values)| !text(path).is_some_and(|found| values.iter().any(|value| value == found)));
    let refused = words.iter().any(|word| mapping.refused_token_types.iter().any(|t| t.eq_ignore_ascii_case(word)));
    let constrained = words.iter().any(|word| CONSTRAINED.iter().any(|t| t.eq_ignore_ascii_case(word)));
    if is_incomplete || refused {
        TokenKind::NotAccess
    } else if constrained || has("cnf") {
        TokenKind::SenderConstrained
    } else {
        TokenKind::Bearer
    }
}

/// Members that state the type of a token.
const TYPE_MEMBERS: [&str; 3] = ["token_type", "token_use", "typ"];

/// Token types that do not permit bearer use (RFC 9449 §7.1; RFC 6749 §7.1 names `mac`).
const CONSTRAINED: [&str; 3] = ["dpop", "mac", "pop"];
