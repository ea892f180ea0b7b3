//! Refusals: the responses to requests that do not pass.

mod content_type;
mod profile;
mod reply;
mod template;
#[cfg(test)]
mod tests;
mod vendors;

pub(crate) use content_type::ContentType;
pub(crate) use profile::{DemandedScope, ErrorProfile, Response};
pub use reply::Reply;
pub(crate) use template::{Template, TemplateError};
pub(crate) use vendors::Vendor;
