//! The built module: what it can reach in the host is a closed list, so that a new power is a change somebody sees.
#![allow(clippy::expect_used, clippy::panic, missing_docs, reason = "a test stops by panicking")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use wasmparser::{Parser, Payload};

/// Everything the module may call. Those of `env` come with the traits of the SDK, whether they are called or not.
/// Of WASI there are the environment and the way to die: no clock, no randomness, no file, no socket.
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

#[test]
fn the_module_imports_what_it_always_did() {
    let path = std::env::var_os("SCOPEGATE_MODULE").map_or_else(|| "dist/scopegate.wasm".into(), PathBuf::from);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let module = std::fs::read(&path).unwrap_or_else(|_| panic!("no module at {}: run `make build`", path.display()));
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

/// `vectors` shows the tests what no one else should see; `cli` brings what is of no use in Envoy.
#[test]
fn the_module_has_no_feature_of_the_core() {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--package", "scopegate-filter", "--target", "wasm32-wasip1"])
        .args(["--prefix", "none", "--format", "{p}|{f}"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo");
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8_lossy(&tree.stdout);
    let core: Vec<_> = tree.lines().filter(|line| line.starts_with("scopegate v")).collect();
    let [core] = core.as_slice() else { panic!("the core is there once, not {core:?}") };
    assert!(core.ends_with('|'), "{core}");
}
