//! What operators see: metrics, logs, refused configurations, and workers that share what they learn.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::fixtures::configurations::{bookings, bookings_with, gateway};
use crate::support::*;

const LIMIT: Duration = Duration::from_secs(60);

fn scripted() -> ScriptedServer {
    ScriptedServer::start(|request| match request.form_value("token") {
        Some("good") => Script::json(json!({ "active": true, "scope": "view", "client_id": "web" })),
        Some("weak") => Script::json(json!({ "active": true, "scope": "other" })),
        Some("trouble") => Script::status(500),
        _ => Script::json(json!({ "active": false })),
    })
}

#[test]
fn decisions_cache_and_callouts_are_counted() {
    let server = scripted();
    let upstream = Upstream::start();
    let envoy = gateway(bookings(), server.addr(), &upstream).alone().start();
    let get = |path: &str, token: Option<&str>| {
        let request = Request::get(path);
        send(envoy.addr("main"), &token.into_iter().fold(request, Request::bearer)).status
    };
    assert_eq!(
        ["good", "good", "good", "weak", "bad", "bad", "trouble"].map(|t| get("/bookings", Some(t))),
        [200, 200, 200, 403, 401, 401, 503]
    );
    assert_eq!(
        [
            get("/bookings", None),
            get("/healthz", None),
            get("/nowhere", None),
            get("//", None),
            get("/bookings", Some("a b"))
        ],
        [401, 200, 403, 400, 400]
    );
    for (name, count) in [
        ("decisions_outcome_permitted", 3),
        ("decisions_outcome_public", 1),
        ("decisions_outcome_insufficient_scope", 1),
        ("decisions_outcome_invalid_token", 2),
        ("decisions_outcome_unavailable", 1),
        ("decisions_outcome_no_credentials", 1),
        ("decisions_outcome_no_rule", 1),
        ("decisions_outcome_ambiguous_target", 1),
        ("decisions_outcome_invalid_request", 1),
        ("decisions_outcome_misconfigured", 0),
        ("cache_result_hit", 2),
        ("cache_result_inactive_hit", 1),
        ("cache_result_miss", 4),
        ("callouts_outcome_active", 2),
        ("callouts_outcome_inactive", 1),
        ("callouts_outcome_error_status", 1),
        ("callouts_outcome_bad_answer", 0),
        ("cache_entries_evicted", 0),
        ("configurations_refused", 0),
    ] {
        let line = format!("\nscopegate_{name}{{}} {count}\n");
        let found = try_wait(&line, LIMIT, || envoy.prometheus().contains(&line).then_some(()));
        assert!(found.is_ok(), "no {line}in\n{}", envoy.prometheus());
    }
    // Histograms are merged at the next flush.
    wait_until("the time of the callouts", LIMIT, || {
        envoy.prometheus().contains("scopegate_callout_time_ms_count{} 4")
    });
}

#[test]
fn log_lines_name_rule_and_reason_and_no_value_of_a_token() {
    let server = scripted();
    let upstream = Upstream::start();
    let envoy = gateway(bookings_with("/log", json!("decisions")), server.addr(), &upstream).start();
    for token in ["good", "weak", "SECRET-BAD-TOKEN", "trouble"] {
        send(envoy.addr("main"), &Request::get("/bookings").bearer(token));
    }
    wait_until("the log", LIMIT, || envoy.log().contains("responded with unexpected status 500"));
    let log = envoy.log();
    for line in [
        "rule `View`: permitted",
        "rule `View`: refused with 403: insufficient_scope",
        "rule `View`: refused with 401: inactive",
        "rule `View`: refused with 503: error_status",
        "authorization server `main`: the introspection endpoint responded with unexpected status 500",
    ] {
        assert!(log.contains(line), "no {line:?} in\n{log}");
    }
    for secret in ["SECRET-BAD-TOKEN", OidcProvider::GATEWAY_SECRET, "Basic ", "Bearer good"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

#[test]
fn neither_an_outage_nor_a_flood_fills_the_log() {
    let server = ScriptedServer::start(|_| Script::status(500));
    let upstream = Upstream::start();
    let envoy = gateway(bookings(), server.addr(), &upstream).concurrency(1).wasm_log_level("warning").start();
    let started = Instant::now();
    let counts = load(envoy.addr("main"), 4, 2_000, |n| Request::get("/bookings").bearer(&format!("t{n}")));
    assert_eq!(counts, [(503, 2_000)].into());
    let seconds = usize::try_from(started.elapsed().as_secs()).unwrap() + 2;
    let lines = envoy.log().matches("responded with unexpected status 500").count();
    assert!((1..=seconds).contains(&lines), "{lines} lines for 2000 failures in {seconds} seconds");

    let envoy = gateway(bookings(), server.addr(), &upstream).concurrency(1).wasm_log_level("info").start();
    let started = Instant::now();
    let counts = load(envoy.addr("main"), 8, 50_000, |_| Request::get("/bookings"));
    assert_eq!(counts, [(401, 50_000)].into());
    let seconds = usize::try_from(started.elapsed().as_secs()).unwrap() + 2;
    let log = envoy.log();
    let lines = log.matches("refused with 401").count();
    assert!((1..=500 * seconds).contains(&lines), "{lines} lines in {seconds} seconds");
    // What was held back is counted in the next line.
    std::thread::sleep(Duration::from_millis(1_100));
    assert_eq!(send(envoy.addr("main"), &Request::get("/bookings")).status, 401);
    wait_until("the count of lines held back", LIMIT, || envoy.log().contains("more since the last message)"));
}

#[test]
fn the_trouble_of_one_server_does_not_hide_that_of_another() {
    let (one, two) = (ScriptedServer::start(|_| Script::status(500)), ScriptedServer::start(|_| Script::status(401)));
    let upstream = Upstream::start();
    let mut configuration = bookings();
    let mut second = configuration["authorization_servers"][0].clone();
    second["name"] = json!("second");
    second["cluster"] = json!("second");
    configuration["authorization_servers"].as_array_mut().unwrap().push(second);
    configuration["rules"] = json!([
        { "name": "One", "match": [{ "path": "/one" }], "require": { "scope": "x" }, "authorization_server": "main" },
        { "name": "Two", "match": [{ "path": "/two" }], "require": { "scope": "x" }, "authorization_server": "second" },
    ]);
    let envoy = gateway(configuration, one.addr(), &upstream).cluster("second", two.addr()).concurrency(1).start();
    for _ in 0..3 {
        assert_eq!(send(envoy.addr("main"), &Request::get("/one").bearer("token")).status, 503);
    }
    assert_eq!(send(envoy.addr("main"), &Request::get("/two").bearer("token")).status, 503);
    wait_until("both to be in the log", LIMIT, || {
        let log = envoy.log();
        log.contains("server `main`: the introspection endpoint responded with unexpected status 500")
            && log.contains("server `second`: the server refused the gateway's client with status 401")
    });
}

#[test]
fn workers_share_what_one_of_them_learned() {
    let server = scripted();
    let upstream = Upstream::start();
    let envoy = gateway(bookings(), server.addr(), &upstream).concurrency(4).start();
    let get = |token: &str| send(envoy.addr("main"), &Request::get("/bookings").bearer(token)).status;
    assert_eq!((get("good"), get("bad")), (200, 401));
    for _ in 0..40 {
        assert_eq!((get("good"), get("bad")), (200, 401));
    }
    assert_eq!(server.call_count(), 2);
    // Fresh connections went to more than one worker.
    let workers = (0..4).filter(|n| envoy.counter(&format!("listener.127.0.0.1_0.worker_{n}.downstream_cx_total")) > 0);
    assert!(workers.count() > 1, "all connections went to one worker: nothing was shown");
}

#[test]
fn a_filter_whose_configuration_was_refused_answers_503_to_everything() {
    let upstream = Upstream::start();
    let mut configuration = bookings();
    configuration["rules"][0]["require"]["scope"] = json!("a b\"");
    configuration["cache"] = json!({ "max_ttl": "soon", "capacity": "many", "colour": 1 });
    for spec in [
        ListenerSpec::new().plugin(configuration.clone()),
        ListenerSpec::new().plugin_any("google.protobuf.Struct", configuration.clone()),
        ListenerSpec::new().plugin_json("no JSON"),
        ListenerSpec::new().plugin_json(""),
        ListenerSpec::new(),
    ] {
        let nothing = spec.clone();
        let mut envoy = Envoy::builder().listener("main", spec).upstream(upstream.addr()).start();
        for path in ["/bookings", "/healthz", "/nowhere", "//", "/"] {
            let response = send(envoy.addr("main"), &Request::get(path).bearer("token"));
            assert_eq!(response.status, 503, "{path} {nothing:?}");
            assert!(response.header("retry-after").is_some());
        }
        assert_eq!(upstream.request_count(), 0);
        assert!(envoy.is_running());
        wait_until("a refusal to be counted", LIMIT, || envoy.counter("scopegate.configurations_refused") > 0);
        envoy.assert_counter("scopegate.decisions.outcome.misconfigured", 5);
        let log = envoy.log();
        assert!(log.contains("configuration refused: "), "{log}");
        if log.contains("cache.") {
            for line in [
                "configuration refused: cache.colour: unknown key; known keys: capacity, max_ttl, inactive_ttl, stale_if_error",
                "configuration refused: cache.capacity: expected a whole number such as 10000, found a string; write it without quotes, from 1 to 1000000",
                "configuration refused: cache.max_ttl: invalid `soon`; expected a whole number and its unit (ms, s, m or h), from 0s to 24h, such as \"60s\"",
                "configuration refused: rules[0] (View).require.scope: `b\\\"` contains `\\\"`",
            ] {
                assert!(log.contains(line), "no {line:?} in\n{log}");
            }
        }
    }
}

#[test]
fn a_refused_configuration_stays_shut_beside_one_that_was_accepted() {
    // Both plugins have one name. Workers configure later than the main thread, when the good one is accepted
    // already: were they to turn the bad one down then, Envoy would run its listener without the filter.
    let server = scripted();
    let upstream = Upstream::start();
    let bad = || ListenerSpec::new().plugin(bookings_with("/rules/0/require", json!({})));
    let good = || ListenerSpec::new().plugin(bookings());
    let shut = |envoy: &Envoy| {
        for _ in 0..8 {
            for path in ["/bookings", "/healthz", "/other"] {
                assert_eq!(send(envoy.addr("bad"), &Request::get(path).bearer("good")).status, 503);
            }
        }
        assert_eq!(send(envoy.addr("good"), &Request::get("/bookings").bearer("good")).status, 200);
    };
    for policy in [None, Some("FAIL_CLOSED"), Some("FAIL_RELOAD"), Some("FAIL_OPEN")] {
        let builder = Envoy::builder().cluster("identity_server", server.addr()).upstream(upstream.addr());
        let builder = builder.listener("bad", bad()).listener("good", good());
        shut(&policy.into_iter().fold(builder, |b, policy| b.wasm_field("failure_policy", json!(policy))).start());
    }
    let builder =
        Envoy::builder().dynamic_listeners().cluster("identity_server", server.addr()).upstream(upstream.addr());
    let mut envoy = builder.listener("bad", bad()).listener("good", good()).start();
    shut(&envoy);
    let healed = [("bad", good()), ("good", good())];
    envoy.replace_listeners(&healed).unwrap();
    wait_until_everywhere("the mended configuration", LIMIT, || {
        send(envoy.addr("bad"), &Request::get("/bookings").bearer("good")).status == 200
    });
    assert_eq!(upstream.requests().iter().filter(|request| request.path == b"/other").count(), 0);
}

#[test]
fn the_order_of_the_headers_in_a_configuration_changes_nothing() {
    let server = ScriptedServer::start(|_| {
        Script::json(json!({ "active": true, "scope": "view", "sub": "alice", "client_id": "web" }))
    });
    let upstream = Upstream::start();
    let text = |headers: &str| {
        let text = bookings_with("/upstream/headers", json!("HEADERS")).to_string();
        ListenerSpec::new().plugin_json(&text.replace("\"HEADERS\"", headers))
    };
    let envoy = Envoy::builder()
        .listener("a", text(r#"{ "x-subject": "sub", "x-client": "client_id" }"#))
        .listener("b", text(r#"{ "x-client": "client_id", "x-subject": "sub" }"#))
        .cluster("identity_server", server.addr())
        .upstream(upstream.addr())
        .start();
    for listener in ["a", "b"] {
        assert_eq!(send(envoy.addr(listener), &Request::get("/bookings").bearer("good")).status, 200);
    }
    for request in upstream.requests() {
        assert_eq!(request.header("x-subject").as_deref(), Some("alice"));
        assert_eq!(request.header("x-client").as_deref(), Some("web"));
    }
    // They mean the same, so they share what was learned.
    assert_eq!(server.call_count(), 1);
}

#[test]
fn a_bad_update_is_turned_down_and_the_old_configuration_stays() {
    let server = scripted();
    let upstream = Upstream::start();
    let mut envoy = gateway(bookings(), server.addr(), &upstream).dynamic_listeners().start();
    let get = |envoy: &Envoy, path: &str| send(envoy.addr("main"), &Request::get(path).bearer("good")).status;
    assert_eq!(get(&envoy, "/bookings"), 200);

    let bad = bookings_with("/rules/0/require", json!({}));
    envoy.replace_listeners(&[("main", ListenerSpec::new().plugin(bad))]).unwrap_err();
    assert!(envoy.log().contains("rules[0] (View).require: empty requirement"), "{}", envoy.log());
    wait_until("a refusal to be counted", LIMIT, || envoy.counter("scopegate.configurations_refused") > 0);
    assert_eq!([get(&envoy, "/bookings"), get(&envoy, "/new")], [200, 403]);

    let good = bookings_with("/rules/0/match/0/path", json!("/new"));
    envoy.replace_listeners(&[("main", ListenerSpec::new().plugin(good))]).unwrap();
    wait_until_everywhere("every worker to take the new one", LIMIT, || {
        [get(&envoy, "/bookings"), get(&envoy, "/new")] == [403, 200]
    });
}

#[test]
fn facts_of_an_old_configuration_do_not_answer_for_a_new_one() {
    let server = scripted();
    let upstream = Upstream::start();
    let mut envoy = gateway(bookings(), server.addr(), &upstream).dynamic_listeners().start();
    let get = |envoy: &Envoy| send(envoy.addr("main"), &Request::get("/bookings").bearer("good")).status;
    assert_eq!((get(&envoy), get(&envoy), server.call_count()), (200, 200, 1));
    for (pointer, value) in [
        ("/authorization_servers/0/introspection/client_secret", json!("another")),
        ("/authorization_servers/0/introspection/path", json!("/elsewhere")),
        ("/upstream/headers", json!({ "x-auth-client-id": "azp" })),
    ] {
        let calls = server.call_count();
        let configuration: Value = bookings_with(pointer, value);
        envoy.replace_listeners(&[("main", ListenerSpec::new().plugin(configuration))]).unwrap();
        wait_until("the new configuration to ask anew", LIMIT, || get(&envoy) == 200 && server.call_count() > calls);
    }
}
