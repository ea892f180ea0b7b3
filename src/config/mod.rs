//! The plugin configuration: reads a document and returns a [`Config`], or every problem at once.
//!
//! The code behind a [`Config`] does not validate again.

mod apis;
mod applications;
mod client;
mod common;
mod consistency;
mod diagnostics;
mod dialect;
mod document;
mod endpoint;
mod errors;
mod introspection;
mod jwt;
mod plugin;
mod presets;
mod request_match;
mod requirement;
mod rules;
mod server_names;
mod servers;
mod structure;
#[cfg(test)]
mod tests;
mod upstream;
mod wording;

pub use diagnostics::{Problem, Problems};
pub use plugin::Config;
