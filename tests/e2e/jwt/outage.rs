//! Keys that cannot be had, at the start or later, in every way in which a server can fail to give them.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::*;

const REFRESH: Duration = Duration::from_secs(2);
const MAX_AGE: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_millis(500);

/// Failures of a server that has keys but does not serve them.
fn trouble(path: &[u8]) -> Script {
    let html = || vec![("content-type".to_owned(), "text/html".to_owned())];
    match path {
        b"/closing" => Script::Close,
        b"/hanging" => Script::Hang,
        b"/failing" => Script::status(500),
        b"/missing" => Script::status(404),
        b"/moving" => Script::status(302),
        b"/html" => Script::Answer { status: 200, headers: html(), body: b"<h1>Maintenance</h1>".to_vec() },
        b"/garbled" => Script::json_text(r#"{"keys":["#),
        b"/keyless" => Script::json(json!({ "error": "maintenance" })),
        other => panic!("{}", String::from_utf8_lossy(other)),
    }
}

#[test]
fn without_keys_nobody_passes_and_those_that_were_there_are_believed_until_max_age() {
    const WAYS: [&str; 8] = ["closing", "hanging", "failing", "missing", "moving", "html", "garbled", "keyless"];
    let (key, upstream) = (SigningKey::es256(), Upstream::start());
    let keys = json!({ "keys": [key.jwk("ec")] });
    let is_down = Arc::new(AtomicBool::new(true));
    let down = Arc::clone(&is_down);
    // When the keys were last given, by path.
    let given: Arc<Mutex<BTreeMap<Vec<u8>, Instant>>> = Arc::default();
    let gives = Arc::clone(&given);
    let server = ScriptedServer::start(move |call| {
        if down.load(Ordering::SeqCst) {
            return trouble(&call.path);
        }
        gives.lock().expect("the times").insert(call.path.clone(), Instant::now());
        Script::json(keys.clone())
    });
    let servers = WAYS.map(|way| {
        let jwt = json!({
            "jwks_path": format!("/{way}"),
            "timeout": format!("{}ms", TIMEOUT.as_millis()),
            "refresh": format!("{}s", REFRESH.as_secs()),
            "max_age": format!("{}s", MAX_AGE.as_secs()),
        });
        json!({ "name": way, "cluster": "issuer", "issuer": ISSUER, "audience": [AUDIENCE], "jwt": jwt })
    });
    let envoy = gateway()
        .cluster("issuer", server.addr())
        .upstream(upstream.addr())
        // One worker, so that what one request learns holds for the next.
        .concurrency(1)
        .plugin(json!({
            "authorization_servers": servers,
            "rules": WAYS.map(|way| rule(way, &json!({ "scope": "view" }))),
        }))
        .start();
    let sign = || key.sign(&json!({ "alg": "ES256", "typ": "at+jwt", "kid": "ec" }), &claims());
    let (seen, unseen) = (sign(), sign());
    let statuses = |token: &str| WAYS.map(|way| show(envoy.addr("main"), way, token));

    for _ in 0..3 {
        assert_eq!(statuses(&seen), [503; 8], "{WAYS:?}, before there were any keys");
    }
    assert_eq!(statuses("opaque"), [401; 8], "{WAYS:?}, what no key makes good");
    assert_eq!(upstream.request_count(), 0);

    is_down.store(false, Ordering::SeqCst);
    wait_until("the keys to come", LIMIT, || statuses(&seen) == [200; 8]);

    is_down.store(true, Ordering::SeqCst);
    let given = |way: &str| given.lock().expect("the times")[format!("/{way}").as_bytes()];
    let mut shut = [false; WAYS.len()];
    while shut != [true; WAYS.len()] {
        for (index, way) in WAYS.into_iter().enumerate() {
            let (given, sent) = (given(way), Instant::now());
            let found = show(envoy.addr("main"), way, &seen);
            let (least, most) = (sent - given, given.elapsed());
            assert!([200, 503].contains(&found), "{way}: {found}, at an age of {least:?}");
            assert!(found == 503 || !shut[index], "{way}: open again at an age of {least:?}");
            if most < MAX_AGE - Duration::from_secs(1) {
                assert_eq!(found, 200, "{way}: at an age of {most:?}");
            }
            // An answer may be on its way for as long as the timeout.
            if least > MAX_AGE + TIMEOUT + Duration::from_millis(500) {
                assert_eq!(found, 503, "{way}: at an age of {least:?}");
            }
            shut[index] = found == 503;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    upstream.clear();
    assert_eq!(shut, [true; WAYS.len()]);
    assert_eq!(statuses(&unseen), [503; 8], "{WAYS:?}, a token that was not shown before");
    assert_eq!(upstream.request_count(), 0);

    is_down.store(false, Ordering::SeqCst);
    wait_until("the keys to come back", LIMIT, || statuses(&unseen) == [200; 8]);
}
