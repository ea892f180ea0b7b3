//! The bookings API of the capability tests, requests to it, and how it refuses them.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::*;

/// For what has to come, however slow the machine is.
pub const LIMIT: Duration = Duration::from_secs(60);
/// What the identity server calls the bookings API.
pub const AUDIENCE: &str = "https://bookings.example.test/";
pub const SECRET_VARIABLE: &str = "GATEWAY_SECRET";

/// An authorization server of the configuration, reached through the cluster of the same name.
pub fn authorization_server(name: &str, identity: &OidcProvider) -> Value {
    json!({
        "name": name,
        "cluster": name,
        "issuer": identity.issuer(),
        "audience": [AUDIENCE],
        "introspection": {
            "path": OidcProvider::INTROSPECTION_PATH,
            "client_id": OidcProvider::GATEWAY_ID,
            "client_secret_env": SECRET_VARIABLE,
            "timeout": "5s",
        },
    })
}

/// The bookings API: three scopes of the identity server, each with its resources, and a public one.
pub fn bookings(identity: &OidcProvider) -> Value {
    json!({
        "authorization_servers": [authorization_server("identity", identity)],
        "realm": "bookings",
        "cache": { "capacity": 1000, "max_ttl": "60s", "inactive_ttl": "60s" },
        "rules": [
            {
                "name": "ViewTickets",
                "match": [
                    { "methods": ["GET"], "path": "/bookings" },
                    { "methods": ["GET"], "path": "/bookings/{id}" },
                ],
                "require": { "scope": "view" },
            },
            {
                "name": "BookTickets",
                "match": [{ "methods": ["POST"], "path": "/bookings" }],
                "require": { "scope": "book" },
            },
            {
                "name": "CancelTickets",
                "match": [{ "methods": ["DELETE"], "path": "/bookings/{id}" }],
                "require": { "scope": "cancel" },
            },
            { "name": "Health", "match": [{ "path": "/healthz" }], "public": true },
        ],
    })
}

/// The same with other values at some of its JSON pointers.
pub fn with(mut configuration: Value, changes: &[(&str, Value)]) -> Value {
    for (pointer, value) in changes {
        let (parent, key) = pointer.rsplit_once('/').expect("a JSON pointer");
        configuration.pointer_mut(parent).unwrap_or_else(|| panic!("nothing at {parent}"))[key] = value.clone();
    }
    configuration
}

/// An Envoy that still lacks its listeners.
pub fn gateway(identity: &OidcProvider, upstream: &Upstream) -> EnvoyBuilder {
    Envoy::builder()
        .cluster("identity", identity.addr())
        .upstream(upstream.addr())
        .env(SECRET_VARIABLE, OidcProvider::GATEWAY_SECRET)
}

pub fn list() -> Request {
    Request::get("/bookings")
}

pub fn get_one() -> Request {
    Request::get("/bookings/7")
}

pub fn book() -> Request {
    Request::post("/bookings", r#"{"to":"1985"}"#)
}

pub fn cancel() -> Request {
    Request::new("DELETE", "/bookings/7")
}

/// The status that the listener "main" answers to a request with this token.
#[track_caller]
pub fn status(envoy: &Envoy, request: Request, token: &str) -> u16 {
    send(envoy.addr("main"), &request.bearer(token)).status
}

/// How a request is refused.
#[derive(Clone, Copy, Debug)]
pub enum Refusal {
    NoToken,
    Malformed,
    BadToken,
    /// With the scope of the challenge.
    LacksScope(&'static str),
    NoRule,
    Ambiguous,
    Unavailable,
}

impl Refusal {
    /// Status, error, its description, challenge: the public contract, byte for byte.
    pub fn wire(self) -> (u16, &'static str, &'static str, Option<String>) {
        let (status, error, description) = match self {
            Self::NoToken => (401, "unauthorized", "An access token is required"),
            Self::Malformed => (400, "invalid_request", "The bearer credentials are malformed"),
            Self::BadToken => (401, "invalid_token", "The access token is not valid"),
            Self::LacksScope(_) => (403, "insufficient_scope", "The access token does not have the scope required"),
            Self::NoRule => (403, "access_denied", "The request is not allowed"),
            Self::Ambiguous => (400, "invalid_request", "The request target is ambiguous"),
            Self::Unavailable => (503, "temporarily_unavailable", "The request cannot be authorized at the moment"),
        };
        let realm = r#"Bearer realm="bookings""#;
        let full = format!(r#"{realm}, error="{error}", error_description="{description}""#);
        let challenge = match self {
            Self::NoToken => Some(realm.to_owned()),
            Self::Malformed | Self::BadToken => Some(full),
            Self::LacksScope(scope) => Some(format!(r#"{full}, scope="{scope}""#)),
            Self::NoRule | Self::Ambiguous | Self::Unavailable => None,
        };
        (status, error, description, challenge)
    }
}

#[track_caller]
pub fn assert_refused(response: &Response, refusal: Refusal) {
    let (status, error, description, challenge) = refusal.wire();
    assert_eq!(response.status, status, "{refusal:?}: {response:?}");
    assert_eq!(response.text(), format!(r#"{{"error":"{error}","error_description":"{description}"}}"#));
    assert_eq!(response.headers_named("content-type"), ["application/json"]);
    assert_eq!(response.headers_named("cache-control"), ["no-store"]);
    assert_eq!(response.headers_named("www-authenticate"), Vec::from_iter(challenge));
    assert_eq!(response.header("retry-after").is_some(), status == 503, "{response:?}");
}

/// Waits until the log gives this as the reason of a 401, which the caller is not told.
#[track_caller]
pub fn assert_reason(envoy: &Envoy, reason: &str) {
    let line = format!("refused with 401: {reason}");
    wait_until(&line, LIMIT, || envoy.log().contains(&line));
}

/// The same, telling the application the names of Axway's attributes: the client and the resource owner.
pub fn with_names(identity: &OidcProvider, changes: &[(&str, Value)]) -> Value {
    let headers = json!({ "headers": { "x-client": "client_id", "x-owner": "sub" } });
    with(with(bookings(identity), &[("/upstream", headers)]), changes)
}

/// Calls with a token, which must pass, and tells the client and the owner that the application was told.
#[track_caller]
pub fn named(envoy: &Envoy, upstream: &Upstream, token: &str) -> (String, String) {
    upstream.clear();
    assert_eq!(status(envoy, list(), token), 200);
    let [passed] = upstream.requests().try_into().expect("one request");
    (passed.headers_named("x-client").join("|"), passed.headers_named("x-owner").join("|"))
}

pub fn names(client: &str, owner: &str) -> (String, String) {
    (client.to_owned(), owner.to_owned())
}

/// What `act` comes to, done within `limit`. It is done again if it took longer: a machine may stand still for a while.
#[track_caller]
pub fn in_time<T>(limit: Duration, mut act: impl FnMut() -> T) -> T {
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let found = act();
        if start.elapsed() < limit {
            return found;
        }
    }
    panic!("{ROUNDS} times it took longer than {limit:?}");
}

const ROUNDS: usize = 8;
