//! The identity servers written in Python: `tests/identity/*/server.py`.

use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::LoggingServer;
use crate::in_repository;

const START_LIMIT: Duration = Duration::from_secs(30);

pub struct PythonServer {
    pub server: LoggingServer,
    /// Where it keeps what it writes; removed after it has ended.
    _directory: TempDir,
}

impl PythonServer {
    /// The server in the folder `name`, with the packages that `make identity` has put into the folder of that name.
    #[track_caller]
    pub fn start(name: &str, access_token_ttl: u64) -> Self {
        let (packages, servers) = (in_repository(".tools").join(name), in_repository("tests/identity"));
        assert!(packages.join(".installed").is_file(), "no {name} in .tools: run `make identity`");
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = std::env::join_paths([&packages, &servers]).expect("paths without colons");
        let mut command = Command::new("python3");
        // -B: nothing but what is checked in belongs to the folder of the server.
        command
            .arg("-B")
            .arg(servers.join(name).join("server.py"))
            .current_dir(&directory)
            .env("PYTHONPATH", path)
            .env("ACCESS_TOKEN_TTL", access_token_ttl.to_string());
        let server = LoggingServer::start(name, &mut command, "install Python 3.10 or later", START_LIMIT);
        Self { server, _directory: directory }
    }
}
