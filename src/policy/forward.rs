//! The request that the upstream gets: without headers that a client could have forged, and with the identity of the
//! caller.

use std::time::Duration;

use super::authorize::Permit;
use crate::claims::{ForwardedValue, encode};
use crate::request::{HeaderEdit, HeaderName, RequestHead, TokenLocations};

/// The decision to let a request pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// The permit.
    pub permit: Permit,
    /// Headers to set, as name and value. Both are valid in HTTP.
    pub set: Vec<(String, String)>,
    /// Filter state to set, for access logs and later filters, as name and value.
    pub filter_state: Vec<(String, String)>,
}

/// Returns the edits that clean a request for the upstream: they remove identity headers that the client sent,
/// including aliases, and the credentials unless `upstream.authorization` keeps them.
pub(crate) fn cleaning<'a>(
    head: RequestHead<'a>,
    upstream: &UpstreamSettings,
    locations: &TokenLocations,
) -> Vec<HeaderEdit<'a>> {
    let mut edits = if upstream.keep_authorization { Vec::new() } else { locations.removal(head) };
    for (name, _) in head.headers {
        let edit = HeaderEdit::Remove(name);
        if is_identity_header(name, upstream) && !edits.contains(&edit) {
            edits.push(edit);
        }
    }
    edits
}

/// Returns whether the client sent an identity header.
pub(crate) fn has_identity_headers(head: RequestHead<'_>, upstream: &UpstreamSettings) -> bool {
    head.headers.iter().any(|(name, _)| is_identity_header(name, upstream))
}

fn is_identity_header(name: &str, upstream: &UpstreamSettings) -> bool {
    upstream.headers.iter().any(|(header, _)| header.is_alias_of(name))
}

/// Returns the request to forward, with the values as headers and filter state. `stale`: how long the cached entry has
/// been stale, if it is.
pub(crate) fn forward(
    upstream: &UpstreamSettings,
    permit: Permit,
    server: &str,
    values: &[Option<String>],
    stale: Option<Duration>,
) -> Forward {
    let properties = upstream.properties();
    let mut values = properties.zip(values).map(|(property, value)| match property {
        // These values are not from the token, so the entry does not contain them.
        ForwardedValue::Application => permit.application().map(|name| encode(name, "")),
        ForwardedValue::AuthorizationServer => Some(encode(server, "")),
        ForwardedValue::Stale => stale.map(|stale| stale.as_secs().to_string()),
        ForwardedValue::Claim(_)
        | ForwardedValue::ClientId
        | ForwardedValue::Owner
        | ForwardedValue::Scope
        | ForwardedValue::Roles
        | ForwardedValue::Issuer
        | ForwardedValue::Audience
        | ForwardedValue::ExpiresAt => value.clone(),
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

/// The settings of `upstream`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct UpstreamSettings {
    pub(crate) keep_authorization: bool,
    /// Headers and their values.
    pub(crate) headers: Vec<(HeaderName, ForwardedValue)>,
    /// Names of filter state and their values.
    pub(crate) filter_state: Vec<(String, ForwardedValue)>,
}

impl UpstreamSettings {
    /// Returns all forwarded values: those of headers, then those of filter state.
    pub(crate) fn properties(&self) -> impl Iterator<Item = &ForwardedValue> {
        let headers = self.headers.iter().map(|(_, property)| property);
        headers.chain(self.filter_state.iter().map(|(_, property)| property))
    }
}
