//! What the fuzz targets share: a request through the public API of the core, and tokens with good signatures.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a fuzz target stops by panicking")]

pub mod model;

use std::cell::Cell;
use std::sync::LazyLock;
use std::time::Duration;

use scopegate::{
    BucketUpdate, CalloutResult, Config, Gate, HostVerdict, KeysAnswered, Reply, RequestHead, Step, UnixTime,
};
use serde_json::Value;

/// The time of everything.
pub const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

/// How a request ended.
#[derive(Debug)]
pub struct Run {
    pub end: End,
    /// What was learned on the way.
    pub inserts: Vec<BucketUpdate>,
    /// The forms that the authorization server was sent.
    pub asked: Vec<String>,
}

/// How a request ended.
#[derive(Debug)]
pub enum End {
    /// It passes; whether by a public rule.
    Forward {
        public: bool,
    },
    Respond(Reply),
}

impl Run {
    /// Whether it passes by a rule that demands a token.
    pub fn is_authorized(&self) -> bool {
        matches!(self.end, End::Forward { public: false })
    }
}

/// The gate of a configuration that is good.
pub fn gate(configuration: &str) -> Gate {
    seeded_gate(configuration, [0; 32])
}

/// Likewise, of one worker among several.
pub fn seeded_gate(configuration: &str, seed: [u8; 32]) -> Gate {
    let config = Config::parse(configuration.as_bytes(), &|_| Some("secret".to_owned()));
    Gate::new(config.unwrap_or_else(|problems| panic!("{problems:?}")), seed)
}

/// A request for a path with these headers. Shared data has `bucket` in every place; the authorization server
/// answers everything with `answer`.
pub fn request(
    gate: &Gate,
    path: &[u8],
    headers: &[(&str, &[u8])],
    bucket: Option<&[u8]>,
    answer: CalloutResult<'_>,
) -> Run {
    let mut head = vec![(":method", &b"GET"[..]), (":authority", b"api.example.test"), (":path", path)];
    head.extend_from_slice(headers);
    run(gate, RequestHead { headers: &head, route: None, has_body: false }, bucket, answer)
}

/// Takes every step of a request. Signatures are verified by the core.
pub fn run(gate: &Gate, head: RequestHead<'_>, bucket: Option<&[u8]>, answer: CalloutResult<'_>) -> Run {
    let (mut step, mut inserts, mut asked) = (gate.begin(head, NOW), Vec::new(), Vec::new());
    // Longer than any request takes: several keys, our own token, several servers.
    for _ in 0..1_000 {
        step = match step {
            Step::Forward(forward) => {
                let end = End::Forward { public: forward.permit.is_public() };
                return Run { end, inserts, asked };
            }
            Step::Respond(reply) => {
                assert!(reply.status >= 400, "{reply:?}");
                return Run { end: End::Respond(reply), inserts, asked };
            }
            Step::Report(reply) => panic!("nothing is configured to report only: {reply:?}"),
            Step::Lookup(lookup) => lookup.resume(gate, bucket, NOW),
            Step::Verify(verification) => {
                let _ = verification.host_arguments();
                let verified = verification.resume(gate, HostVerdict::Unable, NOW);
                inserts.extend(verified.insert);
                verified.step
            }
            Step::Call(call) => {
                if let Ok(attempt) = call.attempt(None, call.deadline(NOW), NOW) {
                    asked.push(call.request(gate, attempt, NOW).body);
                }
                let answered = call.resume(gate, answer, NOW, NOW);
                inserts.extend(answered.insert);
                answered.step
            }
        };
    }
    panic!("it never ends");
}

/// A public key and a good token by it.
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

/// The gate of an authorization server with JWTs of every algorithm; it has no keys yet.
pub fn jwt_gate() -> Gate {
    gate(
        r#"{
  "authorization_servers": [ { "name": "main", "cluster": "as", "issuer": "https://as", "audience": ["api"], "jwt": {
      "jwks_path": "/jwks", "algorithms": ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"] } } ],
  "rules": [ { "name": "Everything", "match": [ { "path_prefix": "/" } ], "require": { "authenticated": true } } ]
}"#,
    )
}

/// Has the keys of the first server fetched, with this answer. Each fetch is later than the one before: of one time
/// there is one answer.
pub fn fetch_keys(gate: &Gate, answer: CalloutResult<'_>) -> KeysAnswered {
    thread_local!(static FETCHES: Cell<u64> = const { Cell::new(0) });
    let now = NOW.saturating_add(Duration::from_millis(FETCHES.replace(FETCHES.get() + 1)));
    gate.fetch_keys(0, now).expect("keys are asked for").resume(answer, now, now)
}

/// An answer of an authorization server with this body.
pub fn answer(body: &[u8]) -> CalloutResult<'_> {
    CalloutResult::Response { status: 200, content_type: None, body }
}

/// A header with a bearer token.
pub fn bearer(token: &str) -> Vec<u8> {
    format!("Bearer {token}").into_bytes()
}
