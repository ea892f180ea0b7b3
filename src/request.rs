//! The head of a request, read once at the border: header bytes in, method, host and path out.
//!
//! What could be read in two ways is refused here, so that no later reader has to choose.

mod host;
mod pairs;
mod path;

pub(crate) use host::Host;
pub use pairs::header_pairs;
pub use path::PathError;
pub(crate) use path::{Path, PathOptions, PathSegment};

/// The head of a request as the proxy has it: every header in order, pseudo-headers included.
#[derive(Clone, Copy, Debug)]
pub struct RawHead<'a> {
    /// Names in lower case, as HTTP/2 and Envoy spell them, with the bytes of their values.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// The name of the Envoy route, if [`Gate::needs_route`](crate::Gate::needs_route) asked for it.
    pub route: Option<&'a [u8]>,
    /// Whether a body follows, or may.
    pub has_body: bool,
}

impl<'a> RawHead<'a> {
    pub(crate) fn values(self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.headers.iter().filter(move |(held, _)| *held == name).map(|(_, value)| *value)
    }

    fn first(self, name: &str) -> Option<&'a [u8]> {
        self.values(name).next()
    }
}

/// What rules are matched against.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Target<'a> {
    pub(crate) method: &'a [u8],
    pub(crate) host: Host,
    pub(crate) path: Path,
    pub(crate) route: Option<&'a [u8]>,
}

/// Why a request has no readable target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetError {
    /// The path could be read two ways, or is none.
    Path(PathError),
    /// The authority is not `host [":" port]`, or could be read two ways.
    Host,
    /// With ports the request falls under another rule than without: Envoy and the application behind it may
    /// differ in whether a port belongs to the host.
    HostPort,
    /// Rules follow Envoy's routes, and the request carries an identity header that Envoy may have routed by.
    Route,
}

impl<'a> Target<'a> {
    pub(crate) fn parse(head: RawHead<'a>, options: PathOptions) -> Result<Self, TargetError> {
        let path = head.first(":path").ok_or(TargetError::Path(PathError::Missing))?;
        Ok(Self {
            method: head.first(":method").unwrap_or_default(),
            host: Host::parse(head.first(":authority").unwrap_or_default()).ok_or(TargetError::Host)?,
            path: Path::parse(path, options).map_err(TargetError::Path)?,
            route: head.route,
        })
    }
}
