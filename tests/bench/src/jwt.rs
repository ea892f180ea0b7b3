//! JWTs of each algorithm: verified for the first time, by the host and in the module, and cached; beside Envoy's
//! jwt_authn without and with its cache.

use std::cell::Cell;

use anyhow::Result;
use serde_json::Value;

use crate::envoy::{Bootstrap, Envoy, cluster, json_listener, listener};
use crate::judges::{bench_filter, by_jwt, jwt_authn, scopegate, scopegate_alone};
use crate::measure::{Contestant, Expect, throughput};
use crate::report::{Report, Table, Target};
use crate::tokens::{Algorithm, Issuer, tampered};
use crate::wrk::Pool;
use crate::{BENCH_CORE, Setting, move_to_bench_core};

/// How a JWT is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Road {
    /// By Scopegate, for the first time; the host verifies the signature.
    Host,
    /// By Scopegate, for the first time; the module verifies the signature.
    Module,
    /// By Scopegate, from the cache.
    Cached,
    /// By jwt_authn without its cache.
    Builtin,
    /// By jwt_authn with its cache.
    BuiltinCached,
}

impl Road {
    const ALL: [Self; 5] = [Self::Host, Self::Module, Self::Cached, Self::Builtin, Self::BuiltinCached];

    const fn title(self) -> &'static str {
        match self {
            Self::Host => "first, by the host",
            Self::Module => "first, in the module",
            Self::Cached => "cached",
            Self::Builtin => "jwt_authn",
            Self::BuiltinCached => "jwt_authn, its cache",
        }
    }

    /// Whether there is such a road for an algorithm.
    const fn is_open(self, algorithm: Algorithm) -> bool {
        !matches!(self, Self::Host) || algorithm.host_verifies()
    }
}

pub(crate) fn run(setting: &Setting, report: &mut Report) -> Result<()> {
    eprintln!("signing {} tokens of each algorithm", setting.tokens);
    let issuer = Issuer::new()?;
    let keys = issuer.keys()?;
    let mut pools = Vec::new();
    for algorithm in setting.algorithms() {
        let tokens = issuer.jwts(algorithm, setting.tokens)?;
        let forged = tampered(&tokens[0])?;
        pools.push((algorithm, Pool::bearer("/bookings", &tokens)?, forged));
    }
    // Signing takes both cores; from here on this process and its helpers have one.
    move_to_bench_core()?;
    let helper = Envoy::start(
        &setting.envoy,
        &Bootstrap {
            listeners: vec![json_listener("keys", &keys)],
            clusters: Vec::new(),
            workers: 1,
            cores: BENCH_CORE.to_owned(),
            ..Bootstrap::default()
        },
    )?;

    let mut listeners = vec![listener("floor", &[bench_filter(setting, "headers")])];
    for (algorithm, _, _) in &pools {
        for road in Road::ALL.into_iter().filter(|road| road.is_open(*algorithm)) {
            let name = listener_name(*algorithm, road);
            listeners.push(listener(&name, &[judge(setting, &name, *algorithm, road, &keys)]));
        }
    }
    let bootstrap = Bootstrap {
        listeners,
        clusters: vec![cluster("identity", &helper.address("keys")?)?],
        workers: 1,
        cores: setting.envoy_cores(1),
        ..Bootstrap::default()
    };
    let envoy = Envoy::start(&setting.envoy, &bootstrap)?;

    let mut contestants = Vec::new();
    for (algorithm, pool, forged) in &pools {
        for road in Road::ALL.into_iter().filter(|road| road.is_open(*algorithm)) {
            contestants.push(Contestant {
                name: format!("{}, {}", algorithm.name(), road.title()),
                envoy: &envoy,
                listener: listener_name(*algorithm, road),
                pool,
                made: Cell::default(),
                status: 200,
                forged: Some(forged),
                cache: expectation(*algorithm, road),
            });
        }
    }
    contestants.push(Contestant {
        name: "floor".to_owned(),
        envoy: &envoy,
        listener: "floor".to_owned(),
        pool: &pools[0].1,
        made: Cell::default(),
        status: 200,
        forged: None,
        cache: Expect::Anything,
    });
    let figures = throughput(&contestants, setting.plan)?;
    let found = |algorithm: Algorithm, road: Road| {
        let name = listener_name(algorithm, road);
        contestants.iter().zip(&figures).find(|(held, _)| held.listener == name).map(|(_, figure)| *figure)
    };
    let figure = |algorithm: Algorithm, road: Road| found(algorithm, road).map(|figure| figure.per_second);

    let mut table = Table::new(
        "JWTs by algorithm",
        "Requests per second, one worker, tokens of about 1 KB. *First*: the token is in no cache, is verified and \
         kept. Envoy's `verify_signature` knows neither PSS nor EdDSA. Each contestant has been seen to refuse a \
         forged token.",
        Road::ALL.iter().map(|road| road.title().to_owned()).collect(),
    );
    for (algorithm, _, _) in &pools {
        table.row(algorithm.name(), Road::ALL.iter().map(|road| figure(*algorithm, *road)).collect());
    }
    table.chart("jwt", Road::ALL.len());
    report.table(table);
    let mut table = Table::new(
        "JWTs by algorithm, in time",
        "The same: microseconds of Envoy's CPU time for each request.",
        Road::ALL.iter().map(|road| road.title().to_owned()).collect(),
    );
    table.decimals(1);
    for (algorithm, _, _) in &pools {
        let micros = |road: &Road| found(*algorithm, *road).map(|figure| figure.cpu_micros);
        table.row(algorithm.name(), Road::ALL.iter().map(micros).collect());
    }
    report.table(table);
    if let Some(floor) = figures.last() {
        report
            .note(format!("The floor (a filter in Wasm that only reads three headers) with these tokens: {:.0} requests per second, {:.1} microseconds.",
            floor.per_second, floor.cpu_micros));
    }
    let first = pools.iter().find(|(algorithm, _, _)| *algorithm == Algorithm::Rs256);
    if let (Some((algorithm, _, _)), Some(floor)) = (first, figures.last()) {
        let of = |road: Road| figure(*algorithm, road).unwrap_or(f64::NAN);
        let builtin = of(Road::Builtin);
        report.target(Target::new(
            "First RS256 through the host, of jwt_authn without cache",
            of(Road::Host) / builtin,
            0.9,
        ));
        report.target(Target::new("Cached RS256, of jwt_authn without cache", of(Road::Cached) / builtin, 1.7));
        report.target(Target::new(
            "Cached RS256, of the floor with the same token",
            of(Road::Cached) / floor.per_second,
            0.93,
        ));
    }
    Ok(())
}

fn listener_name(algorithm: Algorithm, road: Road) -> String {
    format!("{}_{road:?}", algorithm.name()).to_lowercase()
}

fn judge(setting: &Setting, name: &str, algorithm: Algorithm, road: Road, keys: &Value) -> Value {
    // Enough for all tokens, or so little that each is evicted before it is used again.
    let capacity = match road {
        Road::Cached => setting.tokens * 4,
        Road::Host | Road::Module | Road::Builtin | Road::BuiltinCached => crate::FEW,
    };
    let configuration = by_jwt(&[algorithm.name()], capacity);
    match road {
        Road::Host | Road::Cached => scopegate(&setting.module, name, &configuration),
        Road::Module => scopegate_alone(setting, name, &configuration),
        Road::Builtin => jwt_authn(name, keys, None),
        Road::BuiltinCached => jwt_authn(name, keys, Some(setting.tokens * 4)),
    }
}

fn expectation(algorithm: Algorithm, road: Road) -> Expect {
    let word = |word: &str| format!("wasmcustom.scopegate.cache.result.{word}");
    match road {
        Road::Host | Road::Module => Expect::Counted { many: word("miss"), few: word("hit") },
        Road::Cached => Expect::Counted { many: word("hit"), few: word("miss") },
        Road::Builtin => Expect::Anything,
        Road::BuiltinCached => {
            let name = listener_name(algorithm, road);
            let word = |word: &str| format!("http.{name}.jwt_authn.{name}.jwt_cache_{word}");
            Expect::Counted { many: word("hit"), few: word("miss") }
        }
    }
}
