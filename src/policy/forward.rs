//! What the application behind the proxy gets: the request, cleaned of what a client could have forged, and
//! who called.

use std::time::Duration;

use super::authorize::Permit;
use crate::claims::{ForwardedValue, encode};
use crate::request::{HeaderEdit, HeaderName, RequestHead, TokenLocations};

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

/// What takes out of a request whatever must not reach the application: identity headers that the client
/// sent, in any spelling, and, unless they are to be kept, the credentials.
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

/// Whether the client sent any identity header itself.
pub(crate) fn has_identity_headers(head: RequestHead<'_>, upstream: &UpstreamSettings) -> bool {
    head.headers.iter().any(|(name, _)| is_identity_header(name, upstream))
}

fn is_identity_header(name: &str, upstream: &UpstreamSettings) -> bool {
    upstream.headers.iter().any(|(ours, _)| ours.is_alias_of(name))
}

/// What is forwarded for a permit: the request, who called as headers, and as filter state.
/// `stale`: how long the facts have been past their end, if they are.
pub(crate) fn forward(
    upstream: &UpstreamSettings,
    permit: Permit,
    server: &str,
    values: &[Option<String>],
    stale: Option<Duration>,
) -> Forward {
    let properties = upstream.properties();
    let mut values = properties.zip(values).map(|(property, value)| match property {
        // These are not of the token, so they are not among what is kept of it.
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

/// What the application behind the proxy is told.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct UpstreamSettings {
    pub(crate) keep_authorization: bool,
    /// Header and what it carries.
    pub(crate) headers: Vec<(HeaderName, ForwardedValue)>,
    /// Name of the filter state and what it holds.
    pub(crate) filter_state: Vec<(String, ForwardedValue)>,
}

impl UpstreamSettings {
    /// Everything that is forwarded: headers, then filter state.
    pub(crate) fn properties(&self) -> impl Iterator<Item = &ForwardedValue> {
        let headers = self.headers.iter().map(|(_, property)| property);
        headers.chain(self.filter_state.iter().map(|(_, property)| property))
    }
}
