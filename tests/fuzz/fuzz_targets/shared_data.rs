//! Buckets of the cache: an unreadable entry is a miss, and an entry is used for its own token only.
#![no_main]

use libfuzzer_sys::fuzz_target;
use scopegate_fake_proxy::{FakeWorker, NO_ANSWER, Proxy, json};
use scopegate_fuzz::{lonely, proxy, request, worker};

const CONFIGURATION: &str = r#"{
  "authorization_servers": [ { "name": "main", "cluster": "as", "audience": "any",
      "introspection": { "path": "/i", "client_id": "g", "client_secret": "s" } } ],
  "upstream": { "headers": { "x-auth-subject": "sub" } },
  "unknown_tokens": "unlimited",
  "rules": [ { "name": "Everything", "match": [ { "path_prefix": "/" } ], "require": { "scope": "view" } } ]
}"#;

const ACTIVE: &str = r#"{"active":true,"scope":"view admin","sub":"mallory","exp":1800000050}"#;

/// More than any response that is kept, with the head of its entry, times the ways of a bucket.
const MAX_ENTRIES_BYTES: usize = 65_535;

/// The buckets of the token `good`, which is active, and of `bad`, which is not.
struct Buckets {
    /// Where the entry of `good` is.
    key: String,
    /// Both entries.
    both: Vec<u8>,
}

thread_local!(static BUCKETS: Buckets = {
    let bucket = |token: &[u8], response: &str, prefix: &str| {
        let mut worker = worker(CONFIGURATION);
        request(&mut worker, b"/", &[("authorization", token)], json(response));
        let keys = worker.host.proxy().keys(prefix);
        let [key] = &keys[..] else { panic!("one bucket, not {keys:?}") };
        (key.clone(), worker.host.proxy().shared(key).expect("a bucket"))
    };
    let (key, _) = bucket(b"Bearer good", ACTIVE, "scopegate.active.");
    let (_, inactive) = bucket(b"Bearer bad", r#"{"active":false}"#, "scopegate.inactive.");
    let both = with_good(&key, &inactive);
    Buckets { key, both }
});

fuzz_target!(|data: &[u8]| {
    let Some((mode, rest)) = data.split_first() else { return };
    BUCKETS.with(|Buckets { key, both }| {
        let bucket = match mode % 2 {
            // As it is.
            0 => rest.to_vec(),
            // Valid ones with some bytes changed: two for the place, one for the difference; cut or continued by the rest.
            _ => {
                let mut bucket = both.clone();
                for edit in rest.chunks_exact(3) {
                    let place = usize::from(u16::from_le_bytes([edit[0], edit[1]]));
                    match bucket.get_mut(place) {
                        Some(byte) => *byte ^= edit[2],
                        None if place % 2 == 0 => bucket.push(edit[2]),
                        None => bucket.truncate(usize::from(edit[2])),
                    }
                }
                bucket
            }
        };
        // No entry of these tokens was ever written that says that they are active.
        assert!(!passes(b"Bearer other", &bucket) && !passes(b"Bearer bad", &bucket), "{bucket:?}");
        // An entry finds a place, whatever else the bucket holds.
        let updated = with_good(key, &bucket);
        assert!(passes(b"Bearer good", &updated), "{bucket:?}");
        assert!(updated.len() <= bucket.len() + MAX_ENTRIES_BYTES, "{bucket:?}");
        assert_eq!(with_good(key, &updated), updated, "{bucket:?}");
    });
});

/// Whether a token passes by what every bucket holds, at a worker that has no entry in its memory.
fn passes(token: &[u8], bucket: &[u8]) -> bool {
    let mut worker = worker(CONFIGURATION);
    worker.host.every_bucket = Some(bucket.to_vec());
    request(&mut worker, b"/", &[("authorization", token)], NO_ANSWER).is_authorized()
}

/// A bucket after a worker has put the entry of `good` into it.
fn with_good(key: &str, bucket: &[u8]) -> Vec<u8> {
    let proxy: Proxy = proxy();
    let mut worker: FakeWorker = lonely(proxy.worker(CONFIGURATION));
    let stream = worker.get("/", "good");
    proxy.set_shared(key, bucket);
    worker.respond(json(ACTIVE));
    assert_eq!(worker.status(stream), Some(200));
    proxy.shared(key).expect("a bucket")
}
