//! End-to-end tests: a real Envoy, a real identity server, real sockets.
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

mod capabilities;
mod cases;
mod coalescing;
mod configurations;
#[path = "../vectors/corpus.rs"]
mod corpus;
mod crash;
mod demo;
#[path = "../cases/format.rs"]
mod format;
mod harness;
mod hostile;
mod identity_servers;
mod jwt;
mod leaks;
mod operation;
mod outage;
mod presets;
mod protocols;
mod report_only;
mod revocation;
#[path = "../cases/secrets.rs"]
mod secrets;
mod signatures;
mod support;
