//! The context of one request: what Envoy tells it, handed on.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;
use scopegate::{Gate, Reply, RequestHead, header_pairs};

use crate::host;
use crate::request::Request;
use crate::root::Shared;

pub(crate) struct Stream {
    id: u32,
    shared: Rc<Shared>,
    /// `None` while there is no configuration, or one that was refused.
    request: Option<Request>,
}

impl Stream {
    pub(crate) fn new(id: u32, shared: Rc<Shared>, configured: Option<(Rc<Gate>, u64)>) -> Self {
        let request = configured.map(|(gate, generation)| Request::new(id, Rc::clone(&shared), gate, generation));
        Self { id, shared, request }
    }

    fn action(&self) -> Action {
        if self.request.as_ref().is_some_and(Request::has_passed) { Action::Continue } else { Action::Pause }
    }
}

impl HttpContext for Stream {
    /// The whole way of a request whose token this worker knows. It calls the host
    /// - once for all headers: a second Authorization header would be invisible to a getter by name, and so would an
    ///   identity header in another spelling;
    /// - once for each header that is removed: the credentials are not the application's;
    /// - once for the time: `exp` is checked on each hit;
    /// - once for each header or filter state that the configuration has set.
    fn on_http_request_headers(&mut self, _num_headers: usize, end_of_stream: bool) -> Action {
        let Some(request) = &self.request else {
            self.shared.answer(&Reply::misconfigured());
            return self.action();
        };
        let gate = request.gate();
        let headers = host::request_headers();
        #[cfg(feature = "crash")]
        crash(headers.as_deref());
        // Without any the request has no path, and is refused.
        let headers = headers.as_deref().and_then(header_pairs).unwrap_or_default();
        let has_body = !end_of_stream;
        host::edit_request_headers(&gate.cleaning(RequestHead { headers: &headers, route: None, has_body }));
        let route = if gate.needs_route() { host::route_name() } else { None };
        let head = RequestHead { headers: &headers, route: route.as_deref(), has_body };
        request.perform(gate.begin(head, host::now()));
        self.action()
    }

    /// Envoy holds the body back while the headers wait, unless the plugin is configured with
    /// `allow_on_headers_stop_iteration`: then a body that continued would take the headers with it.
    fn on_http_request_body(&mut self, _body_size: usize, _end_of_stream: bool) -> Action {
        self.action()
    }

    /// Some applications merge trailers into the headers, so they are cleaned like these.
    fn on_http_request_trailers(&mut self, _num_trailers: usize) -> Action {
        if let Some(request) = &self.request {
            let trailers = host::request_trailers();
            let Some(trailers) = trailers.as_deref().and_then(header_pairs) else {
                self.shared.answer(&Reply::misconfigured());
                return Action::Pause;
            };
            let head = RequestHead { headers: &trailers, route: None, has_body: false };
            host::edit_request_trailers(&request.gate().cleaning(head));
        }
        self.action()
    }
}

/// Does what a bug would.
#[cfg(feature = "crash")]
#[expect(clippy::panic, reason = "that is what it is for")]
fn crash(headers: Option<&[u8]>) {
    let headers = headers.and_then(header_pairs).unwrap_or_default();
    if headers.iter().any(|(name, _)| *name == "x-crash") {
        panic!("asked to");
    }
}

impl Context for Stream {}

/// Envoy has ended the stream: a callback for that would be one more entry into the VM for every request.
impl Drop for Stream {
    fn drop(&mut self) {
        self.shared.flights.leave(self.id);
    }
}
