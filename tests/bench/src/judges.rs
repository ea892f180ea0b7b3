//! The Envoy filter configurations to compare: Scopegate and its alternatives.

use std::path::Path;

use serde_json::{Value, json};

use crate::Setting;
use crate::envoy::{filter, wasm};
use crate::services::Services;
use crate::tokens::{AUDIENCE, ISSUER, SCOPE};

/// Scopegate with a configuration, in a VM of its own.
pub(crate) fn scopegate(module: &Path, name: &str, configuration: &Value) -> Value {
    wasm(name, "scopegate", module, &configuration.to_string(), &[])
}

/// Scopegate without the host's help with signatures: all is verified in the module.
pub(crate) fn scopegate_alone(setting: &Setting, name: &str, configuration: &Value) -> Value {
    let allowed: serde_json::Map<String, Value> =
        CAPABILITIES.iter().map(|name| ((*name).to_owned(), json!({}))).collect();
    let more = [("capability_restriction_config", json!({ "allowed_capabilities": allowed }))];
    wasm(name, "scopegate", &setting.module, &configuration.to_string(), &more)
}

/// A configuration of Scopegate that judges JWTs of these algorithms: one rule, which demands a scope.
pub(crate) fn by_jwt(algorithms: &[&str], capacity: usize) -> Value {
    let server = json!({
        "name": "identity", "cluster": "identity", "issuer": ISSUER, "audience": [AUDIENCE],
        "jwt": { "jwks_path": "/keys", "algorithms": algorithms },
    });
    configuration(server, capacity, json!([bookings()]))
}

/// A configuration of Scopegate that asks for opaque tokens at a cluster.
pub(crate) fn by_introspection(cluster: &str, capacity: usize, rules: Value) -> Value {
    let server = json!({
        "name": "identity", "cluster": cluster, "issuer": ISSUER, "audience": [AUDIENCE],
        "introspection": { "path": "/introspect", "client_id": "gateway", "client_secret": "secret" },
    });
    configuration(server, capacity, rules)
}

fn configuration(server: Value, capacity: usize, rules: Value) -> Value {
    let cache = json!({ "capacity": capacity, "max_ttl": "1h", "inactive_ttl": "1h" });
    json!({ "authorization_servers": [server], "cache": cache, "rules": rules, "unknown_tokens": "unlimited" })
}

/// The rule under which most requests fall.
pub(crate) fn bookings() -> Value {
    json!({ "name": "Bookings", "match": [{ "path_prefix": "/bookings" }], "require": { "scope": SCOPE } })
}

/// The answer of an introspection endpoint (RFC 7662 §2.2) for a token that is good.
pub(crate) fn active_answer() -> Value {
    json!({
        "active": true, "scope": "openid profile view book", "client_id": "travel-agency", "username": "traveller",
        "sub": "6f9619ff-8b86-d011-b42d-00c04fc964ff", "iss": ISSUER, "aud": AUDIENCE, "token_type": "Bearer",
        "iat": 1_700_000_000, "exp": 4_000_000_000_u64,
    })
}

/// The filter of the bench with its word: `nothing` or `headers`.
pub(crate) fn bench_filter(setting: &Setting, word: &str) -> Value {
    wasm(&format!("bench_{word}"), "bench", &setting.filter, word, &[])
}

/// Envoy's own judge of JWTs, of issuer, audience, times and signature, but no scope; with a cache of this size.
pub(crate) fn jwt_authn(name: &str, keys: &Value, cache: Option<usize>) -> Value {
    let mut provider = json!({
        "issuer": ISSUER,
        "audiences": [AUDIENCE],
        "local_jwks": { "inline_string": keys.to_string() },
    });
    if let Some(size) = cache {
        provider["jwt_cache_config"] = json!({ "jwt_cache_size": size });
    }
    let message = "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication";
    let config = json!({
        "providers": { "identity": provider },
        "rules": [{ "match": { "prefix": "/bookings" }, "requires": { "provider_name": "identity" } }],
        "stat_prefix": format!("{name}."),
    });
    filter("envoy.filters.http.jwt_authn", message, config)
}

/// Envoy's question to a service, over gRPC.
pub(crate) fn ext_authz_grpc() -> Value {
    let service = json!({ "envoy_grpc": { "cluster_name": "authz_grpc" }, "timeout": "1s" });
    filter("envoy.filters.http.ext_authz", EXT_AUTHZ, json!({ "grpc_service": service, "transport_api_version": "V3" }))
}

/// Envoy's question to a service, over HTTP.
pub(crate) fn ext_authz_http(services: &Services) -> Value {
    let uri = json!({ "uri": format!("http://{}", services.http), "cluster": "authz_http", "timeout": "1s" });
    filter("envoy.filters.http.ext_authz", EXT_AUTHZ, json!({ "http_service": { "server_uri": uri } }))
}

/// A table of tokens in Lua.
pub(crate) fn lua(tokens: &[String]) -> Value {
    let entries: String = tokens.iter().map(|token| format!("[\"Bearer {token}\"] = true,\n")).collect();
    let code = format!("local good = {{\n{entries}}}\n{LUA}");
    let message = "envoy.extensions.filters.http.lua.v3.Lua";
    filter("envoy.filters.http.lua", message, json!({ "default_source_code": { "inline_string": code } }))
}

const LUA: &str = r#"
function envoy_on_request(handle)
  local authorization = handle:headers():get("authorization")
  if authorization == nil or not good[authorization] then
    handle:respond({ [":status"] = "401" }, "")
  end
end
"#;

const EXT_AUTHZ: &str = "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz";

/// Everything that the module and the SDK use of the host, but foreign functions.
const CAPABILITIES: &[&str] = &[
    "proxy_add_header_map_value",
    "proxy_close_stream",
    "proxy_continue_stream",
    "proxy_define_metric",
    "proxy_done",
    "proxy_get_buffer_bytes",
    "proxy_get_current_time_nanoseconds",
    "proxy_get_header_map_pairs",
    "proxy_get_header_map_value",
    "proxy_get_property",
    "proxy_get_shared_data",
    "proxy_http_call",
    "proxy_increment_metric",
    "proxy_log",
    "proxy_record_metric",
    "proxy_register_shared_queue",
    "proxy_enqueue_shared_queue",
    "proxy_dequeue_shared_queue",
    "proxy_on_queue_ready",
    "proxy_remove_header_map_value",
    "proxy_replace_header_map_value",
    "proxy_send_local_response",
    "proxy_set_effective_context",
    "proxy_set_property",
    "proxy_set_shared_data",
    "proxy_set_tick_period_milliseconds",
    "environ_get",
    "environ_sizes_get",
    "fd_write",
    "proc_exit",
    "random_get",
    "proxy_on_configure",
    "proxy_on_context_create",
    "proxy_on_delete",
    "proxy_on_done",
    "proxy_on_http_call_response",
    "proxy_on_log",
    "proxy_on_memory_allocate",
    "proxy_on_request_body",
    "proxy_on_request_headers",
    "proxy_on_request_trailers",
    "proxy_on_tick",
    "proxy_on_vm_start",
];
