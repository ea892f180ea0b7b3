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

use scopegate_cases::format;
use scopegate_cases::secrets;
use std::collections::BTreeMap;

use format::{Answer, Asked, Case, Expect, Suite};
use scopegate::{CalloutResponse, Config, Decision, HeaderEdit, Reply, RequestHead};
use scopegate_fake_proxy::{Callout, FakeWorker, Proxy};
use secrets::Secrets;
use serde_json::json;

const NOW: u64 = 1_800_000_000;

enum End {
    /// It passes, and these are the headers that the application gets.
    Forward(Vec<(String, Vec<u8>)>),
    Reply(Reply),
}

struct Run {
    worker: FakeWorker,
    /// Differences between the callouts and the expected ones.
    wrong: Vec<String>,
    /// How everything that came by prints.
    printed: String,
}

impl Run {
    fn request(&mut self, suite: &Suite, case: &Case, token: &str) -> End {
        let mut head: Vec<(String, Vec<u8>)> =
            [(":method", &case.request.method), (":authority", &case.request.host), (":path", &case.request.path)]
                .map(|(name, value)| (name.to_owned(), format::bytes(value)))
                .to_vec();
        head.extend(format::headers(&case.request, token));
        let route = suite.routes.iter().find(|route| case.request.path.starts_with(&route.prefix));
        let route = route.map(|route| route.name.as_bytes());
        let head: Vec<_> = head.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        let head = RequestHead { headers: &head, route, has_body: false };
        let mut headers: Vec<(String, Vec<u8>)> =
            head.headers.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec())).collect();
        for edit in self.worker.worker.clean(head) {
            match edit {
                HeaderEdit::Remove(name) => headers.retain(|(held, _)| held != name),
                HeaderEdit::Set(name, value) => {
                    headers.retain(|(held, _)| held != name);
                    headers.push((name.to_owned(), value));
                }
            }
        }
        let stream = self.worker.begin(head);
        while let Some(callout) = self.worker.host.callouts.first().cloned() {
            let response = self.answer(case, &callout, token);
            self.print(&response);
            self.worker.respond_to(callout.id, response);
        }
        let decision = self.worker.take_decision(stream).expect("a decision");
        self.print(&format!("{decision:?} {:?}", self.worker.worker));
        match decision {
            Decision::Forward(forward) => {
                // Only a public rule allows a request without a callout.
                assert_eq!(forward.permit.is_public(), self.worker.host.sent == 0, "{}", case.name);
                headers.extend(forward.set.into_iter().map(|(name, value)| (name, value.into_bytes())));
                End::Forward(headers)
            }
            Decision::Respond(reply) => End::Reply(reply),
            Decision::Report(reply) => panic!("{}: nothing is configured to report only: {reply:?}", case.name),
        }
    }

    fn answer(&mut self, case: &Case, callout: &Callout, token: &str) -> Option<CalloutResponse> {
        // While it waits, the worker holds everything that a request brings.
        self.print(&format!("{:?} {:#?} {}", self.worker.worker, self.worker.worker, callout.debug));
        let asked = asked(callout);
        assert!(asked.is_about(token), "{}", case.name);
        self.wrong.extend(case.expect.callout.iter().flat_map(|callout| asked.differences(callout, token)));
        let answer = case.answer.as_ref();
        match answer.unwrap_or_else(|| panic!("{}: a callout was sent, but the case has no `answer`", case.name)) {
            Answer::Response { status, content_type, json, text, repeat } => {
                let body = format::body(json.as_ref(), text.as_deref(), *repeat, NOW);
                let content_type = content_type.as_deref().map(|value| value.as_bytes().to_vec());
                Some(CalloutResponse { status: *status, content_type, body })
            }
            Answer::Fault { fault } => fault.seen_through_envoy().map(|status| CalloutResponse {
                status,
                content_type: Some(b"text/plain".to_vec()),
                body: Vec::new(),
            }),
        }
    }

    fn print(&mut self, what: &dyn std::fmt::Debug) {
        self.printed.push_str(&format!("{what:?}"));
    }
}

fn asked(callout: &Callout) -> Asked {
    let header = |name: &str| callout.header(name).expect("a pseudo-header").to_owned();
    let headers = callout.headers.iter().map(|(name, value)| {
        let name = if name == ":authority" { "host" } else { name.as_str() };
        (name.to_owned(), value.clone())
    });
    Asked { method: header(":method"), path: header(":path"), headers: headers.collect(), body: callout.body.clone() }
}

#[test]
fn every_case_ends_as_it_must_in_the_core() {
    let mut failures = Vec::new();
    let (mut count, mut searched) = (0, 0);
    for suite in format::suites() {
        let text = suite.configuration.to_string();
        let config =
            Config::parse(text.as_bytes(), &|_| None).unwrap_or_else(|problems| panic!("{}:\n{problems}", suite.name));
        let mut secrets = Secrets::default();
        secrets.add_configuration(&suite.name, &suite.configuration);
        let leaks = |secrets: &Secrets, printed: &str| {
            let found = secrets.found_in(printed);
            found.into_iter().map(|secret| format!("{}: a Debug output shows {secret}", suite.name)).collect::<Vec<_>>()
        };
        failures.extend(leaks(&secrets, &format!("{config:?} {config:#?}")));
        let configured = secrets.clone();
        for (index, case) in suite.cases.iter().enumerate() {
            count += 1;
            let token = format::token(&suite, index);
            let worker = Proxy::default().worker(&text);
            let mut run = Run { worker, wrong: Vec::new(), printed: String::new() };
            let end = run.request(&suite, case, &token);
            // A callout that fails is sent a second time.
            let retried = usize::try_from(run.worker.count("scopegate.callouts_retried")).unwrap();
            let calls = |run: &Run| run.worker.host.sent - retried;
            let mut wrong = differences(case, &token, &end, calls(&run));
            // Repeats the request: a cache hit if the first response could be cached, and always the same decision.
            if calls(&run) == 1 && case.expect.status != 503 {
                let again = run.request(&suite, case, &token);
                // An expired token is cached as an inactive one: the reason may change, the response may not.
                let case = Case { expect: Expect { reason: None, ..case.expect.clone() }, ..case.clone() };
                let cached = differences(&case, &token, &again, calls(&run));
                wrong.extend(cached.into_iter().map(|wrong| format!("from the cache: {wrong}")));
            }
            wrong.append(&mut run.wrong);
            let mut own = configured.clone();
            own.add_request(&suite, case, &token);
            wrong.extend(leaks(&own, &run.printed));
            secrets.extend(own);
            failures.extend(wrong.into_iter().map(|wrong| format!("{} / {}: {wrong}", suite.name, case.name)));
        }
        searched += secrets.count();
    }
    assert!(failures.is_empty(), "{} of {count} cases:\n{}", failures.len(), failures.join("\n"));
    assert!(searched > count, "only {searched} secrets");
}

/// Messages about an invalid secret do not contain the secret.
#[test]
fn problems_of_a_configuration_show_no_secret() {
    const SECRET: &str = "s3cret-that-is-shown-nowhere";
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----\n");
    for (client, environment) in [
        (json!({ "client_secret": [SECRET] }), ""),
        (json!({ "client_secret": { SECRET: SECRET } }), ""),
        (json!({ "client_secret": SECRET, "client_secret_env": "SECRET" }), SECRET),
        (json!({ "client_secret": SECRET, "client_authentication": "none" }), ""),
        (json!({ "client_secret": SECRET, "client_authentication": "bearer" }), ""),
        (json!({ "client_authentication": "private_key_jwt", "private_key": SECRET }), ""),
        (json!({ "client_authentication": "private_key_jwt", "private_key": pem }), ""),
        (json!({ "client_authentication": "private_key_jwt", "private_key_env": "KEY" }), pem.as_str()),
        (json!({ "client_authentication": "private_key_jwt", "private_key": SECRET, "client_secret": SECRET }), ""),
    ] {
        let mut introspection = json!({ "path": "/i", "client_id": "g" });
        introspection.as_object_mut().unwrap().extend(client.as_object().unwrap().clone());
        let configuration = json!({
            "authorization_servers": [
                { "name": "main", "cluster": "as", "audience": "any", "introspection": introspection },
            ],
            "rules": [{ "name": "r", "match": [{ "path": "/" }], "require": { "authenticated": true } }],
        });
        let problems = Config::parse(configuration.to_string().as_bytes(), &|_| Some(environment.to_owned()))
            .err()
            .unwrap_or_else(|| panic!("{client} is taken"));
        let shown = format!("{problems} {problems:?}");
        assert!(!shown.contains(SECRET), "{client}: {shown}");
    }
}

/// A preset without cases is untested. The cases of a preset request the path with the name of the preset.
#[test]
fn every_preset_has_a_case_of_a_good_token_a_bad_one_and_a_server_that_refuses_our_client() {
    let presets: BTreeMap<String, serde_json::Value> =
        serde_json::from_str(include_str!("../src/server/presets.json")).expect("the presets");
    let suites = format::suites();
    let cases: Vec<&Case> = suites.iter().flat_map(|suite| &suite.cases).collect();
    for name in presets.keys() {
        let path = format!("/{name}");
        let of_preset: Vec<&&Case> = cases.iter().filter(|case| case.request.path == path).collect();
        let ends = |status: u16, answered: &[u16]| {
            of_preset.iter().any(|case| {
                let Some(Answer::Response { status: found, .. }) = &case.answer else { return false };
                case.expect.status == status && (answered.is_empty() || answered.contains(found))
            })
        };
        // If the token is also the credential of the callout, a 401 is about the token.
        let itself = presets[name]["request"]["token_in"] == "authorization";
        assert!(ends(200, &[200]) && ends(401, &[]), "{name}: no case of a good token, or of a bad one");
        assert!(ends(503, &[401, 403]) || itself, "{name}: no case of a server that rejects the gateway");
        assert!(of_preset.iter().any(|case| case.expect.callout.is_some()), "{name}: no case says what is asked");
    }
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
