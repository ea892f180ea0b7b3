//! Compares Scopegate with its alternatives: `make bench`.
//!
//! All contestants of a section are listeners of one Envoy, in front of the same direct-response route, and
//! are measured in turn, round after round. Envoy has one core; wrk, the bench and the helpers have the other.
//! Only ratios within a run are meaningful.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "only developers run the benchmark, and a panic reports the failure"
)]

mod builds;
mod chart;
mod client;
mod filters;
mod flood;
mod judges;
mod jwt;
mod measure;
mod report;
mod rules;
mod scene;
mod services;
mod startup;
mod wrk;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use scopegate_testbed::{envoy, page, tokens};

use crate::measure::Plan;
use crate::report::Report;
use crate::scene::Scene;
use crate::tokens::Algorithm;
use crate::wrk::Load;

/// Compares Scopegate with its alternatives.
#[derive(Debug, Parser)]
#[command(name = "scopegate-bench")]
struct Arguments {
    /// Only these sections
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Section>,
    /// Rounds; the result is their median
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Seconds of each contestant in each round
    #[arg(long, default_value_t = 1)]
    seconds: u64,
    /// Connections of wrk
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// Distinct tokens
    #[arg(long, default_value_t = 2000)]
    tokens: usize,
    /// One round of one second, to check that the benchmark works; the figures are meaningless
    #[arg(long)]
    quick: bool,
    /// Requests a second in the section `latency`
    #[arg(long, default_value_t = 5000)]
    rate: u64,
    /// Random tokens in the section `flood`
    #[arg(long, default_value_t = 1_000_000)]
    flood: u64,
    /// Only this algorithm in the section `jwt`
    #[arg(long)]
    algorithm: Option<String>,
    /// Another build of the module, for the section `builds`
    #[arg(long, value_name = "NAME=FILE", value_parser = build)]
    build: Vec<(String, PathBuf)>,
    /// Output directory for the Markdown and the charts: docs/bench; a partial run is only printed
    #[arg(long)]
    output: Option<PathBuf>,
    /// Envoy
    #[arg(long, env = "ENVOY")]
    envoy: PathBuf,
    /// The module
    #[arg(long, env = "SCOPEGATE_MODULE")]
    module: PathBuf,
    /// The filter that does nothing
    #[arg(long, env = "SCOPEGATE_BENCH_FILTER")]
    filter: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Section {
    /// Each algorithm beside jwt_authn
    Jwt,
    /// Throughput beside every other filter
    Filters,
    /// Throughput beside every other filter, with two workers
    Workers,
    /// 1, 100 and 10 000 rules
    Rules,
    /// Latency at a fixed rate
    Latency,
    /// Time and memory of a start
    Startup,
    /// A million random tokens
    Flood,
    /// Many first requests with one token at once
    Stampede,
    /// Each `--build` beside the module
    Builds,
}

/// What all sections need.
pub(crate) struct Setting {
    pub(crate) envoy: PathBuf,
    pub(crate) module: PathBuf,
    pub(crate) filter: PathBuf,
    pub(crate) plan: Plan,
    pub(crate) tokens: usize,
    pub(crate) rate: u64,
    pub(crate) flood: u64,
    algorithm: Option<String>,
    builds: Vec<(String, PathBuf)>,
}

impl Setting {
    /// Other builds of the module.
    pub(crate) fn builds(&self) -> impl Iterator<Item = (&str, &Path)> {
        self.builds.iter().map(|(name, module)| (name.as_str(), module.as_path()))
    }

    /// The algorithms to measure.
    pub(crate) fn algorithms(&self) -> impl Iterator<Item = Algorithm> {
        let wanted = |algorithm: &Algorithm| self.algorithm.as_ref().is_none_or(|only| only == algorithm.name());
        Algorithm::ALL.into_iter().filter(wanted)
    }

    /// One core for one worker, both for more.
    pub(crate) fn envoy_cores(&self, workers: usize) -> String {
        if workers == 1 { "0".to_owned() } else { format!("0-{}", workers - 1) }
    }
}

type Run = fn(&Setting, &Scene, &mut Report) -> Result<()>;

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let command = std::env::args().skip(1).collect::<Vec<_>>().join(" ");
    let command = if command.is_empty() { command } else { format!(" BENCH=\"{command}\"") };
    let (rounds, seconds) = if arguments.quick { (1, 1) } else { (arguments.rounds, arguments.seconds) };
    let load = Load { connections: arguments.connections, duration: Duration::from_secs(seconds) };
    let setting = Setting {
        envoy: envoy::existing(arguments.envoy, "run `make envoy`, or set ENVOY")?,
        module: envoy::existing(arguments.module, "run `make build`")?,
        filter: envoy::existing(arguments.filter, "run `make bench`, which builds it")?,
        plan: Plan { rounds, load },
        tokens: arguments.tokens,
        rate: arguments.rate,
        flood: if arguments.quick { arguments.flood.min(20_000) } else { arguments.flood },
        algorithm: arguments.algorithm,
        builds: arguments.build,
    };
    let is_whole = arguments.only.is_empty();
    let has = |section: Section| arguments.only.contains(&section) || is_whole && section != Section::Builds;

    let mut report = Report::default();
    if has(Section::Jwt) {
        jwt::run(&setting, &mut report)?;
    }
    if Section::value_variants().iter().any(|section| *section != Section::Jwt && has(*section)) {
        let scene = Scene::set(&setting)?;
        let sections: [(Section, Run); 8] = [
            (Section::Filters, filters::throughputs),
            (Section::Workers, filters::two_workers),
            (Section::Rules, rules::run),
            (Section::Latency, filters::latencies),
            (Section::Startup, startup::run),
            (Section::Flood, flood::flood),
            (Section::Stampede, flood::stampede),
            (Section::Builds, builds::run),
        ];
        for (_, run) in sections.iter().filter(|(section, _)| has(*section)) {
            run(&setting, &scene, &mut report)?;
        }
    }
    let text = report.markdown(&head(&setting, &command)?);
    println!("{text}");
    let is_whole = is_whole && !arguments.quick && setting.algorithm.is_none();
    let Some(output) = arguments.output.or_else(|| is_whole.then(|| "docs/bench".into())) else {
        return Ok(());
    };
    std::fs::create_dir_all(&output)?;
    std::fs::write(output.join("README.md"), text)?;
    if is_whole {
        report.quote("Filters", Path::new("docs/performance.md"))?;
    }
    report.draw(&output)
}

/// Confines this process, and what it starts from now on, to the core of the bench.
pub(crate) fn move_to_bench_core() -> Result<()> {
    let status = Command::new("taskset")
        .args(["--all-tasks", "--cpu-list", "--pid", BENCH_CORE, &std::process::id().to_string()])
        .stdout(std::process::Stdio::null())
        .status()
        .context("starting taskset (Debian: apt-get install util-linux)")?;
    anyhow::ensure!(status.success(), "taskset: {status}: the bench takes at least two cores");
    Ok(())
}

fn build(text: &str) -> Result<(String, PathBuf)> {
    let (name, module) = text.split_once('=').context("NAME=FILE is wanted")?;
    Ok((name.to_owned(), envoy::existing(module.into(), "build it first")?))
}

fn head(setting: &Setting, command: &str) -> Result<String> {
    let date = page::version("date", "+%Y-%m-%d");
    let size = std::fs::metadata(&setting.module)?.len();
    Ok(format!(
        "# Benchmark\n\nWritten by `make bench` on {date}. Only ratios within one run mean anything: another machine, \
         another day, other figures.\n\n\
         - machine: {}\n- versions: Envoy {}, {}, {}; the module has {size} bytes\n\
         - command: `make bench{command}`\n\
         - every figure is the median of {} rounds of {} s; in each round every contestant has its turn; \
         {} connections\n\
         - Envoy's worker has one core, wrk and the helpers have the other\n",
        page::machine()?,
        envoy::version(&setting.envoy)?,
        page::version("rustc", "--version"),
        page::version("wrk", "--version"),
        setting.plan.rounds,
        setting.plan.load.duration.as_secs(),
        setting.plan.load.connections,
    ))
}

/// wrk, this process and its helpers.
pub(crate) const BENCH_CORE: &str = "1";

/// A cache capacity so small that each token is evicted before it is used again.
pub(crate) const FEW: usize = 64;
