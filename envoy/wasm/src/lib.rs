//! The proxy-wasm host: turns the callbacks of Envoy into events of a [`scopegate::Worker`], and performs its decisions.
//!
//! - `root`: one context per worker thread and plugin; it reads configurations and owns every callout
//! - `stream`: the context of one request
//! - `generation`: the worker of one configuration, and the requests of it that wait
//! - `host`: the calls to Envoy, none of which panics on what a client or a server has sent
//! - `metrics`: counters and gauges

#![expect(missing_docs, reason = "the entry point that the SDK's macro makes has none")]

mod generation;
mod host;
mod metrics;
mod root;
mod stream;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(proxy_wasm::types::LogLevel::Info);
    proxy_wasm::set_root_context(|id| Box::new(root::Root::new(id)));
}}
