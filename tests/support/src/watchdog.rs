//! Ends what a test run leaves behind, however the run ends: `static` values are not dropped, and a process that is
//! killed drops nothing.
//!
//! A shell reads which processes there are from a pipe that only this process can write to. When this process ends,
//! the pipe closes, and the shell kills what is left and removes the folder of the run.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock};

/// `+PID` and `-PID`, one a line. Ctrl-C goes to every process of a terminal: the shell must outlive it.
const SCRIPT: &str = r#"
trap '' INT TERM HUP
pids=' '
while read -r line; do
  pid=${line#?}
  case $line in
    +*) pids="$pids$pid " ;;
    -*) pids="${pids%% $pid *} ${pids#* $pid }" ;;
  esac
done
for pid in $pids; do kill -KILL "$pid" 2>/dev/null; done
rm -rf "$1"
"#;

struct Watchdog {
    pipe: Mutex<ChildStdin>,
    directory: PathBuf,
}

#[expect(clippy::zombie_processes, reason = "it ends after this process")]
fn watchdog() -> &'static Watchdog {
    static WATCHDOG: OnceLock<Watchdog> = OnceLock::new();
    WATCHDOG.get_or_init(|| {
        let directory = tempfile::Builder::new().prefix("scopegate-").tempdir().expect("a temporary directory").keep();
        let mut shell = Command::new("sh")
            .args(["-c", SCRIPT, "watchdog"])
            .arg(&directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        let pipe = Mutex::new(shell.stdin.take().expect("its stdin"));
        Watchdog { pipe, directory }
    })
}

impl Watchdog {
    fn tell(&self, sign: char, process: u32) {
        let mut pipe = self.pipe.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        pipe.write_all(format!("{sign}{process}\n").as_bytes()).expect("the watchdog listens");
    }
}

/// A folder for the files of this test run; it goes when the run ends.
pub fn directory() -> &'static Path {
    &watchdog().directory
}

/// A child that is killed when its value is dropped, and also when the test run ends without that.
pub struct Watched(Child);

impl Watched {
    #[track_caller]
    pub fn spawn(command: &mut Command) -> std::io::Result<Self> {
        let watchdog = watchdog();
        let child = command.spawn()?;
        watchdog.tell('+', child.id());
        Ok(Self(child))
    }

    pub fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.0.try_wait().expect("the state of a child")
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // Forgotten before it is waited for: until then no other process can get its number.
        watchdog().tell('-', self.0.id());
        // Both fail only when the process is gone already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
