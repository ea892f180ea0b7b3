//! What an Envoy of a test is to be like, and its start.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::super::{in_repository, try_wait};
use super::Envoy;
use super::pool;
use super::process::{Process, START_LIMIT};
use super::spec::{FILTER, ListenerSpec, RouteSpec, cluster, listener_json, loopback, wasm_config};

/// Stands where `plugin_yaml` puts its alias.
const PLUGIN_ALIAS: &str = "*plugin";

#[derive(Clone, Debug)]
pub struct EnvoyBuilder {
    pub(super) listeners: Vec<(String, ListenerSpec)>,
    pub(super) clusters: Vec<Value>,
    extra_listeners: Vec<Value>,
    env: BTreeMap<String, String>,
    host_env: BTreeMap<String, String>,
    vm_id: String,
    wasm_fields: Vec<(String, Value)>,
    concurrency: usize,
    wasm_log_level: String,
    filter: bool,
    module: PathBuf,
    pub(super) dynamic: bool,
    plugin_yaml: Option<String>,
    alone: bool,
}

impl Default for EnvoyBuilder {
    fn default() -> Self {
        Self {
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
            module: module(),
            dynamic: false,
            plugin_yaml: None,
            alone: false,
        }
    }
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

    /// An Envoy that no other test has used: for histograms, memory, and whatever else is left when a listener goes.
    pub fn alone(mut self) -> Self {
        self.alone = true;
        self
    }

    /// Listeners come from a file that Envoy watches: see `Envoy::replace_listeners`.
    pub fn dynamic_listeners(mut self) -> Self {
        self.dynamic = true;
        self
    }

    /// Starts Envoy, or takes one from the pool, and waits until it serves; a start that fails fails the test.
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
        if self.filter {
            let module = &self.module;
            assert!(module.is_file(), "no module at {}: run `make build vectors crash`", module.display());
        }
        let envoy = if self.can_share() { self.lease()? } else { self.launch()? };
        let outcome = try_wait("the listeners", START_LIMIT, || envoy.listens().transpose()).and_then(|done| done);
        outcome.map_err(|error| envoy.process().with_log(&error))?;
        Ok(envoy)
    }

    /// Whether an Envoy of the pool will do: one that has the module and nothing special about the process.
    fn can_share(&self) -> bool {
        let is_special = self.alone || self.dynamic || !self.host_env.is_empty() || self.plugin_yaml.is_some();
        self.filter && self.module == module() && !is_special
    }

    fn lease(mut self) -> Result<Envoy, String> {
        let mut pooled = pool::take(self.concurrency)?;
        // No other lease has it, so neither a VM nor shared data of another one is seen.
        self.vm_id = format!("{}-{}", self.vm_id, pool::lease_number());
        let log_start = pooled.prepare(&self.wasm_log_level)?;
        pooled.install(self.listeners(), self.clusters.clone())?;
        Ok(Envoy::leased(pooled, self, log_start))
    }

    fn launch(self) -> Result<Envoy, String> {
        let directory = Process::directory();
        let (bootstrap, text) = self.bootstrap_file(directory.path());
        std::fs::write(directory.path().join(bootstrap), text).expect("the bootstrap");
        if self.dynamic {
            self.write_listeners(directory.path());
        }
        let process = Process::start(directory, bootstrap, self.concurrency, |command| {
            command.envs(&self.host_env).args(["--component-log-level", &format!("wasm:{}", self.wasm_log_level)]);
        })?;
        Ok(Envoy::launched(process, self))
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

    pub(super) fn write_listeners(&self, dir: &Path) {
        Process::write_resources(dir, "lds.json", "listener.v3.Listener", self.listeners());
    }

    pub(super) fn listeners(&self) -> Vec<Value> {
        let own = self.listeners.iter();
        let own = own.map(|(name, spec)| listener_json(name, spec, self.filter.then(|| self.filter_json(spec))));
        own.chain(self.extra_listeners.iter().cloned()).collect()
    }

    fn filter_json(&self, spec: &ListenerSpec) -> Value {
        let host_env: Vec<_> = self.host_env.keys().collect();
        let environment = json!({ "key_values": self.env, "host_env_keys": host_env });
        let mut config = wasm_config(&self.vm_id, &self.module, environment);
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

/// The Envoy of this test run.
#[track_caller]
pub fn envoy_binary() -> PathBuf {
    let binary = overridable("ENVOY", ".tools/envoy-1.40.0/envoy/_bin/envoy");
    assert!(binary.is_file(), "no Envoy at {}: run `make envoy` or set ENVOY", binary.display());
    binary
}

/// The module of this test run.
pub fn module() -> PathBuf {
    overridable("SCOPEGATE_MODULE", "dist/scopegate.wasm")
}

/// A file of this repository, unless the variable names another.
pub fn overridable(variable: &str, default: &str) -> PathBuf {
    in_repository(std::env::var_os(variable).map_or_else(|| default.into(), PathBuf::from))
}
