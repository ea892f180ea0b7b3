//! A server that is a process of its own, and says on its standard output how it is.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::NamedTempFile;

use crate::support::http::{Request, send};
use crate::support::{try_wait, wait_until};

const LIMIT: Duration = Duration::from_secs(5);

/// The process ends with this value.
pub struct ServerProcess {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    errors: NamedTempFile,
}

impl ServerProcess {
    /// Starts it; `remedy` is for a machine that lacks the program.
    #[track_caller]
    pub fn spawn(command: &mut Command, remedy: &str) -> Self {
        let errors = NamedTempFile::new().expect("a temporary file");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors.reopen().expect("the temporary file"));
        let program = command.get_program().to_owned();
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot run {program:?} ({error}): {remedy}"));
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (stdout, read) = (child.stdout.take().expect("its stdout"), Arc::clone(&lines));
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                read.lock().expect("the lines").push(line);
            }
        });
        Self { child, lines, errors }
    }

    /// What it wrote to its standard output.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().expect("the lines").clone()
    }

    /// What it wrote to its standard error.
    pub fn errors(&self) -> String {
        std::fs::read_to_string(self.errors.path()).unwrap_or_default()
    }

    /// Waits for an answer of `probe`; fails the test with what the server complained about when it ends before, or
    /// when `limit` is over.
    #[track_caller]
    pub fn wait_for<T>(&mut self, what: &str, limit: Duration, mut probe: impl FnMut(&Self) -> Option<T>) -> T {
        let outcome = try_wait(what, limit, || {
            let ended = self.child.try_wait().expect("its state");
            probe(self).map(Ok).or_else(|| ended.map(|status| Err(format!("it ended with {status}"))))
        });
        outcome.and_then(|done| done).unwrap_or_else(|error| panic!("{error}; it said: {}", self.errors()))
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // Both fail only when the process is gone already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A server that says `ready http://ADDRESS` when it is, then `METHOD PATH STATUS` for each finished request.
pub struct LoggingServer {
    process: ServerProcess,
    addr: SocketAddr,
    barriers: AtomicUsize,
}

impl LoggingServer {
    /// Starts it and waits until it is ready; `name` and `remedy` are for messages.
    #[track_caller]
    pub fn start(name: &str, command: &mut Command, remedy: &str, limit: Duration) -> Self {
        let mut process = ServerProcess::spawn(command, remedy);
        let addr = process
            .wait_for(&format!("{name} to be ready"), limit, |process| listening(&process.lines(), "ready http://"));
        Self { process, addr, barriers: AtomicUsize::new(0) }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The address that it wrote after `word`.
    pub fn listening(&self, word: &str) -> Option<SocketAddr> {
        listening(&self.log(), word)
    }

    pub fn log(&self) -> Vec<String> {
        self.process.lines()
    }

    /// How many POSTs to a path it has finished, exactly.
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

fn listening(lines: &[String], word: &str) -> Option<SocketAddr> {
    let url = lines.iter().find_map(|line| line.strip_prefix(word))?;
    Some(url.split_whitespace().next()?.parse().expect("the address it listens on"))
}
