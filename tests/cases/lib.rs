//! The decision cases, and the secrets that nothing may show.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    clippy::unreachable,
    missing_docs,
    reason = "a test stops by panicking"
)]

pub mod format;
pub mod secrets;
