//! The cost of the number of rules, if only the last rule matches.

use std::cell::Cell;

use anyhow::Result;
use serde_json::{Value, json};

use crate::Setting;
use crate::envoy::listener;
use crate::judges::{by_introspection, scopegate};
use crate::measure::{Contestant, Expect, throughput};
use crate::report::{Report, Table, Target};
use crate::scene::Scene;
use crate::tokens::SCOPE;
use crate::wrk::Pool;

pub(crate) fn run(setting: &Setting, scene: &Scene, report: &mut Report) -> Result<()> {
    let mut listeners = Vec::new();
    let mut pools = Vec::new();
    for rules in RULES {
        let name = format!("rules_{rules}");
        let configuration = by_introspection("active", setting.tokens * 4, many(rules));
        listeners.push(listener(&name, &[scopegate(&setting.module, &name, &configuration)]));
        pools.push(Pool::bearer(&format!("/service{}/bookings/17", rules - 1), &scene.opaque_tokens)?);
    }
    let envoy = scene.envoy(setting, listeners, 1)?;
    let word = |word: &str| format!("wasmcustom.scopegate.cache.result.{word}");
    let contestants: Vec<Contestant<'_>> = RULES
        .iter()
        .zip(&pools)
        .map(|(rules, pool)| Contestant {
            name: rules.to_string(),
            envoy: &envoy,
            listener: format!("rules_{rules}"),
            pool,
            made: Cell::default(),
            status: 200,
            forged: None,
            cache: Expect::Counted { many: word("hit"), few: word("miss") },
        })
        .collect();
    let figures = throughput(&contestants, setting.plan)?;
    let mut table = Table::new(
        "Rules",
        "Requests per second by the number of rules, one worker, opaque token, hit. Each rule has a method and a path \
         with a variable segment; the last one matches.",
        vec!["requests per second".to_owned(), "CPU, microseconds".to_owned()],
    );
    for (contestant, figure) in contestants.iter().zip(&figures) {
        table.row(&contestant.name, vec![Some(figure.per_second), Some(figure.cpu_micros)]);
    }
    report.table(table);
    if let (Some(one), Some(most)) = (figures.first(), figures.last()) {
        report.target(Target::new("10 000 rules, of one rule", most.per_second / one.per_second, 0.97));
    }
    Ok(())
}

/// Rules that tell one another apart by a method and a path with a variable segment.
pub(crate) fn many(rules: usize) -> Value {
    let rule = |number: usize| {
        let path = format!("/service{number}/bookings/{{id}}");
        let matching = json!([{ "methods": ["GET"], "path": path }]);
        json!({ "name": format!("Service {number}"), "match": matching, "require": { "scope": SCOPE } })
    };
    (0..rules).map(rule).collect()
}

const RULES: [usize; 3] = [1, 100, 10_000];
