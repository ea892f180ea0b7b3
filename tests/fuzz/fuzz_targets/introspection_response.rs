//! Introspection responses, in the dialect of every preset: a token is accepted only if the response calls it active.
#![no_main]

use libfuzzer_sys::fuzz_target;
use scopegate::{CalloutResponse, PRESETS};
use scopegate_fake_proxy::START;
use scopegate_fuzz::{request, worker};
use serde_json::{Value, json};

struct Preset {
    configuration: String,
    /// How a response calls a token active.
    active: Value,
    required_members: Vec<String>,
}

thread_local!(static SERVERS: Vec<Preset> = {
    let presets: Value = serde_json::from_str(PRESETS).expect("JSON");
    let presets = presets.as_object().expect("an object").iter().map(|(name, preset)| {
        let of = |key: &str| Some(preset["answer"][key].clone()).filter(|value| !value.is_null());
        let members: Vec<Value> = of("required_members").and_then(|value| value.as_array().cloned()).unwrap_or_default();
        let configuration = json!({
            "authorization_servers": [ { "name": "main", "cluster": "as", "issuer": "https://as", "audience": audience(name),
                "introspection": { "preset": name, "path": "/i", "client_authentication": "none" } } ],
            "unknown_tokens": "unlimited",
            "rules": [ { "name": "All", "match": [ { "path_prefix": "/" } ], "require": { "authenticated": true } } ]
        });
        Preset {
            configuration: configuration.to_string(),
            active: of("active").unwrap_or_else(|| "boolean".into()),
            required_members: members.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        }
    });
    presets.collect()
});

/// `any` is refused where a server accepts tokens of every audience.
fn audience(preset: &str) -> Value {
    if preset == "google-tokeninfo" { json!(["api"]) } else { json!("any") }
}

const STATUSES: [u16; 8] = [200, 201, 204, 302, 400, 401, 403, 500];
const TYPES: [Option<&[u8]>; 4] =
    [None, Some(b"application/json;charset=utf-8"), Some(b"text/html"), Some(b"a/b+json")];

fuzz_target!(|data: &[u8]| {
    let [preset, kind, body @ ..] = data else { return };
    let (status, content_type) = (STATUSES[usize::from(kind % 8)], TYPES[usize::from(kind / 8 % 4)]);
    let response = CalloutResponse { status, content_type: content_type.map(<[u8]>::to_vec), body: body.to_vec() };
    SERVERS.with(|presets| {
        let Preset { configuration, active, required_members } = &presets[usize::from(*preset) % presets.len()];
        // A worker that has no entry of the token.
        let run = request(&mut worker(configuration), b"/", &[("authorization", b"Bearer t")], Some(response));
        assert_eq!(run.callouts.len(), 1);
        if !run.is_authorized() {
            return;
        }
        assert!(status == 200 && content_type != Some(b"text/html"), "{status}");
        // An independent reader must agree.
        let says: Value = serde_json::from_slice(body).expect("JSON");
        match active.as_str() {
            Some("boolean") => assert_eq!(says["active"], true),
            Some("boolean_or_string") => assert!(
                says["active"] == true || says["active"].as_str().is_some_and(|text| text.eq_ignore_ascii_case("true")),
                "{says}"
            ),
            _ => assert!(!required_members.is_empty()),
        }
        for path in required_members {
            let found = path.split('.').try_fold(&says, |value, name| value.get(name));
            assert!(found.is_some_and(|value| !value.is_null()), "{path} of {says}");
        }
        let is_past = |time: &Value| time.as_u64().is_some_and(|time| time <= START.as_secs());
        assert!(says["cnf"].is_null() && !is_past(&says["exp"]) || active == "status", "{says}");
        assert!(says["iss"].is_null() || says["iss"] == "https://as" || active == "status", "{says}");
    });
});
