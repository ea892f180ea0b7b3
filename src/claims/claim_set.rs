//! Facts about an active token, however they were won. Whether they suffice is for `authorize` to say.

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

/// What an authorization server states of an active token.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Claims {
    pub(crate) expires_at: Option<UnixTime>,
    pub(crate) not_before: Option<UnixTime>,
    pub(crate) issuer: Option<String>,
    pub(crate) audience: Vec<String>,
    pub(crate) scope: Scope,
    pub(crate) client_id: Option<String>,
    /// The resource owner: the user who granted the token, if there is one.
    pub(crate) owner: Option<String>,
    pub(crate) roles: Vec<String>,
    pub(crate) kind: TokenKind,
    /// The key that has signed the token, if it was verified here: when it goes, so does what it vouched for.
    pub(crate) verified_by: Option<Thumbprint>,
    /// Values of the claims that rules ask for, in the order of [`RequestedClaims::claims`].
    pub(crate) asked: Vec<Option<ClaimValue>>,
    /// Values for the application, in the order of [`RequestedClaims::properties`], fit to be header values.
    pub(crate) forwarded: Vec<Option<String>>,
}

/// What of an answer a configuration has a use for, beyond what every decision needs.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RequestedClaims {
    pub(crate) claims: Vec<ClaimPath>,
    pub(crate) properties: Vec<ForwardedValue>,
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
    /// Reads the members of an answer for an active token. The request for it was sent at `asked_at`: relative
    /// lifetimes count from there, since the time an answer takes is part of them.
    ///
    /// # Errors
    /// What is wrong with the answer: a member that has another type than it may have.
    pub(crate) fn from_members(
        members: &[(String, Json)],
        dialect: &ClaimMapping,
        requested: &RequestedClaims,
        asked_at: UnixTime,
    ) -> Result<Self, &'static str> {
        let first = |paths: &[ClaimPath]| paths.iter().find_map(|path| path.find(members));
        let time = |paths: &[ClaimPath]| match first(paths) {
            None => Some(None),
            Some(value) => reader::time(value, dialect.rfc3339).map(Some),
        };
        let expires_at = time(&dialect.expires_at).ok_or("the time it expires at is not a time")?;
        let lifetime = match first(&dialect.expires_in) {
            None => None,
            Some(value) => Some(reader::seconds(value).ok_or("the time it expires in is not a number of seconds")?),
        };
        let ends_at = lifetime.map(|lifetime: Duration| asked_at.saturating_add(lifetime));
        let mut claims = Self {
            expires_at: match (expires_at, ends_at) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            },
            not_before: time(&dialect.not_before).ok_or("the time it is valid from is not a time")?,
            issuer: optional(first(&dialect.issuer), reader::text).ok_or("the issuer is not a string")?,
            audience: reader::texts(first(&dialect.audience))
                .ok_or("the audience is neither a string nor a list of strings")?,
            scope: reader::texts(first(&dialect.scope))
                .map(|lists| Scope::from_lists(lists.iter().map(String::as_str), dialect.scope_commas))
                .ok_or("the scope is neither a string nor a list of strings")?,
            client_id: client_id(members, &dialect.client_id).ok_or("the client id is not a string")?,
            owner: optional(first(&dialect.owner), reader::text_or_number)
                .ok_or("the owner is neither a string nor a number")?,
            roles: reader::roles(dialect.roles.iter().filter_map(|path| path.find(members)))
                .ok_or("roles are neither strings nor the keys of an object")?,
            kind: kind(members, dialect),
            verified_by: None,
            asked: requested.claims.iter().map(|path| path.find(members).map(ClaimValue::from)).collect(),
            forwarded: Vec::new(),
        };
        // A client that acts for itself is nobody's user, even if it has taken a user's name (RFC 9700 §4.15).
        if claims.owner == claims.client_id {
            claims.owner = None;
        }
        claims.forwarded = requested
            .properties
            .iter()
            .map(|property| property.value(&claims, members))
            .collect::<Result<_, _>>()
            .map_err(|_| "a member that is to be forwarded is longer than a header may be")?;
        Ok(claims)
    }
}

impl Claims {
    /// About how many bytes they take.
    pub(crate) fn estimated_size(&self) -> usize {
        let texts = [&self.issuer, &self.client_id, &self.owner].into_iter().flatten();
        let lists = self.audience.iter().chain(&self.roles).chain(self.forwarded.iter().flatten());
        let texts = texts.chain(lists).fold(0, |sum: usize, text| sum.saturating_add(text.len()).saturating_add(16));
        let facts = self.asked.iter().flatten().fold(0, |sum: usize, fact| sum.saturating_add(fact.estimated_size()));
        size_of::<Self>().saturating_add(self.scope.as_str().len()).saturating_add(texts).saturating_add(facts)
    }

    /// These claims, within what a token says of itself whose signature is good: it ends no later, begins no
    /// sooner, is meant for nobody else, and is bound to what it is bound to.
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
    /// The value of this property of a token, as a header value. What the authorization server does not state
    /// has none.
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

/// No value, the value as `read` takes it, or `None` if it is of another type.
#[expect(clippy::option_option, reason = "absent, there, or of another type")]
fn optional<T>(value: Option<&Json>, read: impl FnOnce(&Json) -> Option<T>) -> Option<Option<T>> {
    match value {
        None => Some(None),
        Some(value) => read(value).map(Some),
    }
}

/// The client id. What stands in for it elsewhere, an audience, may name several: then it names nobody.
#[expect(clippy::option_option, reason = "absent, there, or of another type")]
fn client_id(members: &[(String, Json)], paths: &[ClaimPath]) -> Option<Option<String>> {
    let mut found = paths.iter().enumerate().filter_map(|(index, path)| Some((index, path.find(members)?)));
    match found.next() {
        None => Some(None),
        Some((0, value)) => reader::only_text(value).map(Some),
        Some((_, value)) => reader::texts(Some(value)).map(|_| reader::only_text(value)),
    }
}

fn kind(members: &[(String, Json)], dialect: &ClaimMapping) -> TokenKind {
    let text = |path: &ClaimPath| path.find(members).and_then(Json::as_str);
    let has = |name: &str| members.iter().any(|(held, value)| held == name && *value != Json::Null);
    let words = members
        .iter()
        .filter(|(name, _)| TYPE_MEMBERS.contains(&name.as_str()))
        .filter_map(|(_, value)| value.as_str())
        .collect::<Vec<_>>();
    let lacks = dialect.required_members.iter().any(|path| path.find(members).is_none())
        || dialect
            .required_values
            .iter()
            .any(|(path, values)| !text(path).is_some_and(|found| values.iter().any(|value| value == found)));
    let refused = words.iter().any(|word| dialect.refused_token_types.iter().any(|t| t.eq_ignore_ascii_case(word)));
    let constrained = words.iter().any(|word| CONSTRAINED.iter().any(|t| t.eq_ignore_ascii_case(word)));
    if lacks || refused {
        TokenKind::NotAccess
    } else if constrained || has("cnf") {
        TokenKind::SenderConstrained
    } else {
        TokenKind::Bearer
    }
}

/// Where servers say what kind of token it is.
const TYPE_MEMBERS: [&str; 3] = ["token_type", "token_use", "typ"];

/// Token types that a bearer may not use (RFC 9449 §7.1; RFC 6749 §7.1 names `mac`).
const CONSTRAINED: [&str; 3] = ["dpop", "mac", "pop"];
