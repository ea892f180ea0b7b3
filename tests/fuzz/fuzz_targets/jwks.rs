//! Keys of an authorization server, as it answers and as shared data has them: whatever stands there, a token passes
//! only if an independent reader finds its key.
#![no_main]

use libfuzzer_sys::fuzz_target;
use scopegate::{CalloutResult, Gate};
use scopegate_fuzz::{NOW, SIGNED, Signed, answer, bearer, fetch_keys, jwt_gate, request};
use serde_json::Value;

thread_local!(static GATE: Gate = jwt_gate());

fuzz_target!(|data: &[u8]| {
    let Some((mode, rest)) = data.split_first() else { return };
    let set = with_keys(rest);
    GATE.with(|gate| {
        // What was there before is gone.
        fetch_keys(gate, answer(br#"{"keys":[]}"#));
        match mode % 3 {
            0 => drop(fetch_keys(gate, answer(&set))),
            1 => {
                let answer =
                    CalloutResult::Response { status: u16::from(*mode) + 100, content_type: Some(&set), body: &set };
                drop(fetch_keys(gate, answer));
            }
            // The time, then the keys. Such as are no newer than those that are there are nothing new.
            _ => {
                let later = jwt_gate();
                later.take_over_keys(0, &[&NOW.as_millis().to_le_bytes()[..], &set].concat(), NOW);
                later.take_over_keys(0, &set, NOW);
                return check(&later, &set);
            }
        }
        check(gate, &set);
        // None of it keeps the right key from its work.
        let [.., last] = &SIGNED[..] else { return };
        fetch_keys(gate, answer(format!(r#"{{"keys":[{}]}}"#, last.jwk).as_bytes()));
        assert!(passes(gate, last), "{}", String::from_utf8_lossy(&set));
    });
});

fn passes(gate: &Gate, signed: &Signed) -> bool {
    let authorization = bearer(&signed.token);
    request(gate, b"/", &[("authorization", &authorization)], None, CalloutResult::NoAnswer).is_authorized()
}

fn check(gate: &Gate, set: &[u8]) {
    for signed in SIGNED.iter() {
        assert!(!passes(gate, signed) || offers(set, signed), "{}", String::from_utf8_lossy(set));
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
