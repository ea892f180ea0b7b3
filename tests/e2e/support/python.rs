//! The identity servers written in Python: `tests/identity/*/server.py`.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;

use super::http::{Request, send};
use super::{in_repository, try_wait, wait_until};

const START_LIMIT: Duration = Duration::from_secs(30);
const LIMIT: Duration = Duration::from_secs(5);

pub struct PythonServer {
    child: Child,
    addr: SocketAddr,
    lines: Arc<Mutex<Vec<String>>>,
    barriers: AtomicUsize,
    dir: TempDir,
}

impl PythonServer {
    /// The server in the folder `name`, with the packages that `make identity` has put into the folder of that name.
    #[track_caller]
    pub fn start(name: &str, access_token_ttl: u64) -> Self {
        let (packages, servers) = (in_repository(".tools").join(name), in_repository("tests/identity"));
        assert!(packages.join(".installed").is_file(), "no {name} in .tools: run `make identity`");
        let dir = tempfile::tempdir().expect("a temporary directory");
        let errors = std::fs::File::create(dir.path().join("errors")).expect("a file for its errors");
        let path = std::env::join_paths([&packages, &servers]).expect("paths without colons");
        // -B: nothing but what is checked in belongs to the folder of the server.
        let child = Command::new("python3")
            .arg("-B")
            .arg(servers.join(name).join("server.py"))
            .current_dir(&dir)
            .env("PYTHONPATH", path)
            .env("ACCESS_TOKEN_TTL", access_token_ttl.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .expect("cannot run `python3`: install Python 3.10 or later");

        // From here on, dropping the server ends the process.
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut server = Self { child, addr: unknown, lines: Arc::default(), barriers: AtomicUsize::new(0), dir };
        let (stdout, read) = (server.child.stdout.take().expect("its stdout"), Arc::clone(&server.lines));
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                read.lock().expect("the lines").push(line);
            }
        });
        let ready = try_wait(&format!("{name} to be ready"), START_LIMIT, || server.ready().transpose());
        server.addr =
            ready.and_then(|ready| ready).unwrap_or_else(|error| panic!("{error}; it said: {}", server.errors()));
        server
    }

    /// `None` while it starts, an error when it never will.
    fn ready(&mut self) -> Result<Option<SocketAddr>, String> {
        let url = self.log().into_iter().find_map(|line| line.strip_prefix("ready http://").map(str::to_owned));
        if let Some(addr) = url {
            return Ok(Some(addr.parse().expect("the address it listens on")));
        }
        let ended = self.child.try_wait().expect("its state");
        ended.map_or(Ok(None), |status| Err(format!("it ended with {status}")))
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// What it wrote: `ready URL`, then `METHOD PATH STATUS` for each request.
    pub fn log(&self) -> Vec<String> {
        self.lines.lock().expect("the lines").clone()
    }

    pub fn errors(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("errors")).unwrap_or_default()
    }

    /// How many POSTs to a path it has answered, exactly.
    pub fn posts_to(&self, path: &str) -> usize {
        // The lines arrive a moment after the answers. They keep their order, so what came before is there when a
        // request made now is.
        let barrier = format!("/barrier-{}", self.barriers.fetch_add(1, Ordering::Relaxed));
        send(self.addr, &Request::get(&barrier).host(self.addr.to_string()));
        let line = format!("GET {barrier} ");
        wait_until(&line, LIMIT, || self.log().iter().any(|other| other.starts_with(&line)));
        let line = format!("POST {path} ");
        self.log().iter().filter(|other| other.starts_with(&line)).count()
    }
}

impl Drop for PythonServer {
    fn drop(&mut self) {
        // Both fail only when the process is gone already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
