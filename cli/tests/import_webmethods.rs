//! From the settings of a Microgateway to a gateway at work, in a real Envoy with a real identity server.
#![allow(clippy::expect_used, clippy::panic, missing_docs, reason = "a test stops by panicking")]

use std::process::Command;

use scopegate_test_support::fixtures::bookings::{AUDIENCE, book, cancel, get_one, list, status};
use scopegate_test_support::{Envoy, OidcProvider, Script, ScriptedServer, Upstream, in_repository, send};

const SAMPLE: &str = "cli/tests/cli/microgateway.yaml";
/// Where the sample says that the identity server is.
const SAMPLE_HOST: &str = "identity.example.test:7777";

/// A longer introspection timeout than the default, for a slow machine.
const PATIENCE: (&str, &str) = ("      client_id: ", "      timeout: 15s\n      client_id: ");

/// Imports a settings file with the command line tool. Returns the configuration and the standard error output.
#[track_caller]
fn import(settings: &str) -> (String, String) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("settings.yaml");
    std::fs::write(&file, settings).expect("the settings");
    let arguments = ["import", "webmethods", file.to_str().expect("a plain path")];
    let output = Command::new(env!("CARGO_BIN_EXE_scopegate")).args(arguments).output().expect("the tool runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    let (out, err) = (text(output.stdout), text(output.stderr));
    assert!(output.status.success(), "{err}");
    (out, err)
}

/// Completes what an import leaves to its operator.
#[track_caller]
fn fill_in(configuration: &str, answers: &[(&str, &str)]) -> String {
    answers.iter().fold(configuration.to_owned(), |text, (question, answer)| {
        assert!(text.contains(question), "no {question:?} in {text}");
        text.replace(question, answer)
    })
}

#[test]
fn s2_23_imported_auth_servers_and_scope_mappings_work_against_an_identity_server() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let sample = std::fs::read_to_string(in_repository(SAMPLE)).expect("the sample");
    let (imported, said) = import(&sample.replace(SAMPLE_HOST, &identity.addr().to_string()));
    assert!(said.contains("from the environment variable TIMETRAVEL_CLIENT_SECRET"), "{said}");

    // The other auth server of the sample.
    let down = ScriptedServer::start(|_| Script::Close);
    down.stop();

    // As imported it is refused, and with it every request: nothing is open by mistake.
    let cluster = identity.addr().to_string();
    let gateway = |configuration: &str| {
        Envoy::builder()
            .cluster(&cluster, identity.addr())
            .cluster("gateway.example.test:5543", down.addr())
            .upstream(upstream.addr())
            .env("TIMETRAVEL_CLIENT_SECRET", OidcProvider::GATEWAY_SECRET)
            .env("LOCAL_CLIENT_SECRET", "hotels-secret")
            .plugin_yaml(configuration)
            .start()
    };
    let envoy = gateway(&imported);
    let token = identity.client_credentials("view book");
    assert_eq!([list(), book()].map(|request| status(&envoy, request, &token)), [503, 503]);
    assert!(
        envoy.log().contains("apis[0] (Imported).scopes[0] (ViewTickets).resources: empty list;"),
        "the log does not say why"
    );
    assert_eq!((identity.introspections(), upstream.request_count()), (0, 0));

    let viewing = "- name: ViewTickets\n        resources: []";
    let booking = "- name: BookTickets\n        resources: []";
    let complete = fill_in(
        &imported,
        &[
            (viewing, "- name: ViewTickets\n        resources: [{ methods: [GET], path: /bookings }]"),
            (booking, "- name: BookTickets\n        resources: [{ methods: [POST], path: /bookings }]"),
            PATIENCE,
        ],
    );
    let envoy = gateway(&complete);
    let [view, book_too] = ["view", "view book"].map(|scope| identity.client_credentials(scope));
    assert_eq!([list(), book()].map(|request| status(&envoy, request, &view)), [200, 403]);
    assert_eq!([list(), book()].map(|request| status(&envoy, request, &book_too)), [200, 200]);
    assert_eq!([get_one(), cancel()].map(|request| status(&envoy, request, &book_too)), [403, 403]);
    assert_eq!(send(envoy.addr("main"), &list()).status, 401);
    // The token might be active on the server that is down, so the response is 503 and not 401.
    assert_eq!(status(&envoy, list(), "garbage"), 503);
    assert_eq!(upstream.request_count(), 3);
}

#[test]
fn s2_23_an_imported_auth_server_takes_good_tokens_and_refuses_bad_ones_once_a_scope_is_named() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let settings = format!(
        "--- !<authServerAlias>\nid: \"local\"\nname: \"local\"\ntype: \"authServerAlias\"\nowner: \"Administrator\"\n\
         localIntrospectionConfig:\n  issuer: \"{}\"\n  trustStoreAlias: null\nremoteIntrospectionConfig:\n  \
         introspectionEndpoint: \"http://{}{}\"\n  clientId: \"{}\"\n  clientSecret: \"****\"\n",
        identity.issuer(),
        identity.addr(),
        OidcProvider::INTROSPECTION_PATH,
        OidcProvider::GATEWAY_ID,
    );
    let (imported, _) = import(&settings);
    let audience = format!("audience: [\"{AUDIENCE}\"]");
    let answers = [("scope: \"\"", "scope: view"), ("audience: any", &*audience), PATIENCE];
    let envoy = Envoy::builder()
        .cluster(&identity.addr().to_string(), identity.addr())
        .upstream(upstream.addr())
        .env("LOCAL_CLIENT_SECRET", OidcProvider::GATEWAY_SECRET)
        .plugin_yaml(&fill_in(&imported, &answers))
        .start();

    let good = identity.password("alice", "alice-pw", "view");
    assert_eq!(status(&envoy, list(), &good.access_token), 200);
    assert_eq!(status(&envoy, list(), "garbage"), 401);
    assert_eq!(status(&envoy, list(), good.refresh()), 401);
    assert_eq!(status(&envoy, list(), &identity.client_credentials("book")), 403);
    assert_eq!((identity.introspections(), upstream.request_count()), (4, 1));
}
