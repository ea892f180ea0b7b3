//! The head of a request, parsed once: method, authority, path and credentials.
//!
//! Ambiguous values are rejected here, so that the policy and the upstream cannot interpret them differently.

mod authority;
mod credentials;
mod head;
mod header_edit;
mod header_name;
mod path;
mod preflight;
mod target;

pub(crate) use authority::Authority;
pub(crate) use credentials::{CredentialsError, DEFAULT_MAX_TOKEN_BYTES, TokenLocations};
pub use head::RequestHead;
pub use header_edit::HeaderEdit;
pub(crate) use header_name::HeaderName;
pub(crate) use path::{Path, PathError, PathOptions, PathSegment};
pub(crate) use preflight::requested_method;
pub(crate) use target::{Target, TargetError};
