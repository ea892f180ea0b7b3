//! The target of a request: method, authority, path and route, each with exactly one reading.

use super::authority::Authority;
use super::head::RequestHead;
use super::path::{Path, PathError, PathOptions};

/// What rules are matched against.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Target<'a> {
    pub(crate) method: &'a [u8],
    pub(crate) host: Authority,
    pub(crate) path: Path,
    pub(crate) route: Option<&'a [u8]>,
}

/// Why a request has no readable target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetError {
    /// The path could be read two ways, or is none.
    Path(PathError),
    /// The authority is not `host [":" port]`, or could be read two failover.
    Authority,
    /// With ports the request falls under another rule than without: Envoy and the application behind it may
    /// differ in whether a port belongs to the host.
    HostPort,
    /// Rules follow Envoy's routes, and the request carries an identity header that Envoy may have routed by.
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
