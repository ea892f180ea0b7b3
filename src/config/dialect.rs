//! The form of introspection requests and responses: the configuration over a preset over RFC 7662, key by key.

use super::diagnostics::Read;
use super::document::{Node, all, gather};
use super::presets::PresetOverlay;
use super::wording::quote;
use crate::claims::{ClaimMapping, ClaimPath};
use crate::server::{Activity, RequestFormat, ResponseFormat, TokenIn};

const REQUEST_KEYS: &[&str] = &["method", "token_in", "token_parameter", "parameters", "accept"];
const ANSWER_KEYS: &[&str] = &[
    "active",
    "invalid_statuses",
    "error_members",
    "required_members",
    "required_values",
    "refused_token_types",
    "scope",
    "scope_separators",
    "client_id",
    "owner",
    "issuer",
    "audience",
    "roles",
    "expires_at",
    "expires_in",
    "not_before",
    "times",
];

/// `introspection.request`
pub(super) fn read_request(layers: &PresetOverlay<'_>) -> Read<RequestFormat> {
    let layers = layers.inner("request", REQUEST_KEYS)?;
    let token_parameter = layers.read("token_parameter", |node| node.string("token"));
    let (method, token_in, parameters, accept, token_parameter) = all((
        layers.read("method", |node| node.one_of(&[("GET", "GET"), ("POST", "POST")])),
        layers.read("token_in", |node| node.one_of(&TokenIn::WORDS)),
        layers.parameters("parameters", token_parameter),
        layers.read("accept", read_accept),
        token_parameter,
    ))?;
    if let ("GET", TokenIn::Form | TokenIn::Json) = (method, token_in) {
        let hint = "set token_in: query or token_in: authorization, or method: POST";
        return Err(layers.own_node(&["token_in", "method"]).report("a GET request has no body for the token", hint));
    }
    let (token_parameter, accept) = (token_parameter.to_owned(), accept.to_owned());
    Ok(RequestFormat { method, token_in, token_parameter, parameters, accept })
}

fn read_accept<'n>(node: &Node<'n>) -> Read<&'n str> {
    let value = node.string("application/json")?;
    if value.bytes().all(|b| matches!(b, b' '..=b'~')) {
        return Ok(value);
    }
    Err(node.report("invalid header value", "expected media types in ASCII, such as \"application/json\""))
}

/// `introspection.answer`
pub(super) fn read_answer(layers: &PresetOverlay<'_>) -> Read<ResponseFormat> {
    let layers = layers.inner("answer", ANSWER_KEYS)?;
    let (claims, active, invalid_statuses, error_members) = all((
        read_claims(&layers),
        layers.read("active", |node| node.one_of(&Activity::WORDS)),
        layers.read("invalid_statuses", |node| node.each_if_any("[400]", read_invalid_status)),
        layers.read("error_members", |node| node.each_if_any("[error]", read_claim_path)),
    ))?;
    if active == Activity::Status && claims.required_members.is_empty() && claims.required_values.is_empty() {
        return Err(layers.own_node(&["active"]).report(
            "any response with status 200 would make a token valid",
            "name the members of every response for a valid token, as in required_members: [sub]",
        ));
    }
    Ok(ResponseFormat { active, invalid_statuses, error_members, claims })
}

/// The claims' places: the keys that `introspection.answer` and `jwt.answer` have in common.
pub(super) fn read_claim_mapping(layers: &PresetOverlay<'_>) -> Read<ClaimMapping> {
    read_claims(&layers.inner("answer", ANSWER_KEYS)?)
}

fn read_claims(layers: &PresetOverlay<'_>) -> Read<ClaimMapping> {
    let paths = |key| read_claim_paths(layers, key);
    let types =
        |node: &Node<'_>| node.each_if_any("[refresh_token]", |node| node.string("refresh_token").map(str::to_owned));
    let checks = all((
        paths("required_members"),
        layers.read("required_values", read_required_values),
        layers.read("refused_token_types", types),
        layers.read("scope_separators", |node| node.one_of(&[("space", false), ("space_or_comma", true)])),
        layers.read("times", |node| node.one_of(&[("unix", false), ("rfc3339", true)])),
    ));
    let identity = all((
        paths("scope"),
        paths("client_id"),
        paths("owner"),
        paths("issuer"),
        paths("audience"),
        paths("roles"),
        paths("expires_at"),
        paths("expires_in"),
        paths("not_before"),
    ));
    let (required_members, required_values, refused_token_types, scope_commas, rfc3339) = checks?;
    let (scope, client_id, owner, issuer, audience, roles, expires_at, expires_in, not_before) = identity?;
    Ok(ClaimMapping {
        required_members,
        required_values,
        refused_token_types,
        scope,
        scope_commas,
        client_id,
        owner,
        issuer,
        audience,
        roles,
        expires_at,
        expires_in,
        not_before,
        rfc3339,
    })
}

#[inline(never)]
fn read_claim_paths(layers: &PresetOverlay<'_>, key: &str) -> Read<Vec<ClaimPath>> {
    layers.read(key, |node| node.each_if_any("[realm_access.roles]", read_claim_path))
}

fn read_claim_path(node: &Node<'_>) -> Read<ClaimPath> {
    let text = node.string(CLAIM_PATH)?;
    parse_claim_path(text, node)
}

/// The path of a claim; `node` is where a problem is reported.
#[inline(never)]
pub(super) fn parse_claim_path(text: &str, node: &Node<'_>) -> Read<ClaimPath> {
    ClaimPath::parse(text).ok_or_else(|| {
        let hint = format!("expected names separated by dots, such as {CLAIM_PATH}; write a dot inside a name as \\.");
        node.report(format!("invalid path of a claim `{}`", quote(text)), hint)
    })
}

/// A status that means an invalid token: neither a success with a body, nor a failure of the server.
fn read_invalid_status(node: &Node<'_>) -> Read<u16> {
    let status = node.integer(204, 499, 400)?;
    let found = u16::try_from(status).ok().filter(|status| *status == 204 || *status >= 400);
    found.ok_or_else(|| {
        node.report(format!("invalid `{status}`"), "expected 204 or a status from 400 to 499, such as 400")
    })
}

fn read_required_values(node: &Node<'_>) -> Read<Vec<(ClaimPath, Vec<String>)>> {
    let read = |(name, value): (&str, Node<'_>)| all((parse_claim_path(name, &value), value.strings("[access_token]")));
    gather(node.free_members("{ token_use: [access_token] }")?.into_iter().map(read))
}

const CLAIM_PATH: &str = "realm_access.roles";
