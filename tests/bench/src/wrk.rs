//! Throughput, by wrk: as many requests as one thread of it gets answered.

use std::ffi::OsStr;
use std::io::Write;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use tempfile::NamedTempFile;

/// Requests to be sent in turn, over and over.
#[derive(Debug)]
pub(crate) struct Pool {
    file: NamedTempFile,
    requests: Vec<(String, Option<String>)>,
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
        let requests: Vec<_> = requests.collect();
        let mut file = NamedTempFile::new()?;
        for (path, authorization) in &requests {
            writeln!(file, "{path} {}", authorization.as_deref().unwrap_or_default())?;
        }
        Ok(Self { file, requests })
    }

    /// The path and the Authorization header of the first request.
    pub(crate) fn first(&self) -> Result<(&str, Option<&str>)> {
        let (path, authorization) = self.requests.first().context("a pool without requests")?;
        Ok((path, authorization.as_deref()))
    }

    /// The requests as they are sent, those from place `start` on first.
    pub(crate) fn raw(&self, start: u64) -> Result<Vec<Vec<u8>>> {
        let start = usize::try_from(start)? % self.requests.len().max(1);
        let (before, from) = self.requests.split_at(start);
        let raw = |(path, authorization): &(String, Option<String>)| {
            let authorization = authorization.iter().map(|value| format!("authorization: {value}\r\n"));
            format!("GET {path} HTTP/1.1\r\nhost: bench\r\n{}\r\n", authorization.collect::<String>()).into_bytes()
        };
        Ok(from.iter().chain(before).map(raw).collect())
    }
}

/// Requests per second from place `start` of the pool on, all of them answered, and all of them with (`passes`) or
/// without a status below 400.
pub(crate) fn run(address: &str, pool: &Pool, start: u64, passes: bool, load: Load) -> Result<f64> {
    let summary = command(address, POOL, [pool.file.path().as_os_str(), start.to_string().as_ref()], load)?;
    let expected = if passes { 0 } else { summary.requests };
    if summary.requests == 0 || summary.broken > 0 || summary.refused != expected {
        bail!("of {} requests {} were refused and {} broke", summary.requests, summary.refused, summary.broken);
    }
    Ok(per_second(summary.requests, summary.micros))
}

/// Sends new tokens, and in every tenth request one of the pool. Returns how many requests were
/// answered.
pub(crate) fn flood(address: &str, pool: &Pool, seed: u64, load: Load) -> Result<u64> {
    let summary = command(address, FLOOD, [pool.file.path().as_os_str(), seed.to_string().as_ref()], load)?;
    if summary.requests == 0 || summary.broken > 0 {
        bail!("of {} requests {} broke", summary.requests, summary.broken);
    }
    Ok(summary.requests)
}

/// How hard wrk tries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) connections: usize,
    pub(crate) duration: Duration,
}

fn command(address: &str, script: &str, arguments: [&OsStr; 2], load: Load) -> Result<Summary> {
    let mut file = NamedTempFile::with_suffix(".lua")?;
    write!(file, "{script}{DONE}")?;
    let connections = load.connections.to_string();
    // wrk counts in whole seconds.
    let seconds = load.duration.as_secs().max(1).to_string();
    let output = Command::new("wrk")
        .args(["--threads", "1", "--connections", &connections, "--duration", &format!("{seconds}s")])
        .arg("--script")
        .arg(file.path())
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

const POOL: &str = include_str!("wrk/pool.lua");
const FLOOD: &str = include_str!("wrk/flood.lua");
const DONE: &str = include_str!("wrk/done.lua");
