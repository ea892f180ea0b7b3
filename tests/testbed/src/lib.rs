//! Shared by all measurements: an Envoy, the keys and tokens of a fictitious authorization server, and a
//! page that describes the machine.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "only developers run the measurement, and a panic reports the failure"
)]

pub mod cpu;
pub mod envoy;
pub mod page;
pub mod tokens;
