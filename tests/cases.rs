//! The decision cases, run against the core: no host, no clock, no network.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs,
    unreachable_pub,
    reason = "a test stops by panicking"
)]

#[path = "cases/format.rs"]
mod format;

use std::collections::HashMap;

use format::{Answer, Case, Expect, Suite};
use scopegate::{Call, CalloutAnswer, Config, Edit, Gate, HostVerdict, Insert, RawHead, Reply, Step, UnixTime};

const NOW: u64 = 1_800_000_000;

/// Shared data, as the host has it.
#[derive(Default)]
struct SharedData(HashMap<String, Vec<u8>>);

enum End {
    /// It passes, and these are the headers that the application gets.
    Forward(Vec<(String, Vec<u8>)>),
    Reply(Reply),
}

struct Run<'a> {
    gate: &'a Gate,
    data: SharedData,
    calls: usize,
}

impl Run<'_> {
    fn request(&mut self, suite: &Suite, case: &Case, token: &str, now: UnixTime) -> End {
        let mut head: Vec<(String, Vec<u8>)> =
            [(":method", &case.request.method), (":authority", &case.request.host), (":path", &case.request.path)]
                .map(|(name, value)| (name.to_owned(), format::bytes(value)))
                .to_vec();
        head.extend(format::headers(&case.request, token));
        let route = suite.routes.iter().find(|route| case.request.path.starts_with(&route.prefix));
        let route = route.map(|route| route.name.as_bytes());
        let head = RawHead { headers: &head, route, has_body: false };
        let cleaning = self.gate.cleaning(head);
        let mut step = self.gate.begin(head);
        loop {
            step = match step {
                Step::Forward(forward) => {
                    // Who never asked the server and let the request pass must have had a public rule.
                    assert_eq!(forward.permit.is_public(), self.calls == 0, "{}", case.name);
                    let mut headers = head.headers.to_vec();
                    for edit in &cleaning {
                        match edit {
                            Edit::Remove(name) => headers.retain(|(held, _)| held != name),
                            Edit::Set(name, value) => {
                                headers.retain(|(held, _)| held != name);
                                headers.push((name.clone(), value.clone()));
                            }
                        }
                    }
                    headers.extend(forward.set.into_iter().map(|(name, value)| (name, value.into_bytes())));
                    return End::Forward(headers);
                }
                Step::Respond(reply) => return End::Reply(reply),
                Step::Lookup(lookup) => {
                    let bucket = self.data.0.get(lookup.key()).map(Vec::as_slice);
                    lookup.resume(self.gate, bucket, now).step
                }
                Step::Verify(verification) => verification.resume(self.gate, HostVerdict::Unable, now).step,
                Step::Call(call) => {
                    self.calls += 1;
                    self.answer(case, call, token, now)
                }
            };
        }
    }

    fn answer(&mut self, case: &Case, call: Call, token: &str, now: UnixTime) -> Step {
        let request = call.request(self.gate, now);
        let form: Vec<_> = form_urlencoded::parse(request.body.as_bytes()).into_owned().collect();
        assert!(form.contains(&("token".to_owned(), token.to_owned())), "{}: {form:?}", case.name);
        let answer =
            case.answer.clone().unwrap_or_else(|| panic!("{}: nobody said what the server answers", case.name));
        let body;
        let answer = match &answer {
            Answer::Response { status, content_type, json, text, repeat } => {
                body = format::body(json.as_ref(), text.as_deref(), *repeat, NOW);
                let content_type = content_type.as_deref().map(str::as_bytes);
                CalloutAnswer::Response { status: *status, content_type, body: &body }
            }
            Answer::Fault { fault } => match fault.seen_through_envoy() {
                Some(status) => CalloutAnswer::Response { status, content_type: Some(b"text/plain"), body: b"" },
                None => CalloutAnswer::NoAnswer,
            },
        };
        let answered = call.resume(self.gate, answer, now, now);
        if let Some(insert) = &answered.insert {
            self.keep(insert);
        }
        answered.step
    }

    fn keep(&mut self, insert: &Insert) {
        let applied = insert.apply(self.data.0.get(insert.key()).map(Vec::as_slice));
        self.data.0.insert(insert.key().to_owned(), applied.bucket);
    }
}

#[test]
fn every_case_ends_as_it_must_in_the_core() {
    let mut failures = Vec::new();
    let mut count = 0;
    for suite in format::suites() {
        let text = suite.configuration.to_string();
        let config =
            Config::parse(text.as_bytes(), &|_| None).unwrap_or_else(|problems| panic!("{}:\n{problems}", suite.name));
        let gate = Gate::new(config, [0; 32]);
        for (index, case) in suite.cases.iter().enumerate() {
            count += 1;
            let token = format!("token-{}-{index}", suite.name);
            let mut run = Run { gate: &gate, data: SharedData::default(), calls: 0 };
            let end = run.request(&suite, case, &token, UnixTime::from_secs(NOW));
            let mut wrong = differences(case, &token, &end, run.calls);
            // The same request again: from the cache if the first answer was one, and never to another end.
            if run.calls == 1 && case.expect.status != 503 {
                let again = run.request(&suite, case, &token, UnixTime::from_secs(NOW));
                // An expired token is kept as an inactive one: the reason may change, the answer may not.
                let case = Case { expect: Expect { reason: None, ..case.expect.clone() }, ..case.clone() };
                let cached = differences(&case, &token, &again, run.calls);
                wrong.extend(cached.into_iter().map(|wrong| format!("from the cache: {wrong}")));
            }
            failures.extend(wrong.into_iter().map(|wrong| format!("{} / {}: {wrong}", suite.name, case.name)));
        }
    }
    assert!(failures.is_empty(), "{} of {count} cases:\n{}", failures.len(), failures.join("\n"));
}

fn differences(case: &Case, token: &str, end: &End, calls: usize) -> Vec<String> {
    let expect = &case.expect;
    let mut wrong = Vec::new();
    let mut compare = |what: &str, found: String, expected: String| {
        if found != expected {
            wrong.push(format!("{what} is {found}, not {expected}"));
        }
    };
    compare("the number of calls", calls.to_string(), expect.calls.to_string());
    match end {
        End::Forward(headers) => {
            compare("the status", "200".to_owned(), expect.status.to_string());
            for (name, value) in &expect.upstream {
                let found: Vec<String> = headers
                    .iter()
                    .filter(|(held, _)| held == name)
                    .map(|(_, value)| value.iter().copied().map(char::from).collect())
                    .collect();
                let expected: Vec<String> = value.iter().map(|value| value.replace("$token", token)).collect();
                compare(&format!("upstream {name}"), format!("{found:?}"), format!("{expected:?}"));
            }
        }
        End::Reply(reply) => {
            let header =
                |name: &str| reply.headers.iter().find(|(held, _)| *held == name).map(|(_, value)| value.clone());
            compare("the status", reply.status.to_string(), expect.status.to_string());
            compare("the challenge", format!("{:?}", header("www-authenticate")), format!("{:?}", expect.challenge));
            compare("retry-after", header("retry-after").is_some().to_string(), (expect.status == 503).to_string());
            if let Some(reason) = &expect.reason {
                compare("the reason", reply.denial.reason().to_owned(), reason.clone());
            }
            if let Some(error) = &expect.error {
                let body: serde_json::Value = serde_json::from_str(&reply.body).expect("a JSON body");
                compare("the error", body["error"].to_string(), format!("{error:?}"));
            }
        }
    }
    wrong
}
