//! What attackers can do: a flood of random tokens, and many first requests with one token at once.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::Setting;
use crate::client::burst;
use crate::envoy::{Envoy, listener};
use crate::judges::{bookings, by_introspection, scopegate};
use crate::measure::median;
use crate::report::{Report, Table, Target};
use crate::scene::Scene;
use crate::tokens::opaque;
use crate::wrk::{self, Load, Pool};

/// A flood of distinct random tokens.
pub(crate) fn flood(setting: &Setting, scene: &Scene, report: &mut Report) -> Result<()> {
    let mut configuration = by_introspection("by_token", 10_000, json!([bookings()]));
    // In the query, so that a route can tell good tokens.
    configuration["authorization_servers"][0]["introspection"]["request"] =
        json!({ "method": "GET", "token_in": "query" });
    let envoy =
        scene.envoy(setting, vec![listener("flood", &[scopegate(&setting.module, "flood", &configuration)])], 1)?;
    let address = envoy.address("flood")?;
    let load = Load { duration: Duration::from_secs(2), ..setting.plan.load };
    // As in normal operation: tokens for half of the capacity are in the cache.
    let good = Pool::bearer("/bookings", &opaque("good-", 5_000))?;
    for _ in 0..3 {
        wrk::run(&address, &good, 0, true, load)?;
    }
    let (_, quiet) = good_ones(&envoy, || wrk::run(&address, &good, 0, true, load).map(drop))?;
    let before = envoy.rss_bytes()?;
    let asked = || envoy.counter("wasmcustom.scopegate.callouts.outcome.inactive");
    let mut sent = 0;
    let (good_requests, flooded) = good_ones(&envoy, || {
        let mut seed = 1;
        while asked()? < setting.flood {
            ensure!(seed < 1_000, "the flood does not come to an end: {} tokens in {sent} requests", asked()?);
            sent += wrk::flood(&address, &good, seed, load)?;
            seed += 1;
        }
        Ok(())
    })?;
    let grown = mebibytes(envoy.rss_bytes()?.saturating_sub(before));
    let (quiet, flooded) = (quiet * 100.0, flooded * 100.0);
    let mut table = Table::new(
        "A flood of random tokens",
        &format!(
            "{} distinct random tokens through a cache of the default capacity, every tenth request with one of 5 000 \
             good tokens ({good_requests} requests).",
            asked()?
        ),
        vec!["before".to_owned(), "in the flood".to_owned()],
    );
    table.decimals(3);
    table.row("hit rate of the good tokens, %", vec![Some(quiet), Some(flooded)]);
    table.row("memory of Envoy (RSS), MiB", vec![Some(mebibytes(before)), Some(mebibytes(before) + grown)]);
    report.table(table);
    report.target(Target::limit("Flood: memory added, MiB", grown, 16.0));
    report.target(Target::limit("Flood: hit rate of good tokens lost, %", quiet - flooded, 1.0));
    Ok(())
}

/// How many requests with good tokens there were meanwhile, and how many of them, out of one, the cache knew.
#[expect(clippy::cast_precision_loss, reason = "counts fit")]
fn good_ones(envoy: &Envoy, meanwhile: impl FnOnce() -> Result<()>) -> Result<(u64, f64)> {
    let read = || -> Result<(u64, u64)> {
        let hits = envoy.counter("wasmcustom.scopegate.cache.result.hit")?;
        Ok((hits, envoy.counter("wasmcustom.scopegate.callouts.outcome.active")?))
    };
    let before = read()?;
    meanwhile()?;
    let after = read()?;
    let (hits, misses) = (after.0 - before.0, after.1 - before.1);
    Ok((hits + misses, hits as f64 / (hits + misses) as f64))
}

/// Many first requests with one token at once.
#[expect(clippy::cast_precision_loss, reason = "counts fit")]
pub(crate) fn stampede(setting: &Setting, scene: &Scene, report: &mut Report) -> Result<()> {
    let mut configuration = by_introspection("slow", 10_000, json!([bookings()]));
    configuration["authorization_servers"][0]["introspection"]["timeout"] = json!("30s");
    let mut table = Table::new(
        "One token, many first requests at once",
        &format!("{STAMPEDE} requests over as many connections; the introspection endpoint takes a second to answer."),
        vec!["callouts".to_owned()],
    );
    let mut envoys = Vec::new();
    for workers in [1, 2] {
        let filter = scopegate(&setting.module, "stampede", &configuration);
        envoys.push((workers, scene.envoy(setting, vec![listener("stampede", &[filter])], workers)?, Vec::new()));
    }
    for token in opaque("good-", setting.plan.rounds) {
        for (workers, envoy, callouts) in &mut envoys {
            let count = || envoy.counter("wasmcustom.scopegate.callouts.outcome.active");
            let before = count()?;
            let request = format!("GET /bookings HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {token}\r\n\r\n");
            let statuses = burst(&envoy.address("stampede")?, request.as_bytes(), STAMPEDE)?;
            ensure!(statuses.iter().all(|status| *status == 200), "not all passed: {statuses:?}");
            let made = count()?.checked_sub(before).context("a counter went back")?;
            eprintln!("stampede on {workers}: {made}");
            callouts.push(made as f64);
        }
    }
    for (workers, _, callouts) in &envoys {
        let name = if *workers == 1 { "one worker" } else { "two workers" };
        table.row(name, vec![Some(median(callouts)?)]);
    }
    report.table(table);
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "sizes of memory fit")]
pub(crate) fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

const STAMPEDE: usize = 1_000;
