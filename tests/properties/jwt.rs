//! Signed tokens: a token with any changed byte is refused. An independent implementation signs them,
//! and it accepts every token that Scopegate accepts.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jwt_simple::prelude::*;
use proptest::prelude::*;
use rsa::BigUint;
use scopegate::RequestHead;
use scopegate_fake_proxy::{FakeWorker, NO_ANSWER, Proxy, answer_all, json as response};
use serde_json::{Value, json};

const NOW: u64 = 1_800_000_000;
const LEEWAY: u64 = 30;

const CONFIGURATION: &str = r#"{
  "authorization_servers": [ { "name": "main", "cluster": "as", "issuer": "https://as", "audience": ["api"],
      "jwt": { "jwks_path": "/jwks", "algorithms": ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"] } } ],
  "rules": [ { "name": "Everything", "match": [ { "path_prefix": "/" } ], "require": { "authenticated": true } } ]
}"#;

/// A key pair that signs and verifies with an independent implementation.
struct Signer {
    jwk: Value,
    sign: Box<Sign>,
    verify: Box<Verify>,
}

type Sign = dyn Fn(JWTClaims<Value>, &str) -> String + Send + Sync;
type Verify = dyn Fn(&str, VerificationOptions) -> bool + Send + Sync;

macro_rules! signer {
    ($key:expr, $name:literal) => {{
        let key = $key.with_key_id($name);
        let public = key.public_key();
        Signer {
            jwk: serde_json::from_str(&public.to_jwk()).unwrap(),
            sign: Box::new(move |claims, kind| {
                let header = HeaderOptions { signature_type: Some(kind.to_owned()), ..HeaderOptions::default() };
                key.sign_with_options(claims, &header).unwrap()
            }),
            verify: Box::new(move |token, options| public.verify_token::<Value>(token, Some(options)).is_ok()),
        }
    }};
}

/// One of every algorithm.
static SIGNERS: LazyLock<Vec<Signer>> = LazyLock::new(|| {
    // The `alg` member of each key tells the RSA keys apart.
    let rsa = RSAKeyPair::generate(2048).unwrap().to_der().unwrap();
    vec![
        signer!(RS256KeyPair::from_der(&rsa).unwrap(), "RS256"),
        signer!(RS384KeyPair::from_der(&rsa).unwrap(), "RS384"),
        signer!(RS512KeyPair::from_der(&rsa).unwrap(), "RS512"),
        signer!(PS256KeyPair::from_der(&rsa).unwrap(), "PS256"),
        signer!(PS384KeyPair::from_der(&rsa).unwrap(), "PS384"),
        signer!(PS512KeyPair::from_der(&rsa).unwrap(), "PS512"),
        signer!(ES256KeyPair::generate(), "ES256"),
        signer!(ES384KeyPair::generate(), "ES384"),
        signer!(Ed25519KeyPair::generate(), "EdDSA"),
    ]
});

/// A good token of every algorithm, no two with the same claims.
static TOKENS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let signed = SIGNERS.iter().enumerate().map(|(index, signer)| {
        let mut claims = claims(json!({ "client_id": format!("client-{index}") }));
        (claims.issuer, claims.expires_at) = (Some("https://as".to_owned()), Some(Duration::from_secs(NOW + 60)));
        claims.audiences = Some(Audiences::AsString("api".to_owned()));
        (signer.sign)(claims, "at+jwt")
    });
    signed.collect()
});

fn claims(custom: Value) -> JWTClaims<Value> {
    JWTClaims {
        issued_at: None,
        expires_at: None,
        invalid_before: None,
        issuer: None,
        subject: None,
        audiences: None,
        jwt_id: None,
        nonce: None,
        custom,
    }
}

/// A worker that has fetched the keys of all signers.
fn worker() -> FakeWorker {
    worker_with(&SIGNERS.iter().map(|signer| &signer.jwk).collect::<Vec<_>>())
}

fn worker_with(keys: &[&Value]) -> FakeWorker {
    let mut worker = Proxy::default().worker(CONFIGURATION);
    (0..10).for_each(|_| worker.tick());
    worker.respond(response(&json!({ "keys": keys }).to_string()));
    assert_eq!(worker.count("scopegate.callouts.outcome.keys"), 1);
    worker
}

/// How a request with this token ends: 200 if it passes. The core verifies the signature, since no host does.
fn status(worker: &mut FakeWorker, token: &[u8]) -> u16 {
    let credentials = [b"Bearer ", token].concat();
    let headers = [
        (":method", &b"GET"[..]),
        (":authority", b"api.example.test"),
        (":path", b"/"),
        ("authorization", &credentials),
    ];
    let stream = worker.begin(RequestHead { headers: &headers, route: None, has_body: false });
    // A token with an unknown key makes the worker fetch the JWK set again. It has no further keys.
    answer_all(worker, |_| NO_ANSWER);
    worker.status(stream).expect("a decision")
}

/// The expected status for an invalid token: 400 if it is malformed (RFC 6750 §2.1), otherwise 401.
fn refusal(bytes: &[u8]) -> u16 {
    let body = bytes.trim_ascii();
    let body = &body[..body.iter().rposition(|b| *b != b'=').map_or(0, |last| last + 1)];
    let is_token = !body.is_empty() && body.iter().all(|b| b.is_ascii_alphanumeric() || b"-._~+/".contains(b));
    if is_token { 401 } else { 400 }
}

#[track_caller]
fn assert_refused(worker: &mut FakeWorker, what: &str, bytes: &[u8]) {
    assert!(!TOKENS.iter().any(|token| token.as_bytes() == bytes), "{what} is a good token");
    assert_eq!(status(worker, bytes), refusal(bytes), "{what}: {}", String::from_utf8_lossy(bytes));
}

#[test]
fn a_good_token_of_every_algorithm_passes() {
    let mut worker = worker();
    for token in TOKENS.iter() {
        assert_eq!(status(&mut worker, token.as_bytes()), 200, "{token}");
    }
}

#[test]
fn a_token_changed_at_any_place_is_refused() {
    let mut worker = worker();
    for token in TOKENS.iter().map(String::as_bytes) {
        for index in 0..token.len() {
            let with = |bytes: &[u8]| [&token[..index], bytes, &token[index + 1..]].concat();
            // The low bits of the last base64url character are unused: only one encoding may be accepted.
            let neighbour = if token[index] == b'A' { b'B' } else { b'A' };
            for byte in [token[index] ^ 1, neighbour, b'.', b'='] {
                if byte != token[index] {
                    assert_refused(&mut worker, &format!("byte {index} is {byte:#x}"), &with(&[byte]));
                }
            }
            assert_refused(&mut worker, &format!("byte {index} is gone"), &with(b""));
            assert_refused(&mut worker, &format!("byte {index} is there twice"), &with(&[token[index]; 2]));
            assert_refused(&mut worker, &format!("it ends before byte {index}"), &token[..index]);
        }
    }
}

#[test]
fn parts_of_several_good_tokens_make_no_good_token() {
    let mut worker = worker();
    let parts: Vec<Vec<&str>> = TOKENS.iter().map(|token| token.split('.').collect()).collect();
    for (i, header) in parts.iter().map(|parts| parts[0]).enumerate() {
        for (j, payload) in parts.iter().map(|parts| parts[1]).enumerate() {
            for (k, signature) in parts.iter().map(|parts| parts[2]).enumerate() {
                if (i, j) != (j, k) {
                    let token = format!("{header}.{payload}.{signature}");
                    assert_refused(&mut worker, &format!("header {i}, payload {j}, signature {k}"), token.as_bytes());
                }
            }
        }
    }
}

/// Other encodings of the same number or point. One cannot be refused: for an ECDSA signature `(r, s)`,
/// `(r, n - s)` is valid, too (RFC 7518 §3.4). So two different tokens can have the same claims and a valid signature.
#[test]
fn a_signature_in_another_spelling_is_refused() {
    let mut worker = worker();
    let modulus =
        BigUint::from_bytes_be(&BASE64_URL_SAFE_NO_PAD.decode(SIGNERS[0].jwk["n"].as_str().unwrap()).unwrap());
    // RFC 8032 §5.1: the order of the group, little-endian in a signature.
    let order = (BigUint::from(1_u8) << 252) + "27742317777372353535851937790883648493".parse::<BigUint>().unwrap();
    for (index, token) in TOKENS.iter().enumerate() {
        let (text, signature) = token.rsplit_once('.').unwrap();
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
        let (first, second) = bytes.split_at(bytes.len() / 2);
        let mut spellings = vec![
            Vec::new(),
            [&[0], &bytes[..]].concat(),
            [&bytes[..], &[0]].concat(),
            [&[0], first, &[0], second].concat(),
            [second, first].concat(),
            bytes.repeat(2),
            vec![0; bytes.len()],
            vec![0xff; bytes.len()],
        ];
        match index {
            // An equal number modulo n, with the same length if it fits.
            0..6 => spellings.push((BigUint::from_bytes_be(&bytes) + &modulus).to_bytes_be()),
            6 => spellings.push(p256::ecdsa::Signature::from_slice(&bytes).unwrap().to_der().as_bytes().to_vec()),
            7 => spellings.push(p384::ecdsa::Signature::from_slice(&bytes).unwrap().to_der().as_bytes().to_vec()),
            _ => {
                let mut scalar = (BigUint::from_bytes_le(second) + &order).to_bytes_le();
                scalar.resize(32, 0);
                spellings.push([first, &scalar].concat());
            }
        }
        for spelling in spellings {
            let token = format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(spelling));
            assert_refused(&mut worker, "another spelling", token.as_bytes());
        }
        for spelling in [format!("{signature}="), format!("{signature}=="), signature.replace(['-', '_'], "+")] {
            if spelling != signature {
                assert_refused(&mut worker, "another base64", format!("{text}.{spelling}").as_bytes());
            }
        }
    }
}

/// Claims near the edge between valid and invalid.
fn any_claims() -> impl Strategy<Value = JWTClaims<Value>> {
    let time = || prop_oneof![4 => Just(None), 4 => (NOW - 120..NOW + 120).prop_map(Some), 1 => any::<u32>().prop_map(|t| Some(t.into()))];
    let exp = prop_oneof![8 => (NOW - 20..NOW + 120).prop_map(Some), 1 => Just(None)];
    let text = |good: &'static str, bad: &'static str| prop_oneof![8 => Just(good), 1 => Just(bad)];
    let issuer =
        prop_oneof![8 => text("https://as", "https://as/").prop_map(|text| Some(text.to_owned())), 1 => Just(None)];
    let audience = prop_oneof![
        4 => text("api", "API").prop_map(|text| Some(Audiences::AsString(text.to_owned()))),
        4 => proptest::collection::hash_set(text("api", "other").prop_map(str::to_owned), 0..3).prop_map(|set| Some(Audiences::AsSet(set))),
        1 => Just(None),
    ];
    (exp, time(), time(), issuer, audience).prop_map(|(exp, iat, nbf, issuer, audiences)| {
        let at = |time: Option<u64>| time.map(Duration::from_secs);
        let (expires_at, issued_at, invalid_before) = (at(exp), at(iat), at(nbf));
        JWTClaims { expires_at, issued_at, invalid_before, issuer, audiences, ..claims(json!({})) }
    })
}

#[test]
fn what_passes_would_pass_another_verifier() {
    let (worker, passed) = (RefCell::new(worker()), AtomicUsize::new(0));
    let lenient = VerificationOptions {
        allowed_issuers: Some(HashSet::from_strings(&["https://as"])),
        allowed_audiences: Some(HashSet::from_strings(&["api"])),
        required_signature_type: Some("at+jwt".to_owned()),
        time_tolerance: Some(Duration::from_secs(LEEWAY)),
        artificial_time: Some(Duration::from_secs(NOW)),
        ..VerificationOptions::default()
    };
    // The leeway applies to `nbf` and `iat` only: `exp` is exact.
    let exact = VerificationOptions { time_tolerance: None, accept_future: true, ..lenient.clone() };
    let kinds = prop_oneof![8 => Just("at+jwt"), 1 => Just("JWT"), 1 => Just("")];
    // RSA takes longer, and its claims are read by the same code.
    let inputs = (6..SIGNERS.len(), any_claims(), kinds);
    proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 2_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })
    .run(&inputs, |(index, claims, kind)| {
        let token = (SIGNERS[index].sign)(claims, kind);
        if status(&mut worker.borrow_mut(), token.as_bytes()) == 200 {
            passed.fetch_add(1, Ordering::Relaxed);
            for options in [&lenient, &exact] {
                prop_assert!((SIGNERS[index].verify)(&token, options.clone()), "{}", token);
            }
        }
        Ok(())
    })
    .unwrap();
    assert!(passed.into_inner() > 100, "hardly any of the tokens is good: nothing has been compared");
}

/// `jwt-simple` verifies whole tokens only, and reads header and claims into types of its own. With every check of claims
/// switched off it still refuses tokens that are accepted here: the module therefore cannot leave signatures to it. When
/// this test fails because a row passes, a version of `jwt-simple` reads more: see docs/architecture.md.
#[test]
fn jwt_simple_refuses_valid_tokens_for_reasons_other_than_the_signature() {
    let pair = Ed25519KeyPair::generate();
    let key = pair.public_key();
    let jwk: Value = serde_json::from_str(&key.to_jwk()).unwrap();
    let mut worker = worker_with(&[&jwk]);
    let with = |base: Value, members: Value| {
        let mut base = base;
        base.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        base
    };
    let header = json!({ "alg": "EdDSA", "typ": "at+jwt" });
    let claims = json!({ "iss": "https://as", "aud": "api", "exp": NOW + 60, "client_id": "a" });
    let rows = [
        ("nothing unusual", json!({}), json!({}), true),
        ("an unknown member in the header", json!({ "x": [1] }), json!({}), true),
        ("a fractional `exp`", json!({}), json!({ "exp": NOW as f64 + 60.5 }), true),
        ("RFC 7515 §4.1.3: `jwk` is an object", json!({ "jwk": { "kty": "OKP" } }), json!({}), false),
        ("a number as `jku`", json!({ "jku": 7 }), json!({}), false),
        ("a number as `jti`", json!({}), json!({ "jti": 7 }), false),
        ("null as `nbf`", json!({}), json!({ "nbf": null }), false),
        ("a negative `nbf`", json!({}), json!({ "nbf": -1 }), false),
        ("a negative `iat`", json!({}), json!({ "iat": -1 }), false),
        ("a number as `sub`", json!({}), json!({ "sub": 7 }), false),
        ("a text as `exp`", json!({}), json!({ "exp": (NOW + 60).to_string() }), false),
    ];
    for (what, more, others, expected) in rows {
        let encode = |json: Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
        let input = format!("{}.{}", encode(with(header.clone(), more)), encode(with(claims.clone(), others)));
        let signature = pair.key_pair().as_ref().sk.sign(&input, None);
        let token = format!("{input}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature));
        assert_eq!(status(&mut worker, token.as_bytes()), 200, "{what}: here");
        let verified = key.verify_token::<NoCustomClaims>(&token, Some(signature_only()));
        assert_eq!(verified.is_ok(), expected, "{what}: {:?}", verified.err());
    }
}

/// Every option of `jwt-simple`, set so that it checks as little as it can.
fn signature_only() -> VerificationOptions {
    VerificationOptions {
        reject_before: None,
        accept_future: true,
        required_subject: None,
        required_key_id: None,
        required_signature_type: None,
        required_content_type: None,
        required_nonce: None,
        allowed_issuers: None,
        allowed_audiences: None,
        time_tolerance: Some(Duration::from_secs(0)),
        max_validity: None,
        max_token_length: None,
        max_header_length: Some(usize::MAX),
        artificial_time: Some(Duration::from_secs(0)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5_000, ..ProptestConfig::default() })]

    #[test]
    fn a_token_with_any_byte_in_any_place_is_refused(
        token in any::<prop::sample::Index>(), place in any::<prop::sample::Index>(), byte: u8, inserted: bool
    ) {
        thread_local!(static WORKER: RefCell<FakeWorker> = RefCell::new(worker()));
        let token = token.get(&TOKENS).as_bytes();
        let place = place.index(token.len());
        let rest = if inserted { &token[place..] } else { &token[place + 1..] };
        let changed = [&token[..place], &[byte], rest].concat();
        // Whitespace around a token is not part of it.
        prop_assume!(changed.trim_ascii() != token);
        let found = WORKER.with_borrow_mut(|worker| status(worker, &changed));
        prop_assert_eq!(found, refusal(&changed), "{}", String::from_utf8_lossy(&changed));
    }
}
