//! What the application behind the proxy gets: the request, cleaned of what a client could have forged, and
//! who called.

use std::time::Duration;

use crate::authorize::Permit;
use crate::config::UpstreamConfig;
use crate::credentials::Locations;
use crate::property::{Property, encode};
use crate::request::RawHead;

/// Let the request pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// Why it may pass.
    pub permit: Permit,
    /// Headers to set. Names and values are fit to be sent.
    pub set: Vec<(String, String)>,
    /// Filter state to set, for access logs and later filters: name and value.
    pub filter_state: Vec<(String, String)>,
}

/// A change to the headers of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit<'a> {
    /// Take every value of this header out.
    Remove(&'a str),
    /// Put this in the place of every value of this header.
    Set(&'static str, Vec<u8>),
}

/// What takes out of a request whatever must not reach the application: identity headers that the client
/// sent, in any spelling, and, unless they are to be kept, the credentials.
pub(crate) fn cleaning<'a>(head: RawHead<'a>, upstream: &UpstreamConfig, locations: &Locations) -> Vec<Edit<'a>> {
    let mut edits = if upstream.keep_authorization { Vec::new() } else { locations.removal(head) };
    for (name, _) in head.headers {
        let edit = Edit::Remove(name);
        if is_identity_header(name, upstream) && !edits.contains(&edit) {
            edits.push(edit);
        }
    }
    edits
}

/// Whether the client sent any identity header itself.
pub(crate) fn has_identity_headers(head: RawHead<'_>, upstream: &UpstreamConfig) -> bool {
    head.headers.iter().any(|(name, _)| is_identity_header(name, upstream))
}

fn is_identity_header(name: &str, upstream: &UpstreamConfig) -> bool {
    upstream.headers.iter().any(|(ours, _)| ours.is_alias_of(name))
}

/// What is forwarded for a permit: the request, who called as headers, and as filter state.
/// `stale`: how long the facts have been past their end, if they are.
pub(crate) fn forward(
    upstream: &UpstreamConfig,
    permit: Permit,
    server: &str,
    values: &[Option<String>],
    stale: Option<Duration>,
) -> Forward {
    let properties = upstream.properties();
    let mut values = properties.zip(values).map(|(property, value)| match property {
        // These are not of the token, so they are not among what is kept of it.
        Property::Application => permit.application().map(|name| encode(name, "")),
        Property::AuthorizationServer => Some(encode(server, "")),
        Property::Stale => stale.map(|stale| stale.as_secs().to_string()),
        Property::Claim(_)
        | Property::ClientId
        | Property::Owner
        | Property::Scope
        | Property::Roles
        | Property::Issuer
        | Property::Audience
        | Property::ExpiresAt => value.clone(),
    });
    let set = upstream
        .headers
        .iter()
        .zip(values.by_ref())
        .filter_map(|((name, _), value)| Some((name.as_str().to_owned(), value?)))
        .collect();
    let filter_state = upstream
        .filter_state
        .iter()
        .zip(values)
        .filter_map(|((name, _), value)| Some((name.clone(), value?)))
        .collect();
    Forward { permit, set, filter_state }
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

/// Headers that HTTP, Envoy's routing or `upstream.authorization` decide about.
const RESERVED: &[&str] = &[
    "access-control-request-headers",
    "access-control-request-method",
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "origin",
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
