//! Takes callbacks that Scopegate has no use for out of the module.
//!
//! The SDK exports every callback there is, and Envoy calls each that is exported: an entry into the VM for every
//! response, its body and its trailers, to do nothing. What is not exported is not called.

use std::env::args;
use std::fs;

use anyhow::{Context, Result, bail};
use wasm_encoder::reencode::{Error, Reencode, RoundtripReencoder, utils};
use wasm_encoder::{ExportSection, Module};
use wasmparser::{ExportSectionReader, Parser};

fn main() -> Result<()> {
    let [from, to] = args().skip(1).collect::<Vec<_>>().try_into().ok().context("name two files: from, to")?;
    let module = fs::read(&from).with_context(|| format!("`{from}` cannot be read"))?;
    let mut trim = Trim { kept: Vec::new() };
    let mut trimmed = Module::new();
    trim.parse_core_module(&mut trimmed, Parser::new(0), &module).with_context(|| format!("`{from}` is no module"))?;
    if let Some(missing) = CALLBACKS.iter().find(|name| !trim.kept.contains(&(**name).to_owned())) {
        bail!("`{from}` does not export `{missing}`, which Scopegate needs");
    }
    fs::write(&to, trimmed.finish()).with_context(|| format!("`{to}` cannot be written"))
}

struct Trim {
    kept: Vec<String>,
}

impl Reencode for Trim {
    type Error = std::convert::Infallible;

    fn parse_export_section(
        &mut self,
        exports: &mut ExportSection,
        section: ExportSectionReader<'_>,
    ) -> Result<(), Error<Self::Error>> {
        for export in section {
            let export = export?;
            if !export.name.starts_with("proxy_on_") || CALLBACKS.contains(&export.name) {
                self.kept.push(export.name.to_owned());
                utils::parse_export(&mut RoundtripReencoder, exports, export)?;
            }
        }
        Ok(())
    }
}

/// What Envoy may call: what `envoy/wasm` implements, and what the SDK needs to know for itself.
const CALLBACKS: &[&str] = &[
    "proxy_on_configure",
    "proxy_on_context_create",
    "proxy_on_delete",
    "proxy_on_http_call_response",
    "proxy_on_memory_allocate",
    "proxy_on_queue_ready",
    "proxy_on_request_body",
    "proxy_on_request_headers",
    "proxy_on_request_trailers",
    "proxy_on_tick",
    "proxy_on_vm_start",
];
