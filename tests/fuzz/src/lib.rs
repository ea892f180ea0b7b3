//! Shared by the fuzz targets: a request to a worker behind a fake proxy, and tokens with valid signatures.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a fuzz target stops by panicking"
)]

pub mod model;

use std::sync::LazyLock;
use std::time::Duration;

use scopegate::{CalloutResponse, Decision, Reply, RequestHead};
use scopegate_fake_proxy::{FakeWorker, Proxy, answer_all};
use serde_json::Value;

/// How a request ended.
#[derive(Debug)]
pub struct Run {
    pub end: End,
    /// The bodies of the callouts.
    pub callouts: Vec<String>,
}

/// How a request ended.
#[derive(Debug)]
pub enum End {
    /// It passes; whether by a public rule.
    Forward { public: bool },
    /// It is refused.
    Respond(Reply),
    /// It passes, although the configuration would refuse it.
    Report(Reply),
}

impl Run {
    /// Whether it passes by a rule that requires a token.
    pub fn is_authorized(&self) -> bool {
        matches!(self.end, End::Forward { public: false })
    }
}

/// A proxy whose leases are not prepared: that takes longer than all else, and the fake proxy needs it not.
pub fn proxy() -> Proxy {
    let proxy = Proxy::default();
    proxy.set_shared("scopegate.leases", b"1");
    proxy
}

/// The only worker of a proxy, with a valid configuration.
pub fn worker(configuration: &str) -> FakeWorker {
    lonely(proxy().worker(configuration))
}

/// Lets a worker take no leases.
pub fn lonely(mut worker: FakeWorker) -> FakeWorker {
    worker.host.mailbox = None;
    worker
}

/// A request for a path with these headers, whose callouts all get this response.
pub fn request(
    worker: &mut FakeWorker,
    path: &[u8],
    headers: &[(&str, &[u8])],
    response: Option<CalloutResponse>,
) -> Run {
    let mut head = vec![(":method", &b"GET"[..]), (":authority", b"api.example.test"), (":path", path)];
    head.extend_from_slice(headers);
    run(worker, RequestHead { headers: &head, route: None, has_body: false }, response)
}

/// A request whose callouts all get this response. The core verifies signatures.
pub fn run(worker: &mut FakeWorker, head: RequestHead<'_>, response: Option<CalloutResponse>) -> Run {
    let mut callouts = Vec::new();
    let stream = worker.begin(head);
    answer_all(worker, |callout| {
        callouts.push(callout.body.clone());
        response.clone()
    });
    // Nothing grows from input to input.
    worker.host.times.clear();
    worker.host.reads.borrow_mut().clear();
    worker.host.writes.borrow_mut().clear();
    let gauges = worker.worker.gauges(worker.host_now());
    assert_eq!((gauges.requests_waiting, gauges.callouts_in_flight, gauges.leases_held), (0, 0, 0));
    let end = match worker.take_decision(stream).expect("a decision, once every callout has ended") {
        Decision::Forward(forward) => End::Forward { public: forward.permit.is_public() },
        Decision::Respond(reply) => {
            assert!(reply.status >= 400, "{reply:?}");
            End::Respond(reply)
        }
        Decision::Report(reply) => {
            assert!(worker.worker.report_only().is_some(), "everything is enforced: {reply:?}");
            End::Report(reply)
        }
    };
    Run { end, callouts }
}

/// A public key and a valid token by it.
#[derive(Debug)]
pub struct Signed {
    pub jwk: Value,
    pub token: String,
}

/// One of every algorithm, as `examples/sign.rs` has made them.
pub static SIGNED: LazyLock<Vec<Signed>> = LazyLock::new(|| {
    let pairs: Vec<Value> = serde_json::from_str(include_str!("signed.json")).expect("JSON");
    let signed =
        pairs.iter().map(|pair| Signed { jwk: pair["jwk"].clone(), token: pair["token"].as_str().unwrap().to_owned() });
    signed.collect()
});

/// The keys of all of them.
pub fn jwks() -> String {
    serde_json::json!({ "keys": SIGNED.iter().map(|signed| &signed.jwk).collect::<Vec<_>>() }).to_string()
}

/// An authorization server with JWTs of every algorithm.
pub const JWT_CONFIGURATION: &str = r#"{
  "authorization_servers": [ { "name": "main", "cluster": "as", "issuer": "https://as", "audience": ["api"], "jwt": {
      "jwks_path": "/jwks", "refresh": "1s",
      "algorithms": ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"] } } ],
  "unknown_tokens": "unlimited",
  "rules": [ { "name": "Everything", "match": [ { "path_prefix": "/" } ], "require": { "authenticated": true } } ]
}"#;

/// Lets a worker fetch keys for as long as any are due; every callout gets this response. Returns the number of callouts.
pub fn fetch_keys(worker: &mut FakeWorker, response: Option<CalloutResponse>) -> usize {
    let before = worker.host.sent;
    // Keys are checked on every tenth tick.
    for _ in 0..10 {
        worker.tick();
        answer_all(worker, |_| response.clone());
    }
    worker.host.sent - before
}

/// Lets keys become due.
pub fn outlive_keys(worker: &FakeWorker) {
    worker.host.proxy().advance(Duration::from_secs(3));
}

/// A header with a bearer token.
pub fn bearer(token: &str) -> Vec<u8> {
    format!("Bearer {token}").into_bytes()
}
