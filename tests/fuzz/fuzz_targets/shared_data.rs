//! Buckets of the cache: what cannot be read is not there, and an entry answers for its own token only.
#![no_main]

use libfuzzer_sys::fuzz_target;
use scopegate::{BucketUpdate, CalloutResult};
use scopegate_fuzz::{answer, gate, request};

const CONFIGURATION: &str = r#"{
  "authorization_servers": [ { "name": "main", "cluster": "as", "audience": "any",
      "introspection": { "path": "/i", "client_id": "g", "client_secret": "s" } } ],
  "upstream": { "headers": { "x-auth-subject": "sub" } },
  "rules": [ { "name": "Everything", "match": [ { "path_prefix": "/" } ], "require": { "scope": "view" } } ]
}"#;

/// More than any answer that is kept, with the entry's head, times the ways of a bucket.
const MAX_FACTS: usize = 65_535;

// The entry for the token `good`, and for one that is inactive.
thread_local!(static INSERTS: [BucketUpdate; 2] = {
    let learn = |token: &[u8], body: &[u8]| {
        request(&gate(CONFIGURATION), b"/", &[("authorization", token)], None, answer(body)).inserts.remove(0)
    };
    let active = learn(b"Bearer good", br#"{"active":true,"scope":"view admin","sub":"mallory","exp":1800000050}"#);
    let inactive = learn(b"Bearer bad", br#"{"active":false}"#);
    [active, inactive]
});

fuzz_target!(|data: &[u8]| {
    let Some((mode, rest)) = data.split_first() else { return };
    INSERTS.with(|[active, inactive]| {
        let passes = |token: &[u8], bucket: &[u8]| {
            // By one that has heard of no token.
            let gate = gate(CONFIGURATION);
            request(&gate, b"/", &[("authorization", token)], Some(bucket), CalloutResult::NoAnswer).is_authorized()
        };
        let bucket = match mode % 2 {
            // As it is.
            0 => rest.to_vec(),
            // Real ones with some bytes changed: two for the place, one for the difference; cut or continued by the rest.
            _ => {
                let mut bucket = active.apply(Some(&inactive.apply(None).bucket)).bucket;
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
        // Of these tokens nobody has ever written anything but that they are bad.
        assert!(!passes(b"Bearer other", &bucket) && !passes(b"Bearer bad", &bucket), "{bucket:?}");
        // An entry finds a place among whatever is there.
        let applied = active.apply(Some(&bucket)).bucket;
        assert!(passes(b"Bearer good", &applied), "{bucket:?}");
        assert!(
            applied.len() <= bucket.len() + MAX_FACTS && active.apply(Some(&applied)).bucket == applied,
            "{bucket:?}"
        );
    });
});
