//! The presets of the identity servers that run here, with only the gateway's client added. Each preset knows the path,
//! the client authentication method, and the members of an introspection response for an access token.

use std::net::SocketAddr;

use serde_json::json;

use crate::support::fixtures::configurations::{bookings_with, gateway};
use crate::support::*;

/// What becomes of requests with these tokens.
#[track_caller]
fn statuses(preset: &str, addr: SocketAddr, (id, secret): (&str, &str), tokens: &[&str]) -> Vec<u16> {
    let introspection = json!({
        "preset": preset, "authority": addr.to_string(), "client_id": id, "client_secret": secret, "timeout": "5s",
    });
    let upstream = Upstream::start();
    let envoy =
        gateway(bookings_with("/authorization_servers/0/introspection", introspection), addr, &upstream).start();
    let status = |token: &&str| send(envoy.addr("main"), &Request::get("/bookings").bearer(token)).status;
    tokens.iter().map(status).collect()
}

#[test]
fn oidc_provider_by_its_preset() {
    let identity = OidcProvider::start();
    let (view, book) = (identity.client_credentials("view"), identity.client_credentials("book"));
    let client = (OidcProvider::GATEWAY_ID, OidcProvider::GATEWAY_SECRET);
    assert_eq!(statuses("oidc-provider", identity.addr(), client, &[&view, &book, "garbage"]), [200, 403, 401]);
}

#[test]
fn canaille_by_its_preset() {
    let identity = Canaille::start();
    let (view, book) = (identity.client_credentials("view"), identity.client_credentials("book"));
    // A secret that the server does not decode.
    let client = Canaille::ODD_GATEWAY;
    assert_eq!(statuses("canaille", identity.addr(), client, &[&view, &book, "garbage"]), [200, 403, 401]);
}

#[test]
fn django_oauth_toolkit_by_its_preset() {
    let identity = DjangoOauthToolkit::start();
    let (view, book) = (identity.client_credentials("view"), identity.client_credentials("book"));
    let client = (DjangoOauthToolkit::GATEWAY_ID, DjangoOauthToolkit::GATEWAY_SECRET);
    assert_eq!(statuses("django-oauth-toolkit", identity.addr(), client, &[&view, &book, "garbage"]), [200, 403, 401]);
}
