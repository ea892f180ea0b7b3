//! The plugin configuration: a document in, a [`Config`] out, or every problem at once.
//!
//! After this border nothing asks again whether the configuration is valid.

mod apis;
mod client;
mod common;
mod dialect;
mod document;
mod endpoint;
mod errors;
mod introspection;
mod jwt;
mod plugin;
mod request_match;
mod requirement;
mod rules;
mod server_names;
mod servers;
mod structure;
#[cfg(test)]
mod tests;
mod upstream;

pub use document::{Problem, Problems};
pub use plugin::Config;
