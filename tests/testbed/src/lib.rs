//! What every measurement stands on: an Envoy, the keys and tokens of an authorization server that is nowhere, and a
//! page that says on which machine it was.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "nobody but the developer depends on a measurement, and one that fails says so"
)]

pub mod cpu;
pub mod envoy;
pub mod page;
pub mod tokens;
