//! The head of a request.

/// The head of a request: every header in order, including pseudo-headers.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// Names in lower case, as in HTTP/2 and Envoy, and the bytes of their values.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// The name of the Envoy route; needed only if [`Worker::needs_route`](crate::Worker::needs_route) returns `true`.
    pub route: Option<&'a [u8]>,
    /// Whether a body may follow.
    pub has_body: bool,
}

impl<'a> RequestHead<'a> {
    pub(crate) fn values(self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.headers.iter().filter(move |(held, _)| *held == name).map(|(_, value)| *value)
    }

    pub(super) fn first(self, name: &str) -> Option<&'a [u8]> {
        self.values(name).next()
    }
}
