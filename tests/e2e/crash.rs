//! A VM that dies: what no input should bring about, and what happens if one does. The module here is the filter, with
//! a request that takes it down.

use std::time::Duration;

use serde_json::json;

use crate::support::fixtures::configurations::{bookings, gateway};
use crate::support::*;

const LIMIT: Duration = Duration::from_secs(60);

fn server() -> ScriptedServer {
    ScriptedServer::start(|request| {
        Script::json(json!({ "active": request.form_value("token") == Some("good"), "scope": "view" }))
    })
}

fn builder(server: &ScriptedServer, upstream: &Upstream, policy: &str) -> EnvoyBuilder {
    gateway(bookings(), server.addr(), upstream)
        .module(overridable("SCOPEGATE_CRASH", "dist/scopegate-crash.wasm"))
        .wasm_field("failure_policy", json!(policy))
        .wasm_log_level("info")
}

#[test]
fn a_vm_that_dies_refuses_while_it_is_away_and_comes_back() {
    let (server, upstream) = (server(), Upstream::start());
    let mut envoy = builder(&server, &upstream, "FAIL_RELOAD").concurrency(1).start();
    let address = envoy.addr("main");
    let status = |request: &Request| send(address, request).status;
    let (good, bad) = (Request::get("/bookings").bearer("good"), Request::get("/bookings").bearer("bad"));
    assert_eq!((status(&good), status(&bad)), (200, 401));
    for round in 1..=2 {
        upstream.clear();
        assert!(status(&Request::get("/healthz").header("x-crash", "1")) >= 500);
        // Meanwhile no bad request is permitted, and no request hangs.
        let (mut away, mut asked) = (0, 0);
        wait_until("the VM to come back", LIMIT, || {
            let answers = [&bad, &Request::get("/bookings"), &Request::get("/nowhere")].map(status);
            assert!(answers.iter().all(|status| [401, 403, 500, 503].contains(status)), "{answers:?}");
            let answer = status(&good);
            assert!([200, 500, 503].contains(&answer), "{answer}");
            asked += 1;
            away += usize::from(answer != 200);
            answer == 200
        });
        assert!(away > 0 || asked > 0);
        assert_eq!(upstream.request_count(), 1, "only the good request passes, once");
        assert_eq!(envoy.log().matches("panicked").count(), round);
    }
    // The cached entries are still in shared data.
    assert_eq!(server.call_count(), 2);
    assert!(envoy.is_running());
}

#[test]
fn without_reload_a_vm_that_has_died_refuses_everything() {
    let (server, upstream) = (server(), Upstream::start());
    let mut envoy = builder(&server, &upstream, "FAIL_CLOSED").concurrency(1).start();
    let status = |request: &Request| send(envoy.addr("main"), request).status;
    let good = Request::get("/bookings").bearer("good");
    assert_eq!(status(&good), 200);
    upstream.clear();
    assert!(status(&Request::get("/healthz").header("x-crash", "1")) >= 500);
    for _ in 0..20 {
        assert!(status(&good) >= 500 && status(&Request::get("/healthz")) >= 500);
    }
    assert_eq!(upstream.request_count(), 0);
    assert!(envoy.is_running());
}
