//! Configurations: refused with reasons, or put to work, and then nobody passes who is not known.
#![no_main]

use libfuzzer_sys::fuzz_target;
use scopegate::{CalloutResult, Config, Gate, RequestHead};
use scopegate_fuzz::{End, NOW, answer, jwks, request, run};

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
    let gate = Gate::new(config, [0; 32]);
    for (server, _) in gate.key_servers().collect::<Vec<_>>() {
        let _ = gate.keys_are_due(server, NOW);
        let mut fetch = gate.fetch_keys(server, NOW);
        while let Some(asked) = fetch {
            let _ = asked.request();
            fetch = asked.resume(answer(jwks().as_bytes()), NOW, NOW).next;
        }
    }
    let headers = [
        (":method", &b"OPTIONS"[..]),
        (":authority", b"api.example.com:8443"),
        (":path", b"/a/b?access_token=x"),
        ("origin", b"https://x"),
        ("access-control-request-method", b"GET"),
        ("cookie", b"a=b; c=d"),
    ];
    let head = RequestHead { headers: &headers, route: Some(b"r"), has_body: false };
    let _ = (gate.cleaning(head), run(&gate, head, None, CalloutResult::NoAnswer));
    for path in [&b"/"[..], b"/a", b"/a/b/"] {
        for headers in [&[][..], &[("authorization", &b"Bearer abc"[..])], &[("authorization", b"Bearer e30.e30.e30")]]
        {
            for body in [&b""[..], br#"{"active":false}"#] {
                let answer = CalloutResult::Response { status: 403, content_type: None, body };
                if let End::Forward { public } = request(&gate, path, headers, None, answer).end {
                    assert!(public, "somebody passes whom nobody knows");
                }
            }
        }
    }
});
