//! Removes unused callbacks from the exports of the module.
//!
//! The SDK exports every callback, and Envoy calls every exported one. Each response, its body and its trailers would
//! cost a call into the VM that does nothing.

use std::env::args;
use std::fs;

use anyhow::{Context, Result, bail};
use wasm_encoder::reencode::{Error, Reencode, RoundtripReencoder, utils};
use wasm_encoder::{ExportSection, Module};
use wasmparser::{ExportSectionReader, Parser};

fn main() -> Result<()> {
    let [from, to] = args()
        .skip(1)
        .collect::<Vec<_>>()
        .try_into()
        .ok()
        .context("expected two arguments: input file, output file")?;
    let module = fs::read(&from).with_context(|| format!("`{from}` cannot be read"))?;
    let mut strip = StripCallbacks { kept: Vec::new() };
    let mut stripped = Module::new();
    strip
        .parse_core_module(&mut stripped, Parser::new(0), &module)
        .with_context(|| format!("`{from}` is not a WebAssembly module"))?;
    if let Some(missing) = CALLBACKS.iter().find(|name| !strip.kept.contains(&(**name).to_owned())) {
        bail!("`{from}` does not export the required callback `{missing}`: was it built from envoy/wasm?");
    }
    fs::write(&to, stripped.finish()).with_context(|| format!("`{to}` cannot be written"))
}

struct StripCallbacks {
    kept: Vec<String>,
}

impl Reencode for StripCallbacks {
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

/// The callbacks that Envoy may call: those that `envoy/wasm` implements, and those that the SDK requires.
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
