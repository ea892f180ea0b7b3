//! Rules with `mode: report_only`.

use scopegate::{Decision, RequestHead};
use scopegate_fake_proxy::Proxy;

fn configuration(mode: &str, a: &str, b: &str) -> String {
    format!(
        r#"{{"authorization_servers":[{{"name":"a","cluster":"c","audience":"any",
            "introspection":{{"path":"/i","client_id":"g","client_secret":"s"}}}}], {mode} "rules":[
            {{"name":"a", {a} "match":[{{"path_prefix":"/a"}}],"require":{{"authenticated":true}}}},
            {{"name":"b", {b} "match":[{{"path_prefix":"/b"}}],"require":{{"authenticated":true}}}}]}}"#
    )
}

/// Returns the status of a request without a token, or the status it would have.
fn end(configuration: &str, path: &str) -> String {
    let mut worker = Proxy::default().worker(configuration);
    let headers =
        [(":method", "GET"), (":path", path), (":authority", "a")].map(|(name, value)| (name, value.as_bytes()));
    let stream = worker.begin(RequestHead { headers: &headers, route: None, has_body: false });
    match worker.take_decision(stream).expect("a decision") {
        Decision::Forward(_) => "passes".to_owned(),
        Decision::Respond(reply) => reply.status.to_string(),
        Decision::Report(reply) => format!("would be {}", reply.status),
    }
}

const NONE: &str = "";
const REPORT: &str = r#""mode":"report_only","#;
const ENFORCE: &str = r#""mode":"enforce","#;

#[test]
fn report_only_does_not_bypass_enforced_rules() {
    for (mode, a, b, expected) in [
        (NONE, NONE, NONE, ["401", "401", "403", "400", "400"]),
        (NONE, REPORT, NONE, ["would be 401", "401", "403", "400", "400"]),
        (NONE, REPORT, REPORT, ["would be 401", "would be 401", "403", "400", "400"]),
        (REPORT, NONE, ENFORCE, ["would be 401", "401", "would be 403", "400", "400"]),
        (REPORT, NONE, NONE, ["would be 401", "would be 401", "would be 403", "would be 400", "would be 400"]),
    ] {
        let configuration = configuration(mode, a, b);
        // `/%61` is `/a` to an upstream that decodes it, and another path to one that does not.
        let ends = ["/a", "/b", "/nowhere", "/a/..%2fb", "/%61"].map(|path| end(&configuration, path));
        assert_eq!(ends, expected, "{mode} {a} {b}");
    }
}

#[test]
fn rules_that_are_not_enforced_are_named() {
    let report_only = |text: &str| Proxy::default().worker(text).worker.report_only();
    assert_eq!(report_only(&configuration(NONE, NONE, NONE)), None);
    assert_eq!(report_only(&configuration(NONE, REPORT, NONE)).unwrap(), "rules `a`");
    let all = report_only(&configuration(REPORT, NONE, NONE)).unwrap();
    assert_eq!(all, "rules `a`, `b`, and requests that no rule matches");
}
