//! Throughput, by wrk: as many requests as one thread of it gets answered.

use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use tempfile::NamedTempFile;

/// Requests to be sent in turn, over and over.
#[derive(Debug)]
pub(crate) struct Pool {
    file: NamedTempFile,
    first: (String, Option<String>),
}

/// What wrk counted.
#[derive(Debug, Deserialize)]
struct Summary {
    requests: u64,
    micros: u64,
    refused: u64,
    broken: u64,
}

impl Pool {
    /// Requests for one path with each of these tokens.
    pub(crate) fn bearer(path: &str, tokens: &[String]) -> Result<Self> {
        Self::new(tokens.iter().map(|token| (path.to_owned(), Some(format!("Bearer {token}")))))
    }

    /// Requests for one path without a token.
    pub(crate) fn anonymous(path: &str) -> Result<Self> {
        Self::new([(path.to_owned(), None)].into_iter())
    }

    fn new(requests: impl Iterator<Item = (String, Option<String>)>) -> Result<Self> {
        let mut file = NamedTempFile::new()?;
        let mut first = None;
        let mut text = String::new();
        for (path, authorization) in requests {
            text.push_str(&format!("{path} {}\n", authorization.as_deref().unwrap_or_default()));
            first.get_or_insert((path, authorization));
        }
        file.write_all(text.as_bytes())?;
        Ok(Self { file, first: first.context("a pool without requests")? })
    }

    /// The path and the Authorization header of the first request.
    pub(crate) fn first(&self) -> (&str, Option<&str>) {
        (&self.first.0, self.first.1.as_deref())
    }
}

/// Requests per second from place `start` of the pool on, all of them answered, and all of them with (`passes`) or
/// without a status below 400.
pub(crate) fn run(address: &str, pool: &Pool, start: u64, passes: bool, load: Load) -> Result<f64> {
    let mut script = NamedTempFile::with_suffix(".lua")?;
    script.write_all(SCRIPT.as_bytes())?;
    let summary = command(address, script.path(), [pool.file.path().as_os_str(), start.to_string().as_ref()], load)?;
    let expected = if passes { 0 } else { summary.requests };
    if summary.requests == 0 || summary.broken > 0 || summary.refused != expected {
        bail!("of {} requests {} were refused and {} broke", summary.requests, summary.refused, summary.broken);
    }
    Ok(per_second(summary.requests, summary.micros))
}

/// How hard wrk tries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) connections: usize,
    pub(crate) duration: Duration,
}

fn command(address: &str, script: &Path, arguments: [&OsStr; 2], load: Load) -> Result<Summary> {
    let connections = load.connections.to_string();
    // wrk counts in whole seconds.
    let seconds = load.duration.as_secs().max(1).to_string();
    let output = Command::new("wrk")
        .args(["--threads", "1", "--connections", &connections, "--duration", &format!("{seconds}s")])
        .arg("--script")
        .arg(script)
        .arg(format!("http://{address}/"))
        .arg("--")
        .args(arguments)
        .output()
        .context("starting wrk (Debian: apt-get install wrk)")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|line| line.strip_prefix("RESULT "));
    let line = line.with_context(|| format!("wrk said: {text}{}", String::from_utf8_lossy(&output.stderr)))?;
    Ok(serde_json::from_str(line)?)
}

#[expect(clippy::cast_precision_loss, reason = "counts of a few seconds fit")]
fn per_second(requests: u64, micros: u64) -> f64 {
    requests as f64 / (micros as f64 / 1e6)
}

const SCRIPT: &str = include_str!("wrk.lua");
