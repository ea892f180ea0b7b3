//! Configuration of Envoy listeners and of the clusters behind them.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};

pub const FILTER: &str = "envoy.filters.http.wasm";

/// One route. Those of a listener are tried in order, before its catch-all.
#[derive(Clone, Debug)]
pub struct RouteSpec(Value);

impl RouteSpec {
    pub fn prefix(prefix: &str) -> Self {
        Self(json!({ "match": { "prefix": prefix }, "route": to_upstream() }))
    }

    pub fn path(path: &str) -> Self {
        Self(json!({ "match": { "path": path }, "route": to_upstream() }))
    }

    pub fn name(mut self, name: &str) -> Self {
        self.0["name"] = json!(name);
        self
    }

    pub fn without_filter(mut self) -> Self {
        self.0["typed_per_filter_config"] = json!({ FILTER: {
            "@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig",
            "disabled": true,
        } });
        self
    }

    pub fn direct_response(mut self, status: u16, body: &str) -> Self {
        self.0["direct_response"] = direct(status, body);
        self.0.as_object_mut().expect("an object").remove("route");
        self
    }

    /// Sets any other field of the route.
    pub fn field(mut self, name: &str, value: Value) -> Self {
        self.0[name] = value;
        self
    }
}

/// Configuration of one listener. The default sends every request to the upstream through a filter without
/// configuration.
#[derive(Clone, Debug, Default)]
pub struct ListenerSpec {
    pub(super) configuration: Option<Value>,
    routes: Vec<RouteSpec>,
    pub(super) direct_response: Option<Value>,
    http_filters: Vec<Value>,
    pub(super) access_log: Option<String>,
    manager_fields: Vec<(String, Value)>,
}

impl ListenerSpec {
    pub fn new() -> Self {
        Self::default()
    }

    /// The configuration of the filter, handed over as the text of this JSON.
    #[expect(clippy::needless_pass_by_value, reason = "callers write `json!` in place")]
    pub fn plugin(self, configuration: Value) -> Self {
        self.plugin_json(&configuration.to_string())
    }

    /// The configuration of the filter, handed over as this text.
    pub fn plugin_json(self, text: &str) -> Self {
        self.plugin_any("google.protobuf.StringValue", json!(text))
    }

    /// The configuration of the filter as any message type with a JSON form of its own, such as
    /// "google.protobuf.Struct", which Envoy hands over in protobuf's wire format.
    pub fn plugin_any(mut self, message: &str, value: Value) -> Self {
        let url = format!("type.googleapis.com/{message}");
        self.configuration = Some(json!({ "@type": url, "value": value }));
        self
    }

    pub fn route(mut self, route: RouteSpec) -> Self {
        self.routes.push(route);
        self
    }

    /// The catch-all answers by itself instead of going to the upstream.
    pub fn direct_response(mut self, status: u16, body: &str) -> Self {
        self.direct_response = Some(direct(status, body));
        self
    }

    /// An HTTP filter as Envoy spells it, behind ours; several come in this order.
    pub fn http_filter(mut self, name: &str, message: &str, mut config: Value) -> Self {
        config["@type"] = json!(format!("type.googleapis.com/{message}"));
        self.http_filters.push(json!({ "name": name, "typed_config": config }));
        self
    }

    /// For each request that ended, a line of this format in Envoy's log.
    pub fn access_log(mut self, format: &str) -> Self {
        self.access_log = Some(format!("{format}\n"));
        self
    }

    /// Sets any other field of the HTTP connection manager, such as `normalize_path`.
    pub fn manager_field(mut self, name: &str, value: Value) -> Self {
        self.manager_fields.push((name.to_owned(), value));
        self
    }
}

fn to_upstream() -> Value {
    json!({ "cluster": "upstream" })
}

fn direct(status: u16, body: &str) -> Value {
    json!({ "status": status, "body": { "inline_string": body } })
}

pub fn cluster(name: &str, addr: SocketAddr) -> Value {
    let address = json!({ "socket_address": { "address": addr.ip().to_string(), "port_value": addr.port() } });
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": address } }] }],
        },
    })
}

pub fn loopback() -> Value {
    json!({ "socket_address": { "address": "127.0.0.1", "port_value": 0 } })
}

/// Returns the configuration of a Wasm plugin (envoy.extensions.wasm.v3.PluginConfig).
pub fn wasm_config(vm_id: &str, module: &Path, environment: Value) -> Value {
    json!({
        "name": "scopegate",
        "root_id": "scopegate",
        "vm_config": {
            "vm_id": vm_id,
            "runtime": "envoy.wasm.runtime.v8",
            "code": { "local": { "filename": module.to_string_lossy() } },
            "environment_variables": environment,
        },
    })
}

/// The listener of this name; `filter` is the one of a test.
pub fn listener_json(name: &str, spec: &ListenerSpec, filter: Option<Value>) -> Value {
    let router = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router";
    let router = json!({ "name": "envoy.filters.http.router", "typed_config": { "@type": router } });
    let filters: Vec<_> = filter.into_iter().chain(spec.http_filters.iter().cloned()).chain([router]).collect();
    let mut catch_all = RouteSpec::prefix("/").name("catch-all").0;
    if let Some(answer) = &spec.direct_response {
        catch_all = json!({ "name": "catch-all", "match": { "prefix": "/" }, "direct_response": answer });
    }
    let routes: Vec<_> = spec.routes.iter().map(|route| route.0.clone()).chain([catch_all]).collect();
    let access_log = spec.access_log.iter().map(|format| {
        json!({
            "name": "envoy.access_loggers.stdout",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
                "log_format": { "text_format_source": { "inline_string": format } },
            },
        })
    });
    let mut manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "codec_type": "AUTO",
        "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
        "route_config": { "name": name, "virtual_hosts": [{ "name": name, "domains": ["*"], "routes": routes }] },
        "http_filters": filters,
        "access_log": access_log.collect::<Vec<_>>(),
    });
    for (name, value) in &spec.manager_fields {
        manager[name] = value.clone();
    }
    let manager = json!({ "name": "envoy.filters.network.http_connection_manager", "typed_config": manager });
    json!({ "name": name, "address": loopback(), "filter_chains": [{ "filters": [manager] }] })
}
