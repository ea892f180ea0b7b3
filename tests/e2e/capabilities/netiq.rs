//! S0: NetIQ Secure API Manager with Access Manager.
//!
//! The statuses are those of RFC 6750. The product's own (403 for everything, an API that hides) are the error profiles
//! `netiq` and `netiq-hide` of S0.2, which do not exist yet; S0.5 and S0.7 then show them too.

use std::thread;
use std::time::Instant;

use super::*;

#[test]
fn s0_1_a_public_route_is_open_and_a_protected_one_is_not() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let envoy = gateway(&identity, &upstream).plugin(bookings(&identity)).start();
    let answer = |request: &Request| send(envoy.addr("main"), request);

    let public = answer(&Request::get("/healthz?verbose"));
    assert_eq!((public.status, &public.json()["path"]), (200, &json!("/healthz?verbose")));
    // Nobody looks at a token that nobody asked for.
    assert_eq!(answer(&Request::get("/healthz").bearer("garbage")).status, 200);
    assert_eq!(upstream.request_count(), 2);

    assert_refused(&answer(&list()), Refusal::NoToken);
    assert_refused(&answer(&cancel()), Refusal::NoToken);
    // What the gateway does not hold is not passed on, and neither is what it could misread.
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

#[test]
fn s0_3_a_request_waits_for_the_answer_of_the_identity_server() {
    const DELAY: Duration = Duration::from_millis(400);
    let identity = OidcProvider::builder().introspection_delay(400).start();
    let upstream = Upstream::start();
    let impatient = [("/authorization_servers/0/introspection/timeout", json!("100ms"))];
    let envoy = gateway(&identity, &upstream)
        .plugin(bookings(&identity))
        .listener("impatient", ListenerSpec::new().plugin(with(bookings(&identity), &impatient)))
        .start();
    let token = identity.client_credentials("view");
    assert_eq!(identity.introspections(), 0);

    thread::scope(|scope| {
        let start = Instant::now();
        let response = scope.spawn(|| send(envoy.addr("main"), &list().bearer(&token)));
        wait_until("the request to arrive upstream", LIMIT, || upstream.request_count() > 0);
        assert!(start.elapsed() > DELAY / 2, "it did not wait: {:?}", start.elapsed());
        assert_eq!(response.join().expect("an answer").status, 200);
    });
    assert_eq!((identity.introspections(), upstream.request_count()), (1, 1));

    // An answer that does not come in time is no verdict on the token.
    let response = send(envoy.addr("impatient"), &list().bearer(&token));
    assert_refused(&response, Refusal::Unavailable);
    assert_eq!(upstream.request_count(), 1);
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
    let token = identity.client_credentials("view");

    assert_eq!([status(&envoy, list(), &token), status(&envoy, list(), &token)], [200, 200]);
    assert_eq!(identity.introspections(), 1);
    // `cache.max_ttl` is a minute.
    let limit = Duration::from_secs(6);
    wait_until("the token to expire", limit, || status(&envoy, list(), &token) == 401);
    assert_refused(&send(envoy.addr("main"), &list().bearer(&token)), Refusal::BadToken);
    assert_eq!(identity.introspections(), 2);
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
    // The product has its users revoke the refresh token, which ends what was issued with it.
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
    let limit = Duration::from_secs(4);
    wait_until("the token to be refused", limit, || status(&envoy, list(), &tokens.access_token) == 401);
    upstream.clear();
    assert_refused(&send(envoy.addr("main"), &list().bearer(&tokens.access_token)), Refusal::BadToken);
    assert_eq!(upstream.request_count(), 0);
}

#[test]
fn s0_6_a_valid_token_is_asked_about_once_in_max_ttl() {
    const MAX_TTL: Duration = Duration::from_secs(2);
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let changes = [("/cache/max_ttl", json!("2s")), ("/upstream", json!({ "headers": { "x-auth-subject": "sub" } }))];
    let envoy = gateway(&identity, &upstream).plugin(with(bookings(&identity), &changes)).start();
    let token = identity.password("alice", "alice-pw", "view").access_token;

    let response = send(envoy.addr("main"), &list().bearer(&token));
    assert_eq!((response.status, &response.json()["path"]), (200, &json!("/bookings")));
    // Any of the workers may take a call; what one has learned, all know.
    assert_eq!([(); 4].map(|()| status(&envoy, get_one(), &token)), [200; 4]);
    assert_eq!(identity.introspections(), 1);
    // From the cache as from the server: the same headers.
    for request in upstream.requests() {
        assert_eq!(request.headers_named("x-auth-subject"), ["alice"]);
        assert_eq!(request.headers_named("authorization"), [""; 0]);
    }

    thread::sleep(MAX_TTL);
    assert_eq!(status(&envoy, list(), &token), 200);
    assert_eq!(identity.introspections(), 2);

    identity.revoke(&token);
    wait_until("the token to be refused", MAX_TTL * 2, || status(&envoy, list(), &token) == 401);
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
    // It is not demanded where no token is.
    assert_eq!(send(envoy.addr("main"), &Request::get("/healthz")).status, 200);
}

/// An API that demands the scope of the gateway and nothing else, and is told who calls.
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
