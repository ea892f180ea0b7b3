//! The head of a request, read once at the border: header bytes in, method, authority, path and credentials out.
//!
//! What could be read in two ways is refused here, so that no later reader has to choose.

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
