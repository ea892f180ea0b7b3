//! The process in which all servers of oidc-provider run: `tests/identity/oidc-provider/fleet.mjs`. One of its own for
//! each would take half a second to start. It lives as long as the test run.

use std::collections::{BTreeMap, HashMap};
use std::io::Write as _;
use std::process::{ChildStdin, Command};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use serde_json::json;

use super::process::{AccessLog, ServerProcess};
use crate::in_repository;

const DIRECTORY: &str = "tests/identity/oidc-provider";
const LIMIT: Duration = Duration::from_secs(60);

struct Fleet {
    process: Mutex<ServerProcess>,
    orders: Mutex<ChildStdin>,
    logs: Arc<Mutex<HashMap<usize, AccessLog>>>,
}

fn fleet() -> &'static Fleet {
    static FLEET: OnceLock<Fleet> = OnceLock::new();
    FLEET.get_or_init(|| {
        let directory = in_repository(DIRECTORY);
        assert!(directory.join("node_modules").is_dir(), "no node_modules in {DIRECTORY}: run `make identity`");
        let mut command = Command::new("node");
        command.arg("fleet.mjs").current_dir(directory);
        let logs: Arc<Mutex<HashMap<usize, AccessLog>>> = Arc::default();
        let known = Arc::clone(&logs);
        let mut process = ServerProcess::spawn(&mut command, "install Node.js 22 or later", move |line| {
            let found = line.split_once(' ').and_then(|(id, line)| Some((id.parse::<usize>().ok()?, line)));
            let Some((id, line)) = found else { return };
            if let Some(log) = known.lock().unwrap_or_else(PoisonError::into_inner).get(&id) {
                log.push(line.to_owned());
            }
        });
        let orders = Mutex::new(process.stdin());
        Fleet { process: Mutex::new(process), orders, logs }
    })
}

impl Fleet {
    fn order(&self, order: &serde_json::Value) {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        // One that has ended is told of by the wait that follows.
        let _ = orders.write_all(format!("{order}\n").as_bytes());
    }

    #[track_caller]
    fn wait_for(&self, what: &str, log: &AccessLog, word: &str) {
        let found = || log.lines().iter().find(|line| line.starts_with(word) || line.starts_with("failed ")).cloned();
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        let line = process.wait_for(what, LIMIT, |_| found());
        assert!(line.starts_with(word), "{what}: {line}");
    }
}

/// One server; it ends with this value.
pub struct Member {
    id: usize,
    log: AccessLog,
}

impl Member {
    /// Starts a server and waits until it is ready. `env` contains all its settings.
    #[track_caller]
    pub fn start(env: &BTreeMap<&str, String>) -> Self {
        static IDS: AtomicUsize = AtomicUsize::new(0);
        let (id, log) = (IDS.fetch_add(1, Ordering::Relaxed), AccessLog::default());
        let fleet = fleet();
        fleet.logs.lock().unwrap_or_else(PoisonError::into_inner).insert(id, log.clone());
        fleet.order(&json!({ "id": id, "env": env }));
        fleet.wait_for("the identity server to be ready", &log, "ready ");
        Self { id, log }
    }

    pub fn log(&self) -> &AccessLog {
        &self.log
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let fleet = fleet();
        fleet.order(&json!({ "id": self.id }));
        // After this line the server has stopped, and another one may take the port.
        if !std::thread::panicking() {
            fleet.wait_for("the identity server to end", &self.log, "closed");
        }
        fleet.logs.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}
