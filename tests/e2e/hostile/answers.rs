//! What an identity server could answer, by mistake or malice: none of it is a pass but an answer that says so, its
//! trouble is never the caller's fault, and nothing of it stays behind.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;

use super::corpus::{self, Answer, AnswerCase, Answers, Arrival, End, Fault, Text};
use super::gate;
use super::requests::{Behind, assert_unharmed, short, wrong_end, wrong_reason};
use super::witness::{Arrived, Witness};
use crate::support::*;

#[test]
fn no_malformed_answer_is_a_pass_or_the_fault_of_the_caller() {
    let Answers { cases, .. } = corpus::read("answers.json");
    corpus::assert_distinct(cases.iter().map(|case| case.name.as_str()));
    let witness = Witness::start();
    let at_hand = Arc::new(Mutex::new(Script::Close));
    let server = ScriptedServer::start({
        let at_hand = Arc::clone(&at_hand);
        move |_| at_hand.lock().unwrap().clone()
    });
    let mut configuration = gate::configuration(gate::OPEN);
    configuration["authorization_servers"][0]["issuer"] = json!("https://as.example.test");
    configuration["authorization_servers"][0]["audience"] = json!(["api"]);
    configuration["authorization_servers"][0]["circuit_breaker"] = json!({ "failures": 0 });
    let builder = gate::envoy(witness.addr(), server.addr());
    let mut envoy = builder.listener("main", ListenerSpec::new().plugin(configuration)).start();

    let mut failures = Vec::new();
    let mut logged = envoy.log().len();
    let mut behind = Behind::default();
    let mut ask = |case: &AnswerCase, token: &str, answer: Script| {
        *at_hand.lock().unwrap() = answer;
        let request = Request::get("/bookings").bearer(token);
        let end = try_send(envoy.addr("main"), &request).map(|response| End::Status(response.status));
        if end.is_err() {
            behind.settle(&envoy, "main", &witness);
        }
        let mut wrong = wrong_end(&case.expect, &end);
        if wrong.is_empty() {
            wrong.extend(wrong_reason(&case.expect, &envoy, &mut logged));
        }
        logged = envoy.log().len();
        (wrong, end.ok())
    };
    for (index, case) in cases.iter().enumerate() {
        let token = format!("token-{index}");
        let (mut wrong, end) = ask(case, &token, script(&case.answer));
        match (&case.expect.upstream, witness.take().as_slice()) {
            (None, []) => {}
            (Some(arrival), [arrived]) => wrong.extend(wrong_identity(arrival, arrived)),
            (_, arrived) => wrong.push(format!("{} requests reached the upstream", arrived.len())),
        }
        if end == Some(End::Status(503)) {
            let inactive = Script::json(json!({ "active": false }));
            let (_, then) = ask(case, &token, inactive);
            if then != Some(End::Status(401)) || !witness.take().is_empty() {
                wrong.push(format!("what came of it counts for the next request: {then:?}"));
            }
        }
        if !wrong.is_empty() {
            failures.push(format!("{}: {}", case.name, wrong.join("; ")));
        }
    }
    println!("answers.json: {} cases", cases.len());
    assert!(failures.is_empty(), "{} of {} cases:\n{}", failures.len(), cases.len(), failures.join("\n"));
    assert_unharmed(&mut envoy);
}

/// Each identity header as it must be, and nothing beside it.
fn wrong_identity(expected: &Arrival, arrived: &Arrived) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, _) in gate::IDENTITY {
        let said = expected.headers.get(name).and_then(Option::as_ref).map(Text::bytes);
        let found = arrived.values(name);
        if found != said.iter().map(Vec::as_slice).collect::<Vec<_>>() {
            wrong.push(format!(
                "the upstream sees {name} as {:?}",
                found.iter().map(|value| short(value)).collect::<Vec<_>>()
            ));
        }
    }
    wrong
}

fn script(answer: &Answer) -> Script {
    let mut headers: Vec<(String, String)> = Vec::new();
    if !answer.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        headers.push(("content-type".to_owned(), "application/json".to_owned()));
    }
    headers.extend(answer.headers.iter().filter_map(|(name, value)| Some((name.clone(), value.clone()?))));
    let (status, body) = (answer.status, answer.body.bytes());
    if let Some(raw) = &answer.raw {
        return Script::Raw(raw.bytes());
    }
    match (answer.fault, answer.chunks) {
        (Some(Fault::Close), _) => Script::Close,
        (Some(Fault::Hang), _) => Script::Hang,
        (Some(Fault::Reset), _) => Script::ResetMidBody { promised: body.len() + 10, part: body },
        (Some(Fault::Drip), _) => {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            Script::Drip { bytes: [head.as_bytes(), &body].concat(), every: Duration::from_millis(150) }
        }
        (None, Some(length)) => {
            Script::Chunked { status, headers, chunks: body.chunks(length).map(<[u8]>::to_vec).collect() }
        }
        (None, None) => Script::Answer { status, headers, body },
    }
}
