//! The hostile requests, under several settings of Envoy and over both protocols. Whatever a case expects, what reaches
//! the upstream is held against the worst application there could be.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use super::application::scopes_taken;
use super::corpus::{self, Arrival, Closed, End, Outcome, RequestCase, Requests, Text};
use super::gate::{self, IDENTITY, SETTINGS, Settings, TOKENS};
use super::wire::{http1, http2, send_http1, send_http2};
use super::witness::{Arrived, Witness};
use crate::support::*;

const PROTOCOLS: [&str; 2] = ["http1", "http2"];

#[test]
fn hostile_paths_mean_one_thing_or_nothing() {
    run("paths.json");
}

#[test]
fn hostile_hosts_mean_one_thing_or_nothing() {
    run("hosts.json");
}

#[test]
fn hostile_headers_forge_no_identity_and_no_credentials() {
    run("headers.json");
}

#[test]
fn hostile_methods_mean_one_thing_or_nothing() {
    run("methods.json");
}

fn run(file: &str) {
    let Requests { cases, .. } = corpus::read(file);
    corpus::assert_distinct(cases.iter().map(|case| case.name.as_str()));
    cases.iter().for_each(assert_well_formed);
    let witness = Witness::start();
    let server = gate::identity_server();
    let builder = gate::envoy(witness.addr(), server.addr());
    let builder =
        SETTINGS.iter().fold(builder, |builder, settings| builder.listener(settings.name, settings.listener()));
    let mut envoy = builder.start();
    let version = corpus::minor_version(&envoy.version());
    let mut failures = Vec::new();
    let mut runs = 0;
    let mut logged = envoy.log().len();
    let mut behind = Behind::default();
    for settings in &SETTINGS {
        let addr = envoy.addr(settings.name);
        for case in &cases {
            for protocol in PROTOCOLS {
                let Some(end) = send_case(case, protocol, addr) else { continue };
                runs += 1;
                let expected = case.expected(settings.name, protocol, version);
                if expected.perhaps || !matches!(end, Ok(End::Status(_))) {
                    behind.settle(&envoy, settings.name, &witness);
                }
                let mut wrong = wrong_end(expected, &end);
                if wrong.is_empty() {
                    wrong.extend(wrong_reason(expected, &envoy, &mut logged));
                } else {
                    logged = envoy.log().len();
                }
                let arrived = witness.take();
                match (&expected.upstream, arrived.as_slice()) {
                    (None, []) => {}
                    (Some(_), []) if expected.perhaps => {}
                    (Some(arrival), [arrived]) => wrong.extend(wrong_arrival(case, protocol, arrival, arrived)),
                    (_, arrived) => {
                        wrong.push(format!("{} requests reached the upstream: {}", arrived.len(), shown(arrived)))
                    }
                }
                for arrived in &arrived {
                    let breaches = breaches(case, settings, arrived);
                    let shown = shown(std::slice::from_ref(arrived));
                    wrong.extend(breaches.iter().map(|breach| format!("BREACH: {breach}: {shown}")));
                }
                if !wrong.is_empty() {
                    failures.push(format!("{} / {}/{protocol}: {}", case.name, settings.name, wrong.join("; ")));
                }
            }
        }
        let good = Request::get("/bookings").bearer("view");
        assert_eq!(send(addr, &good).status, 200, "{}: a good request does not pass any more", settings.name);
        witness.take();
    }
    println!("{file}: {} cases in {runs} runs", cases.len());
    assert!(failures.is_empty(), "{} of {runs} runs:\n{}", failures.len(), failures.join("\n"));
    assert_unharmed(&mut envoy);
}

/// Nothing of all this has taken the filter down.
pub fn assert_unharmed(envoy: &mut Envoy) {
    assert!(envoy.is_running());
    let log = envoy.log();
    for trouble in ["panicked", "Function: proxy_on", "failed to load", "VM is failed"] {
        assert!(!log.contains(trouble), "{trouble}: {log}");
    }
    for counter in ["wasm.vm_reload.success", "wasm.vm_reload.failure", "wasm.vm_reload.backoff"] {
        assert_eq!(envoy.counter(counter), 0, "{counter}");
    }
}

fn assert_well_formed(case: &RequestCase) {
    let name = &case.name;
    let raw = case.http1.is_some() || case.http2.is_some();
    assert!(case.request.is_some() != raw, "{name}: either a `request`, or `http1` and `http2`");
    for place in case.places() {
        let is_known = |name: &str| SETTINGS.iter().any(|settings| settings.name == name);
        let is_named = place.settings.is_none_or(is_known) && place.protocol.is_none_or(|of| PROTOCOLS.contains(&of));
        assert!(is_named, "{name}: there is no {place:?}");
    }
}

/// `None` if the case has nothing for this protocol.
fn send_case(case: &RequestCase, protocol: &str, addr: SocketAddr) -> Option<std::io::Result<End>> {
    Some(match (&case.request, protocol) {
        (Some(message), "http1") => send_http1(addr, &http1(message)),
        (Some(message), _) => send_http2(addr, &http2(message)),
        (None, "http1") => send_http1(addr, &case.http1.as_ref()?.bytes()),
        (None, _) => send_http2(addr, case.http2.as_ref()?),
    })
}

/// How far the upstream is behind Envoy for good: in bytes that a reset took back, and in connections that stay open.
#[derive(Default)]
pub struct Behind([u64; 2]);

impl Behind {
    /// Waits until the upstream has what Envoy has sent, or has read its connections to their end: what came has to be
    /// seen now, and not with the next case. What is behind for a long time is so for good, until it is seen not to be.
    pub fn settle(&mut self, envoy: &Envoy, listener: &str, witness: &Witness) {
        let mut behind = self.0;
        // A client may see a reset before Envoy has done with the request.
        let downstream = format!("http.{listener}.downstream_rq_active");
        let is_settled = || {
            let [asked, pending, active, bytes, connections] = envoy.gauges([
                &downstream,
                "cluster.upstream.upstream_rq_pending_active",
                "cluster.upstream.upstream_rq_active",
                "cluster.upstream.upstream_cx_tx_bytes_total",
                "cluster.upstream.upstream_cx_total",
            ]);
            behind = [bytes.saturating_sub(witness.received()), connections.saturating_sub(witness.ended())];
            let is_here = [asked, pending, active] == [0; 3] && (0..2).any(|kind| behind[kind] <= self.0[kind]);
            self.0 = [0, 1].map(|kind| self.0[kind].min(behind[kind]));
            is_here.then_some(())
        };
        if try_wait("the upstream to have everything", Duration::from_secs(10), is_settled).is_err() {
            self.0 = behind;
        }
    }
}

pub fn wrong_end(expected: &Outcome, end: &std::io::Result<End>) -> Vec<String> {
    match end {
        Ok(end) if *end == expected.status => Vec::new(),
        Ok(End::Closed(Closed::Closed)) => vec!["it is closed".to_owned()],
        Ok(End::Status(status)) => vec![format!("the status is {status}")],
        Err(error) => vec![format!("it has no end: {error}")],
    }
}

/// Who refuses a request shows in the log: only the filter writes there.
pub fn wrong_reason(expected: &Outcome, envoy: &Envoy, logged: &mut usize) -> Vec<String> {
    let words = || -> Vec<String> {
        let log = envoy.log();
        let new = log.get(*logged..).unwrap_or_default().lines();
        let said = new.filter_map(|line| line.split_once(": refused with ")?.1.split_once(": ").map(|(_, word)| word));
        said.map(|word| word.split(' ').next().unwrap_or_default().to_owned()).collect()
    };
    let mut found = words();
    if expected.reason.is_some() {
        // It is written before the answer is sent.
        let waited = try_wait("a word", Duration::from_secs(10), || Some(words()).filter(|words| !words.is_empty()));
        found = waited.unwrap_or_default();
    }
    *logged = envoy.log().len();
    let expected: Vec<String> = expected.reason.iter().cloned().collect();
    if found == expected { Vec::new() } else { vec![format!("the filter says {found:?}")] }
}

fn wrong_arrival(case: &RequestCase, protocol: &str, expected: &Arrival, arrived: &Arrived) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut compare = |what: &str, found: &[u8], expected: &[u8]| {
        if found != expected {
            wrong.push(format!("the upstream sees {what} `{}`, not `{}`", short(found), short(expected)));
        }
    };
    let sent = |part: fn(&corpus::Message) -> &Text, pseudo: &str| match (&case.request, &case.http2) {
        (Some(message), _) => part(message).bytes(),
        (None, Some(stream)) if protocol == "http2" => {
            let field = stream.fields.iter().find(|(name, _)| name.bytes() == pseudo.as_bytes());
            field.map(|(_, value)| value.bytes()).unwrap_or_default()
        }
        _ => panic!("{}: say what the upstream sees", case.name),
    };
    let expected_or = |said: &Option<Text>, sent: &dyn Fn() -> Vec<u8>| said.as_ref().map_or_else(sent, Text::bytes);
    compare("the method", &arrived.method, &expected_or(&expected.method, &|| sent(|m| &m.method, ":method")));
    compare("the path", &arrived.target, &expected_or(&expected.path, &|| sent(|m| &m.path, ":path")));
    for (name, value) in &expected.headers {
        let found = arrived.values(name).join(&b" and "[..]);
        compare(name, &found, &value.as_ref().map(Text::bytes).unwrap_or_default());
    }
    wrong
}

/// What must not be, whatever the case expects.
fn breaches(case: &RequestCase, settings: &Settings, arrived: &Arrived) -> Vec<String> {
    let mut breaches = Vec::new();
    let token = case.request.as_ref().and_then(|message| message.token.as_ref());
    let entitled = TOKENS.iter().find(|(name, ..)| case.entitled.as_ref().or(token).is_some_and(|token| token == name));
    let scopes: BTreeSet<&str> = entitled.iter().flat_map(|(_, _, scope)| scope.split(' ')).collect();
    for scope in scopes_taken(arrived, settings.may_fold_case()) {
        if !scopes.contains(scope) {
            breaches.push(format!("it reaches what takes {scope}"));
        }
    }
    let fold = |name: &[u8]| -> Vec<u8> {
        name.iter().map(|b| if b.is_ascii_alphanumeric() { b.to_ascii_lowercase() } else { b'-' }).collect()
    };
    for (name, of) in IDENTITY {
        let value = entitled.map(|(_, client, scope)| if of == "scope" { *scope } else { *client });
        let held: Vec<_> = arrived.fields().filter(|(other, _)| fold(other) == name.as_bytes()).collect();
        let is_ours = |(spelled, held): &&(Vec<u8>, Vec<u8>)| {
            spelled == name.as_bytes() && Some(held.as_slice()) == value.map(str::as_bytes)
        };
        if held.len() > 1 || !held.iter().all(is_ours) {
            breaches.push(format!("{name} is forged"));
        }
    }
    if arrived.fields().any(|(name, _)| fold(name) == b"authorization") {
        breaches.push("the credentials go on".to_owned());
    }
    if !arrived.rest.is_empty() {
        breaches.push("something comes behind it".to_owned());
    }
    breaches
}

fn shown(arrived: &[Arrived]) -> String {
    let mut text = String::new();
    for arrived in arrived {
        text += &format!("{} {}", short(&arrived.method), short(&arrived.target));
        for (name, value) in arrived.fields() {
            text += &format!(" | {}: {}", short(name), short(value));
        }
    }
    text
}

pub fn short(bytes: &[u8]) -> String {
    bytes[..bytes.len().min(200)].escape_ascii().to_string()
}
