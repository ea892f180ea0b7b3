//! Paths: none reaches a protected place through a public rule, whatever an application makes of it.
#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use scopegate_fake_proxy::{FakeWorker, NO_ANSWER};
use scopegate_fuzz::{End, request, worker};

/// `/admin` needs a token; everything else is public. `%2F` is refused by the one, and data to the other.
const CONFIGURATION: &str = r#"{
  "authorization_servers": [ { "name": "main", "cluster": "as", "audience": "any",
      "introspection": { "path": "/i", "client_id": "g", "client_secret": "s" } } ],
  "paths": { "allow_encoded_slash": $slash },
  "rules": [
    { "name": "Admin", "match": [ { "path_prefix": "/admin" }, { "path": "/users/{id}/keys" } ], "require": { "scope": "admin" } },
    { "name": "Everything", "match": [ { "path_prefix": "/" } ], "public": true }
  ]
}"#;

thread_local! {
    static STRICT: RefCell<FakeWorker> = RefCell::new(worker(&CONFIGURATION.replace("$slash", "false")));
    static LENIENT: RefCell<FakeWorker> = RefCell::new(worker(&CONFIGURATION.replace("$slash", "true")));
}

fuzz_target!(|path: &[u8]| {
    let passes = |worker: &mut FakeWorker| {
        let run = request(worker, path, &[], NO_ANSWER);
        assert!(!run.is_authorized() && run.callouts.is_empty(), "authorized without a token: {run:?}");
        matches!(run.end, End::Forward { .. })
    };
    let strict = STRICT.with_borrow_mut(passes);
    let lenient = LENIENT.with_borrow_mut(passes);
    if strict {
        assert_public(path, &seen(path, true));
        assert!(lenient, "{} is refused only where more is allowed", path.escape_ascii());
    }
    if lenient {
        assert_public(path, &seen(path, false));
    }
});

fn assert_public(path: &[u8], seen: &[String]) {
    let seen: Vec<&str> = seen.iter().map(String::as_str).collect();
    let is_admin = matches!(*seen, ["admin", ..]) || matches!(*seen, ["users", id, "keys"] if !id.is_empty());
    assert!(!is_admin, "{} is served as /{}", path.escape_ascii(), seen.join("/"));
}

/// The segments that the most forgiving application could make of a path: decode again and again, cut query and
/// fragment off only then, turn every kind of slash into one, cut parameters, resolve dot segments, drop empty ones.
/// `slashes`: whether `%2F` separates. A `/` at the end counts, as it does in rules: `/a/` is not `/a`.
fn seen(path: &[u8], slashes: bool) -> Vec<String> {
    let mut text: Vec<u8> = path.split(|b| *b == b'?').next().unwrap_or_default().to_vec();
    if !slashes {
        text = String::from_utf8_lossy(&text).replace("%2f", "%2F").replace("%2F", "\u{1}").into_bytes();
    }
    for _ in 0..4 {
        text = percent_encoding::percent_decode(&text).collect();
    }
    let text = String::from_utf8_lossy(&text).replace('\\', "/");
    let text = text.split(['?', '#']).next().unwrap_or_default();
    let mut segments: Vec<String> = Vec::new();
    for segment in text.split('/').map(|segment| segment.split(';').next().unwrap_or_default()) {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            other => segments.push(other.to_owned()),
        }
    }
    if text.ends_with('/') {
        segments.push(String::new());
    }
    segments
}
