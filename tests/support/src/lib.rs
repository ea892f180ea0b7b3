//! Support library of the end-to-end tests. All functions block, so a test is a plain `#[test]`. Every wait is bounded.
//! Every server and process ends when its value is dropped, also when a test panics.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    clippy::unreachable,
    missing_docs,
    unreachable_pub,
    reason = "a test stops by panicking"
)]

mod envoy;
pub mod fixtures;
mod http;
mod identity;
mod latch;
mod scripted;
mod upstream;
mod watchdog;
mod wire;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

pub use envoy::{Envoy, EnvoyBuilder, ListenerSpec, RouteSpec, envoy_binary, overridable};
pub use http::{Abort, Connection, Http2Client, Pending, Request, load, send, send_and_abort, try_send};
pub use identity::{
    Arrival, Browser, Canaille, Client, DjangoOauthToolkit, Endpoints, Glewlwyd, LoggingServer, Login, OidcProvider,
    ServerProcess, SigningKey, SimpleSamlPhp, Tokens, forged, jwt_parts, tokens_of, unix_time,
};
pub use latch::{Latch, Rendezvous};
pub use scripted::{Script, ScriptedServer};
pub use upstream::Upstream;
pub use wire::{Headers, Recorded, Response};

/// Tries until `probe` has an answer; gives up with `what` after `limit`.
pub fn try_wait<T>(what: &str, limit: Duration, mut probe: impl FnMut() -> Option<T>) -> Result<T, String> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = probe() {
            return Ok(found);
        }
        if Instant::now() > deadline {
            return Err(format!("waited {limit:?} in vain for {what}"));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until `done`, or fails the test with `what` after `limit`.
#[track_caller]
pub fn wait_until(what: &str, limit: Duration, mut done: impl FnMut() -> bool) {
    if let Err(error) = try_wait(what, limit, || done().then_some(())) {
        panic!("{error}");
    }
}

/// Waits until the condition holds on all workers. Connections are distributed over the workers at random, so it takes
/// many of them to reach every worker.
#[track_caller]
pub fn wait_until_everywhere(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) {
    wait_until(what, limit, || (0..32).all(|_| holds()));
}

/// A file of this repository.
pub fn in_repository(path: impl AsRef<Path>) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// The servers inside this process run on one runtime, shared by all tests.
pub fn runtime() -> &'static tokio::runtime::Runtime {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
    })
}
