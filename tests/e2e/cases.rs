//! The decision cases, run through a real Envoy: the same files that the core is tested with.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::format::{self, Answer, Asked, Case, Fault};
use crate::secrets::Secrets;
use crate::support::*;

/// At least as many texts are searched for.
const SECRETS: usize = 750;

#[test]
fn every_case_ends_as_it_must_in_envoy() {
    let suites = format::suites();
    // The token of the case at hand, and what the server says of it.
    let answer = Arc::new(Mutex::new((String::new(), None)));
    let server = ScriptedServer::start({
        let answer = Arc::clone(&answer);
        move |request| match &*answer.lock().unwrap() {
            (token, Some(answer)) if asked(request).is_about(token) => script(answer),
            _ => Script::status(500),
        }
    });
    let upstream = Upstream::start();
    let envoy = suites
        .iter()
        .fold(Envoy::builder(), |builder, suite| {
            // Several consecutive cases of a suite make the server fail, which would open the circuit breaker.
            let mut configuration = suite.configuration.clone();
            for server in configuration["authorization_servers"].as_array_mut().into_iter().flatten() {
                server["circuit_breaker"] = json!({ "failures": 0 });
                // The core needs no time to answer; a server may, on a busy machine.
                if let Some(introspection) = server["introspection"].as_object_mut() {
                    introspection.insert("timeout".to_owned(), json!("3s"));
                }
            }
            let listener = ListenerSpec::new().plugin_any("google.protobuf.Struct", configuration);
            let listener = suite
                .routes
                .iter()
                .fold(listener, |listener, route| listener.route(RouteSpec::prefix(&route.prefix).name(&route.name)));
            builder.listener(&suite.name, listener)
        })
        .cluster("identity_server", server.addr())
        .upstream(upstream.addr())
        .start();

    let mut failures = Vec::new();
    let mut count = 0;
    let mut secrets = Secrets::default();
    for suite in &suites {
        secrets.add_configuration(&suite.name, &suite.configuration);
        for (index, case) in suite.cases.iter().enumerate() {
            count += 1;
            let token = format::token(suite, index);
            *answer.lock().unwrap() = (token.clone(), case.answer.clone());
            server.clear();
            upstream.clear();
            let logged = envoy.log_size();
            let response = send(envoy.addr(&suite.name), &request(case, &token));
            let mut wrong = differences(case, &token, &response, server.call_count(), &upstream);
            if let Some(callout) = &case.expect.callout {
                let calls = server.calls();
                wrong.extend(calls.iter().flat_map(|call| asked(call).differences(callout, &token)));
            }
            if let (Some(reason), false) = (&case.expect.reason, case.expect.by_envoy) {
                let line = format!("refused with {}: {reason}", case.expect.status);
                let found =
                    try_wait(&line, Duration::from_secs(30), || envoy.log_since(logged).contains(&line).then_some(()));
                wrong.extend(found.err());
            }
            let mut own = Secrets::default();
            own.add_request(suite, case, &token);
            own.add_answer(suite, case);
            if response.status != 200 {
                let found = own.found_in(&format!("{:?} {}", response.headers, response.text()));
                wrong.extend(found.iter().map(|secret| format!("the caller is told {secret}")));
            }
            secrets.extend(own);
            failures.extend(wrong.into_iter().map(|wrong| format!("{} / {}: {wrong}", suite.name, case.name)));
        }
    }
    assert!(failures.is_empty(), "{} of {count} cases:\n{}", failures.len(), failures.join("\n"));

    // Whatever the cases held, none of it is in a log at trace level, in a metric, or in an answer to who was refused.
    assert!(secrets.count() >= SECRETS, "only {} secrets", secrets.count());
    let log = envoy.log();
    for (place, text) in [("the log", &log), ("/stats", &envoy.admin("/stats")), ("Prometheus", &envoy.prometheus())] {
        let found = secrets.found_in(text);
        assert!(found.is_empty(), "{place} contains\n{}", found.join("\n"));
    }
    assert!(!log.contains("Basic ") && !log.contains("Bearer "), "the log contains credentials");
    assert!(!log.contains("panicked"), "{log}");
}

fn request(case: &Case, token: &str) -> Request {
    let request = Request::new(&case.request.method, format::bytes(&case.request.path)).host(&case.request.host);
    format::headers(&case.request, token).iter().fold(request, |request, (name, value)| request.header(name, value))
}

fn asked(call: &Recorded) -> Asked {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Asked {
        method: call.method.clone(),
        path: text(&call.path),
        headers: call.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), text(value))).collect(),
        body: text(&call.body),
    }
}

fn script(answer: &Answer) -> Script {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    match answer {
        Answer::Response { status, content_type, json, text, repeat } => Script::Answer {
            status: *status,
            headers: content_type.iter().map(|value| ("content-type".to_owned(), value.clone())).collect(),
            body: format::body(json.as_ref(), text.as_deref(), *repeat, now),
        },
        Answer::Fault { fault } => match fault {
            Fault::Close => Script::Close,
            Fault::Reset => Script::ResetMidBody { promised: 100, part: b"{\"active\":true,".to_vec() },
            Fault::Hang => Script::Hang,
            Fault::Drip => Script::Drip {
                bytes: b"HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\n{\"active\":true}".to_vec(),
                every: Duration::from_millis(200),
            },
            Fault::Noise => Script::Raw(b"220 mail.example.test ESMTP\r\n".to_vec()),
        },
    }
}

fn differences(case: &Case, token: &str, response: &Response, calls: usize, upstream: &Upstream) -> Vec<String> {
    let expect = &case.expect;
    let mut wrong = Vec::new();
    let mut compare = |what: &str, found: String, expected: String| {
        if found != expected {
            wrong.push(format!("{what} is {found}, not {expected}"));
        }
    };
    compare("the status", response.status.to_string(), expect.status.to_string());
    // A callout that gets no response is retried once, within the retry budget.
    let is_lost = match &case.answer {
        Some(Answer::Response { status, .. }) => matches!(status, 502..=504),
        Some(Answer::Fault { fault }) => !matches!(fault, Fault::Hang | Fault::Drip),
        None => false,
    };
    let calls = if is_lost && calls > expect.calls { calls.div_ceil(2) } else { calls };
    compare("the number of calls", calls.to_string(), expect.calls.to_string());
    let passed = usize::from(expect.status == 200);
    compare("the number of requests upstream", upstream.request_count().to_string(), passed.to_string());
    if expect.by_envoy {
        return wrong;
    }
    compare("the challenge", format!("{:?}", response.header("www-authenticate")), format!("{:?}", expect.challenge));
    compare("retry-after", response.header("retry-after").is_some().to_string(), (expect.status == 503).to_string());
    if let Some(error) = &expect.error {
        compare(
            "the content type",
            format!("{:?}", response.header("content-type")),
            r#"Some("application/json")"#.to_owned(),
        );
        let body: Option<Value> = serde_json::from_slice(&response.body).ok();
        compare("the error", body.map_or(response.text(), |body| body["error"].to_string()), format!("{error:?}"));
    }
    for (name, value) in &expect.upstream {
        let found = upstream.requests().first().map(|request| request.headers_named(name)).unwrap_or_default();
        let expected: Vec<String> = value.iter().map(|value| value.replace("$token", token)).collect();
        compare(&format!("upstream {name}"), format!("{found:?}"), format!("{expected:?}"));
    }
    wrong
}
