//! One small configuration for the tests whose subject is not the configuration.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::support::{Envoy, EnvoyBuilder, OidcProvider, Upstream};

/// An Envoy with this configuration between an identity server and an upstream.
pub fn gateway(configuration: Value, identity_server: SocketAddr, upstream: &Upstream) -> EnvoyBuilder {
    Envoy::builder().plugin(configuration).cluster("identity_server", identity_server).upstream(upstream.addr())
}

/// GET `/bookings` takes scope `view`, `/healthz` is public. The scripted server answers at any path.
pub fn bookings() -> Value {
    json!({
        "authorization_servers": [{
            "name": "main", "cluster": "identity_server", "audience": "any",
            "introspection": {
                "path": "/token/introspection", "client_id": OidcProvider::GATEWAY_ID,
                "client_secret": OidcProvider::GATEWAY_SECRET, "timeout": "5s",
            },
        }],
        "upstream": { "headers": { "x-auth-client-id": "client_id" } },
        "realm": "bookings",
        "log": "refusals",
        "rules": [
            { "name": "View", "match": [{ "methods": ["GET"], "path": "/bookings" }], "require": { "scope": "view" } },
            { "name": "Health", "match": [{ "path": "/healthz" }], "public": true },
        ],
    })
}

/// [`bookings`] with the value at `pointer` replaced.
pub fn bookings_with(pointer: &str, value: Value) -> Value {
    let mut configuration = bookings();
    *configuration.pointer_mut(pointer).unwrap_or_else(|| panic!("nothing at {pointer}")) = value;
    configuration
}
