//! An Envoy process: its files, its admin interface, its log.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::super::http::{Request, send, try_send};
use super::super::try_wait;
use super::super::watchdog::{self, Watched};
use super::builder::envoy_binary;

pub const START_LIMIT: Duration = Duration::from_secs(60);
/// How much of the log a failure shows.
const TAIL_LINES: usize = 60;

pub struct Process {
    child: Watched,
    admin: SocketAddr,
    directory: TempDir,
}

impl Process {
    /// A folder for its files, which the test run removes at the latest.
    pub fn directory() -> TempDir {
        tempfile::tempdir_in(watchdog::directory()).expect("a temporary directory")
    }

    /// Starts it from a bootstrap in its folder and waits until it serves. The error ends with the tail of its log.
    pub fn start(
        directory: TempDir,
        bootstrap: &str,
        concurrency: usize,
        set_up: impl FnOnce(&mut Command),
    ) -> Result<Self, String> {
        let file = |name: &str| directory.path().join(name);
        let log = std::fs::File::create(file("log")).expect("the log");
        let mut command = Command::new(envoy_binary());
        command
            .arg("--config-path")
            .arg(file(bootstrap))
            .arg("--admin-address-path")
            .arg(file("admin"))
            // With hot restart, Envoy asks to be terminated when the thread that started it ends: that of a test.
            .args(["--disable-hot-restart", "--concurrency", &concurrency.to_string()])
            .args(["--file-flush-interval-msec", "50", "--log-level", "warning"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log"))
            .stderr(log);
        set_up(&mut command);
        let child = Watched::spawn(&mut command).expect("Envoy starts");
        let mut process = Self { child, admin: SocketAddr::from(([0, 0, 0, 0], 0)), directory };
        let ready = try_wait("Envoy to be ready", START_LIMIT, || process.ready().transpose()).and_then(|done| done);
        ready.map_err(|error| process.with_log(&error))?;
        Ok(process)
    }

    /// `None` while it starts, an error if it failed to start.
    fn ready(&mut self) -> Result<Option<()>, String> {
        if let Some(status) = self.child.ended() {
            return Err(format!("Envoy ended with {status}"));
        }
        let address = std::fs::read_to_string(self.path().join("admin")).unwrap_or_default();
        let Ok(admin) = address.trim().parse() else {
            return Ok(None);
        };
        self.admin = admin;
        let live = try_send(admin, &Request::get("/ready")).is_ok_and(|ready| ready.text().trim() == "LIVE");
        Ok(live.then_some(()))
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns whether the process is still running.
    pub fn is_running(&mut self) -> bool {
        self.child.ended().is_none()
    }

    /// Returns the response body of a GET to the admin interface.
    #[track_caller]
    pub fn admin(&self, path: &str) -> String {
        send(self.admin, &Request::get(path)).text()
    }

    /// Returns the response body of a POST to the admin interface. Requests that change state use POST.
    #[track_caller]
    pub fn admin_post(&self, path: &str) -> String {
        send(self.admin, &Request::post(path, "")).text()
    }

    #[track_caller]
    pub fn admin_json(&self, path: &str) -> Value {
        send(self.admin, &Request::get(path)).json()
    }

    #[track_caller]
    pub fn stats(&self) -> Stats {
        Stats(self.admin_json("/stats?format=json"))
    }

    #[track_caller]
    pub fn gauges(&self) -> Stats {
        Stats(self.admin_json("/stats?format=json&type=Gauges"))
    }

    /// Returns the address of a listener, if Envoy has it.
    #[track_caller]
    pub fn find(&self, listener: &str) -> Option<SocketAddr> {
        let listeners = self.admin_json("/listeners?format=json");
        let status = listeners["listener_statuses"].as_array()?.iter().find(|status| status["name"] == listener)?;
        let socket = &status["local_address"]["socket_address"];
        format!("{}:{}", socket["address"].as_str()?, socket["port_value"]).parse().ok()
    }

    fn log_file(&self) -> PathBuf {
        self.path().join("log")
    }

    /// Returns the size of the log in bytes.
    pub fn log_size(&self) -> u64 {
        std::fs::metadata(self.log_file()).expect("the log").len()
    }

    /// Returns the log from this offset on.
    pub fn log_since(&self, size: u64) -> String {
        let mut log = std::fs::File::open(self.log_file()).expect("the log");
        let mut bytes = Vec::new();
        log.seek(SeekFrom::Start(size)).and_then(|_| log.read_to_end(&mut bytes)).expect("the log");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    pub fn log_tail(&self) -> String {
        let log = self.log_since(0);
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }

    pub fn with_log(&self, error: &str) -> String {
        format!("{error}; the log ends with:\n{}", self.log_tail())
    }

    /// Puts resources where Envoy watches for them. Renamed into place, because Envoy reads the file when that happens
    /// and must not see half of it.
    pub fn write_resources(directory: &Path, name: &str, kind: &str, mut resources: Vec<Value>) {
        for resource in &mut resources {
            resource["@type"] = format!("type.googleapis.com/envoy.config.{kind}").into();
        }
        let text = serde_json::json!({ "resources": resources }).to_string();
        let (next, file) = (directory.join(format!("{name}.next")), directory.join(name));
        std::fs::write(&next, text).expect("the resources");
        std::fs::rename(next, file).expect("the resources in place");
    }
}

/// Counters and gauges.
pub struct Stats(Value);

impl Stats {
    /// By name, that of a module with or without the `wasmcustom.` in front; 0 when there is none of that name.
    pub fn value(&self, name: &str) -> u64 {
        let custom = format!("wasmcustom.{name}");
        let found = self.all().find(|(other, _)| *other == name || *other == custom);
        found.map_or(0, |(_, value)| value.as_u64().expect("a number"))
    }

    /// All with a value of their own, which histograms do not have.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Value)> {
        let stats = self.0["stats"].as_array().into_iter().flatten();
        stats.filter_map(|stat| Some((stat["name"].as_str()?, stat.get("value")?)))
    }
}
