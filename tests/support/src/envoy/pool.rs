//! Envoys that tests use one after another. Compiling the module takes seconds of CPU time, and an Envoy that has it
//! compiled makes new VMs of it in milliseconds, whatever their `vm_id`. So a test gets an Envoy for itself, but not a
//! new one: it finds listeners, clusters, VMs, shared data and counters as if it were.
//!
//! - A plugin on the main thread alone (`envoy.bootstrap.wasm`, a singleton) keeps the compiled module.
//! - Listeners and clusters come from files that Envoy watches, and go when the test is over.
//! - Each lease has a `vm_id` of its own, so no VM and no shared data outlives it.
//! - An Envoy is given out when nothing of the lease before is left; one that is not clean in time is killed.
//!
//! Histograms, memory, and what is drained over time do outlive a lease: see `EnvoyBuilder::alone`.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use super::super::try_wait;
use super::process::Process;
use super::spec::{loopback, wasm_config};

/// Time limit for cleaning up after a lease.
const CLEAN_LIMIT: Duration = Duration::from_secs(10);
const UPDATE_LIMIT: Duration = Duration::from_secs(60);
/// Maximum number of leases of one Envoy process, which bounds the memory that leases leak.
const MAX_LEASES: usize = 60;
/// Gauge of running VMs. It counts the VMs of the keeper even when no test is running.
const VMS: &str = "wasm.envoy.wasm.runtime.v8.active";
/// Gauges that are 0 when all listeners and clusters of a lease have been removed.
const LEFT_OVER: [&str; 4] = [
    "listener_manager.total_listeners_active",
    "listener_manager.total_listeners_draining",
    "listener_manager.total_listeners_warming",
    "cluster_manager.active_clusters",
];

/// An Envoy that may be leased again.
pub struct Pooled {
    pub process: Process,
    concurrency: usize,
    /// VMs of the keeper.
    vms: u64,
    leases: usize,
}

static IDLE: Mutex<VecDeque<Pooled>> = Mutex::new(VecDeque::new());

/// A number that no other lease of this test run has.
pub fn lease_number() -> usize {
    static LEASES: AtomicUsize = AtomicUsize::new(0);
    LEASES.fetch_add(1, Ordering::Relaxed)
}

/// An Envoy with so many workers in which nothing is left of the lease before.
pub fn take(concurrency: usize) -> Result<Pooled, String> {
    loop {
        let idle = {
            let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
            let index = idle.iter().position(|pooled| pooled.concurrency == concurrency);
            index.and_then(|index| idle.remove(index))
        };
        let Some(mut pooled) = idle else { return Pooled::start(concurrency) };
        match pooled.wait_until_clean(CLEAN_LIMIT) {
            Ok(()) => return Ok(pooled),
            // Dropped, it is killed.
            Err(problem) => eprintln!("an Envoy is not used again: {problem}"),
        }
    }
}

impl Pooled {
    fn start(concurrency: usize) -> Result<Self, String> {
        let directory = Process::directory();
        let path = |name: &str| directory.path().join(name).to_string_lossy().into_owned();
        let source = |name: &str| json!({ "resource_api_version": "V3", "path_config_source": { "path": path(name) } });
        Process::write_resources(directory.path(), "lds.json", LISTENER, Vec::new());
        Process::write_resources(directory.path(), "cds.json", CLUSTER, Vec::new());
        let introspection = json!({ "path": "/", "client_id": "keeper", "client_secret": "keeper" });
        let plugin = json!({
            "authorization_servers": [
                { "name": "none", "cluster": "none", "audience": "any", "introspection": introspection },
            ],
            "rules": [{ "name": "None", "match": [{ "path": "/" }], "public": true }],
        });
        let configuration =
            json!({ "@type": "type.googleapis.com/google.protobuf.StringValue", "value": plugin.to_string() });
        let mut keeper = wasm_config("keeper", &super::builder::module(), json!({}));
        keeper["configuration"] = configuration;
        let bootstrap = json!({
            "node": { "id": "harness", "cluster": "harness" },
            "admin": { "address": loopback() },
            "dynamic_resources": { "lds_config": source("lds.json"), "cds_config": source("cds.json") },
            "bootstrap_extensions": [{
                "name": "envoy.bootstrap.wasm",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.wasm.v3.WasmService",
                    "singleton": true,
                    "config": keeper,
                },
            }],
        });
        std::fs::write(path("bootstrap.json"), bootstrap.to_string()).expect("the bootstrap");
        let process = Process::start(directory, "bootstrap.json", concurrency, |command| {
            command.args(["--component-log-level", "wasm:warning"]);
            // A removed listener closes its connections at once, so that nothing reaches the lease after.
            command.args(["--drain-time-s", "0", "--drain-strategy", "immediate"]);
        })?;
        let vms = process.stats().value(VMS);
        if vms == 0 {
            return Err(process.with_log("the keeper of the compiled module does not run"));
        }
        Ok(Self { process, concurrency, vms, leases: 0 })
    }

    /// Makes it as new, and returns how much of its log is of others.
    pub fn prepare(&mut self, log_level: &str) -> Result<u64, String> {
        let answers = [
            self.process.admin_post("/reset_counters"),
            self.process.admin_post(&format!("/logging?wasm={log_level}")),
        ];
        if !answers[0].starts_with("OK") || !answers[1].contains(&format!("wasm: {log_level}")) {
            return Err(format!("Envoy's admin interface says {answers:?}"));
        }
        self.leases += 1;
        Ok(self.process.log_size())
    }

    /// Installs what a test needs. The listeners come last: they name the clusters.
    pub fn install(&self, listeners: Vec<Value>, clusters: Vec<Value>) -> Result<(), String> {
        self.update("cds.json", CLUSTER, "cluster_manager.cds", clusters)?;
        self.update("lds.json", LISTENER, "listener_manager.lds", listeners)
    }

    fn update(&self, file: &str, kind: &str, stats: &str, resources: Vec<Value>) -> Result<(), String> {
        if resources.is_empty() {
            return Ok(());
        }
        let count = |name: &str| self.process.stats().value(&format!("{stats}.{name}"));
        let taken = count("update_success");
        Process::write_resources(self.process.path(), file, kind, resources);
        let outcome = try_wait(&format!("Envoy to take {file}"), UPDATE_LIMIT, || {
            let refused = count("update_rejected") + count("update_failure");
            if refused > 0 {
                Some(Err(format!("Envoy refused {file}")))
            } else {
                (count("update_success") > taken).then_some(Ok(()))
            }
        });
        outcome.and_then(|done| done).map_err(|error| self.process.with_log(&error))
    }

    /// Takes everything away that a test has installed, and lets another test have the Envoy.
    pub fn give_back(self) {
        if self.leases >= MAX_LEASES {
            return;
        }
        self.clear();
        IDLE.lock().unwrap_or_else(PoisonError::into_inner).push_back(self);
    }

    fn clear(&self) {
        Process::write_resources(self.process.path(), "lds.json", LISTENER, Vec::new());
        Process::write_resources(self.process.path(), "cds.json", CLUSTER, Vec::new());
    }

    fn wait_until_clean(&mut self, limit: Duration) -> Result<(), String> {
        let mut left = String::new();
        let outcome = try_wait("Envoy to be clean", limit, || {
            if !self.process.is_running() {
                left = "it has ended".to_owned();
                return None;
            }
            left = self.left_over().join(", ");
            left.is_empty().then_some(())
        });
        outcome.map_err(|error| format!("{error}: {left}"))
    }

    /// Returns the resources that the previous lease has left behind.
    fn left_over(&self) -> Vec<String> {
        let gauges = self.process.gauges();
        let left = gauges.all().filter_map(|(name, value)| {
            let expected = if name == VMS { self.vms } else { 0 };
            // Those of the module, too.
            let is_due = name == VMS || LEFT_OVER.contains(&name) || name.starts_with("wasmcustom.");
            (is_due && *value != expected).then(|| format!("{name} is {value}"))
        });
        left.collect()
    }
}

const LISTENER: &str = "listener.v3.Listener";
const CLUSTER: &str = "cluster.v3.Cluster";

#[cfg(test)]
mod tests {
    use super::super::Envoy;
    use super::*;

    #[test]
    fn what_a_lease_leaves_behind_keeps_others_out() {
        let mut pooled = take(1).expect("an Envoy");
        assert_eq!(pooled.left_over(), [""; 0]);
        let builder = Envoy::builder().direct_response(200, "").cluster("c", ([127, 0, 0, 1], 1).into());
        pooled.install(builder.listeners(), builder.clusters.clone()).expect("Envoy takes it");
        let error = pooled.wait_until_clean(Duration::ZERO).expect_err("it is in use");
        for left in ["total_listeners_active is 1", "active_clusters is 1", "v8.active is "] {
            assert!(error.contains(left), "no {left:?} in {error}");
        }
        pooled.clear();
        pooled.wait_until_clean(UPDATE_LIMIT).expect("nothing is left");
        pooled.give_back();
    }
}
