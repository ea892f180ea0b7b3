//! What Scopegate is measured against: a filter that does nothing, and one that only reads what every filter of
//! tokens has to read. Its plugin configuration is the one word `nothing` or `headers`.

#![expect(missing_docs, reason = "the entry point that the SDK's macro makes has none")]

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, MapType};

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(Root { reads: false }));
}}

struct Root {
    reads: bool,
}

impl Context for Root {}

impl RootContext for Root {
    /// Refuses any other word, so that a typing error does not measure the wrong filter.
    fn on_configure(&mut self, _size: usize) -> bool {
        match self.get_plugin_configuration().as_deref() {
            Some(b"nothing") => self.reads = false,
            Some(b"headers") => self.reads = true,
            _ => return false,
        }
        true
    }

    fn create_http_context(&self, _id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream { reads: self.reads }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Stream {
    reads: bool,
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _num_headers: usize, _end_of_stream: bool) -> Action {
        if self.reads {
            for name in [":method", ":path", "authorization"] {
                // The host call is made, and paid for, whatever becomes of the value.
                let _ = hostcalls::get_map_value_bytes(MapType::HttpRequestHeaders, name);
            }
        }
        Action::Continue
    }
}
