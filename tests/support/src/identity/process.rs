//! Servers in separate processes, which report their state on standard output.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tempfile::NamedTempFile;

use crate::http::{Request, send};
use crate::watchdog::Watched;
use crate::{try_wait, wait_until};

const LIMIT: Duration = Duration::from_secs(30);

/// The process ends with this value.
pub struct ServerProcess {
    child: Watched,
    errors: NamedTempFile,
}

impl ServerProcess {
    /// Starts it; `line` gets what it writes to its standard output, and `remedy` is for a machine that lacks the
    /// program.
    #[track_caller]
    pub fn spawn(command: &mut Command, remedy: &str, line: impl Fn(String) + Send + 'static) -> Self {
        let errors = NamedTempFile::new().expect("a temporary file");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors.reopen().expect("the temporary file"));
        let program = command.get_program().to_owned();
        let mut child =
            Watched::spawn(command).unwrap_or_else(|error| panic!("cannot run {program:?} ({error}): {remedy}"));
        let stdout = child.child().stdout.take().expect("its stdout");
        std::thread::spawn(move || BufReader::new(stdout).lines().map_while(Result::ok).for_each(line));
        Self { child, errors }
    }

    /// Returns its standard input, which closes when the value is dropped.
    pub fn stdin(&mut self) -> ChildStdin {
        self.child.child().stdin.take().expect("its stdin")
    }

    /// Returns its standard error output.
    pub fn errors(&self) -> String {
        std::fs::read_to_string(self.errors.path()).unwrap_or_default()
    }

    /// Waits for an answer of `probe`; fails the test with what the server complained about when it ends before, or
    /// when `limit` is over.
    #[track_caller]
    pub fn wait_for<T>(&mut self, what: &str, limit: Duration, mut probe: impl FnMut(&Self) -> Option<T>) -> T {
        let outcome = try_wait(what, limit, || {
            let ended = self.child.ended();
            probe(self).map(Ok).or_else(|| ended.map(|status| Err(format!("it ended with {status}"))))
        });
        outcome.and_then(|done| done).unwrap_or_else(|error| panic!("{error}; it said: {}", self.errors()))
    }
}

/// The standard output of a server: `ready http://ADDRESS`, then `METHOD PATH STATUS` for each finished request.
#[derive(Clone, Default)]
pub struct AccessLog {
    lines: Arc<Mutex<Vec<String>>>,
    barriers: Arc<AtomicUsize>,
}

impl AccessLog {
    pub fn push(&self, line: String) {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The address that it wrote after `word`.
    pub fn listening(&self, word: &str) -> Option<SocketAddr> {
        let lines = self.lines();
        let url = lines.iter().find_map(|line| line.strip_prefix(word))?;
        Some(url.split_whitespace().next()?.parse().expect("the address it listens on"))
    }

    /// How many POSTs to a path the server at this address has finished, exactly.
    pub fn posts_to(&self, addr: SocketAddr, path: &str) -> usize {
        // The lines arrive a moment after the answers. They keep their order, so what came before is there when a
        // request made now is.
        let barrier = format!("/barrier-{}", self.barriers.fetch_add(1, Ordering::Relaxed));
        send(addr, &Request::get(&barrier).host(addr.to_string()));
        let line = format!("GET {barrier} ");
        wait_until(&line, LIMIT, || self.lines().iter().any(|other| other.starts_with(&line)));
        let line = format!("POST {path} ");
        self.lines().iter().filter(|other| other.starts_with(&line)).count()
    }
}

/// A process that is one such server.
pub struct LoggingServer {
    _process: ServerProcess,
    log: AccessLog,
    addr: SocketAddr,
}

impl LoggingServer {
    /// Starts it and waits until it is ready; `name` and `remedy` are for messages.
    #[track_caller]
    pub fn start(name: &str, command: &mut Command, remedy: &str, limit: Duration) -> Self {
        let log = AccessLog::default();
        let said = log.clone();
        let mut process = ServerProcess::spawn(command, remedy, move |line| said.push(line));
        let addr = process.wait_for(&format!("{name} to be ready"), limit, |_| log.listening("ready http://"));
        Self { _process: process, log, addr }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// How many POSTs to a path it has finished, exactly.
    pub fn posts_to(&self, path: &str) -> usize {
        self.log.posts_to(self.addr, path)
    }
}
