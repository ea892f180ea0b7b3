//! The target of a request: method, authority, path and route, each parsed unambiguously.

use super::authority::Authority;
use super::head::RequestHead;
use super::path::{Path, PathError, PathOptions};

/// The values that rules match.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Target<'a> {
    pub(crate) method: &'a [u8],
    pub(crate) host: Authority,
    pub(crate) path: Path,
    pub(crate) route: Option<&'a [u8]>,
}

/// Why a request target is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetError {
    /// The path is ambiguous or invalid.
    Path(PathError),
    /// The authority is not `host [":" port]`, or is ambiguous.
    Authority,
    /// The matching rule depends on whether ports are compared. Envoy and the upstream may differ in that.
    HostPort,
    /// Rules depend on Envoy's routes, and the filter removes a header by which Envoy may have selected the route.
    Route,
}

impl<'a> Target<'a> {
    pub(crate) fn parse(head: RequestHead<'a>, options: PathOptions) -> Result<Self, TargetError> {
        let path = head.first(":path").ok_or(TargetError::Path(PathError::Missing))?;
        Ok(Self {
            method: head.first(":method").unwrap_or_default(),
            host: Authority::parse(head.first(":authority").unwrap_or_default()).ok_or(TargetError::Authority)?,
            path: Path::parse(path, options).map_err(TargetError::Path)?,
            route: head.route,
        })
    }
}
