//! The cost of the module before the first request: time and memory.

use anyhow::Result;
use serde_json::json;

use crate::Setting;
use crate::envoy::listener;
use crate::flood::mebibytes;
use crate::judges::{bookings, by_introspection, scopegate};
use crate::measure::median;
use crate::report::{Report, Table, Target};
use crate::rules;
use crate::scene::Scene;

pub(crate) fn run(setting: &Setting, scene: &Scene, report: &mut Report) -> Result<()> {
    let filter = scopegate(&setting.module, "startup", &by_introspection("active", 10_000, json!([bookings()])));
    let rules = by_introspection("active", 10_000, rules::many(MANY_RULES));
    let many = scopegate(&setting.module, "startup_rules", &rules);
    let entries = [
        ("no filter, one worker", 1, Vec::new()),
        ("Scopegate, one worker", 1, vec![filter.clone()]),
        ("Scopegate, one worker, 10 000 rules", 1, vec![many]),
        ("no filter, two workers", 2, Vec::new()),
        ("Scopegate, two workers", 2, vec![filter]),
    ];
    let mut rounds = vec![(Vec::new(), Vec::new()); entries.len()];
    for _ in 0..setting.plan.rounds {
        for ((_, workers, filters), (times, sizes)) in entries.iter().zip(&mut rounds) {
            let envoy = scene.envoy(setting, vec![listener("main", filters)], *workers)?;
            times.push(envoy.startup.as_secs_f64() * 1e3);
            sizes.push(mebibytes(envoy.rss_bytes()?));
        }
    }
    let mut table = Table::new(
        "Start",
        "From the start of the process until Envoy is ready, and what it occupies then. Envoy configures the module \
         once for its main thread, then once for each worker.",
        vec!["milliseconds".to_owned(), "RSS, MiB".to_owned()],
    );
    for ((name, _, _), (times, sizes)) in entries.iter().zip(&rounds) {
        table.row(name, vec![Some(median(times)?), Some(median(sizes)?)]);
    }
    report.table(table);
    let added = median(&rounds[2].0)? - median(&rounds[1].0)?;
    report.target(Target::limit("10 000 rules: seconds added to the start", added / 1e3, 1.0));
    Ok(())
}

const MANY_RULES: usize = 10_000;
