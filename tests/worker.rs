//! Tests of the worker with a fake proxy: any order of events, without Envoy, in milliseconds.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs,
    reason = "a test stops by panicking"
)]

#[path = "worker/coalescing.rs"]
mod coalescing;
#[path = "worker/epochs.rs"]
mod epochs;
#[path = "worker/keys.rs"]
mod keys;
#[path = "worker/leases.rs"]
mod leases;
#[path = "worker/log_messages.rs"]
mod log_messages;
#[path = "worker/outages.rs"]
mod outages;
#[path = "worker/renewals.rs"]
mod renewals;
#[path = "worker/report_only.rs"]
mod report_only;
#[path = "worker/stale.rs"]
mod stale;

use std::time::Duration;

use scopegate_fake_proxy::{FakeWorker, Proxy};

const ACTIVE: &str = r#"{"active":true}"#;
const INACTIVE: &str = r#"{"active":false}"#;

/// Creates a worker with one authorization server. `server` and `more` are members of the server and of the
/// configuration.
fn worker(proxy: &Proxy, server: &str, more: &str) -> FakeWorker {
    proxy.worker(&format!(
        r#"{{"authorization_servers":[{{"name":"a","cluster":"c","audience":"any",{server}
            "introspection":{{"path":"/i","client_id":"g","client_secret":"s"}}}}],{more}
            "rules":[{{"name":"r","match":[{{"path":"/"}}],"require":{{"authenticated":true}}}},
                     {{"name":"v","match":[{{"path":"/view"}}],"require":{{"scope":"view"}}}}]}}"#
    ))
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
