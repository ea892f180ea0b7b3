//! Builds of the module beside one another: what a compiler flag, an allocator, or a change is worth.

use std::cell::Cell;
use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use crate::Setting;
use crate::envoy::listener;
use crate::judges::{bench_filter, bookings, by_introspection, by_jwt, scopegate};
use crate::measure::{Contestant, Expect, throughput};
use crate::report::{Report, Table};
use crate::scene::Scene;
use crate::wrk::Pool;

pub(crate) fn run(setting: &Setting, scene: &Scene, report: &mut Report) -> Result<()> {
    let many = setting.tokens * 4;
    let opaque = by_introspection("active", many, json!([bookings()]));
    let inactive = by_introspection("inactive", many, json!([bookings()]));
    let jwt = by_jwt(&["RS256"], many);
    let kinds: [(&str, &Value, &Pool, u16, &str); 3] = [
        ("opaque", &opaque, &scene.opaque, 200, "hit"),
        ("inactive", &inactive, &scene.opaque, 401, "inactive_hit"),
        ("jwt", &jwt, &scene.jwts, 200, "hit"),
    ];
    let mut listeners = Vec::new();
    for floor in ["floor", "floor_jwt"] {
        listeners.push(listener(floor, &[bench_filter(setting, "headers")]));
    }
    let builds: Vec<_> = std::iter::once(("this", setting.module.as_path())).chain(setting.builds()).collect();
    for (build, module) in &builds {
        for (kind, configuration, ..) in kinds {
            let name = format!("{build}_{kind}");
            listeners.push(listener(&name, &[scopegate(module, &name, configuration)]));
        }
    }
    let envoy = scene.envoy(setting, listeners, 1)?;
    let contestant = |name: String, pool, status, cache| Contestant {
        listener: name.clone(),
        name,
        envoy: &envoy,
        pool,
        made: Cell::default(),
        status,
        forged: None,
        cache,
    };
    let mut contestants = vec![
        contestant("floor".to_owned(), &scene.opaque, 200, Expect::Anything),
        contestant("floor_jwt".to_owned(), &scene.jwts, 200, Expect::Anything),
    ];
    for (kind, _, pool, status, hit) in kinds {
        let word = |word: &str| format!("wasmcustom.scopegate.cache.result.{word}");
        let hits = || Expect::Counted { many: word(hit), few: word("miss") };
        contestants.extend(builds.iter().map(|(build, _)| contestant(format!("{build}_{kind}"), pool, status, hits())));
    }
    let figures = throughput(&contestants, setting.plan)?;
    let cpu = |name: &str| {
        let place = contestants.iter().position(|contestant| contestant.name == name);
        place.and_then(|place| figures.get(place)).map(|figure| figure.cpu_micros)
    };
    let mut table = Table::new(
        "Builds",
        "Time of Envoy's threads for a request beyond that of the floor with the same token, in microseconds; and the \
         size of the module, in KB.",
        vec!["opaque hit".to_owned(), "inactive hit".to_owned(), "JWT hit".to_owned(), "size".to_owned()],
    );
    table.decimals(2);
    for (build, module) in &builds {
        let beyond = |kind: &str, floor| Some(cpu(&format!("{build}_{kind}"))? - cpu(floor)?);
        let mut row = vec![beyond("opaque", "floor"), beyond("inactive", "floor"), beyond("jwt", "floor_jwt")];
        row.push(Some(kilobytes(module)?));
        table.row(build, row);
    }
    report.table(table);
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "sizes of modules fit")]
fn kilobytes(module: &Path) -> Result<f64> {
    Ok(std::fs::metadata(module)?.len() as f64 / 1e3)
}
