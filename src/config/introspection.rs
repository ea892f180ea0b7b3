//! `introspection`: the endpoint of an authorization server, its preset and what differs from that.

use std::time::Duration;

use super::document::{Node, Notes, Object, shown};
use super::servers::{Place, read_authority, read_cluster, read_endpoint_path};
use crate::claims::ClaimPath;
use crate::introspection::{
    Activity, AnswerDialect, ClientAssertion, ClientAuthentication, Endpoint, PRESETS, RequestDialect, TokenEndpoint,
    TokenIn, basic_authorization,
};
use crate::json::Json;
use crate::jwt::SigningKey;

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
const TOKEN_KEYS: &[&str] = &["path", "cluster", "authority", "client_authentication", "scope", "parameters"];

/// The environment that secrets come from.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

pub(super) fn read(node: &Node<'_>, environment: Environment<'_>, place: &Place<'_>) -> Option<Introspection> {
    let object = node.object(KEYS)?;
    let presets = Presets::load()?;
    let preset = object.or_default("preset", "rfc7662", |node| presets.named(node))?;
    let notes = Notes::default();
    let (preset, base) = (presets.node(preset, &notes)?, presets.node("rfc7662", &notes)?);
    let layers = Layers { own: Some(object), preset: preset.members(), base: base.members() };

    let request = layers.inner("request", REQUEST_KEYS).and_then(|layers| read_request(&layers));
    let answer = layers.inner("answer", ANSWER_KEYS).and_then(|layers| read_answer(&layers));
    let object = layers.own.as_ref()?;
    let client_id = object.or_default("client_id", None, |node| node.string().map(Some));
    let path = match layers.get("path") {
        Some(node) => read_endpoint_path(node).and_then(|path| with_client_id(node, path, client_id)),
        None => {
            let example = layers.text("path_example").unwrap_or("/oauth2/introspect");
            object.note("`path` is missing", format!("the path of the introspection endpoint, such as {example}"));
            None
        }
    };
    let authority = object.or_default("authority", None, |node| read_authority(node).map(Some));
    let timeout = object.or_default("timeout", DEFAULT_TIMEOUT, |node| node.duration(MIN_TIMEOUT, MAX_TIMEOUT));
    let max_ttl = match layers.get("max_ttl") {
        None => Some(None),
        Some(node) => node.duration(Duration::ZERO, super::MAX_TTL).map(Some),
    };
    let authority = authority.map(|authority| authority.or_else(|| place.authority.map(str::to_owned)));
    let reader = ClientReader { object, environment, place, client_id, timeout: timeout.unwrap_or(DEFAULT_TIMEOUT) };
    let authentication = layers.get("client_authentication").and_then(|node| reader.read_authentication(node));
    let (request, answer, authentication) = (request?, answer?, authentication?);
    let carries_itself = request.token_in == TokenIn::Authorization;
    if carries_itself && !matches!(authentication, ClientAuthentication::None | ClientAuthentication::Post { .. }) {
        object.note(
            "the token is in the Authorization header, and so are the credentials of our client",
            "write client_authentication: none or client_secret_post",
        );
        return None;
    }
    let authority = authority?;
    if authority.is_none() {
        object.note(
            "no Host can be derived for callouts from `issuer` or `cluster`",
            "set introspection.authority to the host that the server knows itself by",
        );
    }
    Some(Introspection {
        endpoint: Endpoint {
            cluster: place.cluster?.to_owned(),
            authority: authority?,
            path: path?,
            authentication,
            timeout: timeout?,
            request,
            answer,
        },
        max_ttl: max_ttl?,
        audience_required: layers.is_true("audience_required"),
    })
}

/// GitHub's path names our client.
fn with_client_id(node: &Node<'_>, path: String, client_id: Option<Option<&str>>) -> Option<String> {
    if !path.contains("{client_id}") {
        return Some(path);
    }
    let Some(client_id) = client_id? else {
        node.note("has {client_id} in it, and there is none", "set client_id");
        return None;
    };
    let encoded: String = form_urlencoded::byte_serialize(client_id.as_bytes()).collect();
    Some(path.replace("{client_id}", &encoded))
}

/// The presets, as a document.
struct Presets(Json);

impl Presets {
    fn load() -> Option<Self> {
        Json::parse(PRESETS.as_bytes()).ok().map(Self)
    }

    fn named<'n>(&self, node: &Node<'n>) -> Option<&'n str> {
        let name = node.string()?;
        if self.0.member(name).is_some() {
            return Some(name);
        }
        let Json::Object(known) = &self.0 else { return None };
        let known: Vec<&str> = known.iter().map(|(name, _)| name.as_str()).collect();
        node.note(format!("there is no preset `{}`", shown(name)), format!("known: {}", known.join(", ")));
        None
    }

    /// Problems of a preset are ours, not the operator's; a test reads them all.
    fn node<'a>(&'a self, name: &str, notes: &'a Notes) -> Option<Node<'a>> {
        self.0.member(name).map(|json| notes.root(json))
    }
}

/// What the configuration says, else the preset, else the preset that all others build on.
struct Layers<'o, 'p> {
    own: Option<Object<'o>>,
    preset: Option<Object<'p>>,
    base: Option<Object<'p>>,
}

impl<'o, 'p> Layers<'o, 'p>
where
    'p: 'o,
{
    /// The value that counts. What a preset has is as good as written by the operator.
    fn get(&self, key: &str) -> Option<&Node<'_>> {
        let own = self.own.as_ref().and_then(|object| object.optional(key));
        let preset = || self.preset.as_ref().and_then(|object| object.optional(key));
        let base = || self.base.as_ref().and_then(|object| object.optional(key));
        own.or_else(preset).or_else(base)
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.preset.as_ref()?.optional(key)?.text()
    }

    fn is_true(&self, key: &str) -> bool {
        self.preset.as_ref().and_then(|object| object.optional(key)).is_some_and(Node::is_true)
    }

    /// The layers of an object inside.
    fn inner(&self, key: &str, known: &'static [&'static str]) -> Option<Layers<'o, 'p>> {
        let own = match self.own.as_ref().and_then(|object| object.optional(key)) {
            None => None,
            Some(node) => Some(node.object(known)?),
        };
        let inner = |object: &Option<Object<'p>>| object.as_ref()?.optional(key)?.members();
        Some(Layers { own, preset: inner(&self.preset), base: inner(&self.base) })
    }
}

fn read_request(layers: &Layers<'_, '_>) -> Option<RequestDialect> {
    let method = layers.get("method")?.one_of(&[("GET", "GET"), ("POST", "POST")]);
    let token_in = layers.get("token_in")?.one_of(&TokenIn::WORDS);
    let token_parameter = layers.get("token_parameter")?.string();
    let parameters = layers.get("parameters").and_then(read_parameters);
    let accept = layers.get("accept")?.string().filter(|value| value.bytes().all(|b| matches!(b, b' '..=b'~')));
    if let (Some("GET"), Some(TokenIn::Form | TokenIn::Json)) = (method, token_in) {
        layers.get("token_in")?.note("a GET has no body", "write token_in: query or authorization, or method: POST");
        return None;
    }
    Some(RequestDialect {
        method: method?,
        token_in: token_in?,
        token_parameter: token_parameter?.to_owned(),
        parameters: parameters?,
        accept: accept?.to_owned(),
    })
}

/// Names and texts; none is fine, to send none of those that a preset has.
fn read_parameters(node: &Node<'_>) -> Option<Vec<(String, String)>> {
    let pairs: Option<Vec<_>> = node
        .free_members()?
        .into_iter()
        .map(|(name, value)| Some((name.to_owned(), value.string()?.to_owned())))
        .collect();
    pairs
}

fn read_answer(layers: &Layers<'_, '_>) -> Option<AnswerDialect> {
    let paths = |key: &str| layers.get(key).and_then(|node| node.each_if_any(read_claim_path));
    let texts = |key: &str| layers.get(key).and_then(|node| node.each_if_any(|node| node.string().map(str::to_owned)));
    let active = layers.get("active").and_then(|node| node.one_of(&Activity::WORDS));
    let invalid_statuses = layers.get("invalid_statuses").and_then(|node| node.each_if_any(read_invalid_status));
    let required_values = layers.get("required_values").and_then(read_required_values);
    let scope_commas =
        layers.get("scope_separators").and_then(|node| node.one_of(&[("space", false), ("space_or_comma", true)]));
    let rfc3339 = layers.get("times").and_then(|node| node.one_of(&[("unix", false), ("rfc3339", true)]));
    let (error_members, required_members) = (paths("error_members"), paths("required_members"));
    let refused_token_types = texts("refused_token_types");
    let (scope, client_id, owner) = (paths("scope"), paths("client_id"), paths("owner"));
    let (issuer, audience, roles) = (paths("issuer"), paths("audience"), paths("roles"));
    let (expires_at, expires_in, not_before) = (paths("expires_at"), paths("expires_in"), paths("not_before"));
    Some(AnswerDialect {
        active: active?,
        invalid_statuses: invalid_statuses?,
        error_members: error_members?,
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

pub(super) fn read_claim_path(node: &Node<'_>) -> Option<ClaimPath> {
    let text = node.string()?;
    let path = ClaimPath::parse(text);
    if path.is_none() {
        let hint = "names separated by dots, such as realm_access.roles; a dot inside a name is written \\.";
        node.note(format!("`{}` is no path of a claim", shown(text)), hint);
    }
    path
}

/// A status that speaks of the token: never a success with a body, nor the server's own trouble.
fn read_invalid_status(node: &Node<'_>) -> Option<u16> {
    let status = node.integer(204, 499)?;
    if status == 204 || status >= 400 {
        return u16::try_from(status).ok();
    }
    node.note(format!("`{status}` says nothing about a token"), "write 204 or a status from 400 to 499");
    None
}

fn read_required_values(node: &Node<'_>) -> Option<Vec<(ClaimPath, Vec<String>)>> {
    let read = |(name, value): (&str, Node<'_>)| {
        let Some(path) = ClaimPath::parse(name) else {
            value.note("is no path of a claim", "names separated by dots; a dot inside a name is written \\.");
            return None;
        };
        Some((path, value.each(|node| node.string().map(str::to_owned))?))
    };
    node.free_members()?.into_iter().map(read).collect()
}

/// Reads who we are.
struct ClientReader<'r, 'o> {
    object: &'r Object<'o>,
    environment: Environment<'r>,
    place: &'r Place<'r>,
    /// `None` if it is wrong, which has been said.
    client_id: Option<Option<&'r str>>,
    timeout: Duration,
}

/// The methods there are, and what each of them needs.
#[derive(Clone, Copy, PartialEq)]
enum Method {
    None,
    Basic,
    BasicRaw,
    Post,
    PrivateKeyJwt,
    Bearer,
}

const METHODS: [(&str, Method); 6] = [
    ("client_secret_basic", Method::Basic),
    ("client_secret_basic_raw", Method::BasicRaw),
    ("client_secret_post", Method::Post),
    ("private_key_jwt", Method::PrivateKeyJwt),
    ("bearer", Method::Bearer),
    ("none", Method::None),
];

impl ClientReader<'_, '_> {
    fn read_authentication(&self, node: &Node<'_>) -> Option<ClientAuthentication> {
        let method = node.one_of(&METHODS)?;
        if method == Method::Bearer {
            let endpoint = self.read_token_endpoint()?;
            return Some(ClientAuthentication::Bearer(Box::new(endpoint)));
        }
        if let Some(token) = self.object.optional("token") {
            token.note("has no use here", "remove it, or write client_authentication: bearer");
        }
        self.read_client(method)
    }

    /// The token endpoint that issues our own token.
    fn read_token_endpoint(&self) -> Option<TokenEndpoint> {
        let hint = "say where our own token is to be had: token: { path: /oauth2/token, scope: introspect }";
        let object = self.object.required("token", hint)?.object(TOKEN_KEYS)?;
        let path = object.required("path", "the path of the token endpoint").and_then(read_endpoint_path);
        let cluster = object.or_default("cluster", self.place.cluster, |node| read_cluster(node).map(Some));
        let authority = object.or_default("authority", None, |node| read_authority(node).map(Some));
        let scope = object.or_default("scope", None, |node| node.string().map(Some));
        let more = object.or_default("parameters", Vec::new(), read_parameters);
        let method = object.or_default("client_authentication", Method::Basic, |node| {
            node.one_of(&METHODS).filter(|method| {
                let usable = !matches!(method, Method::None | Method::Bearer);
                if !usable {
                    node.note(
                        "cannot obtain a token",
                        "write client_secret_basic, client_secret_post or private_key_jwt",
                    );
                }
                usable
            })
        });
        let authentication = self.read_client(method?);
        let mut parameters = vec![("grant_type".to_owned(), "client_credentials".to_owned())];
        parameters.extend(scope?.map(|scope| ("scope".to_owned(), scope.to_owned())));
        parameters.extend(more?);
        let known = self.object.optional("authority").and_then(Node::text).or(self.place.authority);
        Some(TokenEndpoint {
            cluster: cluster??.to_owned(),
            authority: authority?.or_else(|| known.map(str::to_owned))?,
            path: path?,
            authentication: authentication?,
            parameters,
            timeout: self.timeout,
        })
    }

    fn read_client(&self, method: Method) -> Option<ClientAuthentication> {
        let (needs_secret, needs_key) = match method {
            Method::None => (false, false),
            Method::Basic | Method::BasicRaw | Method::Post => (true, false),
            Method::PrivateKeyJwt => (false, true),
            Method::Bearer => return None,
        };
        for (key, needed) in [
            ("client_secret", needs_secret),
            ("client_secret_env", needs_secret),
            ("private_key", needs_key),
            ("private_key_env", needs_key),
            ("key_id", needs_key),
            ("assertion_audience", needs_key),
        ] {
            if let (Some(node), false) = (self.object.optional(key), needed) {
                node.note(
                    "has no use with this client_authentication",
                    "remove it, or choose the method that takes it",
                );
            }
        }
        if method == Method::None {
            return Some(ClientAuthentication::None);
        }
        if self.client_id == Some(None) {
            self.object.note("`client_id` is missing", "the client that this gateway is registered as at the server");
        }
        let secret = if needs_secret { self.read_secret("client_secret", "client_secret_env") } else { None };
        Some(match method {
            Method::Basic => ClientAuthentication::Basic(basic_authorization(self.client_id??, &secret?, true)),
            Method::BasicRaw => {
                if self.client_id??.contains(':') {
                    self.object.note(
                        "client_id has a colon, which HTTP Basic cannot carry as it is",
                        "write client_secret_basic",
                    );
                    return None;
                }
                ClientAuthentication::Basic(basic_authorization(self.client_id??, &secret?, false))
            }
            Method::Post => ClientAuthentication::Post {
                client_id: self.client_id??.to_owned(),
                client_secret: crate::token::Secret::new(secret?),
            },
            Method::PrivateKeyJwt => ClientAuthentication::PrivateKeyJwt(Box::new(self.read_assertion()?)),
            Method::None | Method::Bearer => return None,
        })
    }

    fn read_assertion(&self) -> Option<ClientAssertion> {
        let pem = self.read_secret("private_key", "private_key_env");
        let key_id = self.object.or_default("key_id", None, |node| node.string().map(Some));
        let audience = self.object.or_default("assertion_audience", self.place.issuer, |node| node.string().map(Some));
        if audience == Some(None) {
            self.object.note(
                "nobody is named whom client assertions are for",
                "set assertion_audience, or the issuer of the server",
            );
        }
        let key = SigningKey::from_pem(&pem?, key_id?);
        if key.is_none() {
            self.object.note(
                "the private key cannot be used",
                "PEM of a P-256 key in PKCS#8, or of an RSA key of 2048 to 4096 bits",
            );
        }
        Some(ClientAssertion { client_id: self.client_id??.to_owned(), audience: audience??.to_owned(), key: key? })
    }

    /// A secret in the document or in the environment.
    fn read_secret(&self, direct: &str, variable: &str) -> Option<String> {
        match (self.object.optional(direct), self.object.optional(variable)) {
            (Some(node), None) => node.string().map(str::to_owned),
            (None, Some(node)) => {
                let name = node.string()?;
                if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                    // Not shown: it may be the secret itself.
                    node.note(
                        "is no name of an environment variable",
                        "write the name of the variable here, not the secret",
                    );
                    return None;
                }
                let secret = (self.environment)(name).filter(|secret| !secret.is_empty());
                if secret.is_none() {
                    node.note(
                        format!("the environment variable {}is not set for the module", named(name)),
                        "set it where Envoy starts and name it in vm_config.environment_variables.host_env_keys",
                    );
                }
                secret
            }
            (Some(_), Some(_)) => {
                self.object.note(format!("has both `{direct}` and `{variable}`"), "keep one of them");
                None
            }
            (None, None) => {
                let what = direct.replace('_', " ");
                self.object.note(format!("has no {what}"), format!("set {variable} (or {direct})"));
                None
            }
        }
    }
}

/// The name of a variable, if it looks like one: it may be the secret itself, in the wrong place.
fn named(variable: &str) -> String {
    if variable.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_') && variable.len() <= 64 {
        format!("`{variable}` ")
    } else {
        String::new()
    }
}

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(1);
const MIN_TIMEOUT: Duration = Duration::from_millis(10);
const MAX_TIMEOUT: Duration = Duration::from_secs(30);
