//! The proxy-wasm host: turns the callbacks of Envoy into events of a [`scopegate::Worker`], and performs its
//! decisions.
//!
//! - `root`: the root context, one per worker thread and plugin; it reads configurations and owns every callout
//! - `stream`: the context of one request
//! - `generation`: the worker of one configuration, and its waiting requests
//! - `host`: the calls to Envoy; none of them panics on data of a client or server
//! - `metrics`: counters and gauges

#![expect(missing_docs, reason = "the entry point that the SDK's macro generates has no docs")]

mod generation;
mod host;
mod metrics;
mod root;
mod stream;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(proxy_wasm::types::LogLevel::Info);
    proxy_wasm::set_root_context(|id| Box::new(root::Root::new(id)));
}}
