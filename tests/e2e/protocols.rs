//! Other callers than HTTP/1.1: HTTP/2 and gRPC.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;

use crate::support::fixtures::configurations::{bookings_with, gateway};
use crate::support::*;

struct Gateway {
    envoy: Envoy,
    upstream: Upstream,
    server: ScriptedServer,
}

fn scripted_gateway() -> Gateway {
    let server = ScriptedServer::start(|request| match request.form_value("token") {
        Some("good") => Script::json(json!({ "active": true, "scope": "view" })),
        Some("weak") => Script::json(json!({ "active": true, "scope": "other" })),
        Some("trouble") => Script::status(500),
        _ => Script::json(json!({ "active": false })),
    });
    let upstream = Upstream::start();
    let rules = json!([{ "name": "All", "match": [{ "path_prefix": "/" }], "require": { "scope": "view" } }]);
    let envoy = gateway(bookings_with("/rules", rules), server.addr(), &upstream).start();
    Gateway { envoy, upstream, server }
}

#[test]
fn http2_callers_are_judged_alike() {
    let gateway = scripted_gateway();
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
    let gateway = scripted_gateway();
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
    let gateway = scripted_gateway();
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

/// An upstream that speaks HTTP/2 and keeps the names of the headers and trailers it got.
fn http2_upstream() -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let names = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&names);
    let listener = runtime().block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    runtime().spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let seen = Arc::clone(&seen);
            let answer = service_fn(move |request: hyper::Request<Incoming>| {
                let seen = Arc::clone(&seen);
                async move {
                    let (head, body) = request.into_parts();
                    let trailers =
                        body.collect().await.ok().and_then(|body| body.trailers().cloned()).unwrap_or_default();
                    let names = head.headers.keys().chain(trailers.keys()).map(ToString::to_string);
                    seen.lock().unwrap().extend(names);
                    Ok::<_, Infallible>(hyper::Response::new(Empty::<Bytes>::new()))
                }
            });
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(server.serve_connection(TokioIo::new(stream), answer));
        }
    });
    (address, names)
}

#[test]
fn trailers_carry_no_identity_and_no_credentials_either() {
    let server =
        ScriptedServer::start(|_| Script::json(json!({ "active": true, "scope": "view", "client_id": "web" })));
    let (address, names) = http2_upstream();
    let rules = json!([
        { "name": "Open", "match": [{ "path": "/open" }], "public": true },
        { "name": "All", "match": [{ "path_prefix": "/" }], "require": { "scope": "view" } },
    ]);
    let options = json!({ "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": { "http2_protocol_options": {} },
    } });
    let socket = json!({ "address": address.ip().to_string(), "port_value": address.port() });
    let endpoint = json!({ "endpoint": { "address": { "socket_address": socket } } });
    let envoy = Envoy::builder()
        .plugin(bookings_with("/rules", rules))
        .cluster("identity_server", server.addr())
        .extra_clusters(json!([{
            "name": "upstream", "type": "STATIC", "typed_extension_protocol_options": options,
            "load_assignment": { "cluster_name": "upstream", "endpoints": [{ "lb_endpoints": [endpoint] }] },
        }]))
        .start();
    let client = Http2Client::connect(envoy.addr("main"));
    let forged =
        [("x-auth-client-id", "root"), ("x_auth_client_id", "root"), ("authorization", "Bearer leak"), ("x-kept", "1")];
    for (path, headers) in [("/open", &[][..]), ("/closed", &[("authorization", "Bearer good")])] {
        names.lock().unwrap().clear();
        let response = client.request_with_trailers("POST", path, headers, b"body", Some(&forged));
        assert_eq!(response.status, 200, "{path}");
        let names = names.lock().unwrap();
        let count = |name: &str| names.iter().filter(|seen| *seen == name).count();
        assert_eq!(count("x-kept"), 1, "{path}: no trailers arrived: {names:?}");
        // The true one is a header of requests that have a token.
        assert_eq!(count("x-auth-client-id"), headers.len(), "{path}: {names:?}");
        assert_eq!(count("x_auth_client_id") + count("authorization"), 0, "{path}: {names:?}");
    }
    // Trailers without any: an empty frame of headers at the end.
    assert_eq!(client.request_with_trailers("POST", "/open", &[], b"body", Some(&[])).status, 200);
}

#[test]
fn a_body_does_not_take_waiting_headers_with_it() {
    // With this option of the plugin, Envoy hands the body over while the headers wait.
    let server = ScriptedServer::start(|request| {
        let good = request.form_value("token") == Some("good");
        Script::json(json!({ "active": good, "scope": "view" })).after(std::time::Duration::from_millis(300))
    });
    let upstream = Upstream::start();
    let rules = json!([{ "name": "All", "match": [{ "path_prefix": "/" }], "require": { "scope": "view" } }]);
    let envoy = Envoy::builder()
        .plugin(bookings_with("/rules", rules))
        .wasm_field("allow_on_headers_stop_iteration", json!(true))
        .cluster("identity_server", server.addr())
        .upstream(upstream.addr())
        .start();
    let bad = Request::post("/bookings", "a body").bearer("bad");
    assert_eq!(send(envoy.addr("main"), &bad).status, 401);
    assert_eq!(upstream.request_count(), 0);
    let client = Http2Client::connect(envoy.addr("main"));
    let headers = |token: &'static str| [("authorization", token)];
    assert_eq!(client.request("POST", "/bookings", &headers("Bearer other"), b"body").status, 401);
    let trailers = [("x-trailer", "1")];
    assert_eq!(
        client.request_with_trailers("POST", "/bookings", &headers("Bearer third"), b"", Some(&trailers)).status,
        401
    );
    assert_eq!(upstream.request_count(), 0);
    assert_eq!(send(envoy.addr("main"), &Request::post("/bookings", "a body").bearer("good")).status, 200);
    assert_eq!(upstream.requests()[0].body, b"a body");
}
