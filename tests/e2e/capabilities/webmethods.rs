//! S2: webMethods API Gateway.
//!
//! The statuses are those of RFC 6750, unless a test is about the error profile `webmethods`.

mod applications;
mod introspection;
mod mapping;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::*;

/// The profile `webmethods` does not reveal why a token is refused, not even that its scope is insufficient.
#[track_caller]
fn assert_refused_as_the_product_does(response: &Response) {
    let text = "Token is invalid or expired";
    assert_eq!(response.status, 401, "{response:?}");
    assert_eq!(response.text(), format!(r#"{{"error":"invalid_token","error_description":"{text}"}}"#));
    let challenge = format!(r#"Bearer realm="bookings", error="invalid_token", error_description="{text}""#);
    assert_eq!(response.headers_named("www-authenticate"), [challenge]);
    assert_eq!(response.headers_named("cache-control"), ["no-store"]);
}

#[test]
fn s2_1_none_garbage_and_expired_tokens_are_answered_with_401() {
    let identity = OidcProvider::builder().access_token_ttl(1).start();
    let upstream = Upstream::start();
    let envoy = gateway(&identity, &upstream).plugin(bookings(&identity)).start();
    let expired = identity.client_credentials("view");
    thread::sleep(Duration::from_secs(1));

    assert_refused(&send(envoy.addr("main"), &list()), Refusal::NoToken);
    assert_refused(&send(envoy.addr("main"), &list().bearer("garbage")), Refusal::BadToken);
    assert_refused(&send(envoy.addr("main"), &list().bearer(&expired)), Refusal::BadToken);
    assert_eq!((identity.introspections(), upstream.request_count()), (2, 0));
}

#[test]
fn s2_1_in_the_profile_garbage_and_expired_tokens_and_bad_credentials_look_alike() {
    let identity = OidcProvider::builder().access_token_ttl(1).start();
    let upstream = Upstream::start();
    let configuration = with(bookings(&identity), &[("/errors", json!("webmethods"))]);
    let envoy = gateway(&identity, &upstream).plugin(configuration).start();
    let expired = identity.client_credentials("view");
    thread::sleep(Duration::from_secs(1));

    assert_refused(&send(envoy.addr("main"), &list()), Refusal::NoToken);
    for credentials in ["Bearer garbage", &format!("Bearer {expired}"), "Bearer", "Bearer two tokens"] {
        let response = send(envoy.addr("main"), &list().header("authorization", credentials));
        assert_refused_as_the_product_does(&response);
    }
    // Refusals that are not about a token are unchanged.
    assert_refused(&send(envoy.addr("main"), &Request::get("/admin").bearer("garbage")), Refusal::NoRule);
    assert_refused(&send(envoy.addr("main"), &Request::get("/%2e%2e/bookings")), Refusal::Ambiguous);
    assert_eq!(send(envoy.addr("main"), &Request::get("/healthz")).status, 200);
    assert_eq!((identity.introspections(), upstream.request_count()), (2, 1));
}

#[test]
fn s2_2_book_view_and_cancel_are_scopes_of_the_authorization_server() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let changes = [("/upstream", json!({ "headers": { "x-scope": "scope" } }))];
    let envoy = gateway(&identity, &upstream).plugin(with(bookings(&identity), &changes)).start();

    for (scope, request) in [("book", book()), ("view", list()), ("cancel", cancel())] {
        let tokens = identity.password("alice", "alice-pw", scope);
        assert_eq!(tokens.scope.as_deref(), Some(scope));
        upstream.clear();
        assert_eq!(status(&envoy, request, &tokens.access_token), 200);
        assert_eq!(upstream.requests()[0].headers_named("x-scope"), [scope]);
    }
    // A scope that is defined nowhere is not to be had.
    let form = [("grant_type", "password"), ("username", "alice"), ("password", "alice-pw"), ("scope", "refund")];
    let request = Request::form("/token", &form).header("authorization", "Basic d2ViOndlYi1zZWNyZXQ=");
    let response = send(identity.addr(), &request);
    assert_eq!((response.status, &response.json()["error"]), (400, &json!("invalid_scope")));
}

#[test]
fn s2_3_each_scope_opens_its_own_resources_and_methods() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    // As Envoy reads it from YAML: a Struct.
    let listener = ListenerSpec::new().plugin_any("google.protobuf.Struct", bookings(&identity));
    let envoy = gateway(&identity, &upstream).listener("main", listener).start();

    let resources = [list(), get_one(), book(), cancel()];
    let demanded = ["view", "view", "book", "cancel"];
    for (scope, expected) in
        [("view", [200, 200, 403, 403]), ("book", [403, 403, 200, 403]), ("cancel", [403, 403, 403, 200])]
    {
        let token = identity.client_credentials(scope);
        for ((request, status), demanded) in resources.iter().zip(expected).zip(demanded) {
            let response = send(envoy.addr("main"), &request.clone().bearer(&token));
            if status == 403 {
                assert_refused(&response, Refusal::LacksScope(demanded));
            }
            assert_eq!(response.status, status, "{scope}: {request:?}");
        }
    }
    let passed: Vec<_> = upstream.requests().into_iter().map(|passed| (passed.method, passed.path)).collect();
    assert_eq!(passed, resources.map(|request| (request.method, request.path)));
    assert_eq!(identity.introspections(), 3);
}

#[test]
fn s2_4_booking_opens_to_view_when_the_configuration_says_so() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let mut envoy = gateway(&identity, &upstream).dynamic_listeners().plugin(bookings(&identity)).start();
    let (view, booker) = (identity.client_credentials("view"), identity.client_credentials("book"));
    let calls =
        |envoy: &Envoy, token: &str| [list(), get_one(), book(), cancel()].map(|request| status(envoy, request, token));
    assert_eq!(calls(&envoy, &view), [200, 200, 403, 403]);
    assert_eq!(calls(&envoy, &booker), [403, 403, 200, 403]);

    // view and book both map to BookTickets, and view to ViewTickets as well.
    let mapped = with(bookings(&identity), &[("/rules/1/require", json!({ "any_scope": ["book", "view"] }))]);
    envoy.replace_listeners(&[("main", ListenerSpec::new().plugin(mapped))]).expect("Envoy takes it");
    wait_until("the new configuration", LIMIT, || calls(&envoy, &view) == [200, 200, 200, 403]);
    assert_eq!(calls(&envoy, &booker), [403, 403, 200, 403]);
    let neither = send(envoy.addr("main"), &book().bearer(&identity.client_credentials("cancel")));
    assert_refused(&neither, Refusal::LacksScope("book view"));
}

#[test]
fn s2_4_all_scopes_open_every_mapped_resource_and_unmapped_ones_stay_shut() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let envoy = gateway(&identity, &upstream).plugin(bookings(&identity)).start();
    let everything = identity.client_credentials("view book cancel admin all APIManagerScope");
    let unmapped = identity.client_credentials("admin all");
    let none = identity.client_credentials("");

    for request in [list(), get_one(), book(), cancel()] {
        assert_eq!(status(&envoy, request.clone(), &everything), 200, "{request:?}");
        assert_eq!(status(&envoy, request.clone(), &unmapped), 403, "{request:?}");
        assert_eq!(status(&envoy, request.clone(), &none), 403, "{request:?}");
    }
    assert_eq!(upstream.request_count(), 4);
    for (method, path) in
        [("PUT", "/bookings/7"), ("DELETE", "/bookings"), ("GET", "/bookings/7/invoice"), ("GET", "/")]
    {
        assert_refused(&send(envoy.addr("main"), &Request::new(method, path).bearer(&everything)), Refusal::NoRule);
    }
    assert_eq!((identity.introspections(), upstream.request_count()), (3, 4));
}

#[test]
fn s2_4_the_same_scope_of_another_authorization_server_opens_nothing() {
    let (north, south, upstream) = (OidcProvider::start(), OidcProvider::start(), Upstream::start());
    let rule = |server: &str| {
        json!({
            "name": server,
            "match": [{ "path_prefix": format!("/{server}") }],
            "authorization_server": server,
            "require": { "scope": "view" },
        })
    };
    // A secret may also stand in the configuration itself.
    let mut second = authorization_server("south", &south);
    let introspection = second["introspection"].as_object_mut().expect("an object");
    introspection.remove("client_secret_env");
    introspection.insert("client_secret".to_owned(), json!(OidcProvider::GATEWAY_SECRET));
    let configuration = json!({
        "authorization_servers": [authorization_server("north", &north), second],
        "realm": "bookings",
        "rules": [rule("north"), rule("south")],
    });
    let envoy = Envoy::builder()
        .cluster("north", north.addr())
        .cluster("south", south.addr())
        .upstream(upstream.addr())
        .env(SECRET_VARIABLE, OidcProvider::GATEWAY_SECRET)
        .plugin(configuration)
        .start();
    let answer = |path: &str, token: &str| send(envoy.addr("main"), &Request::get(path).bearer(token));
    let (of_north, of_south) = (north.client_credentials("view"), south.client_credentials("view"));

    // The second round meets a cache that knows both tokens, each by its own server.
    for _ in 0..2 {
        assert_eq!(answer("/north/1", &of_north).status, 200);
        assert_eq!(answer("/south/1", &of_south).status, 200);
        assert_refused(&answer("/south/1", &of_north), Refusal::BadToken);
        assert_refused(&answer("/north/1", &of_south), Refusal::BadToken);
    }
    assert_eq!((north.introspections(), south.introspections(), upstream.request_count()), (2, 2, 4));
}

#[test]
fn s2_5_a_scope_for_a_whole_api_opens_all_of_it_and_nothing_else() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let rules = json!([
        { "name": "Flights", "match": [{ "path_prefix": "/flights" }], "require": { "scope": "all" } },
        { "name": "Hotels", "match": [{ "path_prefix": "/hotels" }], "require": { "scope": "view" } },
    ]);
    let envoy = gateway(&identity, &upstream).plugin(with(bookings(&identity), &[("/rules", rules)])).start();
    let (all, view) = (identity.client_credentials("all"), identity.client_credentials("view"));
    let answer =
        |method: &str, path: &str, token: &str| send(envoy.addr("main"), &Request::new(method, path).bearer(token));

    for path in ["", "/", "/1955", "/1955/seats/7?window=yes"] {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            assert_eq!(answer(method, &format!("/flights{path}"), &all).status, 200, "{method} {path}");
            assert_refused(&answer(method, &format!("/hotels{path}"), &all), Refusal::LacksScope("view"));
        }
        assert_refused(&answer("GET", &format!("/flights{path}"), &view), Refusal::LacksScope("all"));
        assert_eq!(answer("GET", &format!("/hotels{path}"), &view).status, 200);
    }
    for path in ["/flightsandmore", "/flight", "/"] {
        assert_refused(&answer("GET", path, &all), Refusal::NoRule);
    }
    assert_eq!((identity.introspections(), upstream.request_count()), (2, 28));
}

#[test]
fn s2_6_each_api_is_closed_or_open_as_it_is_told() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let rules = json!([
        { "name": "Closed", "match": [{ "route": "closed" }], "require": { "scope": "view" } },
        { "name": "Brochures", "match": [{ "path_prefix": "/brochures" }], "public": true },
    ]);
    let envoy = gateway(&identity, &upstream)
        .plugin(with(bookings(&identity), &[("/rules", rules)]))
        .route(RouteSpec::prefix("/open/").name("open").without_filter())
        .route(RouteSpec::prefix("/closed/").name("closed"))
        .start();
    let answer = |request: &Request| send(envoy.addr("main"), request);
    let token = identity.client_credentials("view");

    // Where the filter is off, it does nothing at all: the header stays.
    assert_eq!(answer(&Request::get("/open/1")).status, 200);
    assert_eq!(answer(&Request::get("/open/1").bearer("garbage")).status, 200);
    assert_eq!(upstream.requests()[1].headers_named("authorization"), ["Bearer garbage"]);
    assert_eq!(answer(&Request::get("/brochures/1")).status, 200);
    assert_eq!((identity.introspections(), upstream.request_count()), (0, 3));

    assert_refused(&answer(&Request::get("/closed/1")), Refusal::NoToken);
    assert_refused(&answer(&Request::get("/closed/1").bearer("garbage")), Refusal::BadToken);
    // An API without a rule is not open.
    assert_refused(&answer(&Request::get("/other/1").bearer(&token)), Refusal::NoRule);
    assert_eq!(upstream.request_count(), 3);
    assert_eq!(answer(&Request::get("/closed/1").bearer(&token)).status, 200);
}

#[test]
fn s2_8_public_and_confidential_clients_are_honoured_alike_also_when_an_adapter_names_none() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    // The product's own introspection may leave the client out: an adapter in front of the real server does.
    let adapter = ScriptedServer::in_front_of(identity.addr(), |mut answer| {
        answer.as_object_mut().expect("an object").remove("client_id");
        answer
    });
    let headers = json!({ "headers": { "x-client": "client_id", "x-owner": "sub" } });
    let configuration = with(bookings(&identity), &[("/upstream", headers)]);
    let unnamed = with(configuration.clone(), &[("/authorization_servers/0/cluster", json!("adapter"))]);
    let envoy = gateway(&identity, &upstream)
        .cluster("adapter", adapter.addr())
        .plugin(configuration)
        .listener("unnamed", ListenerSpec::new().plugin(unnamed))
        .start();
    let login = Login::new("alice", "alice-pw", &["openid", "view"]);

    for (client, token) in [
        ("spa", identity.authorization_code_with_pkce(Client::SPA, &login).access_token),
        ("spa", identity.implicit(&login).access_token),
        ("web", identity.authorization_code(Client::WEB, &login).access_token),
        ("web", identity.password("alice", "alice-pw", "view").access_token),
    ] {
        for (listener, expected) in [("main", &[client][..]), ("unnamed", &[])] {
            upstream.clear();
            assert_eq!(send(envoy.addr(listener), &list().bearer(&token)).status, 200, "{client} {listener}");
            let passed = upstream.requests().remove(0);
            assert_eq!(passed.headers_named("x-client"), expected);
            assert_eq!(passed.headers_named("x-owner"), ["alice"]);
        }
    }
}

#[test]
fn s2_9_a_token_that_an_adapter_says_never_expires_is_asked_about_again_after_max_ttl() {
    const MAX_TTL: Duration = Duration::from_secs(2);
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    // oidc-provider gives every token an end. An adapter takes it off as webMethods says "never", or puts it where WSO2
    // Identity Server does.
    let adapter = ScriptedServer::in_front_of(identity.addr(), |mut answer| {
        let members = answer.as_object_mut().expect("an object");
        if members.remove("exp").is_some() && members["scope"] == "view book" {
            members.insert("exp".to_owned(), json!(i64::MAX));
        }
        answer
    });
    let envoy = Envoy::builder()
        .cluster("identity", adapter.addr())
        .upstream(upstream.addr())
        .env(SECRET_VARIABLE, OidcProvider::GATEWAY_SECRET)
        .plugin(with(bookings(&identity), &[("/cache/max_ttl", json!("2s"))]))
        .start();
    let statuses = |tokens: &[String; 2]| tokens.each_ref().map(|token| status(&envoy, list(), token));

    // A cached entry that is used in the last fifth of its TTL is renewed early.
    let (tokens, asked) = in_time(Duration::from_millis(1500), || {
        let tokens = ["view", "view book"].map(|scope| identity.password("alice", "alice-pw", scope).access_token);
        let before = identity.introspections();
        let found = [(); 2].map(|()| statuses(&tokens));
        (tokens, (found, identity.introspections() - before))
    });
    assert_eq!(asked, ([[200; 2]; 2], 2));
    let before = identity.introspections();
    thread::sleep(MAX_TTL);
    assert_eq!(statuses(&tokens), [200; 2]);
    assert_eq!(identity.introspections(), before + 2);

    for token in &tokens {
        identity.revoke(token);
    }
    wait_until("both tokens to be refused", LIMIT / 2, || statuses(&tokens) == [401; 2]);
}

#[test]
fn s2_10_beyond_the_refresh_limit_the_identity_server_refuses_and_the_gateway_follows() {
    let identity = OidcProvider::builder().access_token_ttl(4).start();
    let upstream = Upstream::start();
    let envoy = gateway(&identity, &upstream).plugin(bookings(&identity)).start();
    let (refreshed, response, statuses) = in_time(Duration::from_secs(3), || {
        let issued = identity.password_for(Client::ONCE, "alice", "alice-pw", "view");
        let first = status(&envoy, list(), &issued.access_token);
        let refreshed = identity.refresh_for(Client::ONCE, issued.refresh());
        let second = status(&envoy, list(), &refreshed.access_token);
        let response = identity.try_refresh_for(Client::ONCE, refreshed.refresh());
        let third = status(&envoy, list(), &refreshed.access_token);
        (refreshed, response, [first, second, third])
    });
    assert_eq!((response.status, &response.json()["error"]), (400, &json!("invalid_grant")));
    // The limit ends the refreshing, not the token that is there: that ends by itself, and nothing follows it.
    assert_eq!(statuses, [200; 3]);
    wait_until("the last token to expire", LIMIT, || status(&envoy, list(), &refreshed.access_token) == 401);
    assert_refused(&send(envoy.addr("main"), &list().bearer(refreshed.refresh())), Refusal::BadToken);
}

#[test]
fn s2_11_the_scopes_count_that_the_user_approved_not_those_asked_for() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let envoy = gateway(&identity, &upstream).plugin(bookings(&identity)).start();
    let asked = ["openid", "view", "book"];

    let narrowed = identity.authorization_code_pkce("alice", "alice-pw", &asked, &["view"]).access_token;
    assert_eq!([list(), get_one()].map(|request| status(&envoy, request, &narrowed)), [200, 200]);
    let response = send(envoy.addr("main"), &book().bearer(&narrowed));
    assert_refused(&response, Refusal::LacksScope("book"));
    assert_eq!(upstream.request_count(), 2);

    let whole = identity.authorization_code_pkce("alice", "alice-pw", &asked, &["view", "book"]).access_token;
    assert_eq!([list(), book()].map(|request| status(&envoy, request, &whole)), [200, 200]);
}

#[test]
fn s2_11_a_confidential_client_gets_no_more_than_the_user_approved() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let envoy = gateway(&identity, &upstream).plugin(bookings(&identity)).start();
    let whole = Login::new("alice", "alice-pw", &["openid", "view", "book"]);

    let narrowed = identity.authorization_code(Client::WEB, &whole.approves(&["view"]));
    let refreshed = identity.refresh(narrowed.refresh());
    let proven = identity.authorization_code_with_pkce(Client::WEB, &whole.approves(&["view"]));
    for tokens in [&narrowed, &refreshed, &proven] {
        assert_eq!(status(&envoy, list(), &tokens.access_token), 200);
        assert_refused(&send(envoy.addr("main"), &book().bearer(&tokens.access_token)), Refusal::LacksScope("book"));
    }
    assert_eq!(upstream.request_count(), 3);
    let token = identity.authorization_code(Client::WEB, &whole).access_token;
    assert_eq!([list(), book()].map(|request| status(&envoy, request, &token)), [200, 200]);
}

#[test]
fn s2_12_a_confidential_client_without_its_secret_gets_no_token_and_the_gateway_is_not_asked() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let envoy = gateway(&identity, &upstream).plugin(bookings(&identity)).start();
    let login = Login::new("alice", "alice-pw", &["openid", "view"]);
    let redeem = |client: Client| identity.redeem_code(client, &identity.code(Client::WEB, &login, &[]), &[]);

    for client in [Client::Public("web"), Client::Basic("web", "wrong"), Client::Basic("nobody", "web-secret")] {
        let response = redeem(client);
        assert_eq!((response.status, &response.json()["error"]), (401, &json!("invalid_client")), "{client:?}");
        // RFC 6749, 5.2: a client that used the `Authorization` header gets a challenge.
        assert!(matches!(client, Client::Public(_)) || response.header("www-authenticate").is_some(), "{response:?}");
    }
    assert_eq!((identity.introspections(), upstream.request_count()), (0, 0));

    let token = tokens_of(&redeem(Client::WEB)).access_token;
    assert_eq!(status(&envoy, list(), &token), 200);
}

#[test]
fn s2_13_a_call_out_of_scope_is_told_the_scope_and_an_invalid_token_is_not() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let changes = [("/rules/2/require", json!({ "scope": "book", "any_scope": ["cancel", "admin"] }))];
    let envoy = gateway(&identity, &upstream).plugin(with(bookings(&identity), &changes)).start();
    let view = identity.client_credentials("view");

    let response = send(envoy.addr("main"), &book().bearer(&view));
    assert_refused(&response, Refusal::LacksScope("book"));
    let response = send(envoy.addr("main"), &cancel().bearer(&view));
    assert_refused(&response, Refusal::LacksScope("book cancel admin"));
    let response = send(envoy.addr("main"), &cancel().bearer("garbage"));
    assert_refused(&response, Refusal::BadToken);
    assert_eq!(upstream.request_count(), 0);
}

#[test]
fn s2_13_the_profile_says_401_for_both_or_403_where_a_response_is_overridden() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let by = |errors: Value| with(bookings(&identity), &[("/errors", errors)]);
    let status = json!({ "insufficient_scope": { "status": 403 } });
    let text = json!({
        "insufficient_scope": {
            "status": 403,
            "content_type": "text/plain",
            "body": "{status}: {error_description} ({scope})",
            "challenge": false,
        },
    });
    let envoy = gateway(&identity, &upstream)
        .plugin(by(json!("webmethods")))
        .listener("status", ListenerSpec::new().plugin(by(json!({ "profile": "webmethods", "responses": status }))))
        .listener("text", ListenerSpec::new().plugin(by(json!({ "profile": "webmethods", "responses": text }))))
        .start();
    let view = identity.client_credentials("view");
    let answer = |listener: &str, token: &str| send(envoy.addr(listener), &book().bearer(token));

    assert_refused_as_the_product_does(&answer("main", &view));
    let overridden = answer("status", &view);
    assert_eq!(overridden.status, 403, "{overridden:?}");
    assert_refused_as_the_product_does(&Response { status: 401, ..overridden });
    let overridden = answer("text", &view);
    assert_eq!((overridden.status, overridden.text()), (403, "403: Token is invalid or expired (book)".to_owned()));
    assert_eq!(overridden.headers_named("content-type"), ["text/plain; charset=utf-8"]);
    assert!(overridden.headers_named("www-authenticate").is_empty(), "{overridden:?}");
    // Only calls out of scope are told otherwise.
    for listener in ["main", "status", "text"] {
        assert_refused_as_the_product_does(&answer(listener, "garbage"));
    }
    assert_eq!(upstream.request_count(), 0);
}

/// The names of the reference's example, and one header for each further property.
fn identity_headers() -> Value {
    json!({
        "x-client": "client_id",
        "x-owner": "sub",
        "x-scope": "scope",
        "x-department": "department",
        "x-roles": "roles",
        "x-issuer": "iss",
        "x-audience": "aud",
    })
}

#[test]
fn s2_14_the_application_learns_who_called() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let changes = [("/upstream", json!({ "headers": identity_headers() }))];
    let envoy = gateway(&identity, &upstream).plugin(with(bookings(&identity), &changes)).start();
    let values = |request: Request, token: &str| {
        upstream.clear();
        assert_eq!(status(&envoy, request, token), 200);
        let [passed] = upstream.requests().try_into().expect("one request");
        let names = ["x-client", "x-owner", "x-scope", "x-department", "x-roles", "x-issuer", "x-audience"];
        names.map(|name| passed.headers_named(name).join("|"))
    };
    let issuer = identity.issuer();
    let alice = identity.password("alice", "alice-pw", "view book").access_token;
    let alone = identity.client_credentials("view");

    let forged = identity_headers().as_object().expect("an object").keys().fold(list(), |request, name| {
        request.header(name, "forged").header(name.to_uppercase(), "forged").header(name.replace('-', "_"), "forged")
    });
    // The second time from the cache.
    for request in [list(), list(), forged.clone()] {
        let expected = ["web", "alice", "view book", "time travel", "admin", &issuer, AUDIENCE];
        assert_eq!(values(request, &alice), expected);
    }
    // A client alone has no subject and no department: no header, whatever the caller sent.
    for request in [list(), forged] {
        assert_eq!(values(request, &alone), ["traveller", "", "view", "", "", &issuer, AUDIENCE]);
        let left = upstream.requests().remove(0).headers;
        let named = |name: &str| left.iter().any(|(other, _)| other == name);
        assert!(!named("x-owner") && !named("x-department"), "{left:?}");
    }
}

#[test]
fn s2_14_every_property_and_any_claim_can_be_forwarded_and_what_is_missing_leaves_no_header() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let headers = json!({
        "x-client": "client_id",
        "x-owner": "owner",
        "x-issuer": "issuer",
        "x-audience": "audience",
        "x-server": "authorization_server",
        "x-department": "claims.department",
        // Words for properties are claims with `claims.` in front, and claims lie at any depth.
        "x-raw-client": "claims.client_id",
        "x-realm-roles": "claims.realm_access.roles",
        "x-realm": "claims.realm_access",
        "x-nothing": "claims.nothing.at.all",
        "x-application": "application",
    });
    let configuration = with(bookings(&identity), &[("/upstream", json!({ "headers": headers }))]);
    let envoy = gateway(&identity, &upstream).plugin(configuration).start();
    let names = headers.as_object().expect("an object").keys();
    let forged = names.fold(list(), |request, name| request.header(name, "${request.authorization.clientId}"));
    let seen = |token: &str| {
        upstream.clear();
        assert_eq!(status(&envoy, forged.clone(), token), 200);
        let passed = upstream.requests().remove(0).headers.into_iter().filter(|(name, _)| headers.get(name).is_some());
        passed.map(|(name, value)| (name, String::from_utf8(value).expect("ASCII"))).collect::<BTreeMap<_, _>>()
    };
    let expected = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<BTreeMap<_, _>>()
    };
    let issuer = identity.issuer();
    let alice = identity.password("alice", "alice-pw", "view").access_token;
    let alone = identity.client_credentials("view");

    // The second time from the cache.
    for _ in 0..2 {
        let shared = [("x-issuer", &*issuer), ("x-audience", AUDIENCE), ("x-server", "identity")];
        let of_alice = [
            ("x-client", "web"),
            ("x-raw-client", "web"),
            ("x-owner", "alice"),
            ("x-department", "time travel"),
            ("x-realm-roles", "admin"),
        ];
        assert_eq!(seen(&alice), expected(&[&shared[..], &of_alice].concat()));
        // A client that acts for itself: claims missing from the response are omitted, and templates are not sent.
        let of_client = [("x-client", "traveller"), ("x-raw-client", "traveller")];
        assert_eq!(seen(&alone), expected(&[&shared[..], &of_client].concat()));
    }
}

#[test]
fn s2_14_forged_headers_are_removed_in_every_spelling_on_public_routes_too() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let changes = [("/upstream", json!({ "headers": { "x-auth-subject": "sub" } }))];
    let envoy = gateway(&identity, &upstream).plugin(with(bookings(&identity), &changes)).start();
    let spellings = ["x-auth-subject", "X-Auth-Subject", "x_auth_subject", "X-AUTH_SUBJECT", "x.auth.subject"];
    let forge = |request: Request| {
        let forged = spellings.iter().fold(request, |request, name| request.header(name, "root"));
        // A header with a similar name is passed on unchanged.
        forged.header("x-auth-subject-hint", "kept")
    };
    let alone = identity.client_credentials("view");
    let alice = identity.password("alice", "alice-pw", "view").access_token;

    for (request, subject) in
        [(Request::get("/healthz"), None), (list().bearer(&alone), None), (list().bearer(&alice), Some("alice"))]
    {
        upstream.clear();
        assert_eq!(send(envoy.addr("main"), &forge(request)).status, 200);
        let passed = upstream.requests().remove(0);
        assert_eq!(passed.headers_named("x-auth-subject"), Vec::from_iter(subject));
        assert_eq!(passed.headers_named("x-auth-subject-hint"), ["kept"]);
        let forged = passed.headers.iter().any(|(_, value)| value == b"root");
        assert!(!forged, "{passed:?}");
    }
}

#[test]
fn s2_14_the_token_stays_here_unless_it_is_to_be_kept() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let keep = with(bookings(&identity), &[("/upstream", json!({ "authorization": "keep" }))]);
    let envoy = gateway(&identity, &upstream)
        .plugin(bookings(&identity))
        .listener("keep", ListenerSpec::new().plugin(keep))
        .start();
    let token = identity.client_credentials("view");
    let credentials = format!("Bearer {token}");

    for (listener, expected) in [("main", &[][..]), ("keep", std::slice::from_ref(&credentials))] {
        for request in [list(), Request::get("/healthz")] {
            upstream.clear();
            assert_eq!(send(envoy.addr(listener), &request.bearer(&token)).status, 200);
            let passed = upstream.requests().remove(0);
            assert_eq!(passed.headers_named("authorization"), expected, "{listener}");
            let holds = passed.headers.iter().filter(|(_, value)| value.ends_with(token.as_bytes())).count();
            assert_eq!(holds, expected.len(), "{passed:?}");
        }
    }
}

#[test]
fn s2_15_a_refreshed_token_has_the_scopes_asked_for_and_the_refresh_token_opens_nothing() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let configuration = with(bookings(&identity), &[("/cache/max_ttl", json!("1s"))]);
    let envoy = gateway(&identity, &upstream).plugin(configuration).start();
    let old = identity.password("alice", "alice-pw", "view book");
    assert_eq!([list(), book()].map(|request| status(&envoy, request, &old.access_token)), [200, 200]);

    // As for every request of a confidential client, with its secret only (RFC 6749, 6).
    let form = [("grant_type", "refresh_token"), ("refresh_token", old.refresh()), ("scope", "view")];
    assert_eq!(identity.token_request(Client::Public("web"), &form).status, 401);
    assert_eq!(identity.token_request(Client::ONCE, &form).status, 400);
    let new = tokens_of(&identity.token_request(Client::WEB, &form));
    assert_eq!(status(&envoy, list(), &new.access_token), 200);
    assert_refused(&send(envoy.addr("main"), &book().bearer(&new.access_token)), Refusal::LacksScope("book"));

    // A careful application revokes a token that it no longer uses. This server then ends the whole grant.
    identity.revoke(&old.access_token);
    let both = || [&old, &new].map(|tokens| status(&envoy, list(), &tokens.access_token));
    wait_until("both tokens to be refused", LIMIT, || both() == [401; 2]);
    // The other worker must refuse them, too.
    std::thread::sleep(Duration::from_millis(1100));
    upstream.clear();
    for token in [old.refresh(), new.refresh(), &old.access_token, &new.access_token] {
        assert_refused(&send(envoy.addr("main"), &list().bearer(token)), Refusal::BadToken);
    }
    assert_eq!(upstream.request_count(), 0);
}

#[test]
fn s2_16_the_identity_server_is_asked_by_tls_or_without_as_the_cluster_says() {
    let (identity, other) = (OidcProvider::builder().tls().start(), OidcProvider::builder().tls().start());
    let upstream = Upstream::start();
    let by = |cluster: &str| {
        let configuration = with(bookings(&identity), &[("/authorization_servers/0/cluster", json!(cluster))]);
        ListenerSpec::new().plugin(configuration)
    };
    let envoy = gateway(&identity, &upstream)
        .tls_cluster("tls", identity.tls_addr(), &identity.ca_file())
        .tls_cluster("tls-of-a-stranger", identity.tls_addr(), &other.ca_file())
        .tls_cluster("tls-without-tls", identity.addr(), &identity.ca_file())
        .listener("plain", by("identity"))
        .listener("tls", by("tls"))
        .listener("stranger", by("tls-of-a-stranger"))
        .listener("without", by("tls-without-tls"))
        .start();
    let good = identity.password("alice", "alice-pw", "view").access_token;
    let answer = |listener: &str, token: &str| send(envoy.addr(listener), &list().bearer(token));

    // Whom the certificate does not convince has no verdict: neither on a good token nor on a bad one.
    for listener in ["stranger", "without"] {
        assert_refused(&answer(listener, &good), Refusal::Unavailable);
        assert_refused(&answer(listener, "garbage"), Refusal::Unavailable);
    }
    assert_eq!((identity.introspections(), upstream.request_count()), (0, 0));
    assert!(envoy.counter("cluster.tls-of-a-stranger.ssl.fail_verify_error") > 0);

    for (asked, listener) in ["tls", "plain"].into_iter().enumerate() {
        assert_eq!(answer(listener, &good).status, 200, "{listener}");
        assert_refused(&answer(listener, "garbage"), Refusal::BadToken);
        assert_eq!(identity.introspections(), 2 * (asked + 1), "{listener}");
    }
    assert!(envoy.counter("cluster.tls.ssl.handshake") > 0);
}

#[test]
fn s2_17_a_token_that_the_identity_server_has_purged_is_refused() {
    let identity = OidcProvider::builder().access_token_ttl(3).start();
    let upstream = Upstream::start();
    let envoy = gateway(&identity, &upstream).plugin(bookings(&identity)).start();
    let mut issued = 0;
    let (token, found) = in_time(Duration::from_secs(2), || {
        issued += 1;
        let token = identity.password("alice", "alice-pw", "view").access_token;
        (token.clone(), [(); 2].map(|()| status(&envoy, list(), &token)))
    });
    assert_eq!(found, [200, 200]);
    let asked = identity.introspections();

    wait_until("the token to be purged", LIMIT, || identity.admin_purge() >= issued);
    upstream.clear();
    assert_refused(&send(envoy.addr("main"), &list().bearer(&token)), Refusal::BadToken);
    assert_refused(&send(envoy.addr("main"), &list().bearer("never-issued")), Refusal::BadToken);
    assert_eq!((identity.introspections(), upstream.request_count()), (asked + 2, 0));
}

/// With 200 000 random tokens: `two_hundred_thousand_random_tokens_leave_memory_flat_and_good_tokens_cached`.
#[test]
fn s2_17_a_full_cache_forgets_tokens_and_asks_again() {
    const CAPACITY: usize = 16;
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let configuration = with(bookings(&identity), &[("/cache/capacity", json!(CAPACITY))]);
    let envoy = gateway(&identity, &upstream).plugin(configuration).start();
    let tokens: Vec<_> = (0..4 * CAPACITY).map(|_| identity.client_credentials("view")).collect();

    for round in 1..=2 {
        for token in &tokens {
            assert_eq!(status(&envoy, list(), token), 200);
        }
        let asked = identity.introspections();
        assert!(asked >= round * (tokens.len() - CAPACITY), "{asked} introspections in {round} rounds");
    }
    let evicted = || usize::try_from(envoy.counter("scopegate.cache_entries_evicted")).expect("a small number");
    wait_until("entries to make room", LIMIT, || evicted() >= tokens.len() - CAPACITY);
}

#[test]
fn s2_18_a_token_that_an_administrator_revokes_is_refused_within_max_ttl() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let configuration = with(bookings(&identity), &[("/cache/max_ttl", json!("2s"))]);
    let never = with(bookings(&identity), &[("/cache/max_ttl", json!("0s"))]);
    let envoy = gateway(&identity, &upstream)
        .plugin(configuration)
        .listener("never", ListenerSpec::new().plugin(never))
        .start();
    let issued = identity.password("alice", "alice-pw", "view");
    let tokens = [issued.access_token.clone(), identity.client_credentials("view")];
    let statuses = || tokens.each_ref().map(|token| status(&envoy, list(), token));
    assert_eq!(statuses(), [200; 2]);

    for token in &tokens {
        identity.admin_revoke(token);
        assert_eq!(send(envoy.addr("never"), &list().bearer(token)).status, 401);
    }
    wait_until("both tokens to be refused", LIMIT / 2, || statuses() == [401; 2]);
    // One token was revoked, not the user's leave.
    assert_eq!(status(&envoy, list(), &identity.refresh(issued.refresh()).access_token), 200);
}

#[test]
fn s2_22_a_new_configuration_takes_effect_without_a_restart_and_drops_no_request() {
    const REQUESTS: usize = 10_000;
    const UPDATES: usize = 4;
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let (strict, lenient) = (bookings(&identity), json!({ "any_scope": ["book", "view"] }));
    let lenient = with(strict.clone(), &[("/rules/1/require", lenient)]);
    let mut envoy =
        gateway(&identity, &upstream).dynamic_listeners().wasm_log_level("error").plugin(strict.clone()).start();
    let (addr, pid) = (envoy.addr("main"), envoy.pid());
    let token = identity.client_credentials("view");
    assert_eq!(status(&envoy, book(), &token), 403);

    // The load goes on until enough has changed meanwhile.
    let enough = AtomicBool::new(false);
    let (counts, updates) = thread::scope(|scope| {
        let enough = &enough;
        // Some connections see one configuration after another go, some come while they change.
        let request = |number: usize| match number % 10 {
            0 => list().bearer(&token).header("connection", "close"),
            _ => list().bearer(&token),
        };
        let running = scope.spawn(move || {
            let mut counts = load(addr, 4, REQUESTS, request);
            while !enough.load(Ordering::Relaxed) {
                for (status, count) in load(addr, 4, REQUESTS / 10, request) {
                    *counts.entry(status).or_default() += count;
                }
            }
            counts
        });
        let mut updates = 0;
        for (configuration, expected) in [(&lenient, 200), (&strict, 403)].into_iter().cycle() {
            let spec = ListenerSpec::new().plugin(configuration.clone());
            envoy.replace_listeners(&[("main", spec)]).expect("Envoy takes it");
            wait_until("the update", LIMIT, || status(&envoy, book(), &token) == expected);
            updates += 1;
            enough.store(updates >= UPDATES, Ordering::Relaxed);
            if running.is_finished() {
                break;
            }
        }
        (running.join().expect("the load"), updates)
    });
    println!("{updates} updates while {counts:?} requests ran");
    assert!(counts.len() == 1 && counts[&200] >= REQUESTS, "{counts:?}");
    assert!(updates >= UPDATES, "{updates} updates: nothing was shown");
    assert_eq!((envoy.addr("main"), envoy.pid(), envoy.is_running()), (addr, pid, true));
}
