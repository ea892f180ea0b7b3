//! Published test vectors of signatures, and some of our own, against the verification of the module as it runs
//! here. In Envoy, and against the host's: `tests/e2e/signatures.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    missing_docs,
    unreachable_pub,
    reason = "a test stops by panicking"
)]

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use corpus::{Document, FOR_HOST, Group, JUDGED, Outcome, Refused, Vector, is_for_host};
use scopegate::vectors::{Candidate, Keys, Unread};
use scopegate_vectors as corpus;

#[test]
fn every_vector_gets_its_verdict_and_the_host_is_asked_about_whatever_it_can_verify() {
    let (mut wrong, mut asked, mut judgements) = (Vec::new(), 0, 0);
    for (name, document) in Document::all() {
        for group in &document.groups {
            let keys = Keys::parse(group.jwks.to_string().as_bytes()).unwrap();
            for vector in &group.signatures {
                let judged = judge(&keys, group, vector);
                let what = format!("{name}, {}, {} {}", group.comment, vector.id, vector.comment);
                let (outcome, expected) = (outcome(&judged), vector.expected());
                if outcome != expected {
                    wrong.push(format!("{what}: {outcome:?}, not {expected:?}"));
                }
                judgements += judged.as_ref().map_or(0, Vec::len);
                for candidate in judged.iter().flatten() {
                    let algorithm = group.algorithm(vector).unwrap();
                    // What is no ECDSA signature at all has no form in which the host could be asked about it.
                    let is_none = algorithm.starts_with("ES") && !candidate.is_valid;
                    match candidate.host_arguments {
                        Some(_) if !is_for_host(&algorithm) => wrong.push(format!("{what}: the host is asked")),
                        None if is_for_host(&algorithm) && !is_none => wrong.push(format!("{what}: it is not asked")),
                        Some(_) => asked += 1,
                        None => {}
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!((asked, judgements), (FOR_HOST, JUDGED), "verdicts of the host, and of the module");
}

fn judge(keys: &Keys, group: &Group, vector: &Vector) -> Result<Vec<Candidate>, Unread> {
    if let Some(token) = &vector.token {
        return keys.judge_token(token);
    }
    let octets = |part: &Option<String>| URL_SAFE_NO_PAD.decode(part.as_ref().unwrap()).unwrap();
    keys.judge(group.alg.as_ref().unwrap(), &octets(&vector.text), &octets(&vector.signature))
}

fn outcome(judged: &Result<Vec<Candidate>, Unread>) -> Outcome {
    match judged {
        Err(Unread::Token) => Outcome::Refused(Refused::Token),
        Err(Unread::Algorithm) => Outcome::Refused(Refused::Algorithm),
        Ok(candidates) if candidates.is_empty() => Outcome::Refused(Refused::Key),
        Ok(candidates) => Outcome::Judged(candidates.iter().any(|candidate| candidate.is_valid)),
    }
}
