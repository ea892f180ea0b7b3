//! The gates that the hostile corpus meets: what they protect, and the settings of the Envoys around them.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::support::{Envoy, EnvoyBuilder, ListenerSpec, RouteSpec, Script, ScriptedServer};

/// Tokens, the clients they are of, and their scopes. Every other token is inactive.
pub const TOKENS: [(&str, &str, &str); 3] =
    [("view", "viewer", "view"), ("admin", "boss", "view admin"), ("weak", "weakling", "other")];

/// Headers by which the upstream learns who calls, and what of the token they tell.
pub const IDENTITY: [(&str, &str); 2] = [("x-auth-client-id", "client_id"), ("x-auth-scope", "scope")];

/// Everything beside the protected places is public: a path that hides one of them passes, unless it is refused.
pub const OPEN: &str = "open";
/// What no rule names is refused.
const LISTED: &str = "listed";

/// How an Envoy treats requests, and which gate it has.
pub struct Settings {
    pub name: &'static str,
    gate: &'static str,
    manager: fn() -> Value,
}

/// All of them; each is a listener of its name.
pub const SETTINGS: [Settings; 6] = [
    // Envoy's defaults.
    Settings { name: "plain", gate: OPEN, manager: || json!({}) },
    Settings { name: "listed", gate: LISTED, manager: || json!({}) },
    // The two variants that SECURITY.md recommends.
    Settings { name: "hardened", gate: OPEN, manager: || hardened("REJECT_REQUEST", "REJECT_REQUEST") },
    Settings { name: "redirecting", gate: OPEN, manager: || hardened("UNESCAPE_AND_REDIRECT", "DROP_HEADER") },
    // Envoy maps several spellings to one path.
    Settings { name: "unescaping", gate: OPEN, manager: || hardened("UNESCAPE_AND_FORWARD", "ALLOW") },
    Settings { name: "generous", gate: OPEN, manager: generous },
];

impl Settings {
    /// Whether the application may read paths without regard to case: not where a public rule stands behind a
    /// protected one, as the README says.
    pub fn may_fold_case(&self) -> bool {
        self.gate == LISTED
    }

    pub fn listener(&self) -> ListenerSpec {
        let mut listener = ListenerSpec::new().plugin(configuration(self.gate));
        // A connection that is to be closed is so at once: it changes nothing but the time that this takes.
        listener = listener.manager_field("delayed_close_timeout", json!("0.01s"));
        for (name, value) in (self.manager)().as_object().expect("fields") {
            listener = listener.manager_field(name, value.clone());
        }
        if self.name == "generous" {
            // Not terminated here: a CONNECT that passes goes on as one.
            let upgrade = json!({ "cluster": "upstream", "upgrade_configs": [{ "upgrade_type": "CONNECT" }] });
            let connect = RouteSpec::prefix("/").field("match", json!({ "connect_matcher": {} }));
            listener = listener.route(connect.field("route", upgrade));
        }
        listener
    }
}

fn hardened(escaped_slashes: &str, underscores: &str) -> Value {
    json!({
        "normalize_path": true,
        "merge_slashes": true,
        "path_with_escaped_slashes_action": escaped_slashes,
        "common_http_protocol_options": { "headers_with_underscores_action": underscores },
        "use_remote_address": true,
        "strip_any_host_port": true,
    })
}

/// Envoy lets through whatever it can be told to.
fn generous() -> Value {
    json!({
        "upgrade_configs": [{ "upgrade_type": "CONNECT" }, { "upgrade_type": "websocket" }],
        "http_protocol_options": {
            "accept_http_10": true,
            "allow_chunked_length": true,
            "allow_custom_methods": true,
            "enable_trailers": true,
            "override_stream_error_on_invalid_http_message": true,
        },
        "http2_protocol_options": { "allow_connect": true, "override_stream_error_on_invalid_http_message": true },
        "max_request_headers_kb": 8192,
    })
}

pub fn configuration(gate: &str) -> Value {
    let mut rules = vec![
        json!({ "name": "Console", "match": [{ "hosts": ["console.example.test"], "path_prefix": "/" }],
            "require": { "scope": "admin" } }),
        json!({ "name": "Admin", "match": [{ "path_prefix": "/admin" }], "require": { "scope": "admin" } }),
        json!({ "name": "Bookings", "match": [{ "methods": ["GET", "HEAD"], "path_prefix": "/bookings" }],
            "require": { "scope": "view" } }),
        json!({ "name": "Change", "match": [{ "path_prefix": "/bookings" }], "require": { "scope": "admin" } }),
        json!({ "name": "Members", "match": [{ "path_prefix": "/public/members" }], "require": { "scope": "view" } }),
        json!({ "name": "Public", "match": [{ "path_prefix": "/public" }], "public": true }),
    ];
    if gate == OPEN {
        rules.push(json!({ "name": "Everything", "match": [{ "path_prefix": "/" }], "public": true }));
    }
    json!({
        "authorization_servers": [{
            "name": "main", "cluster": "identity_server", "audience": "any",
            "introspection": { "path": "/introspect", "client_id": "gateway", "client_secret": "s3cret",
                "timeout": "3s" },
        }],
        "upstream": { "headers": serde_json::Map::from_iter(IDENTITY.map(|(name, of)| (name.to_owned(), json!(of)))) },
        "realm": "hostile",
        "log": "refusals",
        "rules": rules,
    })
}

/// Knows the [`TOKENS`].
pub fn identity_server() -> ScriptedServer {
    ScriptedServer::start(|call| {
        let token = TOKENS.iter().find(|(token, ..)| call.form_value("token") == Some(token));
        Script::json(match token {
            Some((_, client, scope)) => json!({ "active": true, "client_id": client, "scope": scope }),
            None => json!({ "active": false }),
        })
    })
}

/// An Envoy between the two. The upstream is to get trailers, too; the identity server gets each question on a
/// connection of its own, so that none meets the end of the answer before.
pub fn envoy(upstream: SocketAddr, identity_server: SocketAddr) -> EnvoyBuilder {
    let trailers = json!({ "explicit_http_config": { "http_protocol_options": { "enable_trailers": true } } });
    let one = json!({
        "common_http_protocol_options": { "max_requests_per_connection": 1 },
        "explicit_http_config": { "http_protocol_options": {} },
    });
    let clusters = [("upstream", upstream, trailers), ("identity_server", identity_server, one)];
    let clusters = clusters.map(|(name, addr, mut options)| {
        options["@type"] = json!("type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions");
        let socket = json!({ "address": addr.ip().to_string(), "port_value": addr.port() });
        let endpoint = json!({ "endpoint": { "address": { "socket_address": socket } } });
        json!({
            "name": name,
            "type": "STATIC",
            "typed_extension_protocol_options": {
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options,
            },
            "load_assignment": { "cluster_name": name, "endpoints": [{ "lb_endpoints": [endpoint] }] },
        })
    });
    Envoy::builder().wasm_log_level("info").concurrency(1).extra_clusters(json!(clusters))
}
