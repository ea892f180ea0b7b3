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
mod crash;
mod demo;
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
mod signatures;

use scopegate_cases::format;
use scopegate_cases::secrets;
use scopegate_test_support as support;
use scopegate_vectors as corpus;
