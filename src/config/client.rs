//! Who we are to an authorization server: the credentials of our client, in the document or in the environment.

use std::rc::Rc;
use std::time::Duration;

use super::common::Environment;
use super::dialect::read_parameters;
use super::document::{Node, Object};
use super::endpoint::{Place, read_authority, read_endpoint_path, read_own_cluster};
use crate::base::Secret;
use crate::jose::SigningKey;
use crate::server::{
    ClientAssertion, ClientAuthentication, EndpointAuthentication, TokenEndpoint, basic_authorization,
};

const TOKEN_KEYS: &[&str] = &["path", "cluster", "authority", "client_authentication", "scope", "parameters"];

/// Reads who we are out of `introspection`.
pub(super) struct ClientReader<'r, 'o> {
    pub(super) object: &'r Object<'o>,
    pub(super) environment: Environment<'r>,
    pub(super) place: &'r Place<'r>,
    /// `None` if it is wrong, which has been said.
    pub(super) client_id: Option<Option<&'r str>>,
    pub(super) timeout: Duration,
}

/// The methods by which a client authenticates with credentials of its own.
#[derive(Clone, Copy)]
enum Method {
    Basic,
    BasicRaw,
    Post,
    PrivateKeyJwt,
}

/// The methods that an introspection endpoint may take.
#[derive(Clone, Copy)]
enum EndpointMethod {
    None,
    Client(Method),
    ClientToken,
}

const METHODS: [(&str, EndpointMethod); 6] = [
    ("client_secret_basic", EndpointMethod::Client(Method::Basic)),
    ("client_secret_basic_raw", EndpointMethod::Client(Method::BasicRaw)),
    ("client_secret_post", EndpointMethod::Client(Method::Post)),
    ("private_key_jwt", EndpointMethod::Client(Method::PrivateKeyJwt)),
    ("bearer", EndpointMethod::ClientToken),
    ("none", EndpointMethod::None),
];

impl ClientReader<'_, '_> {
    pub(super) fn read_authentication(&self, node: &Node<'_>) -> Option<EndpointAuthentication> {
        let method = node.one_of(&METHODS)?;
        if let (Some(token), EndpointMethod::None | EndpointMethod::Client(_)) = (self.object.optional("token"), method)
        {
            token.report("has no use here", "remove it, or write client_authentication: bearer");
        }
        match method {
            EndpointMethod::ClientToken => {
                self.read_token_endpoint().map(|endpoint| EndpointAuthentication::ClientToken(Rc::new(endpoint)))
            }
            EndpointMethod::Client(method) => self.read_client(method, true).map(EndpointAuthentication::Client),
            EndpointMethod::None => {
                self.report_unused_credentials(false, false);
                Some(EndpointAuthentication::None)
            }
        }
    }

    /// The token endpoint that issues our own token.
    fn read_token_endpoint(&self) -> Option<TokenEndpoint> {
        let hint = "say where our own token is to be had: token: { path: /oauth2/token, scope: introspect }";
        let object = self.object.required("token", hint)?.object(TOKEN_KEYS)?;
        let path = object.required("path", "the path of the token endpoint").and_then(read_endpoint_path);
        let clusters = object.or_default("cluster", self.place.clusters(), |node| read_own_cluster(node).map(Some));
        let authority = object.or_default("authority", None, |node| read_authority(node).map(Some));
        let scope = object.or_default("scope", None, |node| node.string().map(Some));
        let more = object.or_default("parameters", Vec::new(), read_parameters);
        let method = object.or_default("client_authentication", Method::Basic, |node| match node.one_of(&METHODS)? {
            EndpointMethod::Client(method) => Some(method),
            EndpointMethod::None | EndpointMethod::ClientToken => {
                node.report(
                    "cannot obtain a token",
                    "write client_secret_basic, client_secret_post or private_key_jwt",
                );
                None
            }
        });
        let authentication = self.read_client(method?, false);
        let mut parameters = vec![("grant_type".to_owned(), "client_credentials".to_owned())];
        parameters.extend(scope?.map(|scope| ("scope".to_owned(), scope.to_owned())));
        parameters.extend(more?);
        let known = self.object.optional("authority").and_then(Node::text).or(self.place.authority);
        Some(TokenEndpoint {
            clusters: clusters??,
            is_elsewhere: object.optional("cluster").is_some(),
            authority: authority?.or_else(|| known.map(str::to_owned))?,
            path: path?,
            authentication: authentication?,
            parameters,
            timeout: self.timeout,
        })
    }

    fn read_client(&self, method: Method, for_each_token: bool) -> Option<ClientAuthentication> {
        let needs_key = matches!(method, Method::PrivateKeyJwt);
        let needs_secret = !needs_key;
        self.report_unused_credentials(needs_secret, needs_key);
        if self.client_id == Some(None) {
            self.object.report("`client_id` is missing", "the client that this gateway is registered as at the server");
        }
        let secret = if needs_secret { self.read_secret("client_secret", "client_secret_env") } else { None };
        Some(match method {
            Method::Basic => ClientAuthentication::Basic(basic_authorization(self.client_id??, &secret?, true)),
            Method::BasicRaw => {
                if self.client_id??.contains(':') {
                    self.object.report(
                        "client_id has a colon, which HTTP Basic cannot carry as it is",
                        "write client_secret_basic",
                    );
                    return None;
                }
                ClientAuthentication::Basic(basic_authorization(self.client_id??, &secret?, false))
            }
            Method::Post => ClientAuthentication::Post {
                client_id: self.client_id??.to_owned(),
                client_secret: Secret::new(secret?),
            },
            Method::PrivateKeyJwt => {
                let assertion = self.read_assertion()?;
                if for_each_token && assertion.key.is_slow() {
                    self.object.report(
                        "an RSA key of more than 2048 bits would hold up the proxy for each unknown token",
                        "use a P-256 key, or client_authentication: bearer with private_key_jwt for the token endpoint",
                    );
                    return None;
                }
                ClientAuthentication::PrivateKeyJwt(Box::new(assertion))
            }
        })
    }

    fn report_unused_credentials(&self, needs_secret: bool, needs_key: bool) {
        for (key, needed) in [
            ("client_secret", needs_secret),
            ("client_secret_env", needs_secret),
            ("private_key", needs_key),
            ("private_key_env", needs_key),
            ("key_id", needs_key),
            ("assertion_audience", needs_key),
        ] {
            if let (Some(node), false) = (self.object.optional(key), needed) {
                node.report(
                    "has no use with this client_authentication",
                    "remove it, or choose the method that takes it",
                );
            }
        }
    }

    fn read_assertion(&self) -> Option<ClientAssertion> {
        let pem = self.read_secret("private_key", "private_key_env");
        let key_id = self.object.or_default("key_id", None, |node| node.string().map(Some));
        let audience = self.object.or_default("assertion_audience", self.place.issuer, |node| node.string().map(Some));
        if audience == Some(None) {
            self.object.report(
                "nobody is named whom client assertions are for",
                "set assertion_audience, or the issuer of the server",
            );
        }
        let key = SigningKey::from_pem(&pem?, key_id?).filter(SigningKey::can_sign);
        if key.is_none() {
            self.object.report(
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
                    node.report(
                        "is no name of an environment variable",
                        "write the name of the variable here, not the secret",
                    );
                    return None;
                }
                let secret = (self.environment)(name).filter(|secret| !secret.is_empty());
                if secret.is_none() {
                    node.report(
                        format!("the environment variable {}is not set for the module", named(name)),
                        "set it where Envoy starts and name it in vm_config.environment_variables.host_env_keys",
                    );
                }
                secret
            }
            (Some(_), Some(_)) => {
                self.object.report(format!("has both `{direct}` and `{variable}`"), "keep one of them");
                None
            }
            (None, None) => {
                let what = direct.replace('_', " ");
                self.object.report(format!("has no {what}"), format!("set {variable} (or {direct})"));
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
