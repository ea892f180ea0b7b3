//! Interoperability: identity servers that are Debian packages, Glewlwyd and SimpleSAMLphp. They take root to install, so
//! they are a suite of their own; `make test-interop` runs it.
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
#![allow(dead_code, reason = "what it shares with the end-to-end tests is more than it needs")]

mod capabilities;
mod identity_servers;
mod jwt;

use scopegate_test_support as support;
