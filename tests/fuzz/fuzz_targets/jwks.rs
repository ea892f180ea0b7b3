//! Keys of an authorization server, as it sends them and as shared data hold them: whatever they are, a token passes only if
//! an independent reader finds its key.
#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use scopegate::CalloutResponse;
use scopegate_fake_proxy::{FakeWorker, NO_ANSWER, Proxy, START, bytes, json};
use scopegate_fuzz::{
    JWT_CONFIGURATION, SIGNED, Signed, bearer, fetch_keys, lonely, outlive_keys, proxy, request, worker,
};
use serde_json::Value;

// A worker that goes from input to input, and the key under which workers publish keys.
thread_local! {
    static WORKER: RefCell<FakeWorker> = RefCell::new(worker(JWT_CONFIGURATION));
    static PUBLISHED: String = {
        let mut worker = worker(JWT_CONFIGURATION);
        fetch_keys(&mut worker, json(r#"{"keys":[]}"#));
        let keys = worker.host.proxy().keys("scopegate.keys.");
        keys.into_iter().find(|key| !key.ends_with(".lease")).expect("published keys")
    };
}

fuzz_target!(|data: &[u8]| {
    let Some((mode, rest)) = data.split_first() else { return };
    let set = with_keys(rest);
    let response = match mode % 3 {
        0 => bytes(&set),
        1 => {
            Some(CalloutResponse { status: u16::from(*mode) + 100, content_type: Some(set.clone()), body: set.clone() })
        }
        _ => return check_published(&set),
    };
    WORKER.with_borrow_mut(|worker| {
        // The keys of the input before are gone.
        worker.host.proxy().set_clock(START);
        assert!(replace_keys(worker, json(r#"{"keys":[]}"#)) > 0);
        assert!(replace_keys(worker, response) > 0);
        check(worker, &set);
        // None of it keeps the right key from its work.
        let [.., last] = &SIGNED[..] else { return };
        assert!(replace_keys(worker, json(&format!(r#"{{"keys":[{}]}}"#, last.jwk))) > 0);
        assert!(passes(worker, last), "{}", String::from_utf8_lossy(&set));
    });
});

fn replace_keys(worker: &mut FakeWorker, response: Option<CalloutResponse>) -> usize {
    outlive_keys(worker);
    fetch_keys(worker, response)
}

/// What another worker could have published: the time, then the keys.
fn check_published(set: &[u8]) {
    let published = [&START.as_millis().to_le_bytes()[..], set].concat();
    for published in [&published, set] {
        let proxy: Proxy = proxy();
        PUBLISHED.with(|key| proxy.set_shared(key, published));
        let mut worker = lonely(proxy.worker(JWT_CONFIGURATION));
        check(&mut worker, set);
        // A worker that is running takes published keys over as well.
        PUBLISHED.with(|key| proxy.set_shared(key, set));
        fetch_keys(&mut worker, NO_ANSWER);
        check(&mut worker, set);
    }
}

fn passes(worker: &mut FakeWorker, signed: &Signed) -> bool {
    let authorization = bearer(&signed.token);
    request(worker, b"/", &[("authorization", &authorization)], NO_ANSWER).is_authorized()
}

fn check(worker: &mut FakeWorker, set: &[u8]) {
    for signed in SIGNED.iter() {
        assert!(!passes(worker, signed) || offers(set, signed), "{}", String::from_utf8_lossy(set));
    }
}

/// Whether a forgiving reader finds the key of a token in a set.
fn offers(set: &[u8], signed: &Signed) -> bool {
    // In shared data a time stands before it.
    let json = serde_json::from_slice(set).or_else(|_| serde_json::from_slice(set.get(8..).unwrap_or_default()));
    let Ok(Value::Object(set)) = json else { return false };
    let Some(Value::Array(keys)) = set.get("keys") else { return false };
    let is_or_lacks = |key: &Value, name: &str, wanted: &str| {
        key.get(name).is_none_or(|held| held == wanted || name == "kid" && !held.is_string())
    };
    keys.len() <= 32
        && keys.iter().any(|key| {
            let is_same = |name: &str| signed.jwk.get(name).is_none_or(|wanted| key.get(name) == Some(wanted));
            let name = signed.jwk["kid"].as_str().expect("a name");
            // A number that has leading zeros is the same number.
            let modulus =
                |jwk: &Value| jwk.get("n").and_then(Value::as_str).map(|n| n.trim_start_matches('A').to_owned());
            let exponent =
                |jwk: &Value| jwk.get("e").and_then(Value::as_str).map(|e| e.trim_start_matches('A').to_owned());
            let is_same_number = modulus(key) == modulus(&signed.jwk) && exponent(key) == exponent(&signed.jwk);
            is_same("kty")
                && is_same("crv")
                && is_same("x")
                && is_same("y")
                && is_same_number
                && is_or_lacks(key, "kid", name)
                && is_or_lacks(key, "alg", name)
                && (is_or_lacks(key, "use", "sig") || !key["use"].is_string())
                && key["key_ops"].as_array().is_none_or(|operations| operations.iter().any(|name| name == "verify"))
        })
}

/// Control bytes, which JSON has no use for, stand for whole keys, or for their members.
fn with_keys(data: &[u8]) -> Vec<u8> {
    let mut set = Vec::new();
    for byte in data {
        let at = |index: u8| SIGNED.get(usize::from(index)).map(|signed| signed.jwk.to_string());
        match byte {
            0x00..0x09 => set.extend(at(*byte).unwrap_or_default().bytes()),
            0x10..0x19 => set.extend(at(*byte - 0x10).unwrap_or_default().trim_matches(['{', '}']).bytes()),
            byte => set.push(*byte),
        }
    }
    set
}
