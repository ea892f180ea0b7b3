//! Checks the imports and exports of the built module against fixed lists, so that every new one shows up in review.
#![allow(clippy::expect_used, clippy::panic, missing_docs, reason = "a test stops by panicking")]

mod panics;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use wasmparser::{Parser, Payload};

/// The allowed imports. The traits of the SDK add those of `env`, whether the module calls them or not. Those of WASI
/// cover only environment variables and process exit: no clock, no randomness, no file, no socket.
const IMPORTS: &[&str] = &[
    "env.proxy_add_header_map_value",
    "env.proxy_call_foreign_function",
    "env.proxy_close_stream",
    "env.proxy_continue_stream",
    "env.proxy_define_metric",
    "env.proxy_dequeue_shared_queue",
    "env.proxy_done",
    "env.proxy_enqueue_shared_queue",
    "env.proxy_get_buffer_bytes",
    "env.proxy_get_current_time_nanoseconds",
    "env.proxy_get_header_map_pairs",
    "env.proxy_get_header_map_value",
    "env.proxy_get_property",
    "env.proxy_get_shared_data",
    "env.proxy_get_status",
    "env.proxy_grpc_call",
    "env.proxy_grpc_cancel",
    "env.proxy_grpc_close",
    "env.proxy_grpc_send",
    "env.proxy_grpc_stream",
    "env.proxy_http_call",
    "env.proxy_increment_metric",
    "env.proxy_log",
    "env.proxy_record_metric",
    "env.proxy_register_shared_queue",
    "env.proxy_remove_header_map_value",
    "env.proxy_replace_header_map_value",
    "env.proxy_resolve_shared_queue",
    "env.proxy_send_local_response",
    "env.proxy_set_buffer_bytes",
    "env.proxy_set_effective_context",
    "env.proxy_set_header_map_pairs",
    "env.proxy_set_property",
    "env.proxy_set_shared_data",
    "env.proxy_set_tick_period_milliseconds",
    "wasi_snapshot_preview1.environ_get",
    "wasi_snapshot_preview1.environ_sizes_get",
    "wasi_snapshot_preview1.fd_write",
    "wasi_snapshot_preview1.proc_exit",
    "wasi_snapshot_preview1.random_get",
];

fn module() -> Vec<u8> {
    let path = std::env::var_os("SCOPEGATE_MODULE").map_or_else(|| "dist/scopegate.wasm".into(), PathBuf::from);
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(path);
    std::fs::read(&path).unwrap_or_else(|_| panic!("no module at {}: run `make build`", path.display()))
}

#[test]
fn the_module_imports_what_it_always_did() {
    let module = module();
    let mut imports = BTreeSet::new();
    for payload in Parser::new(0).parse_all(&module) {
        if let Payload::ImportSection(section) = payload.expect("a valid module") {
            for import in section.into_imports() {
                let import = import.expect("a valid import");
                imports.insert(format!("{}.{}", import.module, import.name));
            }
        }
    }
    let expected: BTreeSet<String> = IMPORTS.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(imports, expected);
}

/// `vectors` exposes internals to the tests; `cli` adds code that Envoy does not need.
#[test]
fn the_module_has_no_feature_of_the_core() {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--package", "scopegate-wasm", "--target", "wasm32-wasip1"])
        .args(["--prefix", "none", "--format", "{p}|{f}"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .output()
        .expect("cargo");
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8_lossy(&tree.stdout);
    let core: Vec<_> = tree.lines().filter(|line| line.starts_with("scopegate v")).collect();
    let [core] = core.as_slice() else { panic!("the core is there once, not {core:?}") };
    assert!(core.ends_with('|'), "{core}");
}

/// Envoy enters the VM for each exported callback, on every request that the callback concerns.
#[test]
fn the_module_exports_no_callback_that_it_has_no_use_for() {
    let mut exports = BTreeSet::new();
    for payload in Parser::new(0).parse_all(&module()) {
        if let Payload::ExportSection(section) = payload.expect("a valid module") {
            exports.extend(section.into_iter().map(|export| export.expect("a valid export").name.to_owned()));
        }
    }
    let callbacks: Vec<&str> =
        exports.iter().map(String::as_str).filter(|name| name.starts_with("proxy_on_")).collect();
    let expected = [
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
    assert_eq!(callbacks, expected);
}
