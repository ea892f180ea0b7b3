//! `introspection`: the endpoint of an authorization server, its preset and what differs from that.

use std::time::Duration;

use super::client::ClientReader;
use super::common::{Environment, MAX_TTL};
use super::dialect::{PresetOverlay, Presets, read_answer, read_request};
use super::document::{Diagnostics, Node, Object};
use super::endpoint::{Place, read_authority, read_endpoint_path};
use crate::server::{ClientAuthentication, Endpoint, EndpointAuthentication, TokenIn};

/// What is read of `introspection`, and what it asks of the server around it.
pub(super) struct Introspection {
    pub(super) endpoint: Endpoint,
    /// No answer is kept longer.
    pub(super) max_ttl: Option<Duration>,
    /// Without a list of audiences every token of every client of this server would do.
    pub(super) audience_required: bool,
}

const KEYS: &[&str] = &[
    "preset",
    "path",
    "authority",
    "timeout",
    "max_ttl",
    "client_authentication",
    "client_id",
    "client_secret",
    "client_secret_env",
    "private_key",
    "private_key_env",
    "key_id",
    "assertion_audience",
    "token",
    "request",
    "answer",
];

pub(super) fn read(node: &Node<'_>, environment: Environment<'_>, place: &Place<'_>) -> Option<Introspection> {
    let object = node.object(KEYS)?;
    let presets = Presets::load()?;
    let preset = object.or_default("preset", "rfc7662", |node| presets.named(node))?;
    let diagnostics = Diagnostics::default();
    let (preset, base) = (presets.node(preset, &diagnostics)?, presets.node("rfc7662", &diagnostics)?);
    let layers = PresetOverlay { own: Some(object), preset: preset.members(), base: base.members() };

    let (request, answer) = (read_request(&layers), read_answer(&layers));
    let object = layers.own.as_ref()?;
    let client_id = object.or_default("client_id", None, |node| node.string().map(Some));
    let path = match layers.get("path") {
        Some(node) => read_endpoint_path(node).and_then(|path| with_client_id(object, path, client_id)),
        None => {
            let example = layers.text("path_example").unwrap_or("/oauth2/introspect");
            object.report("`path` is missing", format!("the path of the introspection endpoint, such as {example}"));
            None
        }
    };
    let authority = object.or_default("authority", None, |node| read_authority(node).map(Some));
    let timeout = object.or_default("timeout", DEFAULT_TIMEOUT, |node| node.duration(MIN_TIMEOUT, MAX_TIMEOUT));
    let max_ttl = match layers.get("max_ttl") {
        None => Some(None),
        Some(node) => node.duration(Duration::ZERO, MAX_TTL).map(Some),
    };
    let authority = authority.map(|authority| authority.or_else(|| place.authority.map(str::to_owned)));
    let reader = ClientReader { object, environment, place, client_id, timeout: timeout.unwrap_or(DEFAULT_TIMEOUT) };
    let authentication = layers.get("client_authentication").and_then(|node| reader.read_authentication(node));
    let (request, answer, authentication) = (request?, answer?, authentication?);
    let carries_itself = request.token_in == TokenIn::Authorization;
    let in_header = matches!(
        authentication,
        EndpointAuthentication::Client(ClientAuthentication::Basic(_)) | EndpointAuthentication::ClientToken(_)
    );
    if carries_itself && in_header {
        object.report(
            "the token is in the Authorization header, and so are the credentials of our client",
            "write client_authentication: none",
        );
        return None;
    }
    // 401 and 403 speak of our client, unless the token is its own credential.
    if !carries_itself && answer.invalid_statuses.iter().any(|status| matches!(status, 401 | 403)) {
        object.report(
            "401 or 403 among the invalid_statuses would call every token bad while our client is refused",
            "leave them out",
        );
        return None;
    }
    let in_query = request.token_in == TokenIn::Query || request.method == "GET";
    let in_parameters = matches!(
        authentication,
        EndpointAuthentication::Client(ClientAuthentication::Post { .. } | ClientAuthentication::PrivateKeyJwt(_))
    );
    if in_query && in_parameters {
        object.report(
            "the credentials of our client would stand in the URI, and in the server's access log",
            "write client_authentication: client_secret_basic or none, or have the token in a form",
        );
        return None;
    }
    let authority = authority?;
    if authority.is_none() {
        object.report(
            "no Host can be derived for callouts from `issuer` or `cluster`",
            "set introspection.authority to the host that the server knows itself by",
        );
    }
    Some(Introspection {
        endpoint: Endpoint {
            clusters: place.clusters()?,
            authority: authority?,
            path: path?,
            authentication,
            timeout: timeout?,
            request,
            response: answer,
        },
        max_ttl: max_ttl?,
        audience_required: layers.is_true("audience_required"),
    })
}

/// GitHub's path names our client.
fn with_client_id(object: &Object<'_>, path: String, client_id: Option<Option<&str>>) -> Option<String> {
    if !path.contains("{client_id}") {
        return Some(path);
    }
    let Some(client_id) = client_id? else {
        object.report("`path` has {client_id} in it, and there is none", "set client_id");
        return None;
    };
    let encoded: String = form_urlencoded::byte_serialize(client_id.as_bytes()).collect();
    Some(path.replace("{client_id}", &encoded))
}

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(1);
const MIN_TIMEOUT: Duration = Duration::from_millis(10);
const MAX_TIMEOUT: Duration = Duration::from_secs(30);
