//! `introspection`: the endpoint of an authorization server, its preset and the differences from that.

use std::time::Duration;

use super::client::ClientReader;
use super::common::{Environment, MAX_TTL};
use super::diagnostics::Read;
use super::dialect::{read_answer, read_request};
use super::document::{Node, Object, all};
use super::endpoint::{Place, read_authority, read_endpoint_path, report_no_authority};
use super::presets::{BASE, Presets};
use crate::server::{ClientAuthentication, Endpoint, EndpointAuthentication, RequestFormat, ResponseFormat, TokenIn};

/// An introspection endpoint, and what it means for the settings of its server.
pub(super) struct Introspection {
    pub(super) endpoint: Endpoint,
    /// The upper bound of the time that its responses are cached.
    pub(super) max_ttl: Option<Duration>,
    /// Whether the server's `audience` has to be a list: without one, every token of every client of the server is valid.
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

pub(super) fn read(node: &Node<'_>, environment: Environment<'_>, place: &Place<'_>) -> Read<Introspection> {
    let object = node.object(KEYS)?;
    let presets = Presets::load(node)?;
    let preset = object.or_default("preset", BASE, |node| presets.named(node))?;
    let layers = presets.overlay(object.clone(), preset)?;

    let client_id = object.optional("client_id", |node| node.string("gateway"));
    let example = layers.preset_text("path_example").unwrap_or("/oauth2/introspect");
    let path = match layers.get("path") {
        Some(node) => read_endpoint_path(node, example),
        None => {
            let hint = format!("set the path of the introspection endpoint, as in path: {example}");
            Err(object.report("`path` is missing", hint))
        }
    };
    let client_id = match (&path, client_id) {
        (Ok(path), Ok(None)) if path.contains(CLIENT_ID) => {
            let hint = "set the client id of the gateway at the server, as in client_id: gateway";
            Err(object.report("`path` contains {client_id}, and `client_id` is missing", hint))
        }
        _ => client_id,
    };
    let authority = place.authority(object.optional("authority", read_authority));
    let authority = authority
        .and_then(|authority| authority.ok_or_else(|| report_no_authority(&object, "introspection.authority")));
    let timeout =
        object.or_default("timeout", DEFAULT_TIMEOUT, |node| node.duration(MIN_TIMEOUT, MAX_TIMEOUT, DEFAULT_TIMEOUT));
    let max_ttl =
        layers.get("max_ttl").map(|node| node.duration(Duration::ZERO, MAX_TTL, Duration::from_secs(60))).transpose();
    let reader = ClientReader { object: &object, environment, place, client_id, authority: &authority, timeout };
    let authentication = layers.read("client_authentication", |node| reader.read_authentication(node));
    let formats = all((read_request(&layers), read_answer(&layers), authentication)).and_then(
        |(request, answer, authentication)| {
            check_credentials(&object, &request, &answer, &authentication)?;
            Ok((request, answer, authentication))
        },
    );
    let (path, client_id, authority, timeout, max_ttl, clusters, formats) =
        all((path, client_id, authority, timeout, max_ttl, place.clusters(), formats))?;
    let (request, response, authentication) = formats;
    let path = with_client_id(path, client_id);
    Ok(Introspection {
        endpoint: Endpoint { clusters, authority, path, authentication, timeout, request, response },
        max_ttl,
        audience_required: layers.preset_is_true("audience_required"),
    })
}

/// Refuses requests whose credentials would be overwritten or exposed, and responses that would be misread.
fn check_credentials(
    object: &Object<'_>,
    request: &RequestFormat,
    answer: &ResponseFormat,
    authentication: &EndpointAuthentication,
) -> Read<()> {
    let token_in_header = request.token_in == TokenIn::Authorization;
    let client_in_header = matches!(
        authentication,
        EndpointAuthentication::Client(ClientAuthentication::Basic(_)) | EndpointAuthentication::ClientToken(_)
    );
    if token_in_header && client_in_header {
        return Err(object.report(
            "the token and the gateway's credentials would both be in the Authorization header",
            "write client_authentication: none, or put the token elsewhere, as in request: { token_in: form }",
        ));
    }
    // 401 and 403 are about the gateway's own credentials, unless the token is sent as the credential.
    if !token_in_header && answer.invalid_statuses.iter().any(|status| matches!(status, 401 | 403)) {
        return Err(object.report(
            "401 or 403 in answer.invalid_statuses would make every token invalid while the gateway's own credentials are refused",
            "remove both, as in invalid_statuses: [400]",
        ));
    }
    let in_query = request.token_in == TokenIn::Query || request.method == "GET";
    let in_parameters = matches!(
        authentication,
        EndpointAuthentication::Client(ClientAuthentication::Post { .. } | ClientAuthentication::PrivateKeyJwt(_))
    );
    if in_query && in_parameters {
        return Err(object.report(
            "the gateway's credentials would be in the URI, and so in access logs",
            "write client_authentication: client_secret_basic, or request: { method: POST, token_in: form }",
        ));
    }
    Ok(())
}

/// Replaces the `{client_id}` in a path such as GitHub's.
fn with_client_id(path: String, client_id: Option<&str>) -> String {
    let encoded = client_id.map(|client_id| form_urlencoded::byte_serialize(client_id.as_bytes()).collect::<String>());
    encoded.map_or(path.clone(), |encoded| path.replace(CLIENT_ID, &encoded))
}

const CLIENT_ID: &str = "{client_id}";
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(1);
const MIN_TIMEOUT: Duration = Duration::from_millis(10);
const MAX_TIMEOUT: Duration = Duration::from_secs(30);
