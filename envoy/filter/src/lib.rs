//! The module that Envoy loads: bytes in, [`scopegate::Step`]s performed, nothing decided here.
//!
//! - `root`: configuration, once per worker
//! - `stream`: the context of one request; `request`: its way through the gate
//! - `flights`: callouts under way, and who waits for them
//! - `host`: the calls to Envoy, none of which may panic on what a client or a server sent
//! - `metrics`: what is counted
//! - `throttle`: how much is logged

#![expect(missing_docs, reason = "the entry point that the SDK's macro makes has none")]

mod flights;
mod host;
mod metrics;
mod request;
mod root;
mod stream;
mod throttle;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(proxy_wasm::types::LogLevel::Info);
    proxy_wasm::set_root_context(|id| Box::new(root::Root::new(id)));
}}
