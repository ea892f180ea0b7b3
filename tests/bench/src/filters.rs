//! Scopegate beside every alternative filter: throughput, latency, and two workers.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use crate::Setting;
use crate::client::{Rate, open_loop};
use crate::measure::{Contestant, median, throughput};
use crate::report::{Report, Table, Target};
use crate::scene::Scene;

/// Requests per second.
pub(crate) fn throughputs(setting: &Setting, scene: &Scene, report: &mut Report) -> Result<()> {
    scene.contestants(setting, 1, None, |contestants| {
        let figures = throughput(contestants, setting.plan)?;
        let of: BTreeMap<&str, f64> =
            contestants.iter().map(|one| one.listener.as_str()).zip(figures.iter().map(|one| one.per_second)).collect();
        let mut table = Table::new(
            "Filters",
            "Requests per second, one worker. *CPU* is the time of Envoy's threads for each request, in microseconds. \
             A refused route is 403, an inactive token 401, all others pass. On a miss the introspection endpoint \
             is another Envoy that answers at once.",
            vec!["requests per second".to_owned(), "of the floor, %".to_owned(), "CPU".to_owned()],
        );
        for (contestant, figure) in contestants.iter().zip(&figures) {
            let floor = if is_about_jwts(contestant) { of["floor_jwt"] } else { of["floor"] };
            let of_floor = 100.0 * figure.per_second / floor;
            table.row(&contestant.name, vec![Some(figure.per_second), Some(of_floor), Some(figure.cpu_micros)]);
        }
        table.chart("filters", 1);
        report.table(table);
        for (what, reached, wanted) in [
            ("Opaque hit, of the floor", of["opaque_hit"] / of["floor"], 0.95),
            ("JWT hit, of the floor with the same token", of["jwt_hit"] / of["floor_jwt"], 0.93),
            ("Inactive hit, of the floor", of["inactive"] / of["floor"], 0.9),
            ("Opaque hit, of jwt_authn without cache", of["opaque_hit"] / of["jwt_authn"], 1.7),
            ("JWT hit, of jwt_authn without cache", of["jwt_hit"] / of["jwt_authn"], 1.7),
            ("JWT first, of jwt_authn without cache", of["jwt_first"] / of["jwt_authn"], 0.9),
            ("Opaque hit, of ext_authz over gRPC", of["opaque_hit"] / of["grpc"], 2.0),
            ("Opaque hit, of ext_authz over HTTP", of["opaque_hit"] / of["http"], 2.0),
            ("JWT hit, of ext_authz over gRPC", of["jwt_hit"] / of["grpc"], 2.0),
        ] {
            report.target(Target::new(what, reached, wanted));
        }
        Ok(())
    })
}

fn is_about_jwts(contestant: &Contestant<'_>) -> bool {
    contestant.listener.contains("jwt")
}

/// The latency of a request at a rate far below saturation.
pub(crate) fn latencies(setting: &Setting, scene: &Scene, report: &mut Report) -> Result<()> {
    scene.contestants(setting, 1, None, |contestants| {
        let rate = Rate {
            per_second: setting.rate,
            duration: setting.plan.load.duration,
            connections: setting.plan.load.connections,
        };
        let mut rounds: Vec<Vec<Vec<f64>>> = vec![vec![Vec::new(); PERCENTILES.len()]; contestants.len()];
        for contestant in contestants {
            contestant.prepare(setting.plan.load).with_context(|| contestant.name.clone())?;
        }
        for round in 1..=setting.plan.rounds {
            for (contestant, percentiles) in contestants.iter().zip(&mut rounds) {
                let latencies = contestant
                    .judged(setting.plan.load.connections, |address, start| {
                        open_loop(address, &contestant.pool.raw(start)?, contestant.status, rate)
                    })
                    .with_context(|| contestant.name.clone())?;
                eprintln!("round {round}: {}", contestant.name);
                for (percentile, figures) in PERCENTILES.iter().zip(percentiles) {
                    #[expect(clippy::cast_precision_loss, reason = "nanoseconds of a few seconds fit")]
                    figures.push(latencies.value_at_quantile(percentile / 100.0) as f64 / 1e3);
                }
            }
        }
        let mut table = Table::new(
            "Latency",
            &format!(
                "Microseconds from the moment at which a request was due to the end of its answer, at {} requests a \
                 second, one worker. The client sends at this rate whether answers come or not, so that a stall \
                 counts for all that it held up.",
                rate.per_second
            ),
            PERCENTILES.iter().map(|percentile| format!("{percentile} %")).collect(),
        );
        for (contestant, percentiles) in contestants.iter().zip(&rounds) {
            let row: Result<Vec<f64>> = percentiles.iter().map(|figures| median(figures)).collect();
            table.row(&contestant.name, row?.into_iter().map(Some).collect());
        }
        table.chart("latency", PERCENTILES.len());
        report.table(table);
        Ok(())
    })
}

/// Requests per second with two workers.
pub(crate) fn two_workers(setting: &Setting, scene: &Scene, report: &mut Report) -> Result<()> {
    let only = ["none", "floor", "floor_jwt", "grpc", "jwt_authn", "jwt_authn_cache", "opaque_hit", "jwt_hit"];
    let mut table = Table::new(
        "Two workers",
        "Requests per second. Only an indication on a machine with two cores: wrk and the helpers share one of them \
         with a worker.",
        vec!["requests per second".to_owned()],
    );
    scene.contestants(setting, 2, Some(&only), |contestants| {
        let figures = throughput(contestants, setting.plan)?;
        for (contestant, figure) in contestants.iter().zip(&figures) {
            table.row(&contestant.name, vec![Some(figure.per_second)]);
        }
        Ok(())
    })?;
    report.table(table);
    Ok(())
}

const PERCENTILES: [f64; 4] = [50.0, 90.0, 99.0, 99.9];
