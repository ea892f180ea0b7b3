//! What a refused client sees.

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
