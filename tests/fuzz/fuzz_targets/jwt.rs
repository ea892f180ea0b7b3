//! Tokens: only those that were signed pass, whole and unchanged.
#![no_main]

use std::cell::RefCell;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;
use scopegate_fake_proxy::{FakeWorker, NO_ANSWER, json};
use scopegate_fuzz::{JWT_CONFIGURATION, SIGNED, fetch_keys, jwks, request, worker};

thread_local!(static WORKER: RefCell<FakeWorker> = RefCell::new({
    let mut worker = worker(JWT_CONFIGURATION);
    assert_eq!(fetch_keys(&mut worker, json(&jwks())), 1);
    assert_eq!(worker.count("scopegate.callouts.outcome.keys"), 1);
    worker
}));

fuzz_target!(|data: &[u8]| {
    let Some(token) = token(data) else { return };
    let is_good = SIGNED.iter().any(|signed| signed.token.as_bytes() == token);
    let authorization = [b"Bearer ", &token[..]].concat();
    let run = WORKER.with_borrow_mut(|worker| request(worker, b"/", &[("authorization", &authorization)], NO_ANSWER));
    // Whitespace before a token is none of it.
    let is_good = is_good || SIGNED.iter().any(|signed| signed.token.as_bytes() == token.trim_ascii());
    assert_eq!(run.is_authorized(), is_good, "{}", String::from_utf8_lossy(&token));
});

/// Bytes seldom become base64 of JSON, or a good token, by chance: most inputs say how to make one.
fn token(data: &[u8]) -> Option<Vec<u8>> {
    let (mode, rest) = data.split_first()?;
    let good = |index: u8| SIGNED[usize::from(index) % SIGNED.len()].token.clone();
    Some(match mode % 4 {
        // As it is.
        0 => rest.to_vec(),
        // Parts of good tokens, then some bytes changed: two for the place, one for the difference.
        1 => {
            let ([header, payload, signature], edits) = rest.split_first_chunk()?;
            let part = |index: u8, part: usize| good(index).split('.').nth(part).unwrap_or_default().to_owned();
            let mut token = [part(*header, 0), part(*payload, 1), part(*signature, 2)].join(".").into_bytes();
            for edit in edits.chunks_exact(3) {
                let place = usize::from(u16::from_le_bytes([edit[0], edit[1]])) % token.len();
                token[place] ^= edit[2];
            }
            token
        }
        // Header, payload and signature, to be encoded.
        2 => {
            let parts: Vec<String> =
                rest.splitn(3, |b| *b == b'\n').map(|part| BASE64_URL_SAFE_NO_PAD.encode(part)).collect();
            parts.join(".").into_bytes()
        }
        // Header and payload, to be encoded, with the signature of another token.
        _ => {
            let (index, rest) = rest.split_first()?;
            let parts: Vec<String> =
                rest.splitn(2, |b| *b == b'\n').map(|part| BASE64_URL_SAFE_NO_PAD.encode(part)).collect();
            format!("{}.{}", parts.join("."), good(*index).rsplit('.').next()?).into_bytes()
        }
    })
}
