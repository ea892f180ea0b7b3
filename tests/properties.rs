//! Properties that hold for all inputs, tested with random ones: no panic, no bypass.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs,
    reason = "a test stops by panicking"
)]

#[path = "properties/jwt.rs"]
mod jwt;

use proptest::prelude::*;
use scopegate::{CalloutResponse, Config, Decision, RequestHead};
use scopegate_fake_proxy::{FakeWorker, Proxy};

/// `/admin` needs a scope; everything else is public. A request that reaches `/admin` without one is a bypass.
const CONFIGURATION: &str = r#"{
  "authorization_servers": [ { "name": "main", "cluster": "as", "issuer": "https://as", "audience": ["api"],
      "introspection": { "path": "/i", "client_id": "g", "client_secret": "s" } } ],
  "upstream": { "headers": { "x-auth-subject": "sub" } },
  "rules": [
    { "name": "Admin", "match": [ { "path_prefix": "/admin" } ], "require": { "scope": "admin" } },
    { "name": "Everything", "match": [ { "path_prefix": "/" } ], "public": true }
  ]
}"#;

fn worker() -> FakeWorker {
    Proxy::default().worker(CONFIGURATION)
}

fn begin(worker: &mut FakeWorker, headers: &[(&str, &[u8])]) -> u64 {
    worker.begin(RequestHead { headers, route: None, has_body: false })
}

fn head<'a>(path: &'a [u8], extra: &[(&'a str, &'a [u8])]) -> Vec<(&'a str, &'a [u8])> {
    let mut headers = vec![(":method", &b"GET"[..]), (":authority", b"api.example.test"), (":path", path)];
    headers.extend_from_slice(extra);
    headers
}

/// Normalizes a path like the most lenient application: decodes repeatedly, turns every kind of slash
/// into `/`, cuts parameters, resolves dot segments, drops empty ones.
fn forgiving(path: &[u8]) -> String {
    let mut text: Vec<u8> = path.split(|b| *b == b'?').next().unwrap_or_default().to_vec();
    for _ in 0..4 {
        text = percent_encoding::percent_decode(&text).collect();
    }
    let text = String::from_utf8_lossy(&text).replace('\\', "/");
    let mut segments: Vec<&str> = Vec::new();
    for segment in text.split('/').map(|segment| segment.split(';').next().unwrap_or_default()) {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            other => segments.push(other),
        }
    }
    format!("/{}", segments.join("/"))
}

/// Paths built from fragments that are typical of attacks.
fn hostile_path() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just("/"),
        Just("admin"),
        Just("x"),
        Just("."),
        Just(".."),
        Just("%2e"),
        Just("%2E%2e"),
        Just("%2f"),
        Just("%5c"),
        Just("\\"),
        Just(";"),
        Just("%3b"),
        Just("//"),
        Just("%"),
        Just("%25"),
        Just("%252e"),
        Just("%61dmin"),
        Just("%00"),
        Just("%c0%ae"),
        Just("?"),
        Just("#"),
        Just("%2"),
        Just("a%64min"),
        Just("%2525"),
        Just(" "),
        Just("%20"),
    ];
    proptest::collection::vec(piece, 0..10).prop_map(|pieces| format!("/{}", pieces.concat()).into_bytes())
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::{Value, json};
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        Just(json!(1_800_000_060)),
        "\\PC{0,12}".prop_map(Value::from),
        Just(json!("admin")),
        Just(json!("https://as")),
        Just(json!("api")),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::hash_map("[a-z]{1,4}", inner, 0..4).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

fn answer_body() -> impl Strategy<Value = Vec<u8>> {
    let name = prop_oneof![
        Just("active"),
        Just("exp"),
        Just("nbf"),
        Just("iss"),
        Just("aud"),
        Just("scope"),
        Just("sub"),
        Just("token_type"),
        Just("cnf"),
    ];
    let members = proptest::collection::vec((name, json()), 0..8);
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..64),
        members.prop_map(|members| {
            let members: Vec<String> = members.iter().map(|(name, value)| format!("{name:?}:{value}")).collect();
            format!("{{{}}}", members.join(",")).into_bytes()
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn no_path_reaches_a_protected_place_through_a_public_rule(path in hostile_path()) {
        let headers = head(&path, &[]);
        let mut worker = worker();
        let stream = begin(&mut worker, &headers);
        if let Some(Decision::Forward(forward)) = worker.decision(stream) {
            prop_assert_eq!(&**forward.permit.rule(), "Everything");
            let seen = forgiving(&path);
            prop_assert!(seen != "/admin" && !seen.starts_with("/admin/"), "{} is served as {}", String::from_utf8_lossy(&path), seen);
        }
    }

    #[test]
    fn no_bytes_in_the_head_panic(
        path in proptest::collection::vec(any::<u8>(), 0..40),
        authority in proptest::collection::vec(any::<u8>(), 0..20),
        authorization in proptest::collection::vec(any::<u8>(), 0..40),
        name in "\\PC{0,10}",
    ) {
        let mut headers = head(&path, &[("authorization", &authorization), (&name, &[0xff])]);
        headers[1].1 = &authority;
        worker().begin(RequestHead { headers: &headers, route: Some(b"\xff"), has_body: true });
    }

    #[test]
    fn nothing_but_a_complete_good_answer_opens_a_protected_place(body in answer_body(), status in prop_oneof![Just(200_u16), any::<u16>()]) {
        let mut worker = worker();
        let stream = begin(&mut worker, &head(b"/admin", &[("authorization", b"Bearer t")]));
        let response = CalloutResponse { status, content_type: None, body: body.clone() };
        while !worker.host.callouts.is_empty() {
            worker.respond(Some(response.clone()));
        }
        if worker.status(stream) == Some(200) {
            // An independent reader must agree that it says all that is demanded.
            let value: serde_json::Value = serde_json::from_slice(&body).unwrap();
            prop_assert_eq!(status, 200);
            prop_assert_eq!(&value["active"], &serde_json::Value::Bool(true));
            prop_assert!(value["iss"].is_null() || value["iss"] == "https://as");
            prop_assert!(value["aud"] == "api" || value["aud"].as_array().is_some_and(|list| list.iter().any(|item| item == "api")));
            prop_assert!(value["cnf"].is_null());
            let scope = value["scope"].to_string();
            prop_assert!(scope.contains("admin"));
        }
    }

    #[test]
    fn a_bucket_of_any_bytes_is_a_miss_and_never_a_panic(bucket in proptest::collection::vec(any::<u8>(), 0..300), versioned in any::<bool>()) {
        let mut worker = worker();
        let mut bucket = bucket;
        if versioned && !bucket.is_empty() {
            bucket[0] = 2;
        }
        worker.host.every_bucket = Some(bucket);
        let stream = begin(&mut worker, &head(b"/admin", &[("authorization", b"Bearer t")]));
        prop_assert_eq!((worker.status(stream), worker.host.sent), (None, 1));
    }

    #[test]
    fn a_configuration_of_any_bytes_is_refused_with_a_reason(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let problems = Config::parse(&bytes, &|_| None).unwrap_err();
        prop_assert!(problems.iter().count() > 0);
    }

    #[test]
    fn a_configuration_with_any_part_replaced_is_read_or_refused_with_a_reason(
        pointer in prop_oneof![
            Just("/authorization_servers"), Just("/authorization_servers/0"), Just("/authorization_servers/0/audience"),
            Just("/authorization_servers/0/introspection"), Just("/authorization_servers/0/introspection/path"),
            Just("/upstream"), Just("/upstream/headers"), Just("/rules"), Just("/rules/0"), Just("/rules/0/match"),
            Just("/rules/0/match/0"), Just("/rules/0/match/0/path_prefix"), Just("/rules/0/require"), Just("/rules/0/require/scope"),
        ],
        value in json(),
    ) {
        let mut document: serde_json::Value = serde_json::from_str(CONFIGURATION).unwrap();
        *document.pointer_mut(pointer).unwrap() = value;
        if let Err(problems) = Config::parse(document.to_string().as_bytes(), &|_| None) {
            prop_assert!(problems.iter().all(|problem| !problem.problem.is_empty() && !problem.hint.is_empty()));
        }
    }
}
