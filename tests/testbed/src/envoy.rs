//! An Envoy with any number of listeners, which may be replaced while it runs.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A running Envoy; it ends with this value.
pub struct Envoy {
    child: Child,
    admin: String,
    dir: TempDir,
    /// From the start of the process until it was ready.
    pub startup: Duration,
}

/// The settings of an Envoy.
#[derive(Clone, Debug, Default)]
pub struct Bootstrap {
    /// As Envoy spells them.
    pub listeners: Vec<Value>,
    /// As Envoy spells them.
    pub clusters: Vec<Value>,
    /// Worker threads.
    pub workers: usize,
    /// The cores it may use, in the form of `taskset`.
    pub cores: String,
    /// Whether the listeners come from a file that Envoy watches: see [`Envoy::replace`].
    pub dynamic: bool,
    /// More arguments.
    pub arguments: Vec<String>,
    /// More environment variables.
    pub environment: Vec<(String, String)>,
}

impl Envoy {
    /// Starts it, and waits until it serves.
    pub fn start(binary: &Path, bootstrap: &Bootstrap) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let file = |name: &str| dir.path().join(name);
        let mut text = json!({
            "node": { "id": "stage", "cluster": "stage" },
            "admin": { "address": loopback(0) },
            // Allows runtime changes through the admin interface, such as the percentage of a fault filter.
            "layered_runtime": { "layers": [{ "name": "admin", "admin_layer": {} }] },
            "static_resources": { "clusters": bootstrap.clusters },
        });
        if bootstrap.dynamic {
            write_listeners(dir.path(), &bootstrap.listeners)?;
            let source = json!({ "path": file("lds.json"), "watched_directory": { "path": dir.path() } });
            text["dynamic_resources"] =
                json!({ "lds_config": { "resource_api_version": "V3", "path_config_source": source } });
        } else {
            text["static_resources"]["listeners"] = json!(bootstrap.listeners);
        }
        std::fs::write(file("bootstrap.json"), text.to_string())?;
        let log = File::create(file("log"))?;
        let started = Instant::now();
        let child = Command::new("taskset")
            .args(["--cpu-list", &bootstrap.cores])
            .arg(binary)
            .arg("--config-path")
            .arg(file("bootstrap.json"))
            .arg("--admin-address-path")
            .arg(file("admin"))
            .args(["--use-dynamic-base-id", "--concurrency", &bootstrap.workers.to_string()])
            .args(&bootstrap.arguments)
            .envs(bootstrap.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("starting Envoy with taskset (Debian: apt-get install util-linux)")?;
        let mut envoy = Self { child, admin: String::new(), dir, startup: Duration::ZERO };
        while !envoy.is_ready() {
            if let Some(status) = envoy.child.try_wait()? {
                bail!("Envoy ended with {status}; its log ends with:\n{}", envoy.log_tail());
            }
            if started.elapsed() > START_LIMIT {
                bail!("Envoy was not ready after {START_LIMIT:?}; its log ends with:\n{}", envoy.log_tail());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        envoy.startup = started.elapsed();
        Ok(envoy)
    }

    fn is_ready(&mut self) -> bool {
        if self.admin.is_empty() {
            let address = std::fs::read_to_string(self.dir.path().join("admin")).unwrap_or_default();
            self.admin = address.trim().to_owned();
        }
        !self.admin.is_empty() && self.admin("/ready").is_ok_and(|text| text.trim() == "LIVE")
    }

    /// Returns the response of the admin interface.
    pub fn admin(&self, path: &str) -> Result<String> {
        let mut response = ureq::get(format!("http://{}{path}", self.admin)).call()?;
        Ok(response.body_mut().with_config().limit(64 << 20).read_to_string()?)
    }

    /// Changes something through the admin interface.
    pub fn change(&self, path: &str) -> Result<()> {
        ureq::post(format!("http://{}{path}", self.admin)).send_empty()?;
        Ok(())
    }

    /// Puts these listeners in the place of those that there are, and waits until Envoy has taken them, or has turned
    /// them down: whether it took them.
    pub fn replace(&self, listeners: &[Value]) -> Result<bool> {
        let count = |name: &str| self.counter(&format!("listener_manager.{name}"));
        let (taken, refused) = (count("lds.update_success")?, count("lds.update_rejected")?);
        write_listeners(self.dir.path(), listeners)?;
        let started = Instant::now();
        while started.elapsed() < START_LIMIT {
            if count("lds.update_rejected")? > refused {
                return Ok(false);
            }
            if count("lds.update_success")? > taken && count("total_listeners_warming")? == 0 {
                return Ok(true);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("Envoy has not looked at its listeners for {START_LIMIT:?}")
    }

    /// Whether the process still runs.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// `address:port` of a listener.
    pub fn address(&self, listener: &str) -> Result<String> {
        let list: Value = serde_json::from_str(&self.admin("/listeners?format=json")?)?;
        let list = list["listener_statuses"].as_array().context("no listeners")?;
        let found = list.iter().find(|status| status["name"] == listener);
        let socket = &found.with_context(|| format!("no listener {listener}"))?["local_address"]["socket_address"];
        Ok(format!("{}:{}", socket["address"].as_str().context("no address")?, socket["port_value"]))
    }

    /// A counter; 0 if there is none of this name.
    pub fn counter(&self, name: &str) -> Result<u64> {
        // The module hands over what it has counted several times in this time.
        if name.starts_with("wasmcustom.") {
            std::thread::sleep(Duration::from_millis(200));
        }
        let text = self.admin(&format!("/stats?filter=^{}$", name.replace('.', "\\.")))?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.map_or(Ok(0), |value| Ok(value.trim().parse()?))
    }

    /// How long its threads have been running on a core, all together.
    pub fn cpu_time(&self) -> Result<Duration> {
        let mut nanos = 0;
        for thread in std::fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            // A thread may just have ended.
            let text = std::fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
            nanos += text.split(' ').next().map_or(0, |first| first.parse().unwrap_or(0));
        }
        Ok(Duration::from_nanos(nanos))
    }

    /// The memory it occupies.
    pub fn rss_bytes(&self) -> Result<u64> {
        // taskset has become Envoy: it starts nothing of its own.
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS in /proc")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
    }

    /// Everything it wrote so far.
    #[must_use]
    pub fn log(&self) -> String {
        let log = std::fs::read(self.dir.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// The end of it.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        // Both fail only when it is gone already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A listener whose filters stand before a route that answers by itself.
pub fn listener(name: &str, filters: &[Value]) -> Value {
    listener_with_routes(name, filters, &[answering_route()])
}

/// A route that answers everything by itself.
#[must_use]
pub fn answering_route() -> Value {
    json!({ "match": { "prefix": "/" }, "direct_response": answer(200, "ok\n") })
}

/// A listener that says this JSON, whatever it is asked.
pub fn json_listener(name: &str, body: &Value) -> Value {
    listener_with_routes(name, &[], &[json_route(json!({ "prefix": "/" }), body)])
}

/// A route that says this JSON.
pub fn json_route(matching: Value, body: &Value) -> Value {
    json!({
        "match": matching,
        "direct_response": answer(200, &body.to_string()),
        "response_headers_to_add": [{
            "header": { "key": "content-type", "value": "application/json" },
            "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
        }],
    })
}

/// A listener with these filters and routes.
#[must_use]
pub fn listener_with_routes(name: &str, filters: &[Value], routes: &[Value]) -> Value {
    let router = filter("envoy.filters.http.router", "envoy.extensions.filters.http.router.v3.Router", json!({}));
    let filters: Vec<_> = filters.iter().cloned().chain([router]).collect();
    let manager = json!({
        "stat_prefix": name,
        "route_config": { "name": name, "virtual_hosts": [{ "name": name, "domains": ["*"], "routes": routes }] },
        "http_filters": filters,
    });
    let message = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
    let manager = filter("envoy.filters.network.http_connection_manager", message, manager);
    json!({ "name": name, "address": loopback(0), "filter_chains": [{ "filters": [manager] }] })
}

/// A filter as Envoy spells it.
pub fn filter(name: &str, message: &str, mut config: Value) -> Value {
    config["@type"] = json!(format!("type.googleapis.com/{message}"));
    json!({ "name": name, "typed_config": config })
}

/// A filter in Wasm, with a VM of its own.
pub fn wasm(vm_id: &str, root_id: &str, module: &Path, configuration: &str, more: &[(&str, Value)]) -> Value {
    let mut config = json!({
        "name": vm_id,
        "root_id": root_id,
        "vm_config": {
            "vm_id": vm_id,
            "runtime": "envoy.wasm.runtime.v8",
            "code": { "local": { "filename": module } },
        },
        "configuration": { "@type": "type.googleapis.com/google.protobuf.StringValue", "value": configuration },
    });
    for (name, value) in more {
        config[*name] = value.clone();
    }
    let message = "envoy.extensions.filters.http.wasm.v3.Wasm";
    filter("envoy.filters.http.wasm", message, json!({ "config": config }))
}

/// A cluster with one endpoint, `address:port`.
pub fn cluster(name: &str, address: &str) -> Result<Value> {
    let (ip, port) = address.split_once(':').context("an address without a port")?;
    let address = json!({ "socket_address": { "address": ip, "port_value": port.parse::<u16>()? } });
    let unlimited = json!({
        "max_connections": 1_000_000, "max_pending_requests": 1_000_000, "max_requests": 1_000_000,
    });
    Ok(json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "circuit_breakers": { "thresholds": [unlimited] },
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": address } }] }],
        },
    }))
}

fn answer(status: u16, body: &str) -> Value {
    json!({ "status": status, "body": { "inline_string": body } })
}

/// A port of this machine alone; 0 for any.
#[must_use]
pub fn loopback(port: u16) -> Value {
    json!({ "socket_address": { "address": "127.0.0.1", "port_value": port } })
}

/// Renamed into place, because Envoy reads the file when that happens and must not see half of it.
fn write_listeners(dir: &Path, listeners: &[Value]) -> Result<()> {
    let mut listeners = listeners.to_vec();
    for listener in &mut listeners {
        listener["@type"] = json!("type.googleapis.com/envoy.config.listener.v3.Listener");
    }
    std::fs::write(dir.join("lds.next"), json!({ "resources": listeners }).to_string())?;
    Ok(std::fs::rename(dir.join("lds.next"), dir.join("lds.json"))?)
}

/// The version that Envoy reports.
pub fn version(binary: &Path) -> Result<String> {
    let output = Command::new(binary).arg("--version").output().with_context(|| format!("{}", binary.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.split("version: ").nth(1).unwrap_or_default();
    let parts: Vec<&str> = version.trim().split('/').collect();
    Ok(parts.get(1).copied().unwrap_or("unknown").to_owned())
}

/// A file that must be there.
pub fn existing(path: PathBuf, remedy: &str) -> Result<PathBuf> {
    let path = std::path::absolute(path)?;
    if path.is_file() { Ok(path) } else { bail!("no {}: {remedy}", path.display()) }
}

const START_LIMIT: Duration = Duration::from_secs(120);
