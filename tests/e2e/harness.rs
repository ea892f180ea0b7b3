//! The harness itself, without the module.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{
    Abort, Connection, Envoy, Http2Client, ListenerSpec, OidcProvider, Request, RouteSpec, Script, ScriptedServer,
    SigningKey, Upstream, load, send, send_and_abort, try_send, unix_time, wait_until,
};

const LIMIT: Duration = Duration::from_secs(60);

fn plain_envoy(upstream: SocketAddr) -> Envoy {
    Envoy::builder().without_filter().upstream(upstream).start()
}

#[test]
fn a_request_reaches_the_upstream_byte_for_byte() {
    let upstream = Upstream::start();
    let envoy = plain_envoy(upstream.addr());
    let request = Request::post("/a//b/../%2f;x=%zz?q=%00", "a body")
        .host("Bookings.test:80")
        .header("x-twice", "1")
        .header("x-twice", b"\xff")
        .bearer("a-token");

    let response = send(envoy.addr("main"), &request);

    assert_eq!(response.status, 200);
    assert_eq!(response.json()["method"], "POST");
    assert_eq!(response.header("Content-Type").as_deref(), Some("application/json"));
    let requests = upstream.requests();
    let [recorded] = requests.as_slice() else { panic!("one request, not {requests:?}") };
    assert_eq!(recorded.path, request.path);
    assert_eq!(recorded.body, request.body);
    assert_eq!(recorded.header("host").as_deref(), Some("Bookings.test:80"));
    assert_eq!(recorded.header("authorization").as_deref(), Some("Bearer a-token"));
    let twice: Vec<_> = recorded.headers.iter().filter(|(name, _)| name == "x-twice").map(|(_, value)| value).collect();
    assert_eq!(twice, [&b"1"[..], b"\xff"]);
    upstream.clear();
    assert_eq!(upstream.request_count(), 0);
}

#[test]
fn listeners_and_routes_are_as_told() {
    let upstream = Upstream::start();
    let envoy = Envoy::builder()
        .without_filter()
        .upstream(upstream.addr())
        .route(RouteSpec::path("/teapot").name("teapot").direct_response(418, "short and stout"))
        .route(RouteSpec::prefix("/open").name("open").without_filter())
        .listener("second", ListenerSpec::new().direct_response(202, "second"))
        .start();

    let status = |listener, path| send(envoy.addr(listener), &Request::get(path)).status;
    assert_eq!([status("main", "/teapot"), status("main", "/teapots"), status("second", "/teapot")], [418, 200, 202]);
    assert_eq!(send(envoy.addr("second"), &Request::get("/")).text(), "second");
    assert_eq!(envoy.counter("http.main.downstream_rq_4xx"), 1);
    assert_eq!(envoy.counter("no.such.counter"), 0);
    assert!(envoy.prometheus().contains("envoy_http_downstream_rq_xx"));
    assert!(envoy.rss_bytes() > 10 << 20);
}

#[test]
fn listeners_can_be_replaced() {
    let builder = Envoy::builder().without_filter().dynamic_listeners();
    let mut envoy = builder.direct_response(200, "before").start();
    let addr = envoy.addr("main");
    assert_eq!(send(addr, &Request::get("/")).text(), "before");

    let after = [("main", ListenerSpec::new().direct_response(200, "after"))];
    envoy.replace_listeners(&after).expect("Envoy takes it");
    assert_eq!(envoy.addr("main"), addr);
    wait_until("the new listener to answer", LIMIT, || send(addr, &Request::get("/")).text() == "after");

    let wrong = [("main", ListenerSpec::new().route(RouteSpec::prefix("/").field("no_such_field", json!(1))))];
    let error = envoy.replace_listeners(&wrong).expect_err("Envoy refuses it");
    assert!(error.contains("no_such_field"), "{error}");
    assert_eq!(send(addr, &Request::get("/")).text(), "after");
    assert!(envoy.is_running());
}

#[test]
fn a_refused_configuration_is_an_error() {
    let wrong = RouteSpec::prefix("/").field("no_such_field", json!(1));
    let builder = Envoy::builder().without_filter().direct_response(200, "").route(wrong);
    for builder in [builder.clone(), builder.dynamic_listeners()] {
        let error = builder.try_start().map(|envoy| envoy.log()).expect_err("Envoy refuses it");
        assert!(error.contains("no_such_field"), "{error}");
    }
}

#[test]
fn http2_shows_headers_and_trailers() {
    let upstream = Upstream::start();
    let envoy = plain_envoy(upstream.addr());
    let client = Http2Client::connect(envoy.addr("main"));

    let response = client.request("GET", "/two", &[("authorization", "Bearer t")], b"");
    assert_eq!((response.status, response.header("content-type").as_deref()), (200, Some("application/json")));
    assert_eq!(upstream.requests()[0].header("authorization").as_deref(), Some("Bearer t"));

    drop(upstream);
    let response = client.grpc("/bookings.Bookings/List", &[], b"");
    // UNAVAILABLE, from an Envoy that found nobody behind it.
    assert_eq!((response.status, response.trailer("grpc-status").as_deref()), (200, Some("14")));
}

#[test]
fn the_load_generator_counts_statuses() {
    let upstream = Upstream::start();
    let envoy = Envoy::builder()
        .without_filter()
        .upstream(upstream.addr())
        .route(RouteSpec::path("/teapot").direct_response(418, ""))
        .start();

    let path = |number: usize| {
        if number.is_multiple_of(4) { "/teapot" } else { "/" }
    };
    let start = Instant::now();
    let counts = load(envoy.addr("main"), 16, 20_000, |number| Request::get(path(number)));

    eprintln!("20000 requests in {:?}", start.elapsed());
    assert_eq!(counts, [(200, 15_000), (418, 5_000)].into());
    assert_eq!((upstream.request_count(), upstream.requests().len()), (15_000, 10_000));
}

#[test]
fn scripted_faults_look_as_told() {
    let server = ScriptedServer::start(|call| match call.path.as_slice() {
        b"/answer" => Script::json(json!({ "token": call.form_value("token") })),
        b"/chunked" => {
            let chunks = vec![b"in ".to_vec(), b"pieces".to_vec()];
            Script::Chunked { status: 201, headers: Vec::new(), chunks }
        }
        b"/reset" => Script::ResetMidBody { promised: 100, part: b"part".to_vec() },
        b"/slow" => Script::status(204).after(Duration::from_millis(300)),
        b"/raw" => Script::Raw(b"HTTP/1.1 200 OK\r\n\r\nuntil the end".to_vec()),
        b"/drip" => Script::Drip { bytes: b"HTTP/1.1 200 OK\r\n\r\ndrip".to_vec(), every: Duration::from_millis(5) },
        b"/hang" => Script::Hang,
        _ => Script::Close,
    });
    let get = |path: &str| try_send(server.addr(), &Request::get(path));

    let form = Request::form("/answer", &[("token", "a b+c&d")]);
    assert_eq!(send(server.addr(), &form).json(), json!({ "token": "a b+c&d" }));
    assert_eq!(get("/chunked").map(|response| response.text()).unwrap(), "in pieces");
    assert_eq!(get("/reset").unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(get("/close").unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
    assert_eq!(get("/raw").map(|response| response.text()).unwrap(), "until the end");
    assert_eq!(get("/drip").map(|response| response.text()).unwrap(), "drip");
    let start = Instant::now();
    assert_eq!(get("/slow").unwrap().status, 204);
    assert!(start.elapsed() >= Duration::from_millis(300));
    for abort in [Abort::Fin, Abort::Rst] {
        send_and_abort(server.addr(), &Request::get("/hang"), Duration::from_millis(50), abort);
    }
    assert_eq!(server.calls()[0].form, [("token".to_owned(), "a b+c&d".to_owned())]);
    wait_until("both aborted calls", LIMIT, || server.call_count() == 9);
}

#[test]
fn a_stopped_server_refuses_connections_until_it_is_back() {
    let server = ScriptedServer::start(|_| Script::status(200));
    let mut kept = Connection::open(server.addr()).expect("a connection");
    for _ in 0..2 {
        assert_eq!(kept.exchange(&Request::get("/")).unwrap().status, 200);
    }

    server.stop();
    assert!(kept.exchange(&Request::get("/")).is_err());
    let refused = try_send(server.addr(), &Request::get("/")).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);

    server.restart();
    assert_eq!(send(server.addr(), &Request::get("/")).status, 200);
    assert_eq!(server.call_count(), 3);
}

fn introspect(addr: SocketAddr, token: &str) -> serde_json::Value {
    let request = OidcProvider::GATEWAY.form(OidcProvider::INTROSPECTION_PATH, &[("token", token)]);
    let response = send(addr, &request);
    assert_eq!(response.status, 200, "{}", response.text());
    response.json()
}

#[test]
fn the_identity_server_issues_tokens() {
    let identity = OidcProvider::builder().access_token_ttl(600).start();
    let seen = |token: &str| introspect(identity.addr(), token);

    let traveller = seen(&identity.client_credentials("view book"));
    assert_eq!((&traveller["active"], &traveller["scope"]), (&json!(true), &json!("view book")));
    assert_eq!(traveller["iss"], identity.issuer());
    assert_eq!(traveller["exp"].as_u64().unwrap() - traveller["iat"].as_u64().unwrap(), 600);

    let alice = identity.password("alice", "alice-pw", "view");
    assert_eq!(seen(&alice.access_token)["username"], "alice");
    let refreshed = identity.refresh(alice.refresh_token.as_deref().expect("a refresh token"));
    assert_eq!(seen(&refreshed.access_token)["scope"], "view");
    identity.revoke(&refreshed.access_token);
    assert_eq!(seen(&refreshed.access_token), json!({ "active": false }));

    let asked = ["openid", "view", "book", "cancel"];
    let bob = identity.authorization_code_pkce("bob", "bob-pw", &asked, &["view", "cancel"]);
    let scope = seen(&bob.access_token)["scope"].as_str().unwrap().to_owned();
    let mut scopes: Vec<_> = scope.split(' ').filter(|scope| *scope != "openid").collect();
    scopes.sort_unstable();
    assert_eq!((scopes, bob.id_token.is_some()), (vec!["cancel", "view"], true));
    assert_eq!(identity.introspections(), 5);
}

#[test]
fn the_identity_server_says_the_roles_of_a_user_in_every_shape() {
    let identity = OidcProvider::start();
    let seen = |user: &str, password: &str| {
        let answer = introspect(identity.addr(), &identity.password(user, password, "view").access_token);
        let of_project = answer["urn:zitadel:iam:org:project:roles"].as_object().expect("an object");
        (
            answer["roles"].clone(),
            answer["realm_access"]["roles"].clone(),
            of_project.keys().cloned().collect::<Vec<_>>(),
        )
    };
    for (user, password, roles) in
        [("alice", "alice-pw", &["admin"][..]), ("fred", "test0123", &["manager"]), ("bob", "bob-pw", &[])]
    {
        let names = roles.iter().map(|role| (*role).to_owned()).collect();
        assert_eq!(seen(user, password), (json!(roles), json!(roles), names), "{user}");
    }
}

#[test]
fn the_identity_server_knows_gateways_by_post_and_by_key() {
    let (es256, rs256) = (SigningKey::es256(), SigningKey::rs256());
    let identity = OidcProvider::builder().gateway_es256(&es256).gateway_rs256(&rs256).start();
    let token = identity.client_credentials("view");
    let ask = |form: &[(&str, &str)]| {
        let form = [&[("token", token.as_str())], form].concat();
        send(identity.addr(), &Request::form(OidcProvider::INTROSPECTION_PATH, &form))
    };

    let post = ask(&[("client_id", "gateway-post"), ("client_secret", OidcProvider::GATEWAY_SECRET)]);
    assert_eq!((post.status, &post.json()["active"]), (200, &json!(true)));
    assert_eq!(ask(&[("client_id", "gateway-post"), ("client_secret", "wrong")]).status, 401);

    let assertion = |id: &str, key: &SigningKey, number: u8| {
        let (exp, jti) = (unix_time() + 60, format!("{id}-{number}"));
        key.jwt(&json!({ "iss": id, "sub": id, "aud": identity.issuer(), "exp": exp, "jti": jti }))
    };
    let kind = ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    let by_key = |assertion: &str| ask(&[kind, ("client_assertion", assertion)]);
    for (id, key, other) in [("gateway-key", &es256, &rs256), ("gateway-key-rsa", &rs256, &es256)] {
        let good = assertion(id, key, 1);
        let answer = by_key(&good);
        assert_eq!((answer.status, &answer.json()["active"]), (200, &json!(true)), "{id}: {}", answer.text());
        assert_eq!(by_key(&good).status, 401, "{id}: an assertion is good once");
        assert_eq!(by_key(&assertion(id, other, 2)).status, 401, "{id}: the key of another");
    }
    // An ECDSA signature has integers of any length: some of these start with a zero.
    for number in 3..100 {
        assert_eq!(by_key(&assertion("gateway-key", &es256, number)).status, 200, "{number}");
    }
}

#[test]
fn an_answer_can_be_edited_on_its_way() {
    let identity = OidcProvider::builder().introspection_delay(300).start();
    let adapter = ScriptedServer::in_front_of(identity.addr(), |mut answer| {
        answer.as_object_mut().expect("an object").remove("exp");
        answer
    });
    let token = identity.client_credentials("view");

    let start = Instant::now();
    let answer = introspect(adapter.addr(), &token);

    assert!(start.elapsed() >= Duration::from_millis(300));
    assert_eq!((&answer["active"], answer.get("exp")), (&json!(true), None));
    assert_eq!(adapter.calls()[0].form_value("token"), Some(token.as_str()));
    assert_eq!(identity.introspections(), 1);
}
