//! Identity servers of Debian packages, by their presets.

mod glewlwyd;
#[path = "../e2e/identity_servers/own_token.rs"]
mod own_token;

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::fixtures::configurations::gateway;
use crate::support::fixtures::preset::*;
use crate::support::*;

/// Where `own_token` is tried.
fn server_that_takes_tokens(access_token_ttl: u64) -> own_token::Server {
    let glewlwyd = Glewlwyd::with_access_token_ttl(access_token_ttl);
    own_token::Server {
        endpoints: glewlwyd.endpoints(),
        front: ScriptedServer::in_front_of(glewlwyd.endpoints().addr, |json| json),
        upstream: Upstream::start(),
        preset: "glewlwyd",
        scope: "introspect",
        gateway: Glewlwyd::ODD_GATEWAY,
        method: "client_secret_basic_raw",
        refusal: 401,
        _process: Box::new(glewlwyd),
    }
}
