//! A real Envoy in front of the servers of a test.

mod builder;
mod pool;
mod process;
mod spec;

use std::net::SocketAddr;
use std::time::Duration;

pub use builder::{EnvoyBuilder, envoy_binary, overridable};
pub use spec::{ListenerSpec, RouteSpec};

use self::pool::Pooled;
use self::process::{Process, START_LIMIT};
use super::try_wait;

/// The module hands over what it has counted several times in this time.
const COUNTED: Duration = Duration::from_millis(250);

/// An Envoy that one test has for itself: a process of its own, or one of the pool for as long as this lives.
pub struct Envoy {
    /// `None` once it is dropped.
    process: Option<Owner>,
    builder: EnvoyBuilder,
    /// How much of its log was written for others.
    log_start: u64,
}

enum Owner {
    Test(Process),
    Pool(Pooled),
}

impl Envoy {
    pub fn builder() -> EnvoyBuilder {
        EnvoyBuilder::default()
    }

    fn launched(process: Process, builder: EnvoyBuilder) -> Self {
        Self { process: Some(Owner::Test(process)), builder, log_start: 0 }
    }

    fn leased(pooled: Pooled, builder: EnvoyBuilder, log_start: u64) -> Self {
        Self { process: Some(Owner::Pool(pooled)), builder, log_start }
    }

    fn process(&self) -> &Process {
        match self.process.as_ref().expect("an Envoy that is not dropped") {
            Owner::Test(process) | Owner::Pool(Pooled { process, .. }) => process,
        }
    }

    /// `None` until all listeners are there, an error if they will never be.
    fn listens(&self) -> Result<Option<()>, String> {
        if self.process().stats().value("listener_manager.lds.update_rejected") > 0 {
            return Err("Envoy refused the listeners".to_owned());
        }
        let listening = self.builder.listeners.iter().all(|(name, _)| self.process().find(name).is_some());
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
        self.builder.write_listeners(self.process().path());
        let outcome = try_wait("Envoy to take the listeners", START_LIMIT, || {
            if count(self, "update_rejected") > refused {
                return Some(Err(self.process().with_log("Envoy refused the listeners")));
            }
            let there = self.builder.listeners.iter().all(|(name, _)| self.process().find(name).is_some());
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
        self.process().pid()
    }

    /// Whether the process still runs: it does not after a crash.
    pub fn is_running(&mut self) -> bool {
        match self.process.as_mut().expect("an Envoy that is not dropped") {
            Owner::Test(process) | Owner::Pool(Pooled { process, .. }) => process.is_running(),
        }
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
        self.process().find(listener).unwrap_or_else(|| panic!("Envoy has no listener {listener:?}"))
    }

    /// Returns the response body of a GET to the admin interface.
    #[track_caller]
    pub fn admin(&self, path: &str) -> String {
        self.process().admin(path)
    }

    /// As in `1.40.0`.
    #[track_caller]
    pub fn version(&self) -> String {
        let info = self.process().admin_json("/server_info");
        let version = info["version"].as_str().expect("a version").split('/').nth(1);
        version.expect("a commit, a version, and more").to_owned()
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
        self.process().stats().value(name)
    }

    /// Counters or gauges as they are at the moment; a module is a moment late with its own.
    #[track_caller]
    pub fn gauges<const N: usize>(&self, names: [&str; N]) -> [u64; N] {
        let stats = self.process().stats();
        names.map(|name| stats.value(name))
    }

    /// Waits until a counter has this value, and fails if it has another one then, or later.
    #[track_caller]
    pub fn assert_counter(&self, name: &str, expected: u64) {
        let reached = try_wait(name, START_LIMIT, || (self.gauges([name]) >= [expected]).then_some(()));
        assert_eq!(self.counter(name), expected, "{name}: {reached:?}");
    }

    /// Everything it wrote for this test so far.
    pub fn log(&self) -> String {
        self.log_since(self.log_start)
    }

    /// How much it has written in all, in bytes: a place in its log.
    pub fn log_size(&self) -> u64 {
        self.process().log_size()
    }

    /// Returns the log from this offset on.
    pub fn log_since(&self, size: u64) -> String {
        self.process().log_since(size)
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        let owner = self.process.take();
        if std::thread::panicking() {
            // It ends here: who knows in what state it is.
            if let Some(Owner::Test(process) | Owner::Pool(Pooled { process, .. })) = owner {
                eprintln!("the log of Envoy ends with:\n{}", process.log_tail());
            }
        } else if let Some(Owner::Pool(pooled)) = owner {
            pooled.give_back();
        }
    }
}
