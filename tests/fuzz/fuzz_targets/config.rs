//! Configurations: refused with reasons, or put to work, and then no request passes that no server has accepted.
#![no_main]

use libfuzzer_sys::fuzz_target;
use scopegate::{CalloutResponse, Config, RequestHead};
use scopegate_fake_proxy::{FakeWorker, NO_ANSWER, json};
use scopegate_fuzz::{End, fetch_keys, jwks, proxy, request, run};

fuzz_target!(|data: &[u8]| {
    let config = match Config::parse(data, &|name| (!name.is_empty()).then(|| "secret".to_owned())) {
        Ok(config) => config,
        Err(problems) => {
            assert!(problems.iter().count() > 0, "refused without a reason");
            assert!(
                problems.iter().all(|problem| !problem.problem.is_empty() && !problem.hint.is_empty()),
                "{problems:?}"
            );
            return;
        }
    };
    let mut worker = FakeWorker::with_config(proxy(), config);
    fetch_keys(&mut worker, json(&jwks()));
    let headers = [
        (":method", &b"OPTIONS"[..]),
        (":authority", b"api.example.com:8443"),
        (":path", b"/a/b?access_token=x"),
        ("origin", b"https://x"),
        ("access-control-request-method", b"GET"),
        ("cookie", b"a=b; c=d"),
    ];
    let head = RequestHead { headers: &headers, route: Some(b"r"), has_body: false };
    let _ = (worker.worker.clean(head), run(&mut worker, head, NO_ANSWER));
    for path in [&b"/"[..], b"/a", b"/a/b/"] {
        for headers in [&[][..], &[("authorization", &b"Bearer abc"[..])], &[("authorization", b"Bearer e30.e30.e30")]]
        {
            for body in [&b""[..], br#"{"active":false}"#] {
                let response = CalloutResponse { status: 403, content_type: None, body: body.to_vec() };
                if let End::Forward { public } = request(&mut worker, path, headers, Some(response)).end {
                    assert!(public, "a request passes whose token no server has accepted");
                }
            }
        }
    }
});
