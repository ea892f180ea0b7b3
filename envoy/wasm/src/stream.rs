//! The context of one request: passes its headers to the worker, and holds the request until it may pass.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;
use scopegate::RequestHead;
use scopegate_abi::header_pairs;

use crate::generation::{Generation, Passed, Shared};
use crate::host;

pub(crate) struct Stream {
    id: u32,
    shared: Rc<Shared>,
    /// The configuration that this request began with; `None` if there was none.
    generation: Option<Generation>,
    passed: Passed,
}

impl Stream {
    pub(crate) fn new(id: u32, shared: Rc<Shared>, generation: Option<Generation>) -> Self {
        Self { id, shared, generation, passed: Passed::default() }
    }

    fn action(&self) -> Action {
        if self.passed.get() { Action::Continue } else { Action::Pause }
    }
}

impl HttpContext for Stream {
    /// The complete handling of a request with a cached token. It calls the host
    /// - once for all headers: a getter by name hides a second Authorization header, and aliases of identity headers;
    /// - once for each header that is removed: the upstream must not get the credentials;
    /// - once for the time: `exp` is checked on each cache hit;
    /// - once for each header or filter state that the configuration sets.
    fn on_http_request_headers(&mut self, _num_headers: usize, end_of_stream: bool) -> Action {
        let headers = host::request_headers();
        #[cfg(feature = "crash")]
        crash(headers.as_deref());
        // Without headers the request has no path, and is refused.
        let headers = headers.as_deref().and_then(header_pairs).unwrap_or_default();
        let head = RequestHead { headers: &headers, route: None, has_body: !end_of_stream };
        let Some((generation, edits)) =
            self.generation.as_ref().and_then(|generation| Some((generation, generation.clean(head)?)))
        else {
            host::refuse();
            return Action::Pause;
        };
        host::edit_request_headers(&edits);
        let needs_route = generation.with(|worker| worker.needs_route()).unwrap_or_default();
        let route = if needs_route { host::route_name() } else { None };
        let head = RequestHead { route: route.as_deref(), ..head };
        generation.on_request(self.id, head, &self.passed, &self.shared);
        self.action()
    }

    /// Envoy holds the body while the headers are held, unless the plugin is configured with
    /// `allow_on_headers_stop_iteration`: then a body that continues would release the headers as well.
    fn on_http_request_body(&mut self, _body_size: usize, _end_of_stream: bool) -> Action {
        self.action()
    }

    /// Some upstreams merge trailers into the headers, so trailers are cleaned in the same way.
    fn on_http_request_trailers(&mut self, _num_trailers: usize) -> Action {
        let trailers = host::request_trailers();
        let cleaned = trailers.as_deref().and_then(header_pairs).and_then(|trailers| {
            let head = RequestHead { headers: &trailers, route: None, has_body: false };
            let edits = self.generation.as_ref()?.clean(head)?;
            host::edit_request_trailers(&edits);
            Some(())
        });
        if cleaned.is_none() {
            host::refuse();
            return Action::Pause;
        }
        self.action()
    }
}

/// Panics, as a bug would.
#[cfg(feature = "crash")]
#[expect(clippy::panic, reason = "the tests need a module that panics")]
fn crash(headers: Option<&[u8]>) {
    let headers = headers.and_then(header_pairs).unwrap_or_default();
    if headers.iter().any(|(name, _)| *name == "x-crash") {
        panic!("header x-crash");
    }
}

impl Context for Stream {}

/// Envoy has ended the stream. Another callback for this event would cost an additional call into the VM for every
/// request.
impl Drop for Stream {
    fn drop(&mut self) {
        if let Some(generation) = &self.generation {
            generation.on_stream_end(self.id, &self.shared);
        }
    }
}
