//! Credentials: one token or none, wherever it stands; a second one is never overlooked, and none is left behind.
#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use scopegate::{HeaderEdit, RequestHead};
use scopegate_fake_proxy::{FakeWorker, status};
use scopegate_fuzz::{run, worker};

const CONFIGURATION: &str = r#"{
  "authorization_servers": [ { "name": "main", "cluster": "as", "audience": "any",
      "introspection": { "path": "/i", "client_id": "g", "client_secret": "s" } } ],
  "unknown_tokens": "unlimited",
  "bearer": { "header": "x-token", "query": "access_token", "cookie": "token", "max_bytes": 64 },
  "rules": [ { "name": "Everything", "match": [ { "path_prefix": "/" } ], "require": { "authenticated": true } } ]
}"#;

thread_local!(static WORKER: RefCell<FakeWorker> = RefCell::new(worker(CONFIGURATION)));

// Lines: what the first byte says, then the value.
fuzz_target!(|data: &[u8]| {
    let mut query: Option<&[u8]> = None;
    let mut head = vec![(":method", b"GET".to_vec()), (":path", b"/".to_vec())];
    for line in data.split(|b| *b == b'\n') {
        let Some((kind, value)) = line.split_first() else { continue };
        match kind {
            b'q' => query = Some(value),
            b'c' => head.push(("cookie", value.to_vec())),
            b'x' => head.push(("x-token", value.to_vec())),
            _ => head.push(("authorization", value.to_vec())),
        }
    }
    if let Some(query) = query {
        head[1].1 = [b"/?", query].concat();
    }
    WORKER.with_borrow_mut(|worker| {
        let found = candidates(&head);
        let raw: Vec<_> = head.iter().map(|(name, value)| (*name, value.as_slice())).collect();
        let raw = RequestHead { headers: &raw, route: None, has_body: false };
        // An error, but not an outage: nothing is cached, and the callout is not retried.
        let ended = run(worker, raw, status(500));
        assert!(ended.callouts.len() <= 1 && !ended.is_authorized(), "{ended:?}");
        if let [form] = &ended.callouts[..] {
            let form: Vec<(String, String)> = form_urlencoded::parse(form.as_bytes()).into_owned().collect();
            let token =
                form.iter().find(|(name, _)| name == "token").map(|(_, value)| value.as_bytes()).expect("a token");
            // It may stand under a name that an application could take for ours. Then it is the only one, too.
            assert!(found.iter().all(|found| found == token) && found.len() <= 1, "{found:?} {token:?}");
            assert!(!token.is_empty() && token.len() <= 64 && token.is_ascii(), "{token:?}");
        }
        // What an application could read is gone.
        let mut left = head.clone();
        for edit in worker.worker.clean(raw) {
            match edit {
                HeaderEdit::Remove(name) => left.retain(|(held, _)| *held != name),
                HeaderEdit::Set(name, value) => {
                    left.retain(|(held, _)| *held != name);
                    left.push((name, value));
                }
            }
        }
        assert!(candidates(&left).is_empty(), "{:?} of {head:?}", candidates(&left));
    });
});

/// Every token that a plain application could find.
fn candidates(head: &[(&str, Vec<u8>)]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for (name, value) in head {
        match *name {
            "authorization" => {
                let text = value.trim_ascii();
                if let Some((scheme, token)) = text.split_at_checked(7)
                    && scheme.eq_ignore_ascii_case(b"bearer ")
                {
                    found.push(token.trim_ascii().to_vec());
                }
            }
            "x-token" => found.push(value.trim_ascii().to_vec()),
            "cookie" => {
                for pair in value.split(|b| *b == b';') {
                    if let Some(value) = pair.trim_ascii().strip_prefix(b"token=") {
                        let value = value.trim_ascii();
                        let unquoted = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
                        found.push(unquoted.unwrap_or(value).to_vec());
                    }
                }
            }
            ":path" => {
                let query = value.iter().position(|b| *b == b'?').map_or(&[][..], |place| &value[place + 1..]);
                for pair in query.split(|b| *b == b'&') {
                    if let Some(value) = pair.strip_prefix(b"access_token=") {
                        // Some applications separate by `;`, too; what follows is none of the value there.
                        let value = value.split(|b| *b == b';').next().unwrap_or_default();
                        let spaced: Vec<u8> = value.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect();
                        found.push(percent_encoding::percent_decode(&spaced).collect());
                    }
                }
            }
            _ => {}
        }
    }
    found
}
