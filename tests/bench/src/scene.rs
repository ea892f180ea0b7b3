//! Shared by the sections about filters: the helpers, the tokens, and one Envoy with a listener for each contestant.

use std::cell::Cell;

use anyhow::Result;
use serde_json::{Value, json};

use crate::envoy::{Bootstrap, Envoy, cluster, filter, json_listener, json_route, listener, listener_with_routes};
use crate::judges::{
    active_answer, bench_filter, bookings, by_introspection, by_jwt, ext_authz_grpc, ext_authz_http, jwt_authn, lua,
    scopegate,
};
use crate::measure::{Contestant, Expect};
use crate::services::Services;
use crate::tokens::{Algorithm, Issuer, opaque, tampered};
use crate::wrk::Pool;
use crate::{BENCH_CORE, FEW, Setting, move_to_bench_core};

/// Tokens and helpers.
pub(crate) struct Scene {
    pub(crate) services: Services,
    pub(crate) helper: Envoy,
    keys: Value,
    forged: String,
    pub(crate) opaque_tokens: Vec<String>,
    pub(crate) opaque: Pool,
    pub(crate) jwts: Pool,
    pub(crate) public: Pool,
    nowhere: Pool,
}

/// An entry in the list of contestants.
struct Entry<'s> {
    name: &'static str,
    listener: &'static str,
    filters: Vec<Value>,
    pool: &'s Pool,
    status: u16,
    cache: Expect,
    judges_jwts: bool,
}

impl Scene {
    pub(crate) fn set(setting: &Setting) -> Result<Self> {
        eprintln!("signing {} tokens", setting.tokens);
        let issuer = Issuer::new()?;
        let jwts = issuer.jwts(Algorithm::Rs256, setting.tokens)?;
        // Signing takes both cores; from here on this process and its helpers have one.
        move_to_bench_core()?;
        let keys = issuer.keys()?;
        let opaque_tokens = opaque("good-", setting.tokens);
        let delay = json!({ "fixed_delay": "1s", "percentage": { "numerator": 100 } });
        let message = "envoy.extensions.filters.http.fault.v3.HTTPFault";
        let slowly = filter("envoy.filters.http.fault", message, json!({ "delay": delay }));
        let any = json!({ "prefix": "/" });
        let good = json!({ "name": "token", "string_match": { "prefix": "good-" } });
        let by_token = [
            json_route(json!({ "prefix": "/", "query_parameters": [good] }), &active_answer()),
            json_route(any.clone(), &json!({ "active": false })),
        ];
        let listeners = vec![
            json_listener("keys", &keys),
            json_listener("active", &active_answer()),
            json_listener("inactive", &json!({ "active": false })),
            listener_with_routes("by_token", &[], &by_token),
            listener_with_routes("slow", &[slowly], &[json_route(any, &active_answer())]),
        ];
        let bootstrap = Bootstrap {
            listeners,
            clusters: Vec::new(),
            workers: 1,
            cores: BENCH_CORE.to_owned(),
            ..Bootstrap::default()
        };
        Ok(Self {
            services: Services::start()?,
            helper: Envoy::start(&setting.envoy, &bootstrap)?,
            keys,
            forged: tampered(&jwts[0])?,
            opaque: Pool::bearer("/bookings", &opaque_tokens)?,
            opaque_tokens,
            jwts: Pool::bearer("/bookings", &jwts)?,
            public: Pool::anonymous("/healthz")?,
            nowhere: Pool::anonymous("/nowhere")?,
        })
    }

    /// An Envoy with these listeners, which reaches all helpers.
    pub(crate) fn envoy(&self, setting: &Setting, listeners: Vec<Value>, workers: usize) -> Result<Envoy> {
        let mut grpc = cluster("authz_grpc", &self.services.grpc.to_string())?;
        let message = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
        grpc["typed_extension_protocol_options"] = json!({
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": message, "explicit_http_config": { "http2_protocol_options": {} },
            },
        });
        let mut clusters = vec![grpc, cluster("authz_http", &self.services.http.to_string())?];
        clusters.push(cluster("identity", &self.helper.address("keys")?)?);
        for name in ["active", "inactive", "by_token", "slow"] {
            clusters.push(cluster(name, &self.helper.address(name)?)?);
        }
        let cores = setting.envoy_cores(workers);
        Envoy::start(&setting.envoy, &Bootstrap { listeners, clusters, workers, cores, ..Bootstrap::default() })
    }

    /// An Envoy with all contestants, and the means to measure them.
    pub(crate) fn contestants<'s>(
        &'s self,
        setting: &Setting,
        workers: usize,
        only: Option<&[&str]>,
        measure: impl FnOnce(&[Contestant<'_>]) -> Result<()>,
    ) -> Result<()> {
        let mut entries: Vec<Entry<'s>> = self.others(setting).into_iter().chain(self.ours(setting)).collect();
        if let Some(only) = only {
            entries.retain(|entry| only.contains(&entry.listener));
        }
        let listeners = entries.iter().map(|entry| listener(entry.listener, &entry.filters)).collect();
        let envoy = self.envoy(setting, listeners, workers)?;
        let contestants: Vec<Contestant<'_>> = entries
            .into_iter()
            .map(|entry| Contestant {
                name: entry.name.to_owned(),
                envoy: &envoy,
                listener: entry.listener.to_owned(),
                pool: entry.pool,
                made: Cell::default(),
                status: entry.status,
                forged: entry.judges_jwts.then_some(self.forged.as_str()),
                cache: entry.cache,
            })
            .collect();
        measure(&contestants)
    }

    fn others(&self, setting: &Setting) -> Vec<Entry<'_>> {
        let plain = |name, listener, filters, pool| Entry {
            name,
            listener,
            filters,
            pool,
            status: 200,
            cache: Expect::Anything,
            judges_jwts: false,
        };
        let floor = || vec![bench_filter(setting, "headers")];
        let cache = Some(setting.tokens * 4);
        let authn = vec![jwt_authn("jwt_authn", &self.keys, None)];
        let caching = vec![jwt_authn("jwt_authn_cache", &self.keys, cache)];
        vec![
            plain("no filter", "none", Vec::new(), &self.opaque),
            plain("Wasm that does nothing", "nothing", vec![bench_filter(setting, "nothing")], &self.opaque),
            plain("Wasm that reads three headers (the floor)", "floor", floor(), &self.opaque),
            plain("the floor with a JWT of 1 KB", "floor_jwt", floor(), &self.jwts),
            plain("Lua, a look into a table", "lua", vec![lua(&self.opaque_tokens)], &self.opaque),
            plain("ext_authz over gRPC, always yes", "grpc", vec![ext_authz_grpc()], &self.opaque),
            plain("ext_authz over HTTP, always yes", "http", vec![ext_authz_http(&self.services)], &self.opaque),
            Entry { judges_jwts: true, ..plain("jwt_authn, RS256", "jwt_authn", authn, &self.jwts) },
            Entry {
                judges_jwts: true,
                cache: Expect::Counted {
                    many: "http.jwt_authn_cache.jwt_authn.jwt_authn_cache.jwt_cache_hit".to_owned(),
                    few: "http.jwt_authn_cache.jwt_authn.jwt_authn_cache.jwt_cache_miss".to_owned(),
                },
                ..plain("jwt_authn, its cache", "jwt_authn_cache", caching, &self.jwts)
            },
        ]
    }

    fn ours(&self, setting: &Setting) -> Vec<Entry<'_>> {
        let word = |word: &str| format!("wasmcustom.scopegate.cache.result.{word}");
        let rules = || json!([{ "name": "Health", "match": [{ "path": "/healthz" }], "public": true }, bookings()]);
        let many = setting.tokens * 4;
        let entry = |name, listener, configuration: &Value, pool, status, cache: Option<(&str, &str)>| Entry {
            name,
            listener,
            filters: vec![scopegate(&setting.module, listener, configuration)],
            pool,
            status,
            cache: cache.map_or(Expect::Anything, |(many, few)| Expect::Counted { many: word(many), few: word(few) }),
            judges_jwts: false,
        };
        let asking = |cluster, capacity| by_introspection(cluster, capacity, rules());
        let (known, unknown) = (asking("active", many), asking("active", FEW));
        let (inactive, hit) = (asking("inactive", many), Some(("hit", "miss")));
        let (cached, first) = (by_jwt(&["RS256"], many), by_jwt(&["RS256"], FEW));
        vec![
            entry("Scopegate, public route", "public", &known, &self.public, 200, None),
            entry("Scopegate, refused route", "refused", &known, &self.nowhere, 403, None),
            entry("Scopegate, opaque token, hit", "opaque_hit", &known, &self.opaque, 200, hit),
            entry(
                "Scopegate, inactive token, hit",
                "inactive",
                &inactive,
                &self.opaque,
                401,
                Some(("inactive_hit", "miss")),
            ),
            entry("Scopegate, opaque token, miss", "opaque_miss", &unknown, &self.opaque, 200, Some(("miss", "hit"))),
            Entry { judges_jwts: true, ..entry("Scopegate, JWT, hit", "jwt_hit", &cached, &self.jwts, 200, hit) },
            Entry {
                judges_jwts: true,
                ..entry("Scopegate, JWT, first", "jwt_first", &first, &self.jwts, 200, Some(("miss", "hit")))
            },
        ]
    }
}
