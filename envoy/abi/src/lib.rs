//! Reads all headers of a message in one call to the host. The SDK allocates every name and value separately, which
//! costs more than the handling of a cache hit, and panics on a name that is not UTF-8.
//!
//! This crate contains all unsafe code of the project.

#[cfg(target_arch = "wasm32")]
mod header_map;
mod header_pairs;

#[cfg(target_arch = "wasm32")]
pub use header_map::header_map;
pub use header_pairs::header_pairs;
