//! The signature test vectors inside Envoy, through both implementations: Envoy's `verify_signature`, and the one
//! compiled into the module. Both must reach the same verdict.

use serde_json::{Value, json};

use crate::corpus::{Document, FOR_HOST, Group, JUDGED, Outcome, Refused, Vector, is_for_host};
use crate::support::{Envoy, Request, overridable, send};

/// As many as are judged in one request, which holds a worker up; RSA of 8192 bits takes its time.
const BATCH: usize = 32;

#[test]
fn both_roads_come_to_the_verdict_that_is_expected() {
    let envoy = Envoy::builder()
        .module(overridable("SCOPEGATE_VECTORS", "dist/scopegate-vectors.wasm"))
        .wasm_field("allow_on_headers_stop_iteration", json!(true))
        .wasm_log_level("warning")
        .direct_response(500, "the filter answers")
        .start();
    let (mut wrong, mut by_host, mut by_module) = (Vec::new(), 0, 0);
    for (name, document) in Document::all() {
        for group in &document.groups {
            for batch in group.signatures.chunks(BATCH) {
                for (vector, verdict) in batch.iter().zip(ask(&envoy, group, batch)) {
                    let what = format!("{name}, {}, {} {}", group.comment, vector.id, vector.comment);
                    wrong.extend(differences(group, vector, &verdict).map(|problem| format!("{what}: {problem}")));
                    let roads = verdict["keys"].as_array().map_or(&[][..], Vec::as_slice);
                    by_module += roads.len();
                    by_host += roads.iter().filter(|road| !road["host"].is_null()).count();
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!((by_host, by_module), (FOR_HOST, JUDGED), "verdicts of the host, and of the module");
}

fn ask(envoy: &Envoy, group: &Group, batch: &[Vector]) -> Vec<Value> {
    let signature = |vector: &Vector| match &vector.token {
        Some(token) => json!({ "token": token }),
        None => json!({ "alg": group.alg, "text": vector.text, "signature": vector.signature }),
    };
    let question =
        json!({ "jwks": group.jwks.to_string(), "signatures": batch.iter().map(signature).collect::<Vec<_>>() });
    let answer = send(envoy.addr("main"), &Request::post("/", question.to_string()));
    assert_eq!(answer.status, 200, "{}: {}", group.comment, answer.text());
    let verdicts = answer.json().as_array().unwrap().clone();
    assert_eq!(verdicts.len(), batch.len());
    verdicts
}

/// Lists how a verdict differs from the expected outcome.
fn differences(group: &Group, vector: &Vector, verdict: &Value) -> impl Iterator<Item = String> {
    let mut differences = Vec::new();
    let roads = verdict["keys"].as_array().map_or(&[][..], Vec::as_slice);
    let outcome = match verdict["unread"].as_str() {
        Some("token") => Outcome::Refused(Refused::Token),
        Some("algorithm") => Outcome::Refused(Refused::Algorithm),
        Some(other) => panic!("{other}"),
        None if roads.is_empty() => Outcome::Refused(Refused::Key),
        None => Outcome::Judged(roads.iter().any(|road| road["module"] == true)),
    };
    let expected = vector.expected();
    if outcome != expected {
        differences.push(format!("the module says {outcome:?}, not {expected:?}"));
    }
    for road in roads {
        let for_host = is_for_host(&group.algorithm(vector).unwrap());
        let agrees = match road["host"].as_str() {
            Some("valid") => for_host && road["module"] == true,
            Some("invalid") => for_host && road["module"] == false,
            // The host is not called for malformed signatures.
            None => !for_host || road["module"] == false,
            Some(_) => false,
        };
        if !agrees {
            differences.push(format!("the roads part: {road}"));
        }
    }
    differences.into_iter()
}
