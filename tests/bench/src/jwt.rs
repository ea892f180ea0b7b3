//! JWTs of each algorithm: verified for the first time, by the host and in the module, and cached; beside Envoy's
//! jwt_authn without and with its cache.

use std::cell::Cell;

use anyhow::Result;
use serde_json::{Value, json};

use crate::envoy::{Bootstrap, Envoy, cluster, filter, json_listener, listener, wasm};
use crate::measure::{Contestant, Expect, throughput};
use crate::report::{Report, Table, Target};
use crate::tokens::{AUDIENCE, Algorithm, ISSUER, Issuer, SCOPE, tampered};
use crate::wrk::Pool;
use crate::{BENCH_CORE, Setting, bench_filter, move_to_bench_core};

/// How a JWT is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Road {
    /// By us, for the first time, the host verifying the signature.
    Host,
    /// By us, for the first time, all in the module.
    Module,
    /// By us, from the cache.
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
    let figure = |algorithm: Algorithm, road: Road| {
        let name = listener_name(algorithm, road);
        contestants.iter().zip(&figures).find(|(held, _)| held.listener == name).map(|(_, figure)| *figure)
    };

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
    table.chart("jwt");
    report.table(table);
    if let Some(floor) = figures.last() {
        report
            .note(format!("The floor (a filter in Wasm that only reads three headers) with these tokens: {floor:.0}."));
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
        report.target(Target::new("Cached RS256, of the floor with the same token", of(Road::Cached) / floor, 0.93));
    }
    Ok(())
}

fn listener_name(algorithm: Algorithm, road: Road) -> String {
    format!("{}_{road:?}", algorithm.name()).to_lowercase()
}

fn judge(setting: &Setting, name: &str, algorithm: Algorithm, road: Road, keys: &Value) -> Value {
    // Enough for all tokens, or so little that each has been forgotten when its turn comes again.
    let capacity = match road {
        Road::Cached => setting.tokens * 4,
        Road::Host | Road::Module | Road::Builtin | Road::BuiltinCached => FEW,
    };
    let configuration = ours(&json!({ "jwks_path": "/keys", "algorithms": [algorithm.name()] }), capacity);
    match road {
        Road::Host | Road::Cached => wasm(name, "scopegate", &setting.module, &configuration.to_string(), &[]),
        Road::Module => {
            let allowed: serde_json::Map<String, Value> =
                CAPABILITIES.iter().map(|name| ((*name).to_owned(), json!({}))).collect();
            let restriction = json!({ "allowed_capabilities": allowed });
            let more = [("capability_restriction_config", restriction)];
            wasm(name, "scopegate", &setting.module, &configuration.to_string(), &more)
        }
        Road::Builtin => jwt_authn(name, keys, None),
        Road::BuiltinCached => jwt_authn(name, keys, Some(setting.tokens * 4)),
    }
}

/// Our configuration: one rule that demands a scope, as a server with JWTs needs it.
pub(crate) fn ours(jwt: &Value, capacity: usize) -> Value {
    json!({
        "authorization_servers": [{
            "name": "identity", "cluster": "identity", "issuer": ISSUER, "audience": [AUDIENCE], "jwt": jwt,
        }],
        "cache": { "capacity": capacity, "max_ttl": "1h" },
        "rules": [{ "name": "Bookings", "match": [{ "path_prefix": "/bookings" }], "require": { "scope": SCOPE } }],
    })
}

/// Envoy's own filter, which judges issuer, audience, times and signature, too, but no scope.
pub(crate) fn jwt_authn(name: &str, keys: &Value, cache: Option<usize>) -> Value {
    let mut provider = json!({
        "issuer": ISSUER,
        "audiences": [AUDIENCE],
        "local_jwks": { "inline_string": keys.to_string() },
    });
    if let Some(size) = cache {
        provider["jwt_cache_config"] = json!({ "jwt_cache_size": size });
    }
    let message = "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication";
    let config = json!({
        "providers": { "identity": provider },
        "rules": [{ "match": { "prefix": "/bookings" }, "requires": { "provider_name": "identity" } }],
        "stat_prefix": format!("{name}."),
    });
    filter("envoy.filters.http.jwt_authn", message, config)
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

/// A capacity that forgets.
const FEW: usize = 64;

/// Everything that the module and the SDK use of the host, but foreign functions.
const CAPABILITIES: &[&str] = &[
    "proxy_add_header_map_value",
    "proxy_close_stream",
    "proxy_continue_stream",
    "proxy_define_metric",
    "proxy_done",
    "proxy_get_buffer_bytes",
    "proxy_get_current_time_nanoseconds",
    "proxy_get_header_map_pairs",
    "proxy_get_header_map_value",
    "proxy_get_property",
    "proxy_get_shared_data",
    "proxy_http_call",
    "proxy_increment_metric",
    "proxy_log",
    "proxy_record_metric",
    "proxy_remove_header_map_value",
    "proxy_replace_header_map_value",
    "proxy_send_local_response",
    "proxy_set_effective_context",
    "proxy_set_property",
    "proxy_set_shared_data",
    "proxy_set_tick_period_milliseconds",
    "environ_get",
    "environ_sizes_get",
    "fd_write",
    "proc_exit",
    "random_get",
    "proxy_on_configure",
    "proxy_on_context_create",
    "proxy_on_delete",
    "proxy_on_done",
    "proxy_on_http_call_response",
    "proxy_on_log",
    "proxy_on_memory_allocate",
    "proxy_on_request_body",
    "proxy_on_request_headers",
    "proxy_on_request_trailers",
    "proxy_on_tick",
    "proxy_on_vm_start",
];
