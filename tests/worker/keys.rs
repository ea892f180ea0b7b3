//! The keys of authorization servers: fetched before requests need them, and for unknown keys.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use scopegate::{CalloutResponse, SignatureVerdict};
use scopegate_fake_proxy::{Callout, FakeWorker, NO_ANSWER, Proxy, START, json, status};

use super::seconds;

const JWKS: &str = r#"{"keys":[]}"#;

fn worker(proxy: &Proxy, jwt: &str) -> FakeWorker {
    let server =
        format!(r#"{{"name":"a","cluster":"c","issuer":"https://as.test/t","audience":["x"],"jwt":{{{jwt}}}}}"#);
    let rule = r#"{"name":"r","match":[{"path":"/"}],"require":{"authenticated":true}}"#;
    proxy.worker(&format!(r#"{{"authorization_servers":[{server}],"rules":[{rule}]}}"#))
}

/// Keys are checked on every tenth tick.
fn check_keys(worker: &mut FakeWorker) {
    (0..10).for_each(|_| worker.tick());
}

/// Returns the authority and path of a callout.
fn target(callout: &Callout) -> String {
    format!("{}{}", callout.header(":authority").unwrap(), callout.path())
}

/// Completes the only callout, and asserts its authority and path.
#[track_caller]
fn respond_at(worker: &mut FakeWorker, expected: &str, response: Option<CalloutResponse>) {
    assert_eq!(target(worker.callout()), expected);
    worker.respond(response);
}

fn metadata(issuer: &str, path: &str) -> Option<CalloutResponse> {
    json(&format!(r#"{{"issuer":"{issuer}","jwks_uri":"https://keys.test{path}"}}"#))
}

/// Creates a token with a `kid` and an invalid signature.
fn token(algorithm: &str, kid: &str) -> String {
    let header = format!(r#"{{"alg":"{algorithm}","typ":"at+jwt","kid":"{kid}"}}"#);
    let payload = r#"{"iss":"https://as.test/t","exp":2000000000,"aud":"x"}"#;
    format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload))
}

#[test]
fn keys_are_located_by_metadata_and_refreshed() {
    let proxy = Proxy::default();
    let mut worker = worker(&proxy, r#""discovery":"oauth""#);
    for (time, path) in [(0, "/a"), (300, "/b")] {
        proxy.set_clock(START.saturating_add(seconds(time)));
        check_keys(&mut worker);
        let well_known = "as.test/.well-known/oauth-authorization-server/t";
        respond_at(&mut worker, well_known, metadata("https://as.test/t", path));
        respond_at(&mut worker, &format!("keys.test{path}"), json(JWKS));
        proxy.set_clock(START.saturating_add(seconds(time + 299)));
        check_keys(&mut worker);
        assert!(worker.host.callouts.is_empty());
    }
    assert_eq!(worker.count("scopegate.callouts.outcome.metadata"), 2);
    assert_eq!(worker.count("scopegate.callouts.outcome.keys"), 2);
}

#[test]
fn without_metadata_the_last_known_location_is_used() {
    let proxy = Proxy::default();
    let mut worker = worker(&proxy, r#""discovery":"openid""#);
    let well_known = "as.test/t/.well-known/openid-configuration";
    // Metadata of another issuer are refused, and none of them is stored.
    check_keys(&mut worker);
    respond_at(&mut worker, well_known, metadata("https://as.test", "/a"));
    proxy.advance(seconds(2));
    check_keys(&mut worker);
    respond_at(&mut worker, well_known, status(404));
    proxy.advance(seconds(2));
    check_keys(&mut worker);
    respond_at(&mut worker, well_known, metadata("https://as.test/t", "/a"));
    respond_at(&mut worker, "keys.test/a", NO_ANSWER);
    proxy.advance(seconds(5));
    check_keys(&mut worker);
    respond_at(&mut worker, well_known, NO_ANSWER);
    respond_at(&mut worker, "keys.test/a", json(JWKS));
    // The location is used no longer than keys are.
    proxy.advance(seconds(24 * 3600));
    check_keys(&mut worker);
    respond_at(&mut worker, well_known, NO_ANSWER);
    assert!(worker.host.callouts.is_empty());
}

#[test]
fn a_configured_path_needs_no_metadata() {
    let proxy = Proxy::default();
    let mut worker = worker(&proxy, r#""jwks_path":"/jwks","authority":"as.internal""#);
    check_keys(&mut worker);
    respond_at(&mut worker, "as.internal/jwks", status(500));
    assert!(worker.host.callouts.is_empty());
    assert_eq!(worker.count("scopegate.callouts.outcome.error_status"), 1);
}

#[test]
fn keys_of_different_locations_are_separate() {
    let proxy = Proxy::default();
    for jwt in [
        r#""jwks_path":"/jwks""#,
        r#""jwks_path":"/keys""#,
        r#""jwks_path":"/jwks","cluster":"d""#,
        r#""jwks_path":"/jwks","authority":"as.internal""#,
        r#""discovery":"openid""#,
        r#""discovery":"oauth""#,
        r#""discovery":"openid","authority":"as.test""#,
    ] {
        let mut worker = worker(&proxy, jwt);
        check_keys(&mut worker);
        while !worker.host.callouts.is_empty() {
            let is_metadata = worker.callout().path().contains("well-known");
            worker.respond(if is_metadata { metadata("https://as.test/t", "/a") } else { json(JWKS) });
        }
    }
    let keys: BTreeSet<String> =
        proxy.keys("scopegate.keys.").into_iter().filter(|key| !key.ends_with(".lease")).collect();
    assert_eq!(keys.len(), 7);
}

#[test]
fn one_worker_fetches_keys_and_the_others_take_them_over() {
    let proxy = Proxy::default();
    let (mut one, mut other) = (worker(&proxy, r#""jwks_path":"/jwks""#), worker(&proxy, r#""jwks_path":"/jwks""#));
    check_keys(&mut one);
    check_keys(&mut other);
    assert_eq!((one.host.sent, other.host.sent), (1, 0));
    one.respond(json(JWKS));
    proxy.advance(seconds(10));
    check_keys(&mut other);
    // A later configuration has the keys at once.
    let mut later = worker(&proxy, r#""jwks_path":"/jwks""#);
    check_keys(&mut later);
    assert_eq!((other.host.sent, later.host.sent), (0, 0));
}

#[test]
fn requests_share_a_pending_key_fetch() {
    let proxy = Proxy::default();
    let mut worker = worker(&proxy, r#""jwks_path":"/jwks""#);
    let streams = ["a", "b", "c"].map(|kid| worker.get("/", &token("RS256", kid)));
    worker.respond(json(JWKS));
    assert_eq!(streams.map(|stream| worker.status(stream)), [Some(401); 3]);
    assert_eq!(worker.host.sent, 1);
    // After that, an unknown key causes no fetch for some time.
    proxy.advance(seconds(1));
    assert_eq!(worker.cached("/", &token("RS256", "d")), 401);
    proxy.advance(seconds(29));
    let _ = worker.get("/", &token("RS256", "d"));
    assert_eq!(worker.host.sent, 2);
}

#[test]
fn an_abandoned_fetch_serves_the_next_request() {
    let proxy = Proxy::default();
    let mut worker = worker(&proxy, r#""jwks_path":"/jwks""#);
    let stream = worker.get("/", &token("RS256", "a"));
    worker.leave(stream);
    let next = worker.get("/", &token("RS256", "a"));
    worker.respond(json(JWKS));
    assert_eq!((worker.status(next), worker.host.sent), (Some(401), 1));
}

#[test]
fn entries_end_with_the_key_that_verified_them() {
    let numbers = format!(r#""kty":"RSA","n":"{}","e":"AQAB""#, "_".repeat(344));
    for (algorithm, kid, stays) in [("RS512", "k", true), ("RS256", "k", false), ("RS512", "other", false)] {
        let proxy = Proxy::default();
        let mut worker = worker(&proxy, r#""jwks_path":"/jwks","algorithms":["RS256","RS512"],"refresh":"1s""#);
        worker.host.verdict = SignatureVerdict::Valid;
        let jwks = |algorithm: &str, kid: &str| {
            json(&format!(r#"{{"keys":[{{{numbers},"alg":"{algorithm}","kid":"{kid}"}}]}}"#))
        };
        check_keys(&mut worker);
        worker.respond(jwks("RS512", "k"));
        let token = token("RS512", "k");
        assert_eq!((worker.cached("/", &token), worker.cached("/", &token)), (200, 200));

        proxy.advance(seconds(3));
        check_keys(&mut worker);
        worker.respond(jwks(algorithm, kid));
        worker.host.verdict = SignatureVerdict::Invalid;
        let stream = worker.get("/", &token);
        assert_eq!(worker.status(stream) == Some(200), stays, "{algorithm} {kid}");
    }
}
