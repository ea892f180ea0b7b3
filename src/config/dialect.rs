//! How an authorization server is asked and answers: the configuration over a preset over RFC 7662, field by
//! field.

use super::document::{Diagnostics, Node, Object, quote};
use crate::base::Json;
use crate::claims::{ClaimMapping, ClaimPath};
use crate::server::{Activity, PRESETS, RequestFormat, ResponseFormat, TokenIn};

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
/// The presets, as a document.
pub(super) struct Presets(Json);

impl Presets {
    pub(super) fn load() -> Option<Self> {
        Json::parse(PRESETS.as_bytes()).ok().map(Self)
    }

    pub(super) fn named<'n>(&self, node: &Node<'n>) -> Option<&'n str> {
        let name = node.string()?;
        if self.0.member(name).is_some() {
            return Some(name);
        }
        let Json::Object(known) = &self.0 else { return None };
        let known: Vec<&str> = known.iter().map(|(name, _)| name.as_str()).collect();
        node.report(format!("there is no preset `{}`", quote(name)), format!("known: {}", known.join(", ")));
        None
    }

    /// Problems of a preset are ours, not the operator's; a test reads them all.
    pub(super) fn node<'a>(&'a self, name: &str, diagnostics: &'a Diagnostics) -> Option<Node<'a>> {
        self.0.member(name).map(|json| diagnostics.root(json))
    }
}

/// What the configuration says, else the preset, else the preset that all others build on.
pub(super) struct PresetOverlay<'o, 'p> {
    pub(super) own: Option<Object<'o>>,
    pub(super) preset: Option<Object<'p>>,
    pub(super) base: Option<Object<'p>>,
}

impl<'o, 'p> PresetOverlay<'o, 'p>
where
    'p: 'o,
{
    /// The value that counts. What a preset has is as good as written by the operator.
    pub(super) fn get(&self, key: &str) -> Option<&Node<'_>> {
        let own = self.own.as_ref().and_then(|object| object.optional(key));
        let preset = || self.preset.as_ref().and_then(|object| object.optional(key));
        let base = || self.base.as_ref().and_then(|object| object.optional(key));
        own.or_else(preset).or_else(base)
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.preset.as_ref()?.optional(key)?.text()
    }

    pub(super) fn is_true(&self, key: &str) -> bool {
        self.preset.as_ref().and_then(|object| object.optional(key)).is_some_and(Node::is_true)
    }

    /// Parameters by name, those of the configuration over those of the preset; `null` takes one away. None of
    /// them may take the place of the token.
    fn merged(&self, key: &str, token_parameter: Option<&str>) -> Option<Vec<(String, String)>> {
        let mut merged: Vec<(String, String)> = Vec::new();
        // A preset's replace those of RFC 7662 as a whole: it says what its server takes.
        let preset = self.preset.as_ref().and_then(|object| object.optional(key));
        let base = preset.or_else(|| self.base.as_ref().and_then(|object| object.optional(key)));
        let own = self.own.as_ref().and_then(|object| object.optional(key));
        for node in base.into_iter().chain(own) {
            for (name, value) in node.free_members()? {
                if Some(name) == token_parameter {
                    value.report("is the name that carries the token", "leave it out, or change token_parameter");
                    return None;
                }
                merged.retain(|(known, _)| known != name);
                if !value.is_null() {
                    merged.push((name.to_owned(), value.string()?.to_owned()));
                }
            }
        }
        Some(merged)
    }

    /// The layers of an object inside.
    fn inner(&self, key: &str, known: &'static [&'static str]) -> Option<PresetOverlay<'o, 'p>> {
        let own = match self.own.as_ref().and_then(|object| object.optional(key)) {
            None => None,
            Some(node) => Some(node.object(known)?),
        };
        let inner = |object: &Option<Object<'p>>| object.as_ref()?.optional(key)?.members();
        Some(PresetOverlay { own, preset: inner(&self.preset), base: inner(&self.base) })
    }
}

/// `introspection.request`
pub(super) fn read_request(layers: &PresetOverlay<'_, '_>) -> Option<RequestFormat> {
    let layers = layers.inner("request", REQUEST_KEYS)?;
    let method = layers.get("method")?.one_of(&[("GET", "GET"), ("POST", "POST")]);
    let token_in = layers.get("token_in")?.one_of(&TokenIn::WORDS);
    let token_parameter = layers.get("token_parameter")?.string();
    let parameters = layers.merged("parameters", token_parameter);
    let accept = layers.get("accept").and_then(|node| {
        let value = node.string()?;
        let valid = value.bytes().all(|b| matches!(b, b' '..=b'~'));
        if !valid {
            node.report("is no header value", "write media types, such as application/json");
        }
        valid.then_some(value)
    });
    if let (Some("GET"), Some(TokenIn::Form | TokenIn::Json)) = (method, token_in) {
        // One of the two is the operator's: no preset has both.
        let own = layers.own.as_ref().and_then(|own| own.optional("token_in").or_else(|| own.optional("method")));
        own?.report("a GET has no body", "write token_in: query or authorization, or method: POST");
        return None;
    }
    Some(RequestFormat {
        method: method?,
        token_in: token_in?,
        token_parameter: token_parameter?.to_owned(),
        parameters: parameters?,
        accept: accept?.to_owned(),
    })
}

/// Names and texts; none is fine, to send none of those that a preset has.
pub(super) fn read_parameters(node: &Node<'_>) -> Option<Vec<(String, String)>> {
    let pairs: Option<Vec<_>> = node
        .free_members()?
        .into_iter()
        .map(|(name, value)| Some((name.to_owned(), value.string()?.to_owned())))
        .collect();
    pairs
}

/// `introspection.answer`
pub(super) fn read_answer(layers: &PresetOverlay<'_, '_>) -> Option<ResponseFormat> {
    let layers = layers.inner("answer", ANSWER_KEYS)?;
    let claims = read_claims(&layers);
    let active = layers.get("active").and_then(|node| node.one_of(&Activity::WORDS));
    let invalid_statuses = layers.get("invalid_statuses").and_then(|node| node.each_if_any(read_invalid_status));
    let error_members = layers.get("error_members").and_then(|node| node.each_if_any(read_claim_path));
    let (active, claims) = (active?, claims?);
    if active == Activity::Status && claims.required_members.is_empty() && claims.required_values.is_empty() {
        let own = layers.own.as_ref().and_then(|own| own.optional("active"));
        own?.report(
            "every answer with status 200 would do, whatever is in it",
            "name what the answer for a good token always has: required_members",
        );
        return None;
    }
    Some(ResponseFormat { active, invalid_statuses: invalid_statuses?, error_members: error_members?, claims })
}

/// Where the claims are: those members of `introspection.answer` and `jwt.answer` that both have.
pub(super) fn read_claim_mapping(layers: &PresetOverlay<'_, '_>) -> Option<ClaimMapping> {
    read_claims(&layers.inner("answer", ANSWER_KEYS)?)
}

fn read_claims(layers: &PresetOverlay<'_, '_>) -> Option<ClaimMapping> {
    let paths = |key: &str| layers.get(key).and_then(|node| node.each_if_any(read_claim_path));
    let texts = |key: &str| layers.get(key).and_then(|node| node.each_if_any(|node| node.string().map(str::to_owned)));
    let required_members = paths("required_members");
    let required_values = layers.get("required_values").and_then(read_required_values);
    let refused_token_types = texts("refused_token_types");
    let scope_commas =
        layers.get("scope_separators").and_then(|node| node.one_of(&[("space", false), ("space_or_comma", true)]));
    let rfc3339 = layers.get("times").and_then(|node| node.one_of(&[("unix", false), ("rfc3339", true)]));
    let (scope, client_id, owner) = (paths("scope"), paths("client_id"), paths("owner"));
    let (issuer, audience, roles) = (paths("issuer"), paths("audience"), paths("roles"));
    let (expires_at, expires_in, not_before) = (paths("expires_at"), paths("expires_in"), paths("not_before"));
    Some(ClaimMapping {
        required_members: required_members?,
        required_values: required_values?,
        refused_token_types: refused_token_types?,
        scope: scope?,
        scope_commas: scope_commas?,
        client_id: client_id?,
        owner: owner?,
        issuer: issuer?,
        audience: audience?,
        roles: roles?,
        expires_at: expires_at?,
        expires_in: expires_in?,
        not_before: not_before?,
        rfc3339: rfc3339?,
    })
}

fn read_claim_path(node: &Node<'_>) -> Option<ClaimPath> {
    let text = node.string()?;
    let path = ClaimPath::parse(text);
    if path.is_none() {
        let hint = "names separated by dots, such as realm_access.roles; a dot inside a name is written \\.";
        node.report(format!("`{}` is no path of a claim", quote(text)), hint);
    }
    path
}

/// A status that speaks of the token: never a success with a body, nor the server's own trouble.
fn read_invalid_status(node: &Node<'_>) -> Option<u16> {
    let status = node.integer(204, 499)?;
    if status == 204 || status >= 400 {
        return u16::try_from(status).ok();
    }
    node.report(format!("`{status}` says nothing about a token"), "write 204 or a status from 400 to 499");
    None
}

fn read_required_values(node: &Node<'_>) -> Option<Vec<(ClaimPath, Vec<String>)>> {
    let read = |(name, value): (&str, Node<'_>)| {
        let Some(path) = ClaimPath::parse(name) else {
            value.report("is no path of a claim", "names separated by dots; a dot inside a name is written \\.");
            return None;
        };
        Some((path, value.each(|node| node.string().map(str::to_owned))?))
    };
    node.free_members()?.into_iter().map(read).collect()
}
