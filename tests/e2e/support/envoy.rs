//! A real Envoy in front of the servers of a test.

use std::collections::BTreeMap;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::http::{Request, send, try_send};
use super::{in_repository, try_wait};

const START_LIMIT: Duration = Duration::from_secs(20);
const FILTER: &str = "envoy.filters.http.wasm";
/// How much of the log a failure shows.
const TAIL_LINES: usize = 60;
/// The module hands over what it has counted several times in this time.
const COUNTED: Duration = Duration::from_millis(250);

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

/// What one listener does; the default passes everything to the upstream through a filter without configuration.
#[derive(Clone, Debug, Default)]
pub struct ListenerSpec {
    configuration: Option<Value>,
    routes: Vec<RouteSpec>,
    direct_response: Option<Value>,
    http_filters: Vec<Value>,
    access_log: Option<String>,
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

fn cluster(name: &str, addr: SocketAddr) -> Value {
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

/// Stands where `plugin_yaml` puts its alias.
const PLUGIN_ALIAS: &str = "*plugin";

#[derive(Clone, Debug)]
pub struct EnvoyBuilder {
    listeners: Vec<(String, ListenerSpec)>,
    clusters: Vec<Value>,
    extra_listeners: Vec<Value>,
    env: BTreeMap<String, String>,
    host_env: BTreeMap<String, String>,
    vm_id: String,
    wasm_fields: Vec<(String, Value)>,
    concurrency: usize,
    wasm_log_level: String,
    filter: bool,
    module: PathBuf,
    dynamic: bool,
    plugin_yaml: Option<String>,
}

impl EnvoyBuilder {
    /// A listener; one of the same name is replaced. `plugin`, `route` and `direct_response` of the builder are about
    /// the listener "main".
    pub fn listener(mut self, name: &str, spec: ListenerSpec) -> Self {
        self.listeners.retain(|(other, _)| other != name);
        self.listeners.push((name.to_owned(), spec));
        self
    }

    fn main(self, change: impl FnOnce(ListenerSpec) -> ListenerSpec) -> Self {
        let spec = self.listeners.iter().find(|(name, _)| name == "main").map(|(_, spec)| spec.clone());
        self.listener("main", change(spec.unwrap_or_default()))
    }

    pub fn plugin(self, configuration: Value) -> Self {
        self.main(|spec| spec.plugin(configuration))
    }

    pub fn plugin_json(self, text: &str) -> Self {
        self.main(|spec| spec.plugin_json(text))
    }

    /// The configuration as YAML, which Envoy itself reads and makes a Struct of.
    pub fn plugin_yaml(mut self, yaml: &str) -> Self {
        self.plugin_yaml = Some(yaml.to_owned());
        self.main(|spec| spec.plugin_any("google.protobuf.Struct", json!(PLUGIN_ALIAS)))
    }

    pub fn route(self, route: RouteSpec) -> Self {
        self.main(|spec| spec.route(route))
    }

    pub fn direct_response(self, status: u16, body: &str) -> Self {
        self.main(|spec| spec.direct_response(status, body))
    }

    pub fn cluster(self, name: &str, addr: SocketAddr) -> Self {
        self.extra_clusters(json!([cluster(name, addr)]))
    }

    /// A cluster by TLS, which takes a certificate of its address that this authority has signed.
    pub fn tls_cluster(self, name: &str, addr: SocketAddr, ca_file: &Path) -> Self {
        let validation = json!({
            "trusted_ca": { "filename": ca_file.to_string_lossy() },
            "match_typed_subject_alt_names": [{
                "san_type": "IP_ADDRESS",
                "matcher": { "exact": addr.ip().to_string() },
            }],
        });
        let mut cluster = cluster(name, addr);
        cluster["transport_socket"] = json!({
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
                "common_tls_context": { "validation_context": validation },
            },
        });
        self.extra_clusters(json!([cluster]))
    }

    /// Where the routes go.
    pub fn upstream(self, addr: SocketAddr) -> Self {
        self.cluster("upstream", addr)
    }

    /// Clusters as Envoy spells them, in an array.
    #[track_caller]
    pub fn extra_clusters(mut self, clusters: Value) -> Self {
        self.clusters.extend(clusters.as_array().expect("an array of clusters").iter().cloned());
        self
    }

    /// Listeners as Envoy spells them, in an array; `start` does not wait for them.
    #[track_caller]
    pub fn extra_listeners(mut self, listeners: Value) -> Self {
        self.extra_listeners.extend(listeners.as_array().expect("an array of listeners").iter().cloned());
        self
    }

    /// An environment variable of the module.
    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.env.insert(key.to_owned(), value.to_owned());
        self
    }

    /// An environment variable of Envoy itself, which the module may see: its value is in no configuration.
    pub fn host_env(mut self, key: &str, value: &str) -> Self {
        self.host_env.insert(key.to_owned(), value.to_owned());
        self
    }

    pub fn vm_id(mut self, vm_id: &str) -> Self {
        vm_id.clone_into(&mut self.vm_id);
        self
    }

    /// A field of the filter's `config` (envoy.extensions.wasm.v3.PluginConfig), such as `failure_policy`.
    pub fn wasm_field(mut self, name: &str, value: Value) -> Self {
        self.wasm_fields.push((name.to_owned(), value));
        self
    }

    /// Worker threads; 2 unless told.
    pub fn concurrency(mut self, workers: usize) -> Self {
        self.concurrency = workers;
        self
    }

    /// How much Envoy and the module log about the module; "trace" unless told. Load tests want less.
    pub fn wasm_log_level(mut self, level: &str) -> Self {
        level.clone_into(&mut self.wasm_log_level);
        self
    }

    /// Another module than ours.
    pub fn module(mut self, module: PathBuf) -> Self {
        self.module = module;
        self
    }

    /// No module at all: Envoy alone.
    pub fn without_filter(mut self) -> Self {
        self.filter = false;
        self
    }

    /// Listeners come from a file that Envoy watches: see `Envoy::replace_listeners`.
    pub fn dynamic_listeners(mut self) -> Self {
        self.dynamic = true;
        self
    }

    /// Starts Envoy and waits until it serves; a start that fails fails the test.
    #[track_caller]
    pub fn start(self) -> Envoy {
        self.try_start().unwrap_or_else(|error| panic!("{error}"))
    }

    /// Like `start`, for configurations that Envoy refuses: the error ends with the tail of its log.
    #[track_caller]
    pub fn try_start(mut self) -> Result<Envoy, String> {
        if self.listeners.is_empty() && self.extra_listeners.is_empty() {
            self = self.main(|spec| spec);
        }
        let upstream = self.clusters.iter().any(|cluster| cluster["name"] == "upstream");
        let answers = self.listeners.iter().all(|(_, spec)| spec.direct_response.is_some());
        assert!(upstream || answers, "every listener takes an `upstream` or a `direct_response`");
        let binary = envoy_binary();
        if self.filter {
            let module = &self.module;
            assert!(module.is_file(), "no module at {}: run `make build vectors crash`", module.display());
        }

        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = |name: &str| dir.path().join(name);
        let (bootstrap, text) = self.bootstrap_file(dir.path());
        std::fs::write(file(bootstrap), text).expect("the bootstrap");
        if self.dynamic {
            self.write_listeners(dir.path());
        }
        let log = std::fs::File::create(file("log")).expect("the log");
        let child = Command::new(binary)
            .envs(&self.host_env)
            .arg("--config-path")
            .arg(file(bootstrap))
            .arg("--admin-address-path")
            .arg(file("admin"))
            .args(["--use-dynamic-base-id", "--concurrency", &self.concurrency.to_string()])
            .args(["--file-flush-interval-msec", "50"])
            .args(["--log-level", "warning", "--component-log-level", &format!("wasm:{}", self.wasm_log_level)])
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log"))
            .stderr(log)
            .spawn()
            .expect("Envoy starts");

        let none = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut envoy = Envoy { child, admin: none, builder: self, dir };
        let outcome = try_wait("Envoy to be ready", START_LIMIT, || envoy.started().transpose()).and_then(|done| done);
        match outcome {
            Ok(()) => Ok(envoy),
            Err(error) => Err(format!("{error}; the log ends with:\n{}", envoy.log_tail())),
        }
    }

    /// The name of the bootstrap, by which Envoy tells how to read it, and its text: JSON, unless there is a block of
    /// YAML to refer to.
    fn bootstrap_file(&self, dir: &Path) -> (&'static str, String) {
        let bootstrap = self.bootstrap(dir);
        let Some(plugin) = &self.plugin_yaml else {
            return ("bootstrap.json", bootstrap.to_string());
        };
        // Envoy leaves out what is tagged so, but knows its anchor.
        let mut yaml = String::from("!ignore plugin: &plugin\n");
        yaml.extend(plugin.lines().map(|line| format!("  {line}\n")));
        for (key, value) in bootstrap.as_object().expect("an object") {
            let value = value.to_string().replace(&format!("\"{PLUGIN_ALIAS}\""), &format!("{PLUGIN_ALIAS} "));
            yaml.push_str(&format!("{key}: {value}\n"));
        }
        ("bootstrap.yaml", yaml)
    }

    fn bootstrap(&self, dir: &Path) -> Value {
        let mut resources = json!({ "clusters": self.clusters });
        let mut bootstrap = json!({
            "node": { "id": "harness", "cluster": "harness" },
            "admin": { "address": loopback() },
        });
        if self.dynamic {
            let (file, watched) = (dir.join("lds.json"), json!({ "path": dir.to_string_lossy() }));
            let source = json!({ "path": file.to_string_lossy(), "watched_directory": watched });
            bootstrap["dynamic_resources"] =
                json!({ "lds_config": { "resource_api_version": "V3", "path_config_source": source } });
        } else {
            resources["listeners"] = json!(self.listeners());
        }
        bootstrap["static_resources"] = resources;
        bootstrap
    }

    /// Renamed into place, because Envoy reads the file when that happens and must not see half of it.
    fn write_listeners(&self, dir: &Path) {
        let mut listeners = self.listeners();
        for listener in &mut listeners {
            listener["@type"] = json!("type.googleapis.com/envoy.config.listener.v3.Listener");
        }
        let text = json!({ "resources": listeners }).to_string();
        std::fs::write(dir.join("lds.next"), text).expect("the listeners");
        std::fs::rename(dir.join("lds.next"), dir.join("lds.json")).expect("the listeners in place");
    }

    fn listeners(&self) -> Vec<Value> {
        let own = self.listeners.iter().map(|(name, spec)| self.listener_json(name, spec));
        own.chain(self.extra_listeners.iter().cloned()).collect()
    }

    fn listener_json(&self, name: &str, spec: &ListenerSpec) -> Value {
        let router = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router";
        let own = self.filter.then(|| self.filter_json(spec));
        let router = json!({ "name": "envoy.filters.http.router", "typed_config": { "@type": router } });
        let filters: Vec<_> = own.into_iter().chain(spec.http_filters.iter().cloned()).chain([router]).collect();
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

    fn filter_json(&self, spec: &ListenerSpec) -> Value {
        let mut config = json!({
            "name": "scopegate",
            "root_id": "scopegate",
            "vm_config": {
                "vm_id": self.vm_id,
                "runtime": "envoy.wasm.runtime.v8",
                "code": { "local": { "filename": self.module.to_string_lossy() } },
                "environment_variables": {
                    "key_values": self.env,
                    "host_env_keys": self.host_env.keys().collect::<Vec<_>>(),
                },
            },
        });
        if let Some(configuration) = &spec.configuration {
            config["configuration"] = configuration.clone();
        }
        for (name, value) in &self.wasm_fields {
            config[name] = value.clone();
        }
        let wasm = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";
        json!({ "name": FILTER, "typed_config": { "@type": wasm, "config": config } })
    }
}

fn loopback() -> Value {
    json!({ "socket_address": { "address": "127.0.0.1", "port_value": 0 } })
}

/// The Envoy of this test run.
#[track_caller]
pub fn envoy_binary() -> PathBuf {
    let binary = overridable("ENVOY", ".tools/envoy-1.40.0/envoy/_bin/envoy");
    assert!(binary.is_file(), "no Envoy at {}: run `make envoy` or set ENVOY", binary.display());
    binary
}

/// A file of this repository, unless the variable names another.
pub fn overridable(variable: &str, default: &str) -> PathBuf {
    in_repository(std::env::var_os(variable).map_or_else(|| default.into(), PathBuf::from))
}

pub struct Envoy {
    child: Child,
    admin: SocketAddr,
    builder: EnvoyBuilder,
    dir: TempDir,
}

impl Envoy {
    pub fn builder() -> EnvoyBuilder {
        EnvoyBuilder {
            listeners: Vec::new(),
            clusters: Vec::new(),
            extra_listeners: Vec::new(),
            env: BTreeMap::new(),
            host_env: BTreeMap::new(),
            vm_id: "scopegate".to_owned(),
            wasm_fields: Vec::new(),
            concurrency: 2,
            wasm_log_level: "trace".to_owned(),
            filter: true,
            module: overridable("SCOPEGATE_MODULE", "dist/scopegate.wasm"),
            dynamic: false,
            plugin_yaml: None,
        }
    }

    /// `None` while it starts, an error when it never will.
    fn started(&mut self) -> Result<Option<()>, String> {
        if let Some(status) = self.child.try_wait().expect("the state of Envoy") {
            return Err(format!("Envoy ended with {status}"));
        }
        let address = std::fs::read_to_string(self.dir.path().join("admin")).unwrap_or_default();
        let Ok(admin) = address.trim().parse() else {
            return Ok(None);
        };
        self.admin = admin;
        let live = try_send(admin, &Request::get("/ready")).is_ok_and(|ready| ready.text().trim() == "LIVE");
        if !live {
            return Ok(None);
        }
        if self.counter("listener_manager.lds.update_rejected") > 0 {
            return Err("Envoy refused the listeners".to_owned());
        }
        let listening = self.builder.listeners.iter().all(|(name, _)| self.find(name).is_some());
        Ok(listening.then_some(()))
    }

    /// Replaces the listeners of an Envoy with `dynamic_listeners` and waits until Envoy took them;
    /// or says that Envoy refused them and goes on with the old ones. A listener that keeps its name
    /// keeps its port. A worker may be a moment late, and open connections stay with the old one.
    #[track_caller]
    pub fn replace_listeners(&mut self, listeners: &[(&str, ListenerSpec)]) -> Result<(), String> {
        assert!(self.builder.dynamic, "replacing listeners takes `dynamic_listeners()`");
        let count = |envoy: &Self, name: &str| envoy.counter(&format!("listener_manager.lds.{name}"));
        let (taken, refused) = (count(self, "update_success"), count(self, "update_rejected"));
        let before = std::mem::take(&mut self.builder.listeners);
        self.builder.listeners = listeners.iter().map(|(name, spec)| ((*name).to_owned(), spec.clone())).collect();
        self.builder.write_listeners(self.dir.path());
        let outcome = try_wait("Envoy to take the listeners", START_LIMIT, || {
            if count(self, "update_rejected") > refused {
                return Some(Err(format!("Envoy refused the listeners; the log ends with:\n{}", self.log_tail())));
            }
            let there = self.builder.listeners.iter().all(|(name, _)| self.find(name).is_some());
            let warming = self.counter("listener_manager.total_listeners_warming");
            (count(self, "update_success") > taken && warming == 0 && there).then_some(Ok(()))
        });
        let outcome = outcome.and_then(|done| done);
        if outcome.is_err() {
            self.builder.listeners = before;
        }
        outcome
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether the process still runs: it does not after a crash.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("the state of Envoy").is_none()
    }

    /// The memory it occupies.
    #[track_caller]
    pub fn rss_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("its status in /proc");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its VmRSS");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
    }

    /// Where a listener listens.
    #[track_caller]
    pub fn addr(&self, listener: &str) -> SocketAddr {
        self.find(listener).unwrap_or_else(|| panic!("Envoy has no listener {listener:?}"))
    }

    fn find(&self, listener: &str) -> Option<SocketAddr> {
        let listeners = self.admin_json("/listeners?format=json");
        let status = listeners["listener_statuses"].as_array()?.iter().find(|status| status["name"] == listener)?;
        let socket = &status["local_address"]["socket_address"];
        format!("{}:{}", socket["address"].as_str()?, socket["port_value"]).parse().ok()
    }

    /// What the admin interface answers to a GET.
    #[track_caller]
    pub fn admin(&self, path: &str) -> String {
        send(self.admin, &Request::get(path)).text()
    }

    /// As in `1.40.0`.
    #[track_caller]
    pub fn version(&self) -> String {
        let info = self.admin_json("/server_info");
        let version = info["version"].as_str().expect("a version").split('/').nth(1);
        version.expect("a commit, a version, and more").to_owned()
    }

    /// What the admin interface answers to a POST, which is how it changes something.
    #[track_caller]
    pub fn admin_post(&self, path: &str) -> String {
        send(self.admin, &Request::post(path, "")).text()
    }

    #[track_caller]
    fn admin_json(&self, path: &str) -> Value {
        send(self.admin, &Request::get(path)).json()
    }

    /// All metrics, in the format of Prometheus.
    #[track_caller]
    pub fn prometheus(&self) -> String {
        std::thread::sleep(COUNTED);
        self.admin("/stats/prometheus")
    }

    /// A counter or gauge by its name, that of a module with or without the `wasmcustom.` in front; 0 when there is
    /// none of that name.
    #[track_caller]
    pub fn counter(&self, name: &str) -> u64 {
        if name.contains("scopegate.") {
            std::thread::sleep(COUNTED);
        }
        let stats = self.admin_json("/stats?format=json");
        let custom = format!("wasmcustom.{name}");
        let mut stats = stats["stats"].as_array().into_iter().flatten();
        let found = stats.find(|stat| stat["name"] == name || stat["name"] == custom.as_str());
        found.map_or(0, |stat| stat["value"].as_u64().expect("a number"))
    }

    /// Everything it wrote so far.
    pub fn log(&self) -> String {
        let log = std::fs::read(self.dir.path().join("log")).expect("the log");
        String::from_utf8_lossy(&log).into_owned()
    }

    /// How much that is, in bytes.
    pub fn log_size(&self) -> u64 {
        std::fs::metadata(self.dir.path().join("log")).expect("the log").len()
    }

    /// What it wrote since then.
    pub fn log_since(&self, size: u64) -> String {
        let mut log = std::fs::File::open(self.dir.path().join("log")).expect("the log");
        let mut bytes = Vec::new();
        log.seek(SeekFrom::Start(size)).and_then(|_| log.read_to_end(&mut bytes)).expect("the log");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        // Both fail only when the process is gone already.
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            eprintln!("the log of Envoy ends with:\n{}", self.log_tail());
        }
    }
}
