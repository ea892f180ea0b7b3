use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;
use crate::base::UnixTime;
use crate::config::Config;
use crate::flow::HostVerdict;
use crate::flow::Step;
use crate::host::CalloutError;
use crate::host::CalloutResult;
use crate::request::RequestHead;
use crate::server::KEYS;
use crate::server::KeyFetch;
use crate::server::METADATA;

const START: UnixTime = UnixTime::from_secs(1_000_000);
const JWKS: &[u8] = br#"{"keys":[]}"#;

fn gate(jwt: &str) -> Gate {
    let server =
        format!(r#"{{"name":"a","cluster":"c","issuer":"https://as.test/t","audience":["x"],"jwt":{{{jwt}}}}}"#);
    let rule = r#"{"name":"r","match":[{"path":"/"}],"require":{"authenticated":true}}"#;
    let text = format!(r#"{{"authorization_servers":[{server}],"rules":[{rule}]}}"#);
    Gate::new(Config::parse(text.as_bytes(), &|_| None).unwrap(), [7; 32])
}

fn after(seconds: u64) -> UnixTime {
    START.saturating_add(Duration::from_secs(seconds))
}

fn json(body: &[u8]) -> CalloutResult<'_> {
    CalloutResult::Response { status: 200, content_type: Some(b"application/json"), body }
}

fn status(status: u16) -> CalloutResult<'static> {
    CalloutResult::Response { status, content_type: None, body: b"" }
}

/// Where a fetch asks, as authority and path.
fn asks(fetch: &KeyFetch) -> String {
    let request = fetch.request();
    let header = |wanted: &str| request.headers.iter().find(|(name, _)| *name == wanted).unwrap().1.to_string();
    header(":authority") + &header(":path")
}

fn metadata(issuer: &str, path: &str) -> Vec<u8> {
    format!(r#"{{"issuer":"{issuer}","jwks_uri":"https://keys.test{path}"}}"#).into_bytes()
}

/// A token that names its key, with a signature that means nothing.
fn token(algorithm: &str, kid: &str) -> String {
    let header = format!(r#"{{"alg":"{algorithm}","typ":"at+jwt","kid":"{kid}"}}"#);
    let payload = r#"{"iss":"https://as.test/t","exp":2000000,"aud":"x"}"#;
    format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload))
}

fn begin(gate: &Gate, token: &str, now: UnixTime) -> Step {
    let credentials = format!("Bearer {token}");
    let headers = [(":method", "GET"), (":path", "/"), ("authorization", credentials.as_str())]
        .map(|(name, value)| (name, value.as_bytes()));
    gate.begin(RequestHead { headers: &headers, route: None, has_body: false }, now)
}

#[test]
fn keys_are_fetched_from_where_the_metadata_say_and_found_anew_each_time() {
    let gate = gate(r#""discovery":"oauth""#);
    for (round, path) in [(0, "/a"), (300, "/b")] {
        assert!(gate.keys_are_due(0, after(round)));
        let fetch = gate.fetch_keys(0, after(round)).unwrap();
        assert_eq!(asks(&fetch), "as.test/.well-known/oauth-authorization-server/t");
        let answered = fetch.resume(json(&metadata("https://as.test/t", path)), after(round), after(round));
        assert_eq!((answered.outcome, answered.trouble), (METADATA, None));
        let fetch = answered.next.unwrap();
        assert_eq!(asks(&fetch), format!("keys.test{path}"));
        let answered = fetch.resume(json(JWKS), after(round), after(round));
        assert_eq!((answered.outcome, answered.next.is_some()), (KEYS, false));
        assert!(answered.publish.is_some() && !gate.keys_are_due(0, after(round + 299)));
    }
}

#[test]
fn without_metadata_the_keys_are_where_they_were_and_at_first_nowhere() {
    let gate = gate(r#""discovery":"openid""#);
    let first = gate.fetch_keys(0, START).unwrap();
    let answered = first.resume(json(&metadata("https://as.test", "/a")), START, START);
    let why = "their issuer is another than the one that is configured";
    assert_eq!((answered.trouble, answered.next.is_some()), (Some(CalloutError::BadMetadata(why)), false));
    // Of what is refused nothing is kept.
    let answered = gate.fetch_keys(0, after(2)).unwrap().resume(status(404), after(2), after(2));
    assert_eq!((answered.trouble, answered.next.is_some()), (Some(CalloutError::MetadataStatus(404)), false));

    let fetch = gate.fetch_keys(0, after(4)).unwrap();
    assert!(fetch.resume(json(&metadata("https://as.test/t", "/a")), after(4), after(4)).next.is_some());
    let answered = gate.fetch_keys(0, after(9)).unwrap().resume(CalloutResult::NoAnswer, after(9), after(9));
    assert_eq!(answered.trouble, Some(CalloutError::NoAnswer));
    assert_eq!(answered.next.as_ref().map(asks).as_deref(), Some("keys.test/a"));
    // No longer than keys themselves would be believed.
    let late = after(4 + 24 * 3600);
    assert!(gate.fetch_keys(0, late).unwrap().resume(CalloutResult::NoAnswer, late, late).next.is_none());
}

#[test]
fn a_path_that_is_configured_needs_no_metadata() {
    let gate = gate(r#""jwks_path":"/jwks","authority":"as.internal""#);
    let fetch = gate.fetch_keys(0, START).unwrap();
    assert_eq!(asks(&fetch), "as.internal/jwks");
    let answered = fetch.resume(status(500), START, START);
    assert_eq!((answered.trouble, answered.next.is_some()), (Some(CalloutError::KeysStatus(500)), false));
}

#[test]
fn keys_of_other_places_are_never_taken_for_one_another() {
    let key = |jwt: &str| gate(jwt).key_servers().next().unwrap().1;
    let keys: std::collections::BTreeSet<_> = [
        r#""jwks_path":"/jwks""#,
        r#""jwks_path":"/keys""#,
        r#""jwks_path":"/jwks","cluster":"d""#,
        r#""jwks_path":"/jwks","authority":"as.internal""#,
        r#""discovery":"openid""#,
        r#""discovery":"oauth""#,
        r#""discovery":"openid","authority":"as.test""#,
    ]
    .map(key)
    .into();
    assert_eq!(keys.len(), 7);
}

#[test]
fn requests_that_come_while_keys_are_fetched_wait_for_the_same_answer() {
    let gate = gate(r#""jwks_path":"/jwks""#);
    let begin = |kid: &str, now| begin(&gate, &token("RS256", kid), now);
    let mut calls = Vec::new();
    for kid in ["a", "b", "c"] {
        let Step::Call(call) = begin(kid, START) else { panic!("it waits") };
        calls.push(call);
    }
    assert!(calls.iter().all(|call| call.flight(&gate) == calls[0].flight(&gate)));
    let mut published = 0;
    for call in calls {
        let answered = call.resume(&gate, json(JWKS), START, START);
        published += usize::from(answered.publish.is_some());
        assert!(matches!(answered.step, Step::Respond(reply) if reply.status == 401));
    }
    assert_eq!(published, 1);
    // Then nobody is asked again for some time.
    assert!(matches!(begin("d", after(1)), Step::Respond(reply) if reply.status == 401));
    assert!(matches!(begin("d", after(30)), Step::Call(_)));
}

#[test]
fn what_a_key_has_vouched_for_ends_with_the_use_and_the_name_it_had() {
    let numbers = format!(r#""kty":"RSA","n":"{}","e":"AQAB""#, "_".repeat(344));
    for (algorithm, kid, stays) in [("RS512", "k", true), ("RS256", "k", false), ("RS512", "other", false)] {
        let gate = gate(r#""jwks_path":"/jwks","algorithms":["RS256","RS512"]"#);
        let publish = |algorithm: &str, kid: &str, now| {
            let jwks = format!(r#"{{"keys":[{{{numbers},"alg":"{algorithm}","kid":"{kid}"}}]}}"#);
            let answered = gate.fetch_keys(0, now).unwrap().resume(json(jwks.as_bytes()), now, now);
            assert_eq!(answered.outcome, KEYS);
        };
        publish("RS512", "k", START);
        let token = token("RS512", "k");
        let Step::Verify(verification) = begin(&gate, &token, START) else { panic!("it is verified") };
        assert!(matches!(verification.resume(&gate, HostVerdict::Valid, START).step, Step::Forward(_)));
        assert!(matches!(begin(&gate, &token, after(1)), Step::Forward(_)));

        publish(algorithm, kid, after(1));
        let step = begin(&gate, &token, after(1));
        assert_eq!(matches!(step, Step::Forward(_)), stays, "{algorithm} {kid}: {step:?}");
        assert_eq!(matches!(step, Step::Respond(reply) if reply.status == 401), !stays, "{algorithm} {kid}");
    }
}
