//! The system under test: an Envoy with Scopegate, and the identity servers behind it.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use scopegate_testbed::envoy::{
    Bootstrap, Envoy, answering_route, cluster, filter, listener_with_routes, loopback, wasm,
};
use scopegate_testbed::tokens::{AUDIENCE, Issuer};
use serde_json::{Value, json};

use crate::fault::{IdentityServer, issuer};
use crate::load::{Connections, Load, STALE_ECHO};
use crate::mix::{BRIEF, LASTING, Mix, Rates};
use crate::truth::{OPEN_FOR, TIMEOUT, World};

/// The settings of a run.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) envoy: PathBuf,
    pub(crate) module: PathBuf,
    pub(crate) rates: Rates,
    /// How long each fault lasts.
    pub(crate) fault: Duration,
    pub(crate) workers: usize,
    /// Only faults with this in their name.
    pub(crate) only_fault: Option<String>,
}

/// Deviations from the default setup.
#[derive(Debug, Default)]
pub(crate) struct Special {
    /// The callouts pass a listener with Envoy's own fault filter.
    pub(crate) is_faulty_between: bool,
    /// `cache.stale_if_error`.
    pub(crate) stale_if_error: Duration,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
}

/// An Envoy under way.
pub(crate) struct Scene {
    pub(crate) world: Arc<World>,
    pub(crate) envoy: Envoy,
    pub(crate) server: IdentityServer,
    /// A second identity server, which only a changed configuration uses.
    pub(crate) other: IdentityServer,
    /// The issuer of the JWTs.
    issuer: Issuer,
    module: PathBuf,
    between: Option<Value>,
}

/// The part of the configuration that changes during a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Configuration {
    pub(crate) cluster: &'static str,
    pub(crate) secret: &'static str,
    /// The scope that the changed rule requires.
    pub(crate) requirement: &'static str,
}

impl Scene {
    pub(crate) fn set(setting: &Setting, special: Special) -> Result<Self> {
        let world = Arc::new(World::new(special.stale_if_error));
        let issuer = Issuer::new()?;
        let keys = issuer.keys()?;
        let server = IdentityServer::start(&world, &keys, &[CLIENT, CLIENT_LATER])?;
        let other = IdentityServer::start(&world, &keys, &[CLIENT_LATER])?;
        let address = server.address.to_string();
        // A port that was free a moment ago: a cluster has to know it before Envoy starts.
        let free = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let between = special.is_faulty_between.then(|| between(free.port()));
        let first = if special.is_faulty_between { free.to_string() } else { address.clone() };
        let clusters = vec![
            cluster("identity", &first)?,
            cluster("identity_itself", &address)?,
            cluster("other_identity", &other.address.to_string())?,
        ];
        let quiet = ["--log-level", "warning", "--component-log-level", "wasm:warning"].map(str::to_owned);
        let bootstrap = Bootstrap {
            listeners: Self::listeners(&setting.module, between.as_ref(), &START.document(special.stale_if_error)),
            clusters,
            workers: setting.workers,
            cores: format!("0-{}", std::thread::available_parallelism()?.get() - 1),
            dynamic: true,
            arguments: quiet.into_iter().chain(special.arguments).collect(),
            environment: special.environment,
        };
        let envoy = Envoy::start(&setting.envoy, &bootstrap)?;
        Ok(Self { world, envoy, server, other, issuer, module: setting.module.clone(), between })
    }

    /// Begins the load.
    pub(crate) fn load(&self, rates: Rates, connections: Connections) -> Result<Load> {
        let mix = Mix::new(&self.world, &self.issuer, rates)?;
        // The listener is there a moment after Envoy is.
        let deadline = Instant::now() + Duration::from_secs(20);
        let address = loop {
            match self.envoy.address("main") {
                Ok(address) => break address,
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        };
        ensure!(
            self.envoy.counter("wasmcustom.scopegate.configurations_refused")? == 0,
            "the configuration is refused:\n{}",
            self.envoy.log_tail()
        );
        Load::start(&address, &self.world, mix, rates, connections)
    }

    /// Hands Envoy another configuration; whether Envoy took it.
    pub(crate) fn configure(&self, configuration: Configuration) -> Result<bool> {
        let document = configuration.document(self.world.stale_if_error);
        self.envoy.replace(&Self::listeners(&self.module, self.between.as_ref(), &document))
    }

    fn listeners(module: &Path, between: Option<&Value>, document: &Value) -> Vec<Value> {
        let reload = [("failure_policy", json!("FAIL_RELOAD"))];
        let filter = wasm("scopegate", "scopegate", module, &document.to_string(), &reload);
        // The application echoes the `x-auth-stale` header that it receives.
        let echo = json!({ "header": { "key": STALE_ECHO, "value": "%REQ(x-auth-stale)%" } });
        let mut route = answering_route();
        route["response_headers_to_add"] = json!([echo]);
        [listener_with_routes("main", &[filter], &[route])].into_iter().chain(between.cloned()).collect()
    }

    /// The gauges that are zero when the system is idle: waiting requests, callouts in flight, leases.
    pub(crate) fn leftovers(&self) -> Result<Vec<(String, u64)>> {
        self.gauges(r"http\.main\.downstream_rq_active|cluster\..*identity\.upstream_rq_(pending_)?active|wasmcustom\.scopegate\.(requests_waiting|callouts_in_flight|leases_held)")
    }

    /// The connections with the clients and with the identity server: what Envoy needs for them grows with their number.
    pub(crate) fn connections(&self) -> Result<Vec<(String, u64)>> {
        self.gauges(r"http\.main\.downstream_cx_active|cluster\.identity\.upstream_cx_active")
    }

    /// The gauges of these names.
    fn gauges(&self, names: &str) -> Result<Vec<(String, u64)>> {
        let stats = self.envoy.admin(&format!("/stats?filter=^({names})$"))?;
        let parse = |line: &str| {
            let (name, value) = line.split_once(": ").context("a stat without a value")?;
            Ok((name.to_owned(), value.trim().parse()?))
        };
        stats.lines().map(parse).collect()
    }

    /// Waits until nothing is left over; after a timeout, returns what is.
    pub(crate) fn settled_leftovers(&self) -> Result<Vec<(String, u64)>> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let left = self.leftovers()?;
            if Instant::now() > deadline || left.iter().all(|(_, count)| *count == 0) {
                return Ok(left);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// How often the VM of a worker was started again or has failed to, and how often the module has panicked.
    pub(crate) fn restarts(&self) -> Result<u64> {
        let stats = self.envoy.admin("/stats?filter=^wasm\\..*vm_reload")?;
        let counted: u64 = stats.lines().filter_map(|line| line.rsplit(": ").next()?.trim().parse::<u64>().ok()).sum();
        Ok(counted + u64::try_from(self.envoy.log().matches("panicked").count())?)
    }

    /// Waits until the connections of the configuration before are gone.
    pub(crate) fn await_change(&self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        let draining = |what: &str| self.envoy.counter(&format!("listener_manager.{what}_draining"));
        while draining("total_filter_chains")? + draining("total_listeners")? > 0 {
            if Instant::now() > deadline {
                bail!("the configuration before does not go away");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

impl Configuration {
    fn document(self, stale_if_error: Duration) -> Value {
        let millis = |duration: Duration| format!("{}ms", duration.as_millis());
        let server = |name: &str, prefix: Option<&str>, max_ttl: Option<Duration>| {
            let mut server = json!({
                "name": name, "cluster": self.cluster, "issuer": issuer(prefix.unwrap_or_default()), "audience": [AUDIENCE],
                "circuit_breaker": { "open_for": millis(OPEN_FOR) },
                "introspection": {
                    "path": "/introspect", "client_id": "gateway", "client_secret": self.secret,
                    "timeout": millis(TIMEOUT),
                },
            });
            if let Some(prefix) = prefix {
                server["token_prefix"] = json!(prefix);
            } else {
                server["jwt"] = json!({ "jwks_path": "/keys", "refresh": "5s", "min_refetch_interval": "5s" });
            }
            if let Some(max_ttl) = max_ttl {
                server["introspection"]["max_ttl"] = json!(millis(max_ttl));
            }
            server
        };
        let servers =
            [server("main", None, None), server("lasting", Some("l-"), None), server("brief", Some("b-"), Some(BRIEF))];
        let rule = |name: &str, path: &str, requirement: Value| {
            let accepted = ["main", "lasting", "brief"];
            json!({
                "name": name, "match": [{ "path": path }], "require": requirement, "authorization_server": accepted,
            })
        };
        json!({
            "authorization_servers": servers,
            // The whole load comes from one address.
            "unknown_tokens": "unlimited",
            "cache": {
                "max_ttl": millis(LASTING), "inactive_ttl": "5s", "stale_if_error": millis(stale_if_error),
            },
            "rules": [
                { "name": "Health", "match": [{ "path": "/healthz" }], "public": true },
                rule("Bookings", "/bookings", json!({ "scope": "view" })),
                rule("Swapped", "/swapped", json!({ "scope": self.requirement })),
            ],
        })
    }
}

/// A listener that leads to the identity server, with Envoy's own fault filter, which hits nothing until it is told.
fn between(port: u16) -> Value {
    let none = json!({ "numerator": 0 });
    let message = "envoy.extensions.filters.http.fault.v3.HTTPFault";
    let faults = filter(
        "envoy.filters.http.fault",
        message,
        json!({
            "abort": { "http_status": 503, "percentage": none },
            "delay": { "fixed_delay": "1s", "percentage": none },
        }),
    );
    let route = json!({ "match": { "prefix": "/" }, "route": { "cluster": "identity_itself" } });
    let mut listener = listener_with_routes("between", &[faults], &[route]);
    listener["address"] = loopback(port);
    listener
}

/// The initial configuration of every Envoy.
pub(crate) const START: Configuration = Configuration { cluster: "identity", secret: "secret", requirement: "old" };
/// `gateway:secret`, as sent to the identity server (RFC 7617).
pub(crate) const CLIENT: &str = "Basic Z2F0ZXdheTpzZWNyZXQ=";
/// `gateway:another`.
pub(crate) const CLIENT_LATER: &str = "Basic Z2F0ZXdheTphbm90aGVy";
