//! `authorization_servers`: who answers for tokens, and which of its answers count.

use std::time::Duration;

use super::document::{Node, Object, shown};
use super::read_name;
use crate::introspection::{Endpoint, basic_authorization};
use crate::request::Host;

/// An authorization server.
#[derive(Debug)]
pub(crate) struct AuthorizationServer {
    pub(crate) name: String,
    /// What an `iss` in an answer must equal, if this is set.
    pub(crate) issuer: Option<String>,
    pub(crate) audience: Audience,
    pub(crate) introspection: Endpoint,
}

/// Which audiences (RFC 7662 §2.2 `aud`) are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// Every one, and none. Said in the configuration, never implied.
    Any,
    /// A token must be meant for one of these.
    OneOf(Vec<String>),
}

pub(super) fn read(node: &Node<'_>, environment: &dyn Fn(&str) -> Option<String>) -> Option<Vec<AuthorizationServer>> {
    let servers = node.each(|node| read_server(node, environment));
    node.note_duplicate_names("authorization server");
    servers
}

fn read_server(node: &Node<'_>, environment: &dyn Fn(&str) -> Option<String>) -> Option<AuthorizationServer> {
    let object = node.object(&["name", "cluster", "issuer", "audience", "introspection"])?;
    let name = read_name(&object, "name the server; rules and logs refer to it");
    let cluster = object.required("cluster", "name the Envoy cluster that leads to the server").and_then(Node::string);
    let issuer = object.or_default("issuer", None, |node| Some(Some(node.string()?.to_owned())));
    let audience = object
        .required("audience", "write `any`, or list the audiences that tokens must be meant for")
        .and_then(read_audience);
    let introspection = object
        .required("introspection", "say how tokens are introspected: path, client_id and client_secret_env")
        .and_then(|node| read_introspection(node, environment));
    let (cluster, issuer, introspection) = (cluster?, issuer?, introspection?);
    // The Host of a callout: what the server knows itself by.
    let authority = introspection
        .authority
        .or_else(|| issuer.as_deref().and_then(authority_of))
        .or_else(|| host_of_cluster(cluster));
    if authority.is_none() {
        object.note(
            "no Host can be derived for callouts from `issuer` or `cluster`",
            "set introspection.authority to the host that the server knows itself by",
        );
    }
    Some(AuthorizationServer {
        name: name?,
        audience: audience?,
        introspection: Endpoint {
            cluster: cluster.to_owned(),
            authority: authority?,
            path: introspection.path,
            authorization: introspection.authorization,
            timeout: introspection.timeout,
            required_members: introspection.required_members,
        },
        issuer,
    })
}

fn read_audience(node: &Node<'_>) -> Option<Audience> {
    if node.is_list() {
        return node.each(|node| node.string().map(str::to_owned)).map(Audience::OneOf);
    }
    match node.string()? {
        "any" => Some(Audience::Any),
        other => {
            node.note(format!("`{}` stands alone", shown(other)), format!("write any, or a list: [{}]", shown(other)));
            None
        }
    }
}

struct Introspection {
    path: String,
    authority: Option<String>,
    authorization: crate::token::Secret,
    timeout: Duration,
    required_members: Vec<String>,
}

const INTROSPECTION_KEYS: &[&str] =
    &["path", "authority", "client_id", "client_secret", "client_secret_env", "timeout", "required_members"];

fn read_introspection(node: &Node<'_>, environment: &dyn Fn(&str) -> Option<String>) -> Option<Introspection> {
    let object = node.object(INTROSPECTION_KEYS)?;
    let path = object
        .required("path", "the path of the introspection endpoint, such as /oauth2/introspect")
        .and_then(read_endpoint_path);
    let authority = object.or_default("authority", None, |node| read_authority(node).map(Some));
    let client_id = object
        .required("client_id", "the client that this gateway is registered as at the server")
        .and_then(Node::string);
    let client_secret = read_client_secret(&object, environment);
    let timeout = object.or_default("timeout", DEFAULT_TIMEOUT, |node| node.duration(MIN_TIMEOUT, MAX_TIMEOUT));
    let required_members =
        object.or_default("required_members", Vec::new(), |node| node.each(|node| node.string().map(str::to_owned)));
    Some(Introspection {
        path: path?,
        authority: authority?,
        authorization: basic_authorization(client_id?, &client_secret?),
        timeout: timeout?,
        required_members: required_members?,
    })
}

fn read_endpoint_path(node: &Node<'_>) -> Option<String> {
    let path = node.string()?;
    if path.starts_with('/') && path.bytes().all(|b| b.is_ascii_graphic() && b != b'#') {
        return Some(path.to_owned());
    }
    node.note(
        format!("`{}` is no path", shown(path)),
        "start it with /, without scheme and host: the cluster leads to the server",
    );
    None
}

fn read_authority(node: &Node<'_>) -> Option<String> {
    let authority = node.string()?;
    if is_authority(authority) {
        return Some(authority.to_owned());
    }
    node.note(format!("`{}` is no authority", shown(authority)), "write host or host:port");
    None
}

fn read_client_secret(object: &Object<'_>, environment: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    match (object.optional("client_secret"), object.optional("client_secret_env")) {
        (Some(node), None) => node.string().map(str::to_owned),
        (None, Some(node)) => {
            let variable = node.string()?;
            if !variable.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                // Not shown: it may be the secret itself.
                node.note(
                    "is no name of an environment variable",
                    "write the name of the variable here, not the secret",
                );
                return None;
            }
            let secret = environment(variable).filter(|secret| !secret.is_empty());
            if secret.is_none() {
                node.note(
                    format!("the environment variable {}is not set for the module", named(variable)),
                    "set it where Envoy starts and name it in vm_config.environment_variables.host_env_keys",
                );
            }
            secret
        }
        (Some(_), Some(_)) => {
            object.note("has both `client_secret` and `client_secret_env`", "keep one of them");
            None
        }
        (None, None) => {
            object.note("has no client secret", "set client_secret_env (or client_secret)");
            None
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

/// `host[:port]` of an absolute URI.
fn authority_of(uri: &str) -> Option<String> {
    let (_, rest) = uri.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next().filter(|authority| !authority.is_empty())?;
    is_authority(authority).then(|| authority.to_owned())
}

/// The name of a cluster if it is a host; Istio's `outbound|443||as.example.com` ends with one.
fn host_of_cluster(cluster: &str) -> Option<String> {
    cluster.rsplit('|').next().filter(|host| is_authority(host)).map(str::to_owned)
}

fn is_authority(text: &str) -> bool {
    Host::parse(text.as_bytes()).is_some_and(|host| !host.name().is_empty())
}

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(1);
const MIN_TIMEOUT: Duration = Duration::from_millis(10);
const MAX_TIMEOUT: Duration = Duration::from_secs(30);
