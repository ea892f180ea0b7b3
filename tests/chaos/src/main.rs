//! Holds a load on Scopegate while everything around it fails, and checks every answer: `make chaos`, `make soak`.
//!
//! The identity servers fail on demand and respond by a record of each token's state over time; every response of
//! Envoy is checked against the same record. No request may pass with an invalid token, none may hang, and
//! every response must agree with the record.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "only developers run the measurement, and a panic reports the failure"
)]

mod acts;
mod clock;
mod fault;
mod load;
mod mix;
mod report;
mod scene;
mod soak;
mod tally;
mod truth;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::{Parser, Subcommand, ValueEnum};
use scopegate_testbed::{envoy, page};

use crate::acts::Act;
use crate::mix::Rates;
use crate::scene::Setting;
use crate::soak::Soak;

/// Holds a load on Scopegate while everything around it fails, and checks every answer.
#[derive(Debug, Parser)]
#[command(name = "scopegate-chaos")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// One fault after the other
    Chaos {
        /// Seconds of each fault
        #[arg(long, default_value_t = 30)]
        seconds_per_fault: u64,
        /// Requests a second
        #[arg(long, default_value_t = 5000)]
        rate: u64,
        /// Only these acts
        #[arg(long, value_enum, value_delimiter = ',')]
        only: Vec<Which>,
        /// Only faults of the identity server with this in their name
        #[arg(long)]
        fault: Option<String>,
        #[command(flatten)]
        common: Common,
    },
    /// A mixed load for a long time: does anything grow?
    Soak {
        /// Minutes, the warm-up among them
        #[arg(long, default_value_t = 30.0)]
        minutes: f64,
        /// Requests a second
        #[arg(long, default_value_t = 2500)]
        rate: u64,
        #[command(flatten)]
        common: Common,
    },
}

#[derive(Debug, clap::Args)]
struct Common {
    /// Requests a second with a token that has not been seen before
    #[arg(long, default_value_t = 300)]
    unknown: u64,
    /// Workers of Envoy
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Put the figures into docs/reliability.md
    #[arg(long)]
    write: bool,
    /// Envoy
    #[arg(long, env = "ENVOY")]
    envoy: PathBuf,
    /// The module
    #[arg(long, env = "SCOPEGATE_MODULE")]
    module: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Which {
    /// The identity server fails
    Identity,
    /// Stale cache entries while the identity server is unavailable
    Stale,
    /// Envoy's fault filter in front of it
    Filter,
    /// An hour passes, and comes back
    Hour,
    /// The configuration is changed
    Swap,
    /// Envoy is drained
    Drain,
}

impl Which {
    fn run(self, setting: &Setting) -> Result<Act> {
        match self {
            Self::Identity => acts::identity_server(setting),
            Self::Stale => acts::stale(setting),
            Self::Filter => acts::fault_filter(setting),
            Self::Hour => acts::an_hour(setting),
            Self::Swap => acts::swap(setting),
            Self::Drain => acts::drain(setting),
        }
    }
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Chaos { seconds_per_fault, rate, only, fault, common } => {
            let setting = common.setting(rate, Duration::from_secs(seconds_per_fault), fault)?;
            let mut done = Vec::new();
            for which in Which::value_variants().iter().filter(|which| only.is_empty() || only.contains(which)) {
                done.push(which.run(&setting)?);
            }
            let parts: Vec<String> = done.iter().map(|act| report::act(act, rate)).collect();
            let text = format!("{}\n{}\n{}", common.head(&setting)?, report::totals(&done), parts.join("\n"));
            common.publish("chaos", &text)?;
            ensure!(report::is_good(&done, rate), "the run failed: see the table above");
        }
        Command::Soak { minutes, rate, common } => {
            let setting = common.setting(rate, Duration::ZERO, None)?;
            let soak = Soak::run(&setting, Duration::from_secs_f64(minutes * 60.0))?;
            common.publish("soak", &format!("{}\n{}", common.head(&setting)?, report::soak(&soak, rate)))?;
            if common.write {
                std::fs::create_dir_all("docs/reliability")?;
                soak.draw(Path::new("docs/reliability/soak.svg"))?;
            }
            let is_flat = soak.is_flat();
            ensure!(report::is_good(&[soak.act], rate) && is_flat, "the run failed: see the table above");
        }
    }
    Ok(())
}

impl Common {
    fn setting(&self, rate: u64, fault: Duration, only_fault: Option<String>) -> Result<Setting> {
        ensure!(rate > self.unknown, "--rate must be above --unknown");
        Ok(Setting {
            envoy: envoy::existing(self.envoy.clone(), "run `make envoy`, or set ENVOY")?,
            module: envoy::existing(self.module.clone(), "run `make build`")?,
            rates: Rates { requests: rate, unknown: self.unknown },
            fault,
            workers: self.workers,
            only_fault,
        })
    }

    /// When, on what, and how it was run.
    fn head(&self, setting: &Setting) -> Result<String> {
        Ok(format!(
            "- {}, {}\n- Envoy {}, {} workers; {} requests a second, {} of them with a token that has not been seen \
             before\n",
            page::version("date", "+%Y-%m-%d"),
            page::machine()?,
            envoy::version(&self.envoy)?,
            setting.workers,
            setting.rates.requests,
            setting.rates.unknown,
        ))
    }

    /// Prints it, and puts it between its marks if that is wanted.
    fn publish(&self, mark: &str, text: &str) -> Result<()> {
        println!("{text}");
        if self.write { page::insert(Path::new("docs/reliability.md"), mark, text) } else { Ok(()) }
    }
}
