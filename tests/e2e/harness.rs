//! The harness itself, without the module.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::fixtures::configurations::{bookings, gateway};
use crate::support::{
    Abort, Connection, Envoy, EnvoyBuilder, Http2Client, ListenerSpec, OidcProvider, Request, RouteSpec, Script,
    ScriptedServer, Upstream, load, send, send_and_abort, try_send, wait_until,
};

const LIMIT: Duration = Duration::from_secs(60);
/// As many Envoys of one kind as may be in use at a time.
const LEASES: usize = 64;

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

/// Leases the Envoy of that process; others that the pool gives out meanwhile are held until then.
fn lease_again(pid: u32, builder: &EnvoyBuilder) -> Envoy {
    let mut others = Vec::new();
    for _ in 0..LEASES {
        let envoy = builder.clone().start();
        if envoy.pid() == pid {
            return envoy;
        }
        others.push(envoy);
    }
    panic!("{LEASES} Envoys, and none is {pid}");
}

#[test]
fn a_lease_shows_nothing_of_the_one_before() {
    let server = ScriptedServer::start(|_| Script::json(json!({ "active": true, "scope": "view" })));
    let upstream = Upstream::start();
    let builder = gateway(bookings(), server.addr(), &upstream).concurrency(3);
    let get = |envoy: &Envoy, path: &str| send(envoy.addr("main"), &Request::get(path).bearer("good")).status;

    let envoy = builder.clone().start();
    assert_eq!([get(&envoy, "/bookings"), get(&envoy, "/bookings"), get(&envoy, "/nowhere")], [200, 200, 403]);
    envoy.assert_counter("scopegate.decisions.outcome.no_rule", 1);
    assert_eq!(envoy.gauges(["http.main.downstream_rq_completed"]), [3]);
    assert!(envoy.log().contains("refused with 403: no_rule"), "{}", envoy.log());
    let mut open = Connection::open(envoy.addr("main")).expect("a connection");
    assert_eq!(open.exchange(&Request::get("/healthz")).expect("an answer").status, 200);
    let (pid, addr) = (envoy.pid(), envoy.addr("main"));
    drop(envoy);

    let envoy = lease_again(pid, &builder);
    let counters = ["scopegate.decisions.outcome.no_rule", "http.main.downstream_rq_completed"];
    assert_eq!(envoy.gauges(counters), [0; 2]);
    assert!(!envoy.log().contains("no_rule"), "{}", envoy.log());
    assert!(open.exchange(&Request::get("/healthz")).is_err(), "the old connection is still served");
    assert_ne!(envoy.addr("main"), addr);
    // Configuration and token are unchanged, but neither a worker nor shared data has a cached entry.
    server.clear();
    assert_eq!((get(&envoy, "/bookings"), server.call_count()), (200, 1));
}

#[test]
fn an_envoy_that_has_ended_is_not_leased_again() {
    let builder = Envoy::builder().direct_response(200, "").concurrency(5);
    let mut envoy = builder.clone().start();
    let pid = envoy.pid();
    let kill = format!("kill -KILL {pid}");
    assert!(Command::new("sh").args(["-c", &kill]).status().is_ok_and(|status| status.success()));
    wait_until("it to end", LIMIT, || !envoy.is_running());
    drop(envoy);
    assert_ne!(builder.start().pid(), pid);
}

#[test]
fn an_envoy_of_a_failed_test_is_not_leased_again() {
    let builder = Envoy::builder().direct_response(200, "").concurrency(6);
    let failed = std::thread::scope(|scope| {
        let failing = scope.spawn(|| {
            let envoy = builder.clone().start();
            std::panic::panic_any(envoy.pid());
        });
        *failing.join().expect_err("it fails").downcast::<u32>().expect("the process")
    });
    assert!(!is_there(failed), "it still runs");
    assert_ne!(builder.start().pid(), failed);
}

fn is_there(pid: u32) -> bool {
    std::path::Path::new(&format!("/proc/{pid}")).exists()
}

/// Not a test, but the child process that the next test starts and kills.
#[test]
#[ignore = "the child process of a_test_run_that_is_killed_leaves_no_process_behind, which runs and kills it"]
fn leaves_an_envoy_behind() {
    let own = Envoy::builder().without_filter().direct_response(200, "").start();
    let leased = Envoy::builder().direct_response(200, "").start();
    let identity = OidcProvider::start();
    println!("\n{LEFT}{} {}", own.pid(), leased.pid());
    std::thread::sleep(Duration::from_secs(600));
    drop(identity);
}

const LEFT: &str = "left behind: ";

#[test]
fn a_test_run_that_is_killed_leaves_no_process_behind() {
    let mut run = Command::new(std::env::current_exe().expect("the tests"))
        .args(["--exact", "harness::leaves_an_envoy_behind", "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the tests");
    let lines = BufReader::new(run.stdout.take().expect("its output")).lines();
    let left = lines.map_while(Result::ok).find_map(|line| line.strip_prefix(LEFT).map(str::to_owned));
    let left: Vec<u32> = left.expect("its Envoys").split(' ').map(|pid| pid.parse().expect("a process")).collect();
    assert!(left.iter().all(|pid| is_there(*pid)), "{left:?}");
    run.kill().expect("it runs");
    run.wait().expect("it has ended");
    wait_until("its Envoys to end", LIMIT, || !left.iter().any(|pid| is_there(*pid)));
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
    // UNAVAILABLE, from an Envoy that cannot reach its upstream.
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
