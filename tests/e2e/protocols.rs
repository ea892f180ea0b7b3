//! Other callers than HTTP/1.1: HTTP/2 and gRPC.

use serde_json::json;

use crate::configurations::bookings_with;
use crate::support::*;

struct Gateway {
    envoy: Envoy,
    upstream: Upstream,
    server: ScriptedServer,
}

fn gateway() -> Gateway {
    let server = ScriptedServer::start(|request| match request.form_value("token") {
        Some("good") => Script::json(json!({ "active": true, "scope": "view" })),
        Some("weak") => Script::json(json!({ "active": true, "scope": "other" })),
        Some("trouble") => Script::status(500),
        _ => Script::json(json!({ "active": false })),
    });
    let upstream = Upstream::start();
    let rules = json!([{ "name": "All", "match": [{ "path_prefix": "/" }], "require": { "scope": "view" } }]);
    let envoy = Envoy::builder()
        .plugin(bookings_with("/rules", rules))
        .cluster("identity_server", server.addr())
        .upstream(upstream.addr())
        .start();
    Gateway { envoy, upstream, server }
}

#[test]
fn http2_callers_are_judged_alike() {
    let gateway = gateway();
    let client = Http2Client::connect(gateway.envoy.addr("main"));
    let bearer = |token: &'static str| ("authorization", token);
    for (headers, status) in [
        (vec![bearer("Bearer good")], 200),
        (vec![bearer("Bearer weak")], 403),
        (vec![bearer("Bearer bad")], 401),
        (vec![bearer("Bearer trouble")], 503),
        (vec![bearer("Bearer a b")], 400),
        (vec![bearer("Bearer good"), bearer("Bearer good")], 400),
        (vec![bearer("Basic eDp5"), bearer("Bearer good")], 400),
        (vec![], 401),
    ] {
        let response = client.request("GET", "/bookings", &headers, b"");
        assert_eq!(response.status, status, "{headers:?}");
    }
    assert_eq!(client.request("GET", "/x/../bookings", &[bearer("Bearer good")], b"").status, 400);
    assert_eq!(client.request("GET", "/x/%2e%2e/bookings", &[bearer("Bearer good")], b"").status, 400);
    assert_eq!(gateway.upstream.request_count(), 1);
    assert_eq!(gateway.server.call_count(), 4);
}

#[test]
fn a_request_with_a_body_is_held_until_the_answer_is_there_and_arrives_whole() {
    let gateway = gateway();
    let client = Http2Client::connect(gateway.envoy.addr("main"));
    let body = vec![b'x'; 200_000];
    let sent = client.request("POST", "/bookings", &[("authorization", "Bearer good")], &body);
    assert_eq!(sent.status, 200);
    assert_eq!(gateway.upstream.requests()[0].body, body);
    assert_eq!(client.request("POST", "/bookings", &[("authorization", "Bearer bad")], &body).status, 401);
    assert_eq!(gateway.upstream.request_count(), 1);
}

#[test]
fn grpc_callers_get_the_grpc_status_that_envoy_maps_to() {
    let gateway = gateway();
    let client = Http2Client::connect(gateway.envoy.addr("main"));
    for (authorization, grpc_status) in [
        (None, "16"),
        (Some("Bearer bad"), "16"),
        (Some("Bearer weak"), "7"),
        (Some("Bearer trouble"), "14"),
        (Some("Bearer a b"), "13"),
    ] {
        let headers: Vec<_> = authorization.iter().map(|value| ("authorization", *value)).collect();
        let response = client.grpc("/bookings.Bookings/List", &headers, b"message");
        assert_eq!(response.status, 200, "{authorization:?}");
        assert_eq!(response.header("grpc-status").as_deref(), Some(grpc_status), "{authorization:?}");
    }
    assert_eq!(gateway.upstream.request_count(), 0);
    let passed = client.grpc("/bookings.Bookings/List", &[("authorization", "Bearer good")], b"message");
    assert_eq!((passed.status, gateway.upstream.request_count()), (200, 1));
}
