//! Every parser of untrusted input uses a bounded stack, and memory that is bounded by the length of
//! the input. Each test runs in a thread whose stack is a quarter of the module's, and counts every allocation.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs,
    reason = "a test stops by panicking"
)]

use std::alloc::System;
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use scopegate::{CalloutResponse, Config, RequestHead};
use scopegate_abi::header_pairs;
use scopegate_fake_proxy::{FakeWorker, Proxy, START, answer_all, bytes, json as response};
use serde_json::json;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// A quarter of what wasm-ld gives a module.
const STACK_BYTES: usize = 256 * 1024;

/// The bound of all allocations, freed or not: so many bytes for each byte of input, plus a constant.
const BYTES_FOR_EACH: usize = 64;
/// Each nested value of a configuration has its path, so the constant covers the square of 128 levels.
const BYTES_BESIDES: usize = 192 * 1024;

/// Levels of nesting.
const DEEP: usize = 100_000;

const MAX_RESPONSE_BYTES: usize = CalloutResponse::MAX_BODY_BYTES;

/// Held by each test from its beginning: allocations are counted for the whole process, those of other tests among them.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `read` on an input of `length` bytes and checks the bounds. `bound` names the limit that is tested.
#[track_caller]
fn within_bounds(bound: &str, length: usize, read: impl FnOnce(&mut FakeWorker) + Send) {
    let allocated = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, || {
            let mut worker = worker();
            let region = Region::new(ALLOCATOR);
            read(&mut worker);
            region.change().bytes_allocated
        });
        thread.expect("a thread").join().unwrap_or_else(|_| panic!("{bound}: see above"))
    });
    let allowed = length * BYTES_FOR_EACH + BYTES_BESIDES;
    assert!(allocated <= allowed, "{bound}: {allocated} bytes are allocated to read {length}, not {allowed}");
}

fn worker() -> FakeWorker {
    let configuration = json!({
        "authorization_servers": [
            { "name": "main", "cluster": "as", "audience": "any", "token_prefix": "o.",
              "introspection": { "path": "/i", "client_id": "g", "client_secret": "s" } },
            { "name": "jwt", "cluster": "as", "issuer": "https://as", "audience": "any",
              "jwt": { "jwks_path": "/jwks", "algorithms": ["ES256", "RS256"] } },
        ],
        "bearer": { "query": "access_token", "cookie": "token" },
        "rules": [
            { "name": "Opaque", "match": [{ "path": "/opaque" }], "require": { "authenticated": true },
              "authorization_server": "main" },
            { "name": "Jwt", "match": [{ "path": "/jwt" }], "require": { "authenticated": true },
              "authorization_server": "jwt" },
        ],
    });
    Proxy::default().worker(&configuration.to_string())
}

/// The status of a request. Shared data hold `bucket` in every place, and the server answers with `body`.
fn status(worker: &mut FakeWorker, headers: &[(&str, &[u8])], bucket: Option<&[u8]>, body: &[u8]) -> u16 {
    worker.host.every_bucket = bucket.map(<[u8]>::to_vec);
    let stream = worker.begin(RequestHead { headers, route: None, has_body: false });
    answer_all(worker, |_| bytes(body));
    worker.status(stream).expect("a decision")
}

fn get<'a>(path: &'a str, headers: &[(&'a str, &'a [u8])]) -> Vec<(&'a str, &'a [u8])> {
    [&[(":method", &b"GET"[..]), (":authority", b"a"), (":path", path.as_bytes())], headers].concat()
}

fn opaque(worker: &mut FakeWorker, bucket: Option<&[u8]>, body: &[u8]) -> u16 {
    status(worker, &get("/opaque", &[("authorization", b"Bearer o.token")]), bucket, body)
}

/// Values in one another: `open` a hundred thousand times, and closed again.
fn nested(open: &str, inner: &str, close: &str, levels: usize) -> String {
    [&open.repeat(levels), inner, &close.repeat(levels)].concat()
}

/// Deeply nested JSON: a list, an object, and an unclosed list.
fn deep(levels: usize) -> [String; 3] {
    [nested("[", "", "]", levels), nested(r#"{"a":"#, "1", "}", levels), "[".repeat(levels)]
}

#[test]
fn configurations_are_read_within_bounds() {
    let _alone = alone();
    let refused = |bound: &str, text: &[u8]| {
        within_bounds(bound, text.len(), |_| assert!(Config::parse(text, &|_| None).is_err(), "{bound}"));
    };
    for text in deep(DEEP) {
        refused("128 levels of JSON, by serde_json", text.as_bytes());
    }
    for requirement in [nested(r#"{"all":["#, r#"{"scope":"a"}"#, "]}", 50), nested(r#"{"any":["#, "", "]}", 40)] {
        let text = format!(r#"{{"rules":[{{"name":"r","match":[{{"path":"/"}}],"require":{requirement}}}]}}"#);
        refused("128 levels of JSON, by serde_json", text.as_bytes());
    }
    refused("100 levels of protobuf, by prost", &nested_struct(DEEP));
    let list = format!(r#"{{"rules":[{}1]}}"#, "{},".repeat(10_000));
    within_bounds("a problem or two for each rule", list.len() * 8, |_| {
        assert!(Config::parse(list.as_bytes(), &|_| None).is_err());
    });
}

/// A google.protobuf.Struct with lists in one another.
fn nested_struct(levels: usize) -> Vec<u8> {
    // From the inside out, and so from the end.
    let mut reversed = Vec::new();
    let mut wrap = |tag: u8| {
        let mut length = reversed.len();
        let mut varint = Vec::new();
        while length >= 0x80 {
            varint.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
            length >>= 7;
        }
        varint.push(u8::try_from(length).unwrap());
        reversed.extend(varint.iter().rev());
        reversed.push(tag);
    };
    for _ in 0..levels {
        // ListValue.values, Value.list_value
        wrap(0x0a);
        wrap(0x32);
    }
    // The value of an entry, its key, Struct.fields.
    wrap(0x12);
    reversed.extend([b'k', 1, 0x0a]);
    let length = reversed.len();
    let mut bytes = vec![0x0a];
    let mut rest = length;
    while rest >= 0x80 {
        bytes.push(u8::try_from(rest & 0x7f).unwrap() | 0x80);
        rest >>= 7;
    }
    bytes.push(u8::try_from(rest).unwrap());
    bytes.extend(reversed.iter().rev());
    bytes
}

#[test]
fn introspection_answers_are_read_within_bounds() {
    let _alone = alone();
    for text in deep(DEEP) {
        within_bounds("MAX_ANSWER_BYTES", text.len(), |worker| assert_eq!(opaque(worker, None, text.as_bytes()), 503));
    }
    for text in deep(MAX_RESPONSE_BYTES / 8) {
        within_bounds("128 levels of JSON, by serde_json", text.len(), |worker| {
            assert_eq!(opaque(worker, None, text.as_bytes()), 503)
        });
        let text = format!(r#"{{"active":true,"x":{text}}}"#);
        within_bounds("128 levels of JSON, by serde_json", text.len(), |worker| {
            assert_eq!(opaque(worker, None, text.as_bytes()), 503)
        });
    }
    let list = |name: &str, item: &str| {
        let items = item.repeat((MAX_RESPONSE_BYTES - 64) / item.len());
        format!(r#"{{"active":true,"{name}":[{}]}}"#, items.trim_end_matches(','))
    };
    let members: String = (0..6_000).map(|n| format!(r#","{n:04}":1"#)).collect();
    for (text, expected) in [
        (list("scope", r#""a","#), 200),
        (list("aud", r#""a","#), 200),
        (list("x", "1,"), 200),
        (list("x", "{},"), 200),
        (list("scope", "1,"), 503),
        (format!(r#"{{"active":true{members}}}"#), 200),
        (format!(r#"{{"active":true{members},"0000":1}}"#), 503),
    ] {
        assert!(text.len() <= MAX_RESPONSE_BYTES, "{}", text.len());
        within_bounds("MAX_ANSWER_BYTES", text.len(), |worker| {
            assert_eq!(opaque(worker, None, text.as_bytes()), expected)
        });
    }
}

#[test]
fn keys_are_read_within_bounds() {
    let _alone = alone();
    let taken = |worker: &mut FakeWorker, text: &str| {
        check_keys(worker);
        worker.respond(response(text));
        worker.count("scopegate.callouts.outcome.keys") == 1
    };
    for text in deep(DEEP) {
        within_bounds("MAX_ANSWER_BYTES", text.len(), |worker| assert!(!taken(worker, &text)));
    }
    for text in deep(MAX_RESPONSE_BYTES / 8) {
        within_bounds("128 levels of JSON, by serde_json", text.len(), |worker| assert!(!taken(worker, &text)));
        let text = format!(r#"{{"keys":[{text}]}}"#);
        within_bounds("128 levels of JSON, by serde_json", text.len(), |worker| assert!(!taken(worker, &text)));
    }
    let many = format!(r#"{{"keys":[{}{{}}]}}"#, r#"{"kty":"EC"},"#.repeat(5_000));
    within_bounds("MAX_KEYS", many.len(), |worker| assert!(!taken(worker, &many)));
    let long = format!(r#"{{"keys":[{{"kty":"RSA","alg":"RS256","e":"AQAB","n":"{}"}}]}}"#, "_".repeat(60_000));
    // A key that is not for signatures is skipped.
    within_bounds("RSA_BITS", long.len(), |worker| assert!(taken(worker, &long)));
    // From another worker, perhaps.
    for text in deep(DEEP) {
        within_bounds("128 levels of JSON, by serde_json", text.len(), |worker| {
            check_keys(worker);
            let proxy = worker.host.proxy().clone();
            let key = proxy.keys("scopegate.keys.").first().unwrap().strip_suffix(".lease").unwrap().to_owned();
            let published = [&START.as_millis().to_le_bytes()[..], text.as_bytes()].concat();
            for value in [text.as_bytes(), &published] {
                proxy.set_shared(&key, value);
                check_keys(worker);
            }
        });
    }
}

/// Keys are checked on every tenth tick.
fn check_keys(worker: &mut FakeWorker) {
    (0..10).for_each(|_| worker.tick());
}

#[test]
fn tokens_are_read_within_bounds() {
    let _alone = alone();
    let key = SigningKey::from_slice(&[7; 32]).unwrap();
    let point = key.verifying_key().to_encoded_point(false);
    let [x, y] = [point.x(), point.y()].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part.unwrap()));
    let jwks = json!({ "keys": [{ "kty": "EC", "crv": "P-256", "alg": "ES256", "x": x, "y": y }] }).to_string();
    let token = |header: &str, payload: &str| {
        let signed = [header, payload].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part)).join(".");
        let signature: Signature = key.sign(signed.as_bytes());
        format!("Bearer {signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature.to_bytes()))
    };
    let ends = |bound: &str, token: &str, expected: &[u16]| {
        within_bounds(bound, jwks.len() + token.len(), |worker| {
            let status = status(worker, &get("/jwt", &[("authorization", token.as_bytes())]), None, jwks.as_bytes());
            assert!(expected.contains(&status), "{status}");
        });
    };
    let head = r#"{"alg":"ES256","typ":"at+jwt"}"#;
    let claims = |x: &str| format!(r#"{{"iss":"https://as","exp":1800000100,"sub":"a","x":{x}}}"#);
    ends("a good one", &token(head, &claims("[]")), &[200]);
    for text in deep(DEEP) {
        ends("DEFAULT_MAX_TOKEN_BYTES", &token(head, &claims(&text)), &[400]);
        ends("DEFAULT_MAX_TOKEN_BYTES", &token(&text, &claims("1")), &[400]);
    }
    for text in deep(1_500) {
        for (header, payload) in [
            (head, claims(&text)),
            (head, text.clone()),
            (&text, claims("1")),
            (&format!(r#"{{"alg":"ES256","typ":"at+jwt","x":{text}}}"#), claims("1")),
        ] {
            ends("128 levels of JSON, by serde_json", &token(header, &payload), &[401]);
        }
    }
    ends("DEFAULT_MAX_TOKEN_BYTES", &token(head, &claims(&format!("[{}1]", "1,".repeat(5_000)))), &[200]);
    for dots in [".", "a.", "a.b."] {
        ends("DEFAULT_MAX_TOKEN_BYTES", &format!("Bearer {}", dots.repeat(16_000 / dots.len())), &[400, 401]);
    }
}

#[test]
fn requests_are_read_within_bounds() {
    let _alone = alone();
    const LONG: usize = 1 << 20;
    let long = "a".repeat(LONG);
    let refused = |bound: &str, path: &str, headers: &[(&str, &[u8])], expected: u16| {
        within_bounds(
            bound,
            path.len() + headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>(),
            |worker| {
                assert_eq!(status(worker, &get(path, headers), None, b"{}"), expected, "{bound}");
            },
        );
    };
    let value = format!("Bearer {long}");
    refused("DEFAULT_MAX_TOKEN_BYTES", "/opaque", &[("authorization", value.as_bytes())], 400);
    let cookie = format!("token={long}");
    refused("DEFAULT_MAX_TOKEN_BYTES", "/opaque", &[("cookie", cookie.as_bytes())], 400);
    refused("one pass over the cookies", "/opaque", &[("cookie", "a=b; ".repeat(LONG / 5).as_bytes())], 401);
    let cookies: Vec<(&str, &[u8])> = vec![("cookie", b"a=b"); 100_000];
    refused("one pass over the cookies", "/opaque", &cookies, 401);
    refused("DEFAULT_MAX_TOKEN_BYTES", &format!("/opaque?access_token={long}"), &[], 400);
    refused("one pass over the query", &format!("/opaque?{}", "a=b&".repeat(LONG / 4)), &[], 401);
    refused("one pass over the query", &format!("/opaque?{}", "access_token=t&".repeat(LONG / 15)), &[], 400);
    refused("one pass over the path", &format!("/{long}"), &[], 403);
    refused("one pass over the path", &"/a".repeat(LONG / 2), &[], 403);
    refused("one pass over the path", &"/%61".repeat(LONG / 4), &[], 403);
    let tokens: Vec<(&str, &[u8])> = vec![("authorization", b"Bearer t"); 100_000];
    refused("one token", "/opaque", &tokens, 400);
    let others: Vec<(&str, &[u8])> = vec![("x-other", b"a"); 100_000];
    refused("one pass over the headers", "/opaque", &others, 401);
    refused("one pass over the headers", "/opaque", &[(&long, long.as_bytes())], 401);
}

#[test]
fn buffers_of_headers_are_read_within_bounds() {
    let _alone = alone();
    let numbers = |numbers: &[u32]| numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>();
    // More of them, or longer ones, than there are bytes.
    for start in [&[u32::MAX][..], &[1, u32::MAX, 0], &[1, 0, u32::MAX], &[1, u32::MAX, u32::MAX], &[1 << 20, 1, 1]] {
        let buffer = [numbers(start), vec![0; 1_000]].concat();
        within_bounds("lengths are those of what is there", buffer.len(), |_| assert_eq!(header_pairs(&buffer), None));
    }
    let count = 100_000;
    let lengths = numbers(&[1, 1]).repeat(count);
    let buffer = [numbers(&[u32::try_from(count).unwrap()]), lengths, b"a\0b\0".repeat(count)].concat();
    within_bounds("lengths are those of what is there", buffer.len(), |_| {
        assert_eq!(header_pairs(&buffer).map(|pairs| pairs.len()), Some(count));
    });
}

#[test]
fn shared_data_are_read_within_bounds() {
    let _alone = alone();
    const LONG: usize = 1 << 20;
    let entry = [&[0; 40][..], &[0xff, 0xff], &[0; 65_535]].concat();
    for bucket in
        [vec![2; LONG], [&[2][..], &[0; LONG]].concat(), [&[2][..], &entry.repeat(16)].concat(), vec![0xff; LONG]]
    {
        within_bounds("an entry is not longer than its bucket", bucket.len(), |worker| {
            assert_eq!(opaque(worker, Some(&bucket), br#"{"active":true}"#), 200);
        });
        within_bounds("MAX_LEASES", bucket.len() * 8, |worker| {
            for key in worker.host.proxy().keys("scopegate.lease.") {
                worker.host.proxy().set_shared(&key, b"");
            }
            let stream = worker.begin(RequestHead {
                headers: &get("/opaque", &[("authorization", b"Bearer o.token")]),
                route: None,
                has_body: false,
            });
            // The slot of the lease is the only one that is not empty now.
            let proxy = worker.host.proxy().clone();
            let taken = proxy.keys("scopegate.lease.").into_iter();
            let taken = taken.filter(|key| proxy.shared(key).is_some_and(|slot| !slot.is_empty()));
            taken.for_each(|key| proxy.set_shared(&key, &bucket));
            worker.tick();
            worker.respond(response(r#"{"active":true}"#));
            assert_eq!(worker.status(stream), Some(200));
        });
    }
}
