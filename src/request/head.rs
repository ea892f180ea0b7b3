//! The head of a request as the proxy has it.

/// The head of a request as the proxy has it: every header in order, pseudo-headers included.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// Names in lower case, as HTTP/2 and Envoy spell them, with the bytes of their values.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// The name of the Envoy route, if [`Worker::needs_route`](crate::Worker::needs_route) asks for it.
    pub route: Option<&'a [u8]>,
    /// Whether a body follows, or may.
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
