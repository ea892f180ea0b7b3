//! S0: NetIQ Secure API Manager with Access Manager.
//!
//! Unless stated otherwise, the statuses are those of RFC 6750. The product's own are the error profiles `netiq`, which
//! sends 403 for every token error, and `netiq-hide`, which hides that the API exists.

use std::thread;

use super::adapters::{NETIQ_ISSUER, netiq_introspect, netiq_tokeninfo, sealed};
use super::*;

#[test]
fn s0_1_a_public_route_is_open_and_a_protected_one_is_not() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let envoy = gateway(&identity, &upstream).plugin(bookings(&identity)).start();
    let answer = |request: &Request| send(envoy.addr("main"), request);

    let public = answer(&Request::get("/healthz?verbose"));
    assert_eq!((public.status, &public.json()["path"]), (200, &json!("/healthz?verbose")));
    // A token on a public route is ignored.
    assert_eq!(answer(&Request::get("/healthz").bearer("garbage")).status, 200);
    assert_eq!(upstream.request_count(), 2);

    assert_refused(&answer(&list()), Refusal::NoToken);
    assert_refused(&answer(&cancel()), Refusal::NoToken);
    // The gateway refuses a path without a rule, and an ambiguous path.
    assert_refused(&answer(&Request::get("/admin")), Refusal::NoRule);
    assert_refused(&answer(&Request::new("PATCH", "/bookings")), Refusal::NoRule);
    assert_refused(&answer(&Request::get("/healthz/../bookings")), Refusal::Ambiguous);
    assert_refused(&answer(&Request::get("/%2e%2e/healthz")), Refusal::Ambiguous);
    assert_eq!((identity.introspections(), upstream.request_count()), (0, 2));
}

#[test]
fn s0_2_without_a_usable_token_the_gateway_refuses_by_itself() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let configuration = with(bookings(&identity), &[("/bearer", json!({ "max_bytes": 64 }))]);
    let envoy = gateway(&identity, &upstream).plugin(configuration).start();
    let token = identity.client_credentials("view book cancel");
    let in_query = Request::get(format!("/bookings?access_token={token}"));
    let in_form = Request::form("/bookings", &[("access_token", &token)]);
    let authorization = |value: &str| list().header("authorization", value);

    for (request, refusal) in [
        (list(), Refusal::NoToken),
        (in_query, Refusal::NoToken),
        (in_form, Refusal::NoToken),
        (authorization("Basic dHJhdmVsbGVyOnRyYXZlbGxlci1zZWNyZXQ="), Refusal::NoToken),
        (authorization(&format!("DPoP {token}")), Refusal::NoToken),
        (authorization(""), Refusal::Malformed),
        (authorization("Bearer"), Refusal::Malformed),
        (authorization("Bearer "), Refusal::Malformed),
        (authorization(&format!("Bearer {token} {token}")), Refusal::Malformed),
        (authorization(&format!("Bearer {}", "x".repeat(65))), Refusal::Malformed),
        (list().bearer(&token).bearer(&token), Refusal::Malformed),
        (authorization("Basic dTpw").bearer(&token), Refusal::Malformed),
    ] {
        assert_refused(&send(envoy.addr("main"), &request), refusal);
    }
    assert_eq!((identity.introspections(), upstream.request_count()), (0, 0));

    assert_eq!(status(&envoy, list(), &token), 200);
}

/// All of a refusal that a caller could tell from another.
fn seen(response: Response) -> (u16, Headers, Vec<u8>) {
    let headers = response.headers.into_iter().filter(|(name, _)| !name.eq_ignore_ascii_case("date")).collect();
    (response.status, headers, response.body)
}

/// The bookings API with refusals of a profile: booking is for the application that the client `web` belongs to,
/// cancelling for managers.
fn refusing(identity: &OidcProvider, errors: Value) -> Value {
    let applications = json!([{ "name": "Agency", "clients": [{ "client_id": "web" }], "rules": ["BookTickets"] }]);
    let changes = [
        ("/errors", errors),
        ("/applications", applications),
        ("/rules/1/application", json!("registered")),
        ("/rules/2/require", json!({ "scope": "cancel", "any_role": ["manager"] })),
    ];
    with(bookings(identity), &changes)
}

/// A profile, and the same with a status and a text of the operator's own in the place of every refusal.
fn own_text(profile: &str) -> Value {
    let response = json!({ "status": 404, "content_type": "text/plain", "body": "The API is not available." });
    json!({ "profile": profile, "responses": { "default": response } })
}

const FORBIDDEN: (u16, &str) =
    (403, r#"{"error":"access_denied","error_description":"Access to the API is forbidden"}"#);
const HIDDEN: (u16, &str) = (403, r#"{"error":"not_available","error_description":"The API is not available"}"#);
const OWN_TEXT: (u16, &str) = (404, "The API is not available.");

/// The refusal of the profile `netiq`, which has no challenge.
#[track_caller]
fn assert_forbidden(response: &Response) {
    assert_eq!((response.status, &*response.text()), FORBIDDEN);
    assert_eq!(response.headers_named("www-authenticate"), [""; 0]);
}

#[test]
fn s0_2_in_the_netiq_profiles_whatever_is_wrong_is_refused_alike() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let profiles = [
        ("netiq", json!("netiq"), FORBIDDEN),
        ("netiq-own", own_text("netiq"), OWN_TEXT),
        ("hide", json!("netiq-hide"), HIDDEN),
        ("hide-own", own_text("netiq-hide"), OWN_TEXT),
    ];
    let envoy = profiles.iter().fold(gateway(&identity, &upstream), |envoy, (listener, errors, _)| {
        envoy.listener(listener, ListenerSpec::new().plugin(refusing(&identity, errors.clone())))
    });
    let envoy = envoy.start();
    let good = identity.password("fred", "test0123", "view book cancel").access_token;
    let view = identity.password("fred", "test0123", "view").access_token;
    let without_role = identity.password("bob", "bob-pw", "cancel").access_token;
    let unregistered = identity.client_credentials("book");
    let tokenless = [
        list(),
        book(),
        Request::get("/bookings?access_token=garbage"),
        list().header("authorization", ""),
        list().header("authorization", "Bearer "),
        list().header("authorization", "Basic dTpw"),
        list().bearer("a b"),
        list().bearer("a").bearer("b"),
    ];
    let bad = [
        list().bearer("garbage"),
        list().bearer("garbage"),
        book().bearer(&view),
        cancel().bearer(&view),
        cancel().bearer(&without_role),
        book().bearer(&unregistered),
    ];
    let absent = [
        Request::get("/admin"),
        Request::get("/admin").bearer(&good),
        Request::new("PATCH", "/bookings").bearer(&good),
        Request::get("/bookings/../admin").bearer(&good),
    ];

    let mut asked = 0;
    for (listener, _, (status, body)) in &profiles {
        let answer = |request: &Request| seen(send(envoy.addr(listener), request));
        let (first, headers) = (answer(&list()), |name: &str| send(envoy.addr(listener), &list()).headers_named(name));
        assert_eq!((first.0, &*String::from_utf8_lossy(&first.2)), (*status, *body));
        // A challenge would say that there is something to be had.
        assert_eq!(headers("www-authenticate"), [""; 0]);
        assert_eq!(headers("cache-control"), ["no-store"]);
        for request in &tokenless {
            assert_eq!(answer(request), first, "{listener}: {request:?}");
        }
        assert_eq!(identity.introspections(), asked, "{listener}: callouts without a token");
        for request in &bad {
            assert_eq!(answer(request), first, "{listener}: {request:?}");
        }
        asked = identity.introspections();
        for request in &absent {
            // Where nothing is hidden, an API that does not exist has a refusal of its own.
            assert_eq!(answer(request) == first, *listener != "netiq", "{listener}: {request:?}");
        }
        assert_eq!((identity.introspections(), upstream.request_count()), (asked, 0));
        for request in [list(), book(), cancel()] {
            assert_eq!(send(envoy.addr(listener), &request.bearer(&good)).status, 200);
        }
        upstream.clear();
        asked = identity.introspections();
    }
}

#[test]
fn s0_2_in_the_netiq_profiles_trouble_of_the_identity_server_is_no_refusal() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let profiles = [("netiq", json!("netiq")), ("hide", json!("netiq-hide")), ("own", own_text("netiq-hide"))];
    let gone = ScriptedServer::start(|_| Script::Close);
    gone.stop();
    let envoy = profiles.iter().fold(
        Envoy::builder()
            .cluster("identity", gone.addr())
            .upstream(upstream.addr())
            .env(SECRET_VARIABLE, OidcProvider::GATEWAY_SECRET),
        |envoy, (listener, errors)| {
            envoy.listener(listener, ListenerSpec::new().plugin(refusing(&identity, errors.clone())))
        },
    );
    let envoy = envoy.start();
    let token = identity.client_credentials("view");
    for (listener, _) in &profiles {
        assert_refused(&send(envoy.addr(listener), &list().bearer(&token)), Refusal::Unavailable);
    }
    assert_eq!(upstream.request_count(), 0);
}

#[test]
fn s0_3_a_request_waits_for_the_answer_of_the_identity_server() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let latch = Latch::default();
    let held = latch.clone();
    let front = ScriptedServer::in_front_of(identity.addr(), move |answer| {
        held.wait();
        answer
    });
    let impatient = [("/authorization_servers/0/introspection/timeout", json!("100ms"))];
    let patient = [("/authorization_servers/0/introspection/timeout", json!("30s"))];
    let envoy = Envoy::builder()
        .cluster("identity", front.addr())
        .upstream(upstream.addr())
        .env(SECRET_VARIABLE, OidcProvider::GATEWAY_SECRET)
        .plugin(with(bookings(&identity), &patient))
        .listener("impatient", ListenerSpec::new().plugin(with(bookings(&identity), &impatient)))
        .start();
    let token = identity.client_credentials("view");
    assert_eq!(identity.introspections(), 0);

    thread::scope(|scope| {
        let response = scope.spawn(|| send(envoy.addr("main"), &list().bearer(&token)));
        wait_until("the callout", LIMIT, || front.call_count() > 0);
        assert_eq!(upstream.request_count(), 0, "it did not wait");
        latch.open();
        assert_eq!(response.join().expect("an answer").status, 200);
    });
    assert_eq!((identity.introspections(), upstream.request_count()), (1, 1));

    // A timeout is not a verdict on the token.
    latch.close();
    let response = send(envoy.addr("impatient"), &list().bearer(&token));
    assert_refused(&response, Refusal::Unavailable);
    assert_eq!(upstream.request_count(), 1);
    latch.open();
}

#[test]
fn s0_4_a_token_of_another_issuer_is_refused() {
    let (identity, other, upstream) = (OidcProvider::start(), OidcProvider::start(), Upstream::start());
    let misnamed = [("/authorization_servers/0/issuer", json!(other.issuer()))];
    let envoy = gateway(&identity, &upstream)
        .plugin(bookings(&identity))
        .listener("misnamed", ListenerSpec::new().plugin(with(bookings(&identity), &misnamed)))
        .start();
    let (own, foreign) = (identity.client_credentials("view"), other.client_credentials("view"));

    assert_refused(&send(envoy.addr("main"), &list().bearer(&foreign)), Refusal::BadToken);
    assert_reason(&envoy, "inactive");
    // Active, but `iss` is not the one that this configuration trusts.
    assert_refused(&send(envoy.addr("misnamed"), &list().bearer(&own)), Refusal::BadToken);
    assert_reason(&envoy, "wrong_issuer");
    assert_eq!((identity.introspections(), other.introspections(), upstream.request_count()), (2, 0, 0));

    assert_eq!(status(&envoy, list(), &own), 200);
}

#[test]
fn s0_4_an_expired_token_is_refused_although_it_is_cached() {
    let identity = OidcProvider::builder().access_token_ttl(3).start();
    let upstream = Upstream::start();
    let envoy = gateway(&identity, &upstream).plugin(bookings(&identity)).start();
    let (token, asked) = in_time(Duration::from_secs(2), || {
        let (token, before) = (identity.client_credentials("view"), identity.introspections());
        let found = [(); 2].map(|()| status(&envoy, list(), &token));
        (token, (found, identity.introspections() - before))
    });
    assert_eq!(asked, ([200, 200], 1));
    let before = identity.introspections();
    // `cache.max_ttl` is a minute.
    wait_until("the token to expire", LIMIT / 2, || status(&envoy, list(), &token) == 401);
    assert_refused(&send(envoy.addr("main"), &list().bearer(&token)), Refusal::BadToken);
    assert_eq!(identity.introspections(), before + 1);
}

/// The bookings API that asks an adapter in the place of the identity server; `changes` are to its introspection.
fn asking(identity: &OidcProvider, preset: &str, changes: &[(&str, Value)]) -> Value {
    let mut introspection = json!({ "preset": preset, "timeout": "5s" });
    for (key, value) in changes {
        introspection[key] = value.clone();
    }
    let server = json!({
        "name": "identity",
        "cluster": "adapter",
        "issuer": NETIQ_ISSUER,
        "audience": "any",
        "introspection": introspection,
    });
    let headers = json!({ "x-client": "client_id", "x-owner": "owner", "x-scope": "scope", "x-issuer": "issuer" });
    let changes = [("/authorization_servers", json!([server])), ("/upstream", json!({ "headers": headers }))];
    with(bookings(identity), &changes)
}

/// Calls with a token, which must pass, and tells what the application was told of client, owner, scope and issuer.
#[track_caller]
fn told(envoy: &Envoy, upstream: &Upstream, token: &str) -> [String; 4] {
    upstream.clear();
    assert_eq!(status(envoy, list(), token), 200);
    let [passed] = upstream.requests().try_into().expect("one request");
    ["x-client", "x-owner", "x-scope", "x-issuer"].map(|name| passed.headers_named(name).join("|"))
}

#[test]
fn s0_4_adapter_tokeninfo_takes_the_token_as_its_own_credential_and_its_word_counts() {
    let (identity, other, upstream) = (OidcProvider::start(), OidcProvider::start(), Upstream::start());
    let adapter = netiq_tokeninfo(&identity, |answer| answer);
    let misnamed = with(
        asking(&identity, "netiq-tokeninfo", &[]),
        &[("/authorization_servers/0/issuer", json!("https://other.example.test/nidp/oauth/nam"))],
    );
    let envoy = gateway(&identity, &upstream)
        .cluster("adapter", adapter.addr())
        .plugin(asking(&identity, "netiq-tokeninfo", &[]))
        .listener("misnamed", ListenerSpec::new().plugin(misnamed))
        .start();
    let fred = identity.password_for(Client::NETIQ, "fred", "test0123", "view book").access_token;

    for _ in 0..2 {
        assert_eq!(told(&envoy, &upstream, &fred), [Client::NETIQ.id(), "fred", "view book", NETIQ_ISSUER]);
    }
    let [call] = adapter.calls().try_into().expect("one call");
    assert_eq!((&*call.method, &*call.path, &*call.body), ("GET", &b"/nidp/oauth/nam/tokeninfo"[..], &b""[..]));
    assert_eq!(call.headers_named("authorization"), [format!("Bearer {fred}")]);
    assert_eq!(call.headers_named("accept"), ["application/json"]);
    assert_eq!(call.headers_named("content-type"), [""; 0]);
    assert_refused(&send(envoy.addr("main"), &cancel().bearer(&fred)), Refusal::LacksScope("cancel"));

    // Garbage, a token of another server, a revoked token. The error text of the product is not a valid challenge and
    // must not be sent to the client as one.
    let revoked = identity.password("alice", "alice-pw", "view").access_token;
    identity.revoke(&revoked);
    upstream.clear();
    for token in ["garbage", &other.client_credentials("view"), &revoked] {
        assert_refused(&send(envoy.addr("main"), &list().bearer(token)), Refusal::BadToken);
    }
    assert_refused(&send(envoy.addr("misnamed"), &list().bearer(&fred)), Refusal::BadToken);
    assert_reason(&envoy, "wrong_issuer");
    assert_eq!(upstream.request_count(), 0);
}

#[test]
fn s0_4_adapter_tokeninfo_says_how_long_a_token_lives_and_no_longer_is_it_honoured() {
    let identity = OidcProvider::builder().access_token_ttl(3).start();
    let upstream = Upstream::start();
    let adapter = netiq_tokeninfo(&identity, |answer| answer);
    let envoy = gateway(&identity, &upstream)
        .cluster("adapter", adapter.addr())
        .plugin(asking(&identity, "netiq-tokeninfo", &[]))
        .start();
    let (token, asked) = in_time(Duration::from_secs(2), || {
        let token = identity.client_credentials("view");
        adapter.clear();
        (token.clone(), ([(); 2].map(|()| status(&envoy, list(), &token)), adapter.call_count()))
    });
    assert_eq!(asked, ([200, 200], 1));
    // `cache.max_ttl` is a minute.
    wait_until("the token to expire", LIMIT / 2, || status(&envoy, list(), &token) == 401);
    assert_refused(&send(envoy.addr("main"), &list().bearer(&token)), Refusal::BadToken);
    // Seconds are whole: it may have asked once more just before the end.
    assert!(adapter.call_count() > 1);
}

#[test]
fn s0_4_adapter_tokeninfo_that_says_less_than_it_has_to_is_not_believed() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    // The adapter changes its response according to the last scope of the token.
    let adapter = netiq_tokeninfo(&identity, |mut answer| {
        let members = answer.as_object_mut().expect("an object");
        let scope = members["scope"].as_array().and_then(|scope| scope.last()).and_then(Value::as_str);
        match scope.map(str::to_owned).as_deref() {
            Some("book") => drop(members.insert("expires_in".to_owned(), json!(0))),
            Some("cancel") => drop(members.remove("expires_in")),
            Some("admin") => drop(members.remove("user_id")),
            Some("all") => drop(members.insert("error".to_owned(), json!("oauth authentication required"))),
            Some("APIManagerScope") => drop(members.insert("expires_in".to_owned(), json!("soon"))),
            _ => {}
        }
        answer
    });
    let envoy = gateway(&identity, &upstream)
        .cluster("adapter", adapter.addr())
        .plugin(asking(&identity, "netiq-tokeninfo", &[]))
        .start();
    let answer = |scope: &str| send(envoy.addr("main"), &list().bearer(&identity.client_credentials(scope)));

    for scope in ["view book", "view cancel", "view admin", "view all"] {
        assert_refused(&answer(scope), Refusal::BadToken);
    }
    // Neither yes nor no.
    assert_refused(&answer("view APIManagerScope"), Refusal::Unavailable);
    assert_eq!(upstream.request_count(), 0);
    assert_eq!(answer("view").status, 200);
    adapter.stop();
    assert_refused(&answer("view"), Refusal::Unavailable);
}

#[test]
fn s0_4_adapter_introspection_has_the_client_as_audience_and_times_in_strings() {
    let (identity, other, upstream) = (OidcProvider::start(), OidcProvider::start(), Upstream::start());
    let adapter = netiq_introspect(&identity, |mut answer| {
        // As if issued for later.
        if answer["scope"] == "view book" {
            answer["nbf"] = json!((unix_time() + 600).to_string());
        }
        if answer["scope"] == "view cancel" {
            answer.as_object_mut().expect("an object").remove("client_id");
        }
        answer
    });
    let credentials = [("client_id", json!(OidcProvider::GATEWAY_ID)), ("client_secret_env", json!(SECRET_VARIABLE))];
    let members = ("answer", json!({ "required_members": ["token_type"] }));
    let configuration = asking(&identity, "netiq-introspect", &[&credentials[..], &[members]].concat());
    let audience = |audience: &str| {
        let changes = [("/authorization_servers/0/audience", json!([audience]))];
        ListenerSpec::new().plugin(with(configuration.clone(), &changes))
    };
    let wrong_secret = [("client_id", json!(OidcProvider::GATEWAY_ID)), ("client_secret", json!("wrong"))];
    let envoy = gateway(&identity, &upstream)
        .cluster("adapter", adapter.addr())
        .listener("main", audience(Client::NETIQ.id()))
        .listener("any", ListenerSpec::new().plugin(configuration.clone()))
        .listener("stranger", audience(AUDIENCE))
        .listener("wrong", ListenerSpec::new().plugin(asking(&identity, "netiq-introspect", &wrong_secret)))
        .start();
    let tokens = |scope: &str| identity.password_for(Client::NETIQ, "fred", "test0123", scope);
    let fred = tokens("view");

    // The product encrypts its tokens for the identity server (JWE, five parts). The gateway treats them as opaque.
    for token in [&fred.access_token, &sealed(&fred.access_token)] {
        assert_eq!(told(&envoy, &upstream, token), [Client::NETIQ.id(), "fred", "view", NETIQ_ISSUER]);
    }
    let call = adapter.calls().remove(1);
    assert_eq!((&*call.method, &*call.path), ("POST", &b"/nidp/oauth/v1/nam/introspect"[..]));
    assert_eq!(call.form_value("token"), Some(&*sealed(&fred.access_token)));
    // If the response names no client, the audience identifies the client.
    let unnamed = tokens("view cancel").access_token;
    assert_eq!(told(&envoy, &upstream, &unnamed), [Client::NETIQ.id(), "fred", "view cancel", NETIQ_ISSUER]);

    upstream.clear();
    let later = tokens("view book").access_token;
    for (listener, token, reason) in [
        ("main", "garbage", "inactive"),
        ("main", &sealed("garbage"), "inactive"),
        ("main", &other.client_credentials("view"), "inactive"),
        ("main", &identity.client_credentials("view"), "wrong_audience"),
        ("stranger", &fred.access_token, "wrong_audience"),
        ("main", &later, "not_yet_valid"),
        ("any", fred.refresh(), "not_an_access_token"),
    ] {
        assert_refused(&send(envoy.addr(listener), &list().bearer(token)), Refusal::BadToken);
        assert_reason(&envoy, reason);
    }
    // That the gateway is not who it says it is does not speak against a token.
    assert_refused(&send(envoy.addr("wrong"), &list().bearer(&fred.access_token)), Refusal::Unavailable);
    assert_eq!(upstream.request_count(), 0);
}

#[test]
fn s0_5_garbage_tampered_revoked_refresh_and_id_tokens_are_refused() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    // The identity server calls a refresh token active, too. What gives it away is that it is for no audience; where
    // any audience will do, that it has no `token_type`.
    let members = [
        ("/authorization_servers/0/audience", json!("any")),
        ("/authorization_servers/0/introspection/answer", json!({ "required_members": ["token_type"] })),
    ];
    let envoy = gateway(&identity, &upstream)
        .plugin(bookings(&identity))
        .listener("members", ListenerSpec::new().plugin(with(bookings(&identity), &members)))
        .start();
    let good = identity.password("alice", "alice-pw", "view").access_token;
    let tampered = tampered(&good);
    let revoked = identity.password("alice", "alice-pw", "view").access_token;
    identity.revoke(&revoked);
    // In the product, users revoke the refresh token, which also revokes the access tokens issued with it.
    let ended = identity.password("alice", "alice-pw", "view");
    identity.revoke(ended.refresh_token.as_deref().expect("a refresh token"));
    let login = identity.authorization_code_pkce("bob", "bob-pw", &["openid", "view"], &["view"]);
    let (refresh, id) = (login.refresh_token.expect("a refresh token"), login.id_token.expect("an ID token"));

    let bad = ["garbage", &tampered, &revoked, &ended.access_token, &refresh, &id];
    for listener in ["main", "members"] {
        let before = identity.introspections();
        for token in bad.repeat(2) {
            assert_refused(&send(envoy.addr(listener), &list().bearer(token)), Refusal::BadToken);
        }
        assert_eq!(identity.introspections() - before, bad.len(), "the second time is known");
    }
    assert_reason(&envoy, "wrong_audience");
    assert_reason(&envoy, "not_an_access_token");
    assert_eq!(upstream.request_count(), 0);

    for listener in ["main", "members"] {
        for token in [&good, &login.access_token] {
            assert_eq!(send(envoy.addr(listener), &list().bearer(token)).status, 200);
        }
    }
}

#[test]
fn s0_5_in_the_netiq_profile_a_bad_token_is_refused_as_none_is() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let envoy = gateway(&identity, &upstream).plugin(refusing(&identity, json!("netiq"))).start();
    let good = identity.password("alice", "alice-pw", "view").access_token;
    let ended = identity.password("alice", "alice-pw", "view");
    identity.revoke(ended.refresh());
    let login = identity.authorization_code_pkce("bob", "bob-pw", &["openid", "view"], &["view"]);
    let none = send(envoy.addr("main"), &list());
    assert_forbidden(&none);

    let bad = ["garbage", &tampered(&good), &ended.access_token, login.refresh(), login.id()];
    for token in bad.repeat(2) {
        assert_eq!(seen(send(envoy.addr("main"), &list().bearer(token))), seen(none.clone()));
    }
    // The caller is not told; the operator is.
    for reason in ["no_credentials", "inactive", "wrong_audience"] {
        let line = format!("refused with 403: {reason}");
        wait_until(&line, LIMIT, || envoy.log().contains(&line));
    }
    assert_eq!((identity.introspections(), upstream.request_count()), (bad.len(), 0));
    assert_eq!(status(&envoy, list(), &good), 200);
}

/// With one other character in its middle.
fn tampered(token: &str) -> String {
    let (before, after) = token.split_at(token.len() / 2);
    let other = if after.starts_with('A') { 'B' } else { 'A' };
    format!("{before}{other}{}", &after[1..])
}

#[test]
fn s0_5_a_token_whose_refresh_token_is_revoked_after_use_is_refused_within_max_ttl() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let configuration = with(bookings(&identity), &[("/cache/max_ttl", json!("2s"))]);
    let envoy = gateway(&identity, &upstream).plugin(configuration).start();
    let tokens = identity.password("alice", "alice-pw", "view");
    assert_eq!(status(&envoy, list(), &tokens.access_token), 200);

    identity.revoke(tokens.refresh_token.as_deref().expect("a refresh token"));
    // The workers may hear of it at different times, each within max_ttl.
    let refused = || status(&envoy, list(), &tokens.access_token) == 401;
    wait_until_everywhere("the token to be refused", LIMIT / 2, refused);
    upstream.clear();
    assert_refused(&send(envoy.addr("main"), &list().bearer(&tokens.access_token)), Refusal::BadToken);
    assert_eq!(upstream.request_count(), 0);
}

#[test]
fn s0_6_a_valid_token_is_asked_about_once_in_max_ttl() {
    // A cached entry that is used in the last fifth of its TTL is renewed early.
    const MAX_TTL: Duration = Duration::from_secs(6);
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let changes = [("/cache/max_ttl", json!("6s")), ("/upstream", json!({ "headers": { "x-auth-subject": "sub" } }))];
    let envoy = gateway(&identity, &upstream).plugin(with(bookings(&identity), &changes)).start();
    let (token, response, asked) = in_time(Duration::from_secs(4), || {
        let token = identity.password("alice", "alice-pw", "view").access_token;
        let before = identity.introspections();
        let response = send(envoy.addr("main"), &list().bearer(&token));
        // Any of the workers may take a call; what one has learned, all know.
        let found = [(); 4].map(|()| status(&envoy, get_one(), &token));
        (token, response, (found, identity.introspections() - before))
    });
    assert_eq!((response.status, &response.json()["path"]), (200, &json!("/bookings")));
    assert_eq!(asked, ([200; 4], 1));
    // From the cache as from the server: the same headers.
    for request in upstream.requests() {
        assert_eq!(request.headers_named("x-auth-subject"), ["alice"]);
        assert_eq!(request.headers_named("authorization"), [""; 0]);
    }

    let before = identity.introspections();
    thread::sleep(MAX_TTL);
    assert_eq!(status(&envoy, list(), &token), 200);
    assert_eq!(identity.introspections(), before + 1);

    identity.revoke(&token);
    // The workers may hear of it at different times, each within max_ttl.
    let refused = || status(&envoy, list(), &token) == 401;
    wait_until_everywhere("the token to be refused", LIMIT / 2, refused);
    assert_refused(&send(envoy.addr("main"), &list().bearer(&token)), Refusal::BadToken);
}

#[test]
fn s0_6_without_a_cache_every_request_asks() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let changes = [("/cache/max_ttl", json!("0s")), ("/cache/inactive_ttl", json!("0s"))];
    let envoy = gateway(&identity, &upstream).plugin(with(bookings(&identity), &changes)).start();
    let token = identity.password("alice", "alice-pw", "view").access_token;

    assert_eq!([(); 3].map(|()| status(&envoy, list(), &token)), [200; 3]);
    assert_eq!(identity.introspections(), 3);
    identity.revoke(&token);
    assert_eq!([(); 2].map(|()| status(&envoy, list(), &token)), [401; 2]);
    assert_eq!((identity.introspections(), upstream.request_count()), (5, 3));
}

#[test]
fn s0_7_every_token_must_carry_the_scope_of_the_gateway() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let configuration = with(bookings(&identity), &[("/require", json!({ "scope": "APIManagerScope" }))]);
    let envoy = gateway(&identity, &upstream).plugin(configuration).start();
    let answer = |scope: &str| send(envoy.addr("main"), &list().bearer(&identity.client_credentials(scope)));

    for scope in
        ["view", "view apimanagerscope", "view book cancel admin all", "APIManagerScope", "book APIManagerScope"]
    {
        assert_refused(&answer(scope), Refusal::LacksScope("APIManagerScope view"));
    }
    assert_eq!(upstream.request_count(), 0);
    assert_eq!(answer("view APIManagerScope").status, 200);
    assert_eq!(answer("APIManagerScope apimanagerscope view").status, 200);
    // Public routes do not require the scope of the gateway.
    assert_eq!(send(envoy.addr("main"), &Request::get("/healthz")).status, 200);
}

#[test]
fn s0_7_in_the_netiq_profile_a_token_without_the_scope_of_the_gateway_is_refused_as_none_is() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let changes = [("/require", json!({ "scope": "APIManagerScope" })), ("/errors", json!("netiq"))];
    let envoy = gateway(&identity, &upstream).plugin(with(bookings(&identity), &changes)).start();
    let answer = |scope: &str| send(envoy.addr("main"), &list().bearer(&identity.client_credentials(scope)));

    let none = send(envoy.addr("main"), &list());
    assert_forbidden(&none);
    for scope in ["view", "view apimanagerscope", "view book cancel admin all", "APIManagerScope", "book"] {
        assert_eq!(seen(answer(scope)), seen(none.clone()), "{scope}");
    }
    assert_eq!(upstream.request_count(), 0);
    assert_eq!(answer("view APIManagerScope").status, 200);
}

/// A 403 for a valid token with insufficient rights. It has no challenge.
#[track_caller]
fn assert_denied(response: &Response, description: &str) {
    let body = format!(r#"{{"error":"access_denied","error_description":"{description}"}}"#);
    assert_eq!((response.status, response.text()), (403, body));
    assert_eq!(response.headers_named("www-authenticate"), [""; 0]);
}

const LACKS_PRIVILEGES: &str = "The access token does not have the privileges required";
const UNREGISTERED: &str = "The client is not registered for this API";

#[test]
fn s0_8_a_role_opens_what_client_and_scope_alone_do_not() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let rule = |name: &str, require: Value| {
        let path = format!("/{name}");
        json!({ "name": name, "match": [{ "path": path }], "require": require })
    };
    let rules = json!([
        rule("any", json!({ "scope": "view", "any_role": ["manager", "admin"] })),
        rule("manager", json!({ "scope": "view", "roles": ["manager"] })),
        rule("both", json!({ "scope": "view", "roles": ["manager", "admin"] })),
        rule("case", json!({ "scope": "view", "any_role": ["Manager", "manage", "managers"] })),
        rule("scope", json!({ "scope": "view" })),
    ]);
    let listener = |preset: &str, roles: Option<&str>| {
        let mut server = authorization_server("identity", &identity);
        server["introspection"]["preset"] = json!(preset);
        if let Some(path) = roles {
            server["introspection"]["answer"] = json!({ "roles": [path] });
        }
        let headers = json!({ "headers": { "x-roles": "roles", "x-client": "client_id" } });
        let changes = [("/authorization_servers", json!([server])), ("/rules", rules.clone()), ("/upstream", headers)];
        ListenerSpec::new().plugin(with(bookings(&identity), &changes))
    };
    let envoy = gateway(&identity, &upstream)
        .listener("top-level", listener("rfc7662", None))
        .listener("nested", listener("keycloak", None))
        .listener("keys", listener("zitadel", None))
        // The server sends no roles at this path, so no token has any.
        .listener("elsewhere", listener("keycloak", Some("resource_access.bookings.roles")))
        .listener("text", listener("rfc7662", Some("username")))
        .start();
    // Client and scope are the same for all of them.
    let token = |user: &str, password: &str| identity.password(user, password, "view").access_token;
    let (fred, bob, alice) = (token("fred", "test0123"), token("bob", "bob-pw"), token("alice", "alice-pw"));

    for listener in ["top-level", "nested", "keys"] {
        for (who, token, expected) in [
            ("fred", &fred, [200, 200, 403, 403, 200]),
            ("alice", &alice, [200, 403, 403, 403, 200]),
            ("bob", &bob, [403, 403, 403, 403, 200]),
        ] {
            for (path, expected) in ["/any", "/manager", "/both", "/case", "/scope"].iter().zip(expected) {
                let response = send(envoy.addr(listener), &Request::get(path).bearer(token));
                assert_eq!(response.status, expected, "{listener}: {who} {path}");
                if expected == 403 {
                    assert_denied(&response, LACKS_PRIVILEGES);
                }
            }
        }
        let passed = upstream.requests();
        upstream.clear();
        let roles: Vec<_> = passed.iter().map(|passed| passed.headers_named("x-roles").join("|")).collect();
        assert_eq!(roles, ["manager", "manager", "manager", "admin", "admin", ""], "{listener}");
        assert!(passed.iter().all(|passed| passed.headers_named("x-client") == ["web"]), "{passed:?}");
    }
    for token in [&fred, &bob] {
        assert_denied(&send(envoy.addr("elsewhere"), &Request::get("/any").bearer(token)), LACKS_PRIVILEGES);
    }
    assert_denied(&send(envoy.addr("text"), &Request::get("/any").bearer(&fred)), LACKS_PRIVILEGES);
    // A role does for no scope, nor a scope for a role.
    let book = identity.password("fred", "test0123", "book").access_token;
    for listener in ["top-level", "nested", "keys"] {
        let response = send(envoy.addr(listener), &Request::get("/any").bearer(&book));
        assert_refused(&response, Refusal::LacksScope("view"));
    }
}

/// Two APIs, of which each demands the scope `view`. `changes` are to the first, Flights.
fn two_apis(identity: &OidcProvider, changes: &[(&str, Value)]) -> Value {
    let rule = |api: &str| json!({ "name": api, "api": api, "match": [{ "path_prefix": format!("/{api}") }] });
    let apis = json!([
        with(json!({ "name": "flights", "require": { "scope": "view" } }), changes),
        { "name": "hotels", "require": { "scope": "view" } },
    ]);
    let endpoint = json!({
        "name": "refunds",
        "api": "flights",
        "match": [{ "methods": ["POST"], "path": "/flights/{id}/refund" }],
        "require": { "scope": "cancel" },
    });
    let rules = json!([endpoint, rule("flights"), rule("hotels")]);
    with(bookings(identity), &[("/apis", apis), ("/rules", rules)])
}

fn flight() -> Request {
    Request::get("/flights/1955")
}

fn hotel() -> Request {
    Request::get("/hotels/7")
}

fn refund() -> Request {
    Request::new("POST", "/flights/1955/refund")
}

#[test]
fn s0_9_two_apis_share_a_scope_and_one_endpoint_demands_another_beside_it() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let envoy = gateway(&identity, &upstream).plugin(two_apis(&identity, &[])).start();
    let calls = |scope: &str| {
        let token = identity.client_credentials(scope);
        [flight(), hotel(), refund()].map(|request| send(envoy.addr("main"), &request.bearer(&token)))
    };
    let statuses = |scope: &str| calls(scope).map(|response| response.status);

    assert_eq!(statuses("view"), [200, 200, 403]);
    assert_eq!(statuses("view cancel"), [200, 200, 200]);
    // What an endpoint demands comes on top of what its API does.
    assert_eq!(statuses("cancel"), [403, 403, 403]);
    assert_eq!(statuses("book"), [403, 403, 403]);
    for (response, scope) in calls("book").iter().zip(["view", "view", "view cancel"]) {
        assert_refused(response, Refusal::LacksScope(scope));
    }
    // The endpoint is that method of that path; the rest of the API is not drawn in.
    let view = identity.client_credentials("view");
    for request in [Request::get("/flights/1955/refund"), Request::new("POST", "/flights/1955/refund/status")] {
        assert_eq!(status(&envoy, request, &view), 200);
    }
}

/// An API that requires only the scope of the gateway. The gateway forwards the caller's identity to it.
fn api(identity: &OidcProvider) -> Value {
    let api = json!([{ "name": "Api", "match": [{ "path_prefix": "/" }], "require": { "scope": "APIManagerScope" } }]);
    let headers = json!({ "headers": { "x-client": "client_id", "x-owner": "sub" } });
    with(bookings(identity), &[("/rules", api), ("/upstream", headers)])
}

#[track_caller]
fn assert_passes_for(upstream: &Upstream, envoy: &Envoy, token: &str, client: Client, owner: &str) {
    upstream.clear();
    assert_eq!(status(envoy, list(), token), 200);
    let passed = upstream.requests().remove(0);
    assert_eq!(
        (passed.headers_named("x-client"), passed.headers_named("x-owner")),
        (vec![client.id().to_owned()], vec![owner.to_owned()])
    );
}

#[test]
fn s0_10_a_token_of_the_authorization_endpoint_is_honoured() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let envoy = gateway(&identity, &upstream).plugin(api(&identity)).start();
    // The scope of the gateway is one of those that the request lists.
    let login = Login::new("fred", "test0123", &["openid", "view", "APIManagerScope"]);

    let plain = identity.authorization_code(Client::NETIQ, &login).access_token;
    assert_passes_for(&upstream, &envoy, &plain, Client::NETIQ, "fred");
    let proven = identity.authorization_code_with_pkce(Client::NETIQ, &login).access_token;
    assert_passes_for(&upstream, &envoy, &proven, Client::NETIQ, "fred");
    let public = identity.authorization_code_with_pkce(Client::SPA, &login).access_token;
    assert_passes_for(&upstream, &envoy, &public, Client::SPA, "fred");

    // A user who does not grant it has no use of the token here.
    let token = identity.authorization_code(Client::NETIQ, &login.approves(&["view"])).access_token;
    assert_refused(&send(envoy.addr("main"), &list().bearer(&token)), Refusal::LacksScope("APIManagerScope"));
}

/// The request of the product's documentation, to the letter.
const EXAMPLE: &str = "grant_type=password&client_id=557c9074-6a09-4f1a-83a6-0d3b442e1cc0\
    &client_secret=he3Mmy3IGgL9dxhufNHo312DQqTJYI8mB6GHA&username=fred&password=test0123&scope=APIManagerScope";

#[test]
fn s0_11_a_token_of_the_documented_request_to_the_token_endpoint_is_honoured() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let envoy = gateway(&identity, &upstream).plugin(api(&identity)).start();
    let request = |body: &str| {
        let form = Request::post("/token", body).header("content-type", "application/x-www-form-urlencoded");
        send(identity.addr(), &form)
    };

    let tokens = tokens_of(&request(EXAMPLE));
    assert_eq!(tokens.scope.as_deref(), Some("APIManagerScope"));
    assert_passes_for(&upstream, &envoy, &tokens.access_token, Client::NETIQ, "fred");
    let refreshed = identity.refresh_for(Client::NETIQ, tokens.refresh()).access_token;
    assert_passes_for(&upstream, &envoy, &refreshed, Client::NETIQ, "fred");

    let other_scope = tokens_of(&request(&EXAMPLE.replace("APIManagerScope", "apimanagerscope"))).access_token;
    assert_refused(&send(envoy.addr("main"), &list().bearer(&other_scope)), Refusal::LacksScope("APIManagerScope"));
    for (from, to, status, error) in [
        ("test0123", "test01234", 400, "invalid_grant"),
        ("fred", "mallory", 400, "invalid_grant"),
        ("6GHA", "6GHB", 401, "invalid_client"),
    ] {
        let response = request(&EXAMPLE.replace(from, to));
        assert_eq!((response.status, &response.json()["error"]), (status, &json!(error)), "{to}");
    }
}

#[test]
fn s0_12_an_api_takes_tokens_of_the_clients_it_lists_and_of_no_other() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let require = |more: Value| {
        let mut require = json!({ "scope": "view" });
        require.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        [("/require", require)]
    };
    let listed = two_apis(&identity, &require(json!({ "client_ids": ["web", Client::NETIQ.id()] })));
    let meant = two_apis(&identity, &require(json!({ "audience": ["https://hotels.example.test/"] })));
    let envoy = gateway(&identity, &upstream)
        .plugin(listed.clone())
        .listener("off", ListenerSpec::new().plugin(two_apis(&identity, &[])))
        .listener("audience", ListenerSpec::new().plugin(meant))
        .listener("netiq", ListenerSpec::new().plugin(with(listed, &[("/errors", json!("netiq"))])))
        .start();
    let of = |client: Client| identity.password_for(client, "fred", "test0123", "view cancel").access_token;
    let (web, netiq, once) = (of(Client::WEB), of(Client::NETIQ), of(Client::ONCE));

    for token in [&web, &netiq] {
        assert_eq!([flight(), refund(), hotel()].map(|request| status(&envoy, request, token)), [200; 3]);
    }
    // The scope is the right one, and so is the user.
    upstream.clear();
    for request in [flight(), refund()] {
        assert_denied(&send(envoy.addr("main"), &request.clone().bearer(&once)), LACKS_PRIVILEGES);
        assert_forbidden(&send(envoy.addr("netiq"), &request.bearer(&once)));
    }
    assert_eq!(upstream.request_count(), 0);
    // The other API has no list, and the other gateway has none for either.
    assert_eq!(status(&envoy, hotel(), &once), 200);
    assert_eq!(send(envoy.addr("off"), &flight().bearer(&once)).status, 200);
    // A token for another audience is refused, whichever client it was issued to.
    assert_refused(&send(envoy.addr("audience"), &flight().bearer(&web)), Refusal::BadToken);
    assert_eq!(send(envoy.addr("audience"), &hotel().bearer(&web)).status, 200);
}

#[test]
fn s0_13_an_application_calls_the_apis_that_it_has_subscribed_to_and_no_other() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let subscribed = |apis: Value, errors: &str| {
        let applications = json!([
            { "name": "Agency", "clients": [{ "client_id": "web" }, { "client_id": "spa" }], "apis": apis },
            { "name": "Chain", "clients": [{ "client_id": Client::NETIQ.id() }], "apis": ["hotels"] },
        ]);
        let changes = [
            ("/applications", applications),
            ("/apis/0/application", json!("registered")),
            ("/apis/1/application", json!("registered")),
            ("/errors", json!(errors)),
            ("/upstream", json!({ "headers": { "x-application": "application", "x-client": "client_id" } })),
        ];
        ListenerSpec::new().plugin(with(two_apis(&identity, &[]), &changes))
    };
    let mut envoy = gateway(&identity, &upstream)
        .dynamic_listeners()
        .listener("main", subscribed(json!(["flights"]), "rfc6750"))
        .listener("netiq", subscribed(json!(["flights"]), "netiq"))
        .start();
    let web = identity.password("fred", "test0123", "view").access_token;
    let spa = identity.authorization_code_pkce("alice", "alice-pw", &["openid", "view"], &["view"]).access_token;
    let stranger = identity.client_credentials("view");

    // An application may have several clients, each with tokens of its own.
    for (token, client) in [(&web, "web"), (&spa, "spa")] {
        upstream.clear();
        assert_eq!(status(&envoy, flight(), token), 200);
        let [passed] = upstream.requests().try_into().expect("one request");
        let names = ["x-application", "x-client"].map(|name| passed.headers_named(name).join("|"));
        assert_eq!(names, ["Agency", client]);
        assert_denied(&send(envoy.addr("main"), &hotel().bearer(token)), UNREGISTERED);
        assert_forbidden(&send(envoy.addr("netiq"), &hotel().bearer(token)));
    }
    let chain = identity.password_for(Client::NETIQ, "fred", "test0123", "view").access_token;
    assert_eq!([flight(), hotel()].map(|request| status(&envoy, request, &chain)), [403, 200]);
    for request in [flight(), hotel()] {
        assert_denied(&send(envoy.addr("main"), &request.clone().bearer(&stranger)), UNREGISTERED);
        assert_forbidden(&send(envoy.addr("netiq"), &request.bearer(&stranger)));
    }
    // A subscription does not grant a scope.
    let book = identity.password("fred", "test0123", "book").access_token;
    assert_refused(&send(envoy.addr("main"), &flight().bearer(&book)), Refusal::LacksScope("view"));

    // It subscribes to the other API: the token is the same, and so is the Envoy.
    let both = [("main", subscribed(json!(["flights", "hotels"]), "rfc6750"))];
    envoy.replace_listeners(&both).expect("Envoy takes it");
    wait_until("the subscription", LIMIT, || status(&envoy, hotel(), &web) == 200);
    assert_eq!([flight(), hotel()].map(|request| status(&envoy, request, &web)), [200, 200]);
    assert_denied(&send(envoy.addr("main"), &hotel().bearer(&stranger)), UNREGISTERED);
}

#[test]
fn s0_14_a_rate_limit_behind_the_filter_counts_each_client_by_itself() {
    const CALLS: usize = 3;
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let told = json!({
        "headers": { "x-client": "client_id" },
        "filter_state": { "scopegate.client_id": "client_id" },
    });
    let bucket = |tokens: usize| json!({ "max_tokens": tokens, "tokens_per_fill": tokens, "fill_interval": "3600s" });
    let always = json!({ "default_value": { "numerator": 100, "denominator": "HUNDRED" } });
    let by_client = json!({ "header_name": "x-client", "descriptor_key": "client" });
    let rate_limit = json!({
        "stat_prefix": "tiers",
        "token_bucket": bucket(1000),
        "filter_enabled": always,
        "filter_enforced": always,
        "rate_limits": [{ "actions": [{ "request_headers": by_client }] }],
        // Without a value it stands for every client, each with a bucket of its own.
        "descriptors": [{ "entries": [{ "key": "client" }], "token_bucket": bucket(CALLS) }],
    });
    let listener = ListenerSpec::new()
        .plugin(with(bookings(&identity), &[("/upstream", told)]))
        .http_filter(
            "envoy.filters.http.local_ratelimit",
            "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
            rate_limit,
        )
        .access_log("[%RESPONSE_CODE% for %FILTER_STATE(wasm.scopegate.client_id:PLAIN)%]");
    let envoy = gateway(&identity, &upstream).listener("main", listener).start();
    let web = identity.password("fred", "test0123", "view").access_token;
    let other = identity.password_for(Client::NETIQ, "fred", "test0123", "view").access_token;

    // Refused requests do not reach the rate limit, whatever client they claim to be.
    for _ in 0..2 * CALLS {
        assert_eq!(status(&envoy, list().header("x-client", "web"), "garbage"), 401);
    }
    for _ in 0..CALLS {
        assert_eq!(status(&envoy, list(), &web), 200);
    }
    // Another token, another name claimed: the client is the same.
    let again = identity.password("alice", "alice-pw", "view").access_token;
    assert_eq!([&web, &again].map(|token| status(&envoy, list(), token)), [429, 429]);
    assert_eq!(status(&envoy, list().header("x-client", "somebody"), &web), 429);
    for _ in 0..CALLS {
        assert_eq!(status(&envoy, list(), &other), 200);
    }
    assert_eq!(status(&envoy, list(), &other), 429);
    assert_eq!(upstream.request_count(), 2 * CALLS);

    // The access log names the client of permitted and of rate-limited requests, but not of refused ones.
    let netiq = Client::NETIQ.id();
    let lines =
        ["[401 for -]", "[200 for web]", "[429 for web]", &format!("[200 for {netiq}]"), &format!("[429 for {netiq}]")];
    for line in lines {
        wait_until(line, LIMIT, || envoy.log().contains(line));
    }
    assert!(!envoy.log().contains("for somebody]"));
}
