//! The gateway's own credentials at an authorization server, from the document or from the environment.

use std::rc::Rc;
use std::time::Duration;

use super::common::Environment;
use super::diagnostics::Read;
use super::document::{Node, Object, all};
use super::endpoint::{Place, read_authority, read_endpoint_path, read_own_cluster};
use super::presets::read_parameters;
use crate::base::Secret;
use crate::jose::SigningKey;
use crate::server::{
    ClientAssertion, ClientAuthentication, EndpointAuthentication, TokenEndpoint, basic_authorization,
};

const TOKEN_KEYS: &[&str] = &["path", "cluster", "authority", "client_authentication", "scope", "parameters"];

/// Reads the credentials in `introspection`. Parts that were read before may have a reported problem.
pub(super) struct ClientReader<'r, 'o> {
    pub(super) object: &'r Object<'o>,
    pub(super) environment: Environment<'r>,
    pub(super) place: &'r Place<'r>,
    pub(super) client_id: Read<Option<&'r str>>,
    pub(super) authority: &'r Read<String>,
    pub(super) timeout: Read<Duration>,
}

/// The methods by which a client authenticates with its own credentials.
#[derive(Clone, Copy)]
enum Method {
    Basic,
    BasicRaw,
    Post,
    PrivateKeyJwt,
}

/// The methods that an introspection endpoint may accept.
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
    pub(super) fn read_authentication(&self, node: &Node<'_>) -> Read<EndpointAuthentication> {
        let method = node.one_of(&METHODS)?;
        if let (Some(token), EndpointMethod::None | EndpointMethod::Client(_)) = (self.object.get("token"), method) {
            token.report(
                "`token` has no effect with this client_authentication",
                "remove it, or write client_authentication: bearer",
            );
        }
        match method {
            EndpointMethod::ClientToken => {
                self.read_token_endpoint().map(|endpoint| EndpointAuthentication::ClientToken(Rc::new(endpoint)))
            }
            EndpointMethod::Client(method) => self.read_client(method, true).map(EndpointAuthentication::Client),
            EndpointMethod::None => {
                self.report_unused_credentials(false, false);
                Ok(EndpointAuthentication::None)
            }
        }
    }

    /// The endpoint that issues the gateway's own access token.
    fn read_token_endpoint(&self) -> Read<TokenEndpoint> {
        let hint = "set the endpoint that issues the gateway's own access token, as in token: { path: /oauth2/token, scope: introspect }";
        let object = self.object.required("token", hint, |node| node.object(TOKEN_KEYS))?;
        let hint = "set the path of the token endpoint, as in path: /oauth2/token";
        let method = object.or_default("client_authentication", Method::Basic, |node| match node.one_of(&METHODS)? {
            EndpointMethod::Client(method) => Ok(method),
            EndpointMethod::None | EndpointMethod::ClientToken => Err(node.report(
                "this method cannot obtain an access token",
                "expected one of: client_secret_basic, client_secret_basic_raw, client_secret_post, private_key_jwt",
            )),
        });
        let (path, clusters, authority, scope, more, authentication, timeout) = all((
            object.required("path", hint, |node| read_endpoint_path(node, "/oauth2/token")),
            object.get("cluster").map_or_else(|| self.place.clusters(), read_own_cluster),
            object.get("authority").map_or_else(|| self.authority.clone(), read_authority),
            object.optional("scope", |node| node.string("introspect")),
            object.or_default("parameters", Vec::new(), read_parameters),
            method.and_then(|method| self.read_client(method, false)),
            self.timeout,
        ))?;
        let mut parameters = vec![("grant_type".to_owned(), "client_credentials".to_owned())];
        parameters.extend(scope.map(|scope| ("scope".to_owned(), scope.to_owned())));
        parameters.extend(more);
        let is_elsewhere = object.get("cluster").is_some();
        Ok(TokenEndpoint { clusters, is_elsewhere, authority, path, authentication, parameters, timeout })
    }

    #[inline(never)]
    fn read_client(&self, method: Method, for_each_token: bool) -> Read<ClientAuthentication> {
        let needs_key = matches!(method, Method::PrivateKeyJwt);
        self.report_unused_credentials(!needs_key, needs_key);
        let client_id = self.client_id.and_then(|client_id| {
            let hint = "set the client id of the gateway at the server, as in client_id: gateway";
            client_id.ok_or_else(|| self.object.report("`client_id` is missing", hint))
        });
        let secret = || all((client_id, self.read_secret("client_secret", "client_secret_env")));
        match method {
            Method::Basic => {
                let (client_id, secret) = secret()?;
                Ok(ClientAuthentication::Basic(basic_authorization(client_id, &secret, true)))
            }
            Method::BasicRaw => {
                let (client_id, secret) = secret()?;
                if client_id.contains(':') {
                    return Err(self.object.report(
                        "HTTP Basic without encoding cannot carry the colon in client_id",
                        "write client_authentication: client_secret_basic",
                    ));
                }
                Ok(ClientAuthentication::Basic(basic_authorization(client_id, &secret, false)))
            }
            Method::Post => {
                let (client_id, secret) = secret()?;
                Ok(ClientAuthentication::Post { client_id: client_id.to_owned(), client_secret: Secret::new(secret) })
            }
            Method::PrivateKeyJwt => {
                let assertion = self.read_assertion(client_id)?;
                if for_each_token && assertion.key.is_slow() {
                    return Err(self.object.report(
                        "signing with an RSA key of more than 2048 bits would delay the proxy for every unknown token",
                        "use a P-256 key, or client_authentication: bearer with private_key_jwt for the token endpoint",
                    ));
                }
                Ok(ClientAuthentication::PrivateKeyJwt(Box::new(assertion)))
            }
        }
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
            if let (Some(node), false) = (self.object.get(key), needed) {
                let method = if key.starts_with("client_secret") { "client_secret_basic" } else { "private_key_jwt" };
                node.report(
                    format!("`{key}` has no effect with this client_authentication"),
                    format!("remove it, or write client_authentication: {method}"),
                );
            }
        }
    }

    fn read_assertion(&self, client_id: Read<&str>) -> Read<ClientAssertion> {
        let audience = self.object.optional("assertion_audience", |node| node.string("https://as.example.com"));
        let audience = audience.and_then(|audience| match audience.map_or(self.place.issuer, |own| Ok(Some(own)))? {
            Some(audience) => Ok(audience.to_owned()),
            None => Err(self.object.report(
                "client assertions have no audience",
                "set assertion_audience, or the server's issuer, such as https://as.example.com",
            )),
        });
        let key_id = self.object.optional("key_id", |node| node.string("key-1"));
        let key = self.read_secret("private_key", "private_key_env").and_then(|pem| {
            let key = SigningKey::from_pem(&pem, key_id.unwrap_or_default()).filter(SigningKey::can_sign);
            let hint = "expected PEM of a P-256 key in PKCS#8, or of an RSA key of 2048 to 4096 bits, such as \"-----BEGIN PRIVATE KEY-----…\"";
            key.ok_or_else(|| self.object.report("the private key is invalid", hint))
        });
        let (client_id, audience, key, _) = all((client_id, audience, key, key_id))?;
        Ok(ClientAssertion { client_id: client_id.to_owned(), audience, key })
    }

    /// A secret in the document or in the environment. No message shows it.
    #[inline(never)]
    fn read_secret(&self, direct: &str, variable: &str) -> Read<String> {
        let (secret, example) = match direct {
            "private_key" => ("-----BEGIN PRIVATE KEY-----…", "GATEWAY_KEY"),
            _ => ("gateway-secret", "GATEWAY_SECRET"),
        };
        match (self.object.get(direct), self.object.get(variable)) {
            (Some(node), None) => node.string(secret).map(str::to_owned),
            (None, Some(node)) => {
                let name = node.string(example)?;
                if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                    // Not shown: it may be the secret itself.
                    return Err(node.report(
                        "invalid name of an environment variable",
                        format!("write the name of the variable, such as {example}, instead of the secret"),
                    ));
                }
                (self.environment)(name).filter(|secret| !secret.is_empty()).ok_or_else(|| {
                    node.report(
                        format!("the environment variable {}is not set for the module", shown(name)),
                        "set it where Envoy starts, and name it in vm_config.environment_variables.host_env_keys",
                    )
                })
            }
            (Some(_), Some(_)) => Err(self.object.report(
                format!("`{direct}` and `{variable}` exclude each other"),
                format!("remove one of them; keep {variable} to keep the secret out of the configuration"),
            )),
            (None, None) => Err(self.object.report(
                format!("`{variable}` is missing"),
                format!("name the environment variable that holds it, as in {variable}: {example}, or set {direct}"),
            )),
        }
    }
}

/// The name of a variable if it looks like one, with a space: it may be the secret itself, in the wrong place.
fn shown(variable: &str) -> String {
    if variable.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_') && variable.len() <= 64 {
        format!("`{variable}` ")
    } else {
        String::new()
    }
}
