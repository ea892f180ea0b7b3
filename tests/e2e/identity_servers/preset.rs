//! One small configuration for identity servers that are asked by their preset.

use std::time::Duration;

use serde_json::{Value, json};

use crate::configurations::bookings_with;
use crate::support::*;

pub const LIMIT: Duration = Duration::from_secs(60);
pub const AUDIENCE: &str = "https://bookings.example.test/";

/// GET `/bookings` takes scope `view`; this client introspects by this preset, and these are further members of the
/// authorization server.
pub fn bookings(preset: &str, (client_id, client_secret): (&str, &str), members: &[(&str, Value)]) -> Value {
    let introspection =
        json!({ "preset": preset, "client_id": client_id, "client_secret": client_secret, "timeout": "5s" });
    let mut configuration = bookings_with("/authorization_servers/0/introspection", introspection);
    for (pointer, value) in members {
        let (parent, name) = pointer.rsplit_once('/').expect("a JSON pointer");
        let parent = configuration.pointer_mut(&format!("/authorization_servers/0{parent}")).expect("an object");
        parent[name] = value.clone();
    }
    configuration
}

#[track_caller]
pub fn status(envoy: &Envoy, token: &str) -> u16 {
    send(envoy.addr("main"), &Request::get("/bookings").bearer(token)).status
}

/// Nothing of what is secret may be in a log, however much is logged; these logs are at trace level.
#[track_caller]
pub fn assert_not_logged(envoy: &Envoy, secrets: &[&str]) {
    let log = envoy.log();
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        assert!(!log.contains(secret), "the log contains {secret}");
    }
}

#[track_caller]
pub fn assert_logged(envoy: &Envoy, line: &str) {
    wait_until(line, LIMIT, || envoy.log().contains(line));
}

/// For all that may pass, in the order of the requests.
pub fn client_ids(upstream: &Upstream) -> Vec<String> {
    upstream.requests().iter().filter_map(|request| request.header("x-auth-client-id")).collect()
}
