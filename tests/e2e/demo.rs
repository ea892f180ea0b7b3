//! Starts the demo as the README says and runs the commands of the README's transcript. Only the ports differ, because
//! those of the README may be in use on this machine.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use tempfile::TempDir;

use crate::support::*;

const START_LIMIT: Duration = Duration::from_secs(120);
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// The ports of the demo: of the gateway, the identity server, the bookings API and Envoy's admin interface.
const PORTS: [&str; 4] = ["8000", "9400", "9410", "9901"];

/// The running demo; it is asked to end when the value goes.
struct Demo {
    process: Child,
    lines: Receiver<String>,
    /// What stands in the place of `PORTS`.
    ports: [u16; 4],
    _directory: TempDir,
}

/// Free ports below those that outgoing connections get.
fn free_ports() -> [u16; 4] {
    let first = u16::try_from(10_000 + std::process::id() % 20_000).expect("a port");
    let mut free = (first..).filter_map(|port| TcpListener::bind(("127.0.0.1", port)).ok());
    // All are taken at a time, so that they differ.
    let listeners = [(); 4].map(|()| free.next().expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("its address").port())
}

/// The text with other ports.
fn with_ports(text: &str, ports: [u16; 4]) -> String {
    PORTS.iter().zip(ports).fold(text.to_owned(), |text, (port, other)| text.replace(port, &other.to_string()))
}

/// A folder with the demo on these ports; the rest is where it was.
fn copy(ports: [u16; 4]) -> TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let root = directory.path();
    std::fs::create_dir_all(root.join("envoy/demo")).expect("the folders");
    for file in ["envoy/demo.yaml", "envoy/demo/run.sh"] {
        let text = std::fs::read_to_string(in_repository(file)).expect("a file of the demo");
        assert!(PORTS.iter().any(|port| text.contains(port)), "{file} has other ports than {PORTS:?}");
        std::fs::write(root.join(file), with_ports(&text, ports)).expect("its copy");
    }
    for file in ["dist", "tests", "envoy/demo/bookings.mjs"] {
        std::os::unix::fs::symlink(in_repository(file), root.join(file)).expect("a link");
    }
    directory
}

impl Demo {
    fn start() -> Self {
        let ports = free_ports();
        let directory = copy(ports);
        // Who runs the tests in the background of a script has them ignore Ctrl-C, and a shell cannot undo that.
        let mut process = Command::new("env")
            .args(["--default-signal=INT", "bash", "envoy/demo/run.sh"])
            .current_dir(directory.path())
            .env("ENVOY", envoy_binary())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the script of the demo");
        let output = BufReader::new(process.stdout.take().expect("its output"));
        let (sender, lines) = channel();
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { process, lines, ports, _directory: directory }
    }

    /// Returns the output up to a line that starts with `end`.
    fn say_until(&self, end: &str) -> String {
        let mut said = String::new();
        loop {
            let line = self.lines.recv_timeout(START_LIMIT).unwrap_or_else(|_| panic!("no {end:?} after:\n{said}"));
            if line.starts_with(end) {
                return said;
            }
            said.push_str(&line);
            said.push('\n');
        }
    }

    /// Sends a signal. By the shell's own `kill`: a bare machine has no other.
    fn signal(&self, name: &str) -> bool {
        let kill = format!("kill -{name} {}", self.process.id());
        Command::new("bash").args(["-c", &kill]).status().is_ok_and(|status| status.success())
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // The script ends its children when it is terminated, not when it is killed.
        let ended = |demo: &mut Self| demo.process.try_wait().is_ok_and(|status| status.is_some());
        if !ended(self) {
            self.signal("TERM");
            let _ = try_wait("the demo to end", STOP_LIMIT, || ended(self).then_some(()));
            let _ = self.process.kill();
        }
    }
}

/// The commands of the README's `console` blocks, and what they are said to print.
fn transcript(ports: [u16; 4]) -> (String, String) {
    let readme = with_ports(&std::fs::read_to_string(in_repository("README.md")).expect("the README"), ports);
    let mut commands = String::new();
    let mut output = String::new();
    for block in readme.split("```console\n").skip(1) {
        for line in block.split("```").next().unwrap_or_default().lines() {
            let (to, text) = line.strip_prefix("$ ").map_or((&mut output, line), |command| (&mut commands, command));
            to.push_str(text);
            to.push('\n');
        }
    }
    assert!(commands.lines().count() >= 4, "the README has lost its transcript");
    (commands, output)
}

fn shell(commands: &str) -> String {
    let output = Command::new("bash").args(["-c", commands]).output().expect("bash");
    String::from_utf8_lossy(&output.stdout).replace('\r', "")
}

#[test]
fn the_demo_checks_itself_and_the_transcript_of_the_readme_holds() {
    let mut demo = Demo::start();
    let said = demo.say_until("Ctrl-C ends the demo.");
    for line in [
        "  GET  /bookings  without a token              401",
        "  GET  /bookings  with a token of scope view   200",
        "  POST /bookings  with the same token          403",
        "  GET  /healthz   without a token              200",
    ] {
        assert!(said.contains(line), "no {line:?} in\n{said}");
    }

    let (commands, output) = transcript(demo.ports);
    assert_eq!(shell(&commands), output);

    // Run the commands that the demo suggests, too.
    let (_, advice) = said.split_once("Try, in another terminal:").expect("advice");
    let printed = shell(advice);
    let statuses: Vec<&str> = printed.split("HTTP/1.1 ").skip(1).map(|rest| &rest[..3]).collect();
    assert_eq!(statuses, ["200", "403", "201", "200"], "{printed}");
    assert!(printed.contains(r#""client_id":"traveller""#), "{printed}");
    for metric in [
        r#"scopegate_decisions{outcome="permitted"}"#,
        r#"scopegate_callouts{outcome="active"}"#,
        r#"scopegate_cache{result="hit"}"#,
    ] {
        assert!(printed.contains(metric), "no {metric} in\n{printed}");
    }

    // Ctrl-C
    assert!(demo.signal("INT"));
    let mut status = None;
    wait_until("the demo to end", STOP_LIMIT, || {
        status = demo.process.try_wait().expect("its state");
        status.is_some()
    });
    assert!(status.is_some_and(|status| status.success()), "{status:?}");
    for port in demo.ports {
        assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err(), "port {port} is still in use");
    }
}
