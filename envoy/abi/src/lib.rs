//! All headers of a message in one call to the host. The SDK copies every name and every value into memory of its own, which
//! costs more than all that is done with them, and panics on a name that is not UTF-8.
//!
//! All unsafe code of the project is here.

#[cfg(target_arch = "wasm32")]
mod header_map;
mod header_pairs;

#[cfg(target_arch = "wasm32")]
pub use header_map::header_map;
pub use header_pairs::header_pairs;
