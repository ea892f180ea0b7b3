//! S1: Axway API Gateway.
//!
//! Unless stated otherwise, the statuses are those of RFC 6750; the product's own, the error profile `axway`, are
//! shown in S1.10. Its implicit flow answers with an access token alone (`response_type=token`), which oidc-provider
//! refuses: here an ID token comes along.

use super::adapters::{AXWAY_LEAK, axway_tokeninfo};
use super::*;

/// The token endpoint refuses the request as RFC 6749, 5.2, specifies.
#[track_caller]
fn assert_not_granted(response: &Response) {
    assert_eq!((response.status, &response.json()["error"]), (400, &json!("invalid_grant")), "{}", response.text());
}

#[test]
fn s1_1_a_token_of_the_authorization_code_grant_is_honoured_and_the_code_is_not() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let envoy = gateway(&identity, &upstream).plugin(with_names(&identity, &[])).start();
    let login = Login::new("alice", "alice-pw", &["openid", "view"]);

    // A confidential client, which may do without PKCE.
    let plain = identity.authorization_code(Client::WEB, &login);
    let proven = identity.authorization_code_with_pkce(Client::WEB, &login);
    for tokens in [&plain, &proven] {
        assert_eq!(named(&envoy, &upstream, &tokens.access_token), names("web", "alice"));
        assert_refused(&send(envoy.addr("main"), &book().bearer(&tokens.access_token)), Refusal::LacksScope("book"));
    }

    upstream.clear();
    let code = identity.code(Client::WEB, &login, &[]);
    for token in [plain.id(), plain.refresh(), &code] {
        assert_refused(&send(envoy.addr("main"), &list().bearer(token)), Refusal::BadToken);
    }
    assert_eq!(upstream.request_count(), 0);
}

#[test]
fn s1_1_a_code_is_redeemed_once_and_only_by_whom_it_was_for() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let envoy = gateway(&identity, &upstream).plugin(with_names(&identity, &[("/cache/max_ttl", json!("0s"))])).start();
    let login = Login::new("alice", "alice-pw", &["openid", "view"]);

    // The verifier must match the code (RFC 7636, 4.6): a wrong, a missing and an unexpected one are refused.
    let wrong = "another-verifier-of-forty-three-characters-too";
    let proven = || identity.code_with_pkce(Client::WEB, &login);
    assert_not_granted(&identity.redeem_code(Client::WEB, &proven(), &[("code_verifier", wrong)]));
    assert_not_granted(&identity.redeem_code(Client::WEB, &proven(), &[]));
    let plain = identity.code(Client::WEB, &login, &[]);
    assert_not_granted(&identity.redeem_code(Client::WEB, &plain, &[("code_verifier", wrong)]));
    let verifier = [("code_verifier", OidcProvider::VERIFIER)];
    assert_not_granted(&identity.redeem_code(Client::NETIQ, &proven(), &verifier));

    // A code that is redeemed twice was stolen: its tokens are revoked (RFC 6749, 4.1.2).
    let code = proven();
    let token = tokens_of(&identity.redeem_code(Client::WEB, &code, &verifier)).access_token;
    assert_eq!(named(&envoy, &upstream, &token), names("web", "alice"));
    assert_not_granted(&identity.redeem_code(Client::WEB, &code, &verifier));
    assert_refused(&send(envoy.addr("main"), &list().bearer(&token)), Refusal::BadToken);
}

#[test]
fn s1_2_a_token_from_the_fragment_of_the_implicit_grant_is_honoured_in_the_header() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let envoy = gateway(&identity, &upstream).plugin(with_names(&identity, &[])).start();
    let tokens = identity.implicit(&Login::new("bob", "bob-pw", &["openid", "view", "book"]).approves(&["view"]));
    assert_eq!(tokens.refresh_token, None);

    assert_eq!(named(&envoy, &upstream, &tokens.access_token), names("spa", "bob"));
    assert_refused(&send(envoy.addr("main"), &book().bearer(&tokens.access_token)), Refusal::LacksScope("book"));
    assert_refused(&send(envoy.addr("main"), &list().bearer(tokens.id())), Refusal::BadToken);
    assert_eq!(upstream.request_count(), 1);
}

/// Returns the one request that the upstream received. Its path and headers must not contain the token.
#[track_caller]
fn arrived(upstream: &Upstream, token: &str) -> Recorded {
    let [passed] = upstream.requests().try_into().expect("one request");
    let holds = |bytes: &[u8]| bytes.windows(token.len()).any(|window| window == token.as_bytes());
    assert!(!holds(&passed.path) && !passed.headers.iter().any(|(_, value)| holds(value)), "{passed:?}");
    passed
}

#[test]
fn s1_2_a_token_in_the_query_is_honoured_where_it_is_said_and_goes_no_further() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let query = with(bookings(&identity), &[("/bearer", json!({ "query": "access_token" }))]);
    let envoy = gateway(&identity, &upstream)
        .plugin(query.clone())
        .listener("off", ListenerSpec::new().plugin(bookings(&identity)))
        .listener("keep", ListenerSpec::new().plugin(with(query, &[("/upstream", json!({ "authorization": "keep" }))])))
        .start();
    let answer = |listener: &str, request: &Request| {
        upstream.clear();
        send(envoy.addr(listener), request)
    };
    let token = identity.implicit(&Login::new("bob", "bob-pw", &["openid", "view"])).access_token;

    // Every other byte stays, and so does what only looks alike.
    for (path, passed) in [
        ("/bookings?access_token=<token>", "/bookings"),
        ("/bookings?access_token=<token>&a=1", "/bookings?a=1"),
        ("/bookings/7?q=%20+a%2Fb%ff&access_token=<token>&&c&=d", "/bookings/7?q=%20+a%2Fb%ff&&c&=d"),
        ("/bookings?x=%7e;y=?&access_token=<token>", "/bookings?x=%7e;y=?"),
        ("/bookings?accesstoken=a&access%5Ftoken=<token>&xaccess_token=b", "/bookings?accesstoken=a&xaccess_token=b"),
        // Some applications take these for the parameter, too.
        ("/bookings?Access.Token=<token>&a", "/bookings?a"),
        ("/healthz?access_token=<token>&verbose", "/healthz?verbose"),
    ] {
        let response = answer("main", &Request::get(path.replace("<token>", &token)));
        assert_eq!(response.status, 200, "{path}");
        assert_eq!(String::from_utf8_lossy(&arrived(&upstream, &token).path), passed);
    }
    let in_query = Request::get(format!("/bookings?access_token={token}"));
    let booking = Request::post(format!("/bookings?access_token={token}"), "{}");
    assert_refused(&answer("main", &booking), Refusal::LacksScope("book"));

    let twice = Request::get(format!("/bookings?access_token={token}&access_token={token}"));
    for (request, refusal) in [
        (in_query.clone().bearer(&token), Refusal::Malformed),
        (twice, Refusal::Malformed),
        (Request::get(format!("/bookings?access_token={token};ACCESS_TOKEN=x")), Refusal::Malformed),
        (Request::get("/bookings?access_token="), Refusal::Malformed),
        (Request::get("/bookings?access_token=a%20b"), Refusal::Malformed),
        (Request::get("/bookings?access_token=garbage"), Refusal::BadToken),
        (Request::get(format!("/access_token={token}")), Refusal::NoRule),
        (Request::get(format!("/bookings?token={token}")), Refusal::NoToken),
    ] {
        assert_refused(&answer("main", &request), refusal);
        assert_eq!(upstream.request_count(), 0, "{request:?}");
    }

    // Where it is not said, it is a parameter like any other.
    assert_refused(&answer("off", &in_query), Refusal::NoToken);
    assert_eq!(answer("off", &Request::get("/bookings?access_token=mine").bearer(&token)).status, 200);
    assert_eq!(arrived(&upstream, &token).path, b"/bookings?access_token=mine");
    // To be kept is to be kept wherever it stands.
    assert_eq!(answer("keep", &in_query).status, 200);
    assert_eq!(upstream.requests().remove(0).path, in_query.path);
    assert_eq!(answer("keep", &list().bearer(&token)).status, 200);
    assert_eq!(upstream.requests().remove(0).headers_named("authorization"), [format!("Bearer {token}")]);
}

#[test]
fn s1_2_a_token_in_a_cookie_or_a_header_of_its_own_is_honoured_where_it_is_said_and_goes_no_further() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let bearer = json!({ "query": "access_token", "cookie": "session", "header": "x-token" });
    let everywhere = with(bookings(&identity), &[("/bearer", bearer)]);
    let kept = with(everywhere.clone(), &[("/upstream", json!({ "authorization": "keep" }))]);
    let envoy = gateway(&identity, &upstream)
        .plugin(everywhere)
        .listener("off", ListenerSpec::new().plugin(bookings(&identity)))
        .listener("keep", ListenerSpec::new().plugin(kept))
        .start();
    let answer = |listener: &str, request: &Request| {
        upstream.clear();
        send(envoy.addr(listener), request)
    };
    let token = identity.implicit(&Login::new("bob", "bob-pw", &["openid", "view", "book"])).access_token;
    let cookie = |value: &str| list().header("cookie", value.replace("<token>", &token));
    let header = |value: &str| list().header("x-token", value);

    for (request, cookies) in [
        (cookie("session=<token>"), &[][..]),
        (cookie("a=b; session=<token>; c=\"d\""), &["a=b; c=\"d\""]),
        (cookie("sessions=a;session=\"<token>\"; xsession=b"), &["sessions=a; xsession=b"]),
        (cookie("a=b").header("cookie", format!("session={token}")), &["a=b"]),
        (header(&token), &[]),
        // Other credentials are not for the application either.
        (header(&token).header("authorization", "Basic dTpw"), &[]),
    ] {
        assert_eq!(answer("main", &request).status, 200, "{request:?}");
        let passed = arrived(&upstream, &token);
        assert_eq!(passed.headers_named("cookie"), cookies);
        for name in ["x-token", "authorization"] {
            assert_eq!(passed.headers_named(name), [""; 0]);
        }
    }

    let in_query = format!("/bookings?access_token={token}");
    for request in [
        list().bearer(&token).header("x-token", &token),
        list().bearer(&token).header("cookie", format!("session={token}")),
        header(&token).header("x-token", &token),
        header(&token).header("cookie", "session=garbage"),
        cookie("session=<token>; session=<token>"),
        Request::get(&in_query).header("x-token", &token),
        Request::get(&in_query).header("cookie", format!("session={token}")),
        header(&format!("Bearer {token}")),
        header(""),
        cookie("session="),
    ] {
        assert_refused(&answer("main", &request), Refusal::Malformed);
        assert_eq!(upstream.request_count(), 0, "{request:?}");
    }

    // A form body belongs to the application: the gateway does not read it and passes it on unchanged.
    let form = Request::form("/bookings", &[("access_token", &token)]);
    assert_refused(&answer("main", &form), Refusal::NoToken);
    assert_eq!(answer("main", &form.clone().bearer(&token)).status, 200);
    assert_eq!(arrived(&upstream, &token).body, form.body);

    for request in [cookie("session=<token>"), header(&token)] {
        assert_refused(&answer("off", &request), Refusal::NoToken);
        assert_eq!(answer("keep", &request).status, 200);
        let passed = upstream.requests().remove(0);
        let sent = |name: &str| request.headers.iter().any(|(held, _)| held == name.as_bytes());
        for name in ["cookie", "x-token"] {
            assert_eq!(!passed.headers_named(name).is_empty(), sent(name));
        }
    }
    assert_eq!(answer("off", &list().bearer(&token).header("cookie", "session=mine")).status, 200);
    assert_eq!(arrived(&upstream, &token).headers_named("cookie"), ["session=mine"]);
}

#[test]
fn s1_3_the_owner_of_a_password_token_is_the_user() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let envoy = gateway(&identity, &upstream).plugin(with_names(&identity, &[])).start();

    for (user, password) in [("alice", "alice-pw"), ("bob", "bob-pw"), ("fred", "test0123")] {
        let token = identity.password(user, password, "view").access_token;
        // The second time from the cache.
        for _ in 0..2 {
            assert_eq!(named(&envoy, &upstream, &token), names("web", user));
        }
    }
    assert_eq!(identity.introspections(), 3);
    let form = [("grant_type", "password"), ("username", "bob"), ("password", "alice-pw"), ("scope", "view")];
    assert_not_granted(&identity.token_request(Client::WEB, &form));
}

#[test]
fn s1_4_a_client_credentials_token_has_a_client_and_no_owner() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let envoy = gateway(&identity, &upstream).plugin(with_names(&identity, &[])).start();
    let form = [("grant_type", "client_credentials"), ("scope", "view")];
    let tokens = tokens_of(&identity.token_request(Client::WEB, &form));

    // RFC 6749, 4.4.3: no refresh token, even for a client that may refresh.
    assert_eq!(tokens.refresh_token, None);
    for _ in 0..2 {
        assert_eq!(named(&envoy, &upstream, &tokens.access_token), names("web", ""));
    }
}

#[test]
fn s1_5_a_token_for_a_jwt_assertion_is_honoured_and_the_assertion_itself_is_not() {
    let key = SigningKey::rs256();
    let (identity, upstream) = (OidcProvider::builder().trusts(&key).start(), Upstream::start());
    let envoy = gateway(&identity, &upstream).plugin(with_names(&identity, &[])).start();
    let assertion = key.jwt(&identity.jwt_claims("fred"));

    let token = tokens_of(&identity.jwt_bearer(&assertion, "view")).access_token;
    assert_eq!(named(&envoy, &upstream, &token), names("web", "fred"));
    assert_refused(&send(envoy.addr("main"), &book().bearer(&token)), Refusal::LacksScope("book"));
    // Neither the one that was redeemed nor one that still could be.
    for bearer in [&assertion, &key.jwt(&identity.jwt_claims("fred"))] {
        assert_refused(&send(envoy.addr("main"), &list().bearer(bearer)), Refusal::BadToken);
    }
    assert_eq!(upstream.request_count(), 1);
}

#[test]
fn s1_6_after_a_refresh_the_new_token_works_at_once_and_the_old_one_dies_with_its_grant() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let changes = [("/cache/max_ttl", json!("2s"))];
    let envoy = gateway(&identity, &upstream).plugin(with_names(&identity, &changes)).start();
    let old = identity.password("alice", "alice-pw", "view");
    assert_eq!(named(&envoy, &upstream, &old.access_token), names("web", "alice"));
    assert_eq!(identity.introspections(), 1);

    let new = identity.refresh(old.refresh());
    assert_eq!(named(&envoy, &upstream, &new.access_token), names("web", "alice"));
    assert_eq!(identity.introspections(), 2);
    // This server lets the old token live beside the new one: the gateway follows.
    assert_eq!(status(&envoy, list(), &old.access_token), 200);
    for refresh_token in [old.refresh(), new.refresh()] {
        assert_refused(&send(envoy.addr("main"), &list().bearer(refresh_token)), Refusal::BadToken);
    }

    // A refresh token that comes back after it was exchanged was stolen: the server ends the whole grant.
    assert_not_granted(&identity.try_refresh_for(Client::WEB, old.refresh()));
    let both = || [&old, &new].map(|tokens| status(&envoy, list(), &tokens.access_token));
    wait_until("both tokens to be refused", LIMIT / 2, || both() == [401; 2]);
    assert_not_granted(&identity.try_refresh_for(Client::WEB, new.refresh()));
}

#[test]
fn s1_7_a_revoked_token_is_refused_within_max_ttl_or_at_once() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let changes = |max_ttl: &str| with(bookings(&identity), &[("/cache/max_ttl", json!(max_ttl))]);
    let envoy = gateway(&identity, &upstream)
        .plugin(changes("3s"))
        .listener("never", ListenerSpec::new().plugin(changes("0s")))
        .start();
    let never = |token: &str| send(envoy.addr("never"), &list().bearer(token)).status;

    for by_refresh_token in [false, true] {
        let tokens = identity.password("alice", "alice-pw", "view");
        let token = tokens.access_token.as_str();
        // A response is not cached if its callout overlaps with the broadcast of the previous revocation.
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!([status(&envoy, list(), token), never(token)], [200, 200]);
        identity.revoke(if by_refresh_token { tokens.refresh() } else { token });
        assert_eq!(never(token), 401);
        // If the workers did not share the revocation, the cached entry would stay valid for a minute.
        wait_until("the token to be refused", LIMIT / 2, || status(&envoy, list(), token) == 401);
    }
}

/// The bookings API that asks the product's token information service, by `preset`.
fn informed(identity: &OidcProvider, preset: &str) -> Value {
    let server = json!({
        "name": "identity",
        "cluster": "adapter",
        "audience": "any",
        "introspection": {
            "preset": preset,
            "authority": "gateway.example.test:8089",
            "timeout": "5s",
        },
    });
    let headers = json!({
        "x-client": "client_id",
        "x-owner": "owner",
        "x-scope": "scope",
        "x-department": "Department",
        "x-type": "claims.Access Token Type:",
    });
    let changes = [("/authorization_servers", json!([server])), ("/upstream", json!({ "headers": headers }))];
    with(bookings(identity), &changes)
}

#[test]
fn s1_8_adapter_token_information_is_asked_for_by_post_and_get_and_counts() {
    let (identity, other, upstream) = (OidcProvider::start(), OidcProvider::start(), Upstream::start());
    let adapter = axway_tokeninfo(&identity, |answer| answer);
    let envoy = gateway(&identity, &upstream)
        .cluster("adapter", adapter.addr())
        .listener("post", ListenerSpec::new().plugin(informed(&identity, "axway-tokeninfo")))
        .listener("get", ListenerSpec::new().plugin(informed(&identity, "axway-tokeninfo-get")))
        .start();
    let login = identity.authorization_code_pkce("bob", "bob-pw", &["openid", "view"], &["view"]);
    let revoked = identity.password("alice", "alice-pw", "view").access_token;
    identity.revoke(&revoked);

    for listener in ["post", "get"] {
        adapter.clear();
        let alice = identity.password("alice", "alice-pw", "view book").access_token;
        let told = |token: &str| {
            upstream.clear();
            assert_eq!(send(envoy.addr(listener), &list().bearer(token)).status, 200);
            let [passed] = upstream.requests().try_into().expect("one request");
            let names = ["x-client", "x-owner", "x-scope", "x-department", "x-type"];
            names.map(|name| passed.headers_named(name).join("|"))
        };
        for _ in 0..2 {
            assert_eq!(told(&alice), ["web", "alice", "view book", "time travel", "Bearer"]);
        }
        let [call] = adapter.calls().try_into().expect("one call");
        let (form, query) = (format!("access_token={alice}"), format!("/api/oauth/tokeninfo?access_token={alice}"));
        let (method, path, body) = (&*call.method, &*call.path, &*call.body);
        match listener {
            "post" => assert_eq!((method, path, body), ("POST", &b"/api/oauth/tokeninfo"[..], form.as_bytes())),
            _ => assert_eq!((method, path, body), ("GET", query.as_bytes(), &b""[..])),
        }
        assert_eq!(call.headers_named("host"), ["gateway.example.test:8089"]);
        assert_eq!(call.headers_named("authorization"), [""; 0]);
        assert_eq!(send(envoy.addr(listener), &book().bearer(&alice)).status, 200);
        assert_refused(&send(envoy.addr(listener), &cancel().bearer(&alice)), Refusal::LacksScope("cancel"));
        // A client that acts for itself is not a user, whatever the response calls it.
        let alone = identity.client_credentials("view");
        assert_eq!(told(&alone), ["traveller", "", "view", "", "Bearer"]);

        // The server responds to all of these with 400 and no explanation.
        upstream.clear();
        for token in ["garbage", &revoked, &other.client_credentials("view"), login.refresh(), login.id()] {
            for _ in 0..2 {
                assert_refused(&send(envoy.addr(listener), &list().bearer(token)), Refusal::BadToken);
            }
        }
        assert_eq!((adapter.call_count(), upstream.request_count()), (2 + 5, 0));
    }
}

#[test]
fn s1_8_adapter_token_information_says_how_long_a_token_lives_and_no_longer_is_it_honoured() {
    let identity = OidcProvider::builder().access_token_ttl(3).start();
    let upstream = Upstream::start();
    let adapter = axway_tokeninfo(&identity, |answer| answer);
    let envoy = gateway(&identity, &upstream)
        .cluster("adapter", adapter.addr())
        .plugin(informed(&identity, "axway-tokeninfo"))
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
fn s1_8_adapter_what_the_answer_has_beside_the_token_is_neither_logged_nor_passed_on() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let adapter = axway_tokeninfo(&identity, |mut answer| {
        let members = answer.as_object_mut().expect("an object");
        match members["scope"].as_str() {
            Some("view,book") => drop(members.remove("expires_in")),
            Some("view,cancel") => drop(members.insert("scope".to_owned(), json!({ "view": true }))),
            Some("view,admin") => drop(members.insert("expires_in".to_owned(), json!("2518"))),
            Some("view,all") => drop(members.insert("error".to_owned(), json!("invalid_token"))),
            _ => {}
        }
        answer
    });
    let envoy = gateway(&identity, &upstream)
        .cluster("adapter", adapter.addr())
        .plugin(informed(&identity, "axway-tokeninfo"))
        .start();
    let mut tokens = Vec::new();
    let mut answer = |scope: &str| {
        let token = identity.password("fred", "test0123", scope).access_token;
        tokens.push(token.clone());
        send(envoy.addr("main"), &list().bearer(&token))
    };

    for scope in ["view", "view admin"] {
        assert_eq!(answer(scope).status, 200);
    }
    // No word on its life, an error in a 200, and an answer that cannot be read: the worst places to quote it.
    for scope in ["view book", "view all"] {
        assert_refused(&answer(scope), Refusal::BadToken);
    }
    assert_refused(&answer("view cancel"), Refusal::Unavailable);
    let told = |text: &str| envoy.log().contains(text);
    wait_until("the warning", LIMIT, || told("authorization server `identity`: "));

    for passed in upstream.requests() {
        let text = format!("{passed:?}");
        for secret in [AXWAY_LEAK, "test0123", "Authentication parameters", "Tue Aug 14"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
    for secret in [AXWAY_LEAK, "test0123", "Authentication parameters"].into_iter().chain(tokens.iter().map(|t| &**t)) {
        assert!(!told(secret), "{secret} is in the log");
    }
}

/// The Validate Access Token filter of the product's manual: its refusals, its realm, Any and All of some scopes.
fn validating(identity: &OidcProvider, changes: &[(&str, Value)]) -> Value {
    let rule = |name: &str, require: Value| {
        let path = format!("/{name}");
        json!({ "name": name, "match": [{ "path": path }], "require": require })
    };
    let mut registered = rule("registered", json!({ "scope": "view" }));
    registered["application"] = json!("any");
    let rules = json!([
        rule("all", json!({ "scope": "view book" })),
        rule("any", json!({ "any_scope": ["book", "cancel"] })),
        rule("write", json!({ "any_scope": ["resource.WRITE"] })),
        // Alternative roles do not make the scopes alternative.
        rule("managers", json!({ "scope": "view book", "any_role": ["manager", "admin"] })),
        rule("verb", json!({ "scope_template": "{method}:bookings" })),
        registered,
    ]);
    let mut configuration = with(bookings(identity), &[("/errors", json!("axway")), ("/rules", rules)]);
    let members = configuration.as_object_mut().expect("an object");
    members.remove("realm");
    members.insert("applications".to_owned(), json!([{ "name": "Sample", "clients": [{ "client_id": "web" }] }]));
    with(configuration, changes)
}

const NO_TOKEN: &str =
    r#"Bearer realm="DefaultRealm", error="invalid_request", error_description="Unable to find token in the message.""#;
const NOT_IN_STORE: &str = r#"Bearer realm="DefaultRealm", error="invalid_token", error_description="Unable to find the access token in persistent storage.""#;
const EXPIRED: &str =
    r#"Bearer realm="DefaultRealm", error="invalid_token", error_description="The access token expired.""#;
const NO_CLIENT: &str = r#"Bearer realm="DefaultRealm", error="invalid_token", error_description="The client app was not found or is disabled.""#;

fn wrong_scope(scope: &str) -> String {
    let description = "scope(s) associated with access token are not valid to access this resource.";
    let error = format!(r#"error="insufficient_scope", error_description="{description}""#);
    format!(r#"Bearer realm="DefaultRealm", {error}, scope="{scope}""#)
}

#[track_caller]
fn assert_challenged(response: &Response, status: u16, challenge: &str) {
    assert_eq!((response.status, response.headers_named("www-authenticate")), (status, vec![challenge.to_owned()]));
    assert_eq!(response.headers_named("content-type"), ["application/json"]);
    assert_eq!(response.headers_named("cache-control"), ["no-store"]);
}

#[test]
fn s1_10_each_check_of_the_manual_has_its_status_and_its_challenge() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let envoy = gateway(&identity, &upstream).plugin(validating(&identity, &[])).start();
    let get = |name: &str| Request::get(format!("/{name}"));
    let answer = |request: &Request| send(envoy.addr("main"), request);
    let token = identity.password("alice", "alice-pw", "view book").access_token;
    let view = identity.password("alice", "alice-pw", "view").access_token;
    let revoked = identity.password("alice", "alice-pw", "view book").access_token;
    identity.revoke(&revoked);
    let traveller = identity.client_credentials("view");

    // No token where it is expected.
    for request in [
        get("all"),
        get("all").header("authorization", &token),
        get("all").header("authorization", format!("OAuth {token}")),
        get("all").header("authorization", "Basic dTpw"),
        get("all").header("authorization", "Bearer"),
        Request::get(format!("/all?access_token={token}")),
        get("all").bearer(&token).bearer(&token),
    ] {
        assert_challenged(&answer(&request), 400, NO_TOKEN);
    }
    assert_eq!(identity.introspections(), 0);
    // Not in the store.
    for token in ["garbage", &revoked] {
        assert_challenged(&answer(&get("all").bearer(token)), 401, NOT_IN_STORE);
    }
    // Not in the registry, or its application is disabled, which is the same here.
    assert_challenged(&answer(&get("registered").bearer(&traveller)), 401, NO_CLIENT);
    // The scopes.
    for (name, token, scope) in [
        ("all", &view, "Scopes must match All of these scopes:view book"),
        ("any", &view, "Scopes must match Any of these scopes:book cancel"),
        ("write", &view, "Scopes must match Any of these scopes:resource.WRITE"),
        ("managers", &view, "Scopes must match All of these scopes:view book"),
        ("verb", &view, "Scopes must match All of these scopes:GET:bookings"),
    ] {
        assert_challenged(&answer(&get(name).bearer(token)), 403, &wrong_scope(scope));
    }
    assert_eq!(upstream.request_count(), 0);
    for name in ["all", "any", "managers", "registered"] {
        assert_eq!(answer(&get(name).bearer(&token)).status, 200, "{name}");
    }
}

#[test]
fn s1_10_adapter_a_token_that_is_told_with_an_end_in_the_past_has_expired() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    // oidc-provider has forgotten what has expired; other servers tell of it.
    let adapter = ScriptedServer::in_front_of(identity.addr(), |mut answer| {
        answer["exp"] = json!(unix_time() - 1);
        answer
    });
    let max_ttl = |max_ttl: &str| {
        let mut configuration = validating(&identity, &[("/cache/max_ttl", json!(max_ttl))]);
        configuration["authorization_servers"][0]["cluster"] = json!("adapter");
        ListenerSpec::new().plugin(configuration)
    };
    let envoy = gateway(&identity, &upstream)
        .cluster("adapter", adapter.addr())
        .listener("asked", max_ttl("0s"))
        .listener("cached", max_ttl("60s"))
        .start();
    let token = identity.password("alice", "alice-pw", "view book").access_token;
    // An expired token is cached as inactive, without the reason.
    for (listener, challenges) in [("asked", [EXPIRED, EXPIRED]), ("cached", [EXPIRED, NOT_IN_STORE])] {
        for challenge in challenges {
            assert_challenged(&send(envoy.addr(listener), &Request::get("/all").bearer(&token)), 401, challenge);
        }
    }
    assert_eq!((adapter.call_count(), upstream.request_count()), (3, 0));
}

#[test]
fn s1_10_all_takes_a_token_with_more_scopes_and_any_takes_one_that_meets_the_list() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let envoy = gateway(&identity, &upstream).plugin(validating(&identity, &[])).start();
    for (scope, all, any) in [
        ("view book", 200, 200),
        ("book view", 200, 200),
        ("admin view cancel book all", 200, 200),
        ("view", 403, 403),
        ("book", 403, 200),
        ("view cancel admin", 403, 200),
        ("view admin all", 403, 403),
        ("", 403, 403),
    ] {
        let token = identity.client_credentials(scope);
        let statuses = ["/all", "/any"].map(|path| status(&envoy, Request::get(path), &token));
        assert_eq!(statuses, [all, any], "{scope}");
    }
}

#[test]
fn s1_10_a_scope_may_depend_on_the_verb_of_the_request() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let envoy = gateway(&identity, &upstream).plugin(validating(&identity, &[])).start();
    let (get, delete) = (identity.client_credentials("GET:bookings"), identity.client_credentials("DELETE:bookings"));
    let answer = |method: &str, token: &str| send(envoy.addr("main"), &Request::new(method, "/verb").bearer(token));

    assert_eq!((answer("GET", &get).status, answer("DELETE", &delete).status), (200, 200));
    for (method, token) in [("DELETE", &get), ("GET", &delete), ("POST", &get), ("HEAD", &get)] {
        let scope = format!("Scopes must match All of these scopes:{method}:bookings");
        assert_challenged(&answer(method, token), 403, &wrong_scope(&scope));
    }
    assert_eq!((identity.introspections(), upstream.request_count()), (2, 2));
}

#[test]
fn s1_10_the_prefix_of_the_header_is_the_one_that_is_configured() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let schemes = |schemes: Value| {
        ListenerSpec::new().plugin(validating(&identity, &[("/bearer", json!({ "schemes": schemes }))]))
    };
    let envoy = gateway(&identity, &upstream)
        .listener("oauth", schemes(json!(["OAuth"])))
        .listener("both", schemes(json!(["Bearer", "OAuth"])))
        .start();
    let token = identity.client_credentials("view book");
    let answer = |listener: &str, prefix: &str| {
        let request = Request::get("/all").header("authorization", format!("{prefix} {token}"));
        send(envoy.addr(listener), &request)
    };

    for (listener, prefix) in
        [("oauth", "OAuth"), ("oauth", "oauth"), ("both", "OAuth"), ("both", "Bearer"), ("both", "bearer")]
    {
        upstream.clear();
        assert_eq!(answer(listener, prefix).status, 200, "{listener} {prefix}");
        assert_eq!(arrived(&upstream, &token).headers_named("authorization"), [""; 0]);
    }
    upstream.clear();
    for (listener, prefix) in [("oauth", "Bearer"), ("both", "OAuth2"), ("both", "Token")] {
        assert_challenged(&answer(listener, prefix), 400, NO_TOKEN);
    }
    assert_eq!(upstream.request_count(), 0);
}

fn preflight(path: &str, method: &str) -> Request {
    Request::new("OPTIONS", path)
        .header("origin", "https://app.example.test")
        .header("access-control-request-method", method)
        .header("access-control-request-headers", "authorization")
}

#[test]
fn s1_11_a_preflight_reaches_the_application_without_a_token_where_it_is_said() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let whole = json!({ "name": "Api", "match": [{ "path_prefix": "/api" }], "require": { "scope": "view" } });
    let rules = |configuration: Value, cors: bool| {
        let mut configuration = with(configuration, &[("/upstream", json!({ "headers": { "x-owner": "owner" } }))]);
        let rules = configuration["rules"].as_array_mut().expect("rules");
        rules.push(whole.clone());
        for rule in rules.iter_mut().filter(|rule| rule["public"] != true && rule["name"] != "CancelTickets") {
            rule["cors_preflight"] = json!(cors);
        }
        configuration
    };
    let envoy = gateway(&identity, &upstream)
        .plugin(rules(bookings(&identity), true))
        .listener("off", ListenerSpec::new().plugin(rules(bookings(&identity), false)))
        .start();
    let answer = |listener: &str, request: &Request| {
        upstream.clear();
        send(envoy.addr(listener), request)
    };

    // By the rule of the method that it asks for, or by one that takes every method.
    for (path, method) in [("/bookings", "GET"), ("/bookings", "POST"), ("/bookings/7", "GET"), ("/api/x", "DELETE")] {
        let request = preflight(path, method).header("x-owner", "forged").bearer("garbage");
        assert_eq!(answer("main", &request).status, 200, "{path} {method}");
        let [passed] = upstream.requests().try_into().expect("one request");
        assert_eq!((&*passed.method, &*passed.path), ("OPTIONS", path.as_bytes()));
        assert_eq!(passed.headers_named("origin"), ["https://app.example.test"]);
        assert_eq!(passed.headers_named("access-control-request-method"), [method]);
        for name in ["x-owner", "authorization"] {
            assert_eq!(passed.headers_named(name), [""; 0], "it opens nothing but itself");
        }
    }

    let options = |path: &str| Request::new("OPTIONS", path);
    let origin = |request: Request| request.header("origin", "https://app.example.test");
    let asks = |request: Request| request.header("access-control-request-method", "GET");
    for (listener, request, refusal) in [
        // A request that is not a preflight needs a token, or a rule of its own.
        ("main", options("/api/x"), Refusal::NoToken),
        ("main", origin(options("/api/x")), Refusal::NoToken),
        ("main", asks(options("/api/x")), Refusal::NoToken),
        ("main", preflight("/api/x", ""), Refusal::NoToken),
        ("main", asks(origin(Request::get("/api/x"))), Refusal::NoToken),
        ("main", options("/bookings"), Refusal::NoRule),
        ("main", origin(options("/bookings")), Refusal::NoRule),
        // A rule that does not allow preflights, and a path that matches no rule.
        ("main", preflight("/bookings/7", "DELETE"), Refusal::NoRule),
        ("main", preflight("/bookings", "PATCH"), Refusal::NoRule),
        ("main", preflight("/admin", "GET"), Refusal::NoRule),
        ("off", preflight("/bookings", "GET"), Refusal::NoRule),
        ("off", preflight("/api/x", "GET"), Refusal::NoToken),
    ] {
        assert_refused(&answer(listener, &request), refusal);
        assert_eq!(upstream.request_count(), 0, "{request:?}");
    }
    assert_eq!(identity.introspections(), 0);
}

#[test]
fn s1_11_a_script_of_another_origin_asks_first_and_then_calls_with_its_token() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let changes = [("/rules/0/cors_preflight", json!(true))];
    let origin = "https://app.example.test";
    let policy = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy",
        "allow_origin_string_match": [{ "exact": origin }],
        "allow_methods": "GET",
        "allow_headers": "authorization",
    });
    let cors = "envoy.filters.http.cors";
    let listener = ListenerSpec::new()
        .plugin(with(bookings(&identity), &changes))
        .http_filter(cors, "envoy.extensions.filters.http.cors.v3.Cors", json!({}))
        .route(RouteSpec::prefix("/bookings").field("typed_per_filter_config", json!({ cors: policy })));
    let envoy = gateway(&identity, &upstream).listener("main", listener).start();
    let token = identity.implicit(&Login::new("bob", "bob-pw", &["openid", "view"])).access_token;

    // Envoy's own filter behind the module answers it; the application is not troubled.
    let asked = send(envoy.addr("main"), &preflight("/bookings", "GET"));
    assert_eq!((asked.status, asked.header("access-control-allow-origin").as_deref()), (200, Some(origin)));
    assert_eq!(asked.header("access-control-allow-headers").as_deref(), Some("authorization"));
    assert_eq!((identity.introspections(), upstream.request_count()), (0, 0));
    let called = send(envoy.addr("main"), &list().header("origin", origin).bearer(&token));
    assert_eq!((called.status, called.header("access-control-allow-origin").as_deref()), (200, Some(origin)));
    assert_refused(&send(envoy.addr("main"), &list().header("origin", origin)), Refusal::NoToken);
    assert_eq!(upstream.request_count(), 1);
}

#[test]
fn s1_11_a_token_of_the_device_grant_is_honoured() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let envoy = gateway(&identity, &upstream).plugin(with_names(&identity, &[])).start();
    let tokens = identity.device(&Login::new("bob", "bob-pw", &["openid", "view", "book"]).approves(&["view"]));

    assert_eq!(named(&envoy, &upstream, &tokens.access_token), names("kiosk", "bob"));
    assert_refused(&send(envoy.addr("main"), &book().bearer(&tokens.access_token)), Refusal::LacksScope("book"));
    for token in [tokens.id(), tokens.refresh()] {
        assert_refused(&send(envoy.addr("main"), &list().bearer(token)), Refusal::BadToken);
    }
}

#[test]
fn s1_13_later_policies_and_the_application_are_told_who_called_and_nothing_that_was_forged() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let told = json!({
        "headers": {
            "x-client": "client_id",
            "x-owner": "owner",
            "x-scopes": "scope",
            "x-department": "claims.department",
            "x-cost-centre": "claims.cost_centre",
        },
        "filter_state": {
            "scopegate.client_id": "client_id",
            "scopegate.owner": "owner",
            "scopegate.department": "department",
        },
    });
    let state = |name: &str| format!("%FILTER_STATE(wasm.scopegate.{name}:PLAIN)%");
    let (client, owner, department) = (state("client_id"), state("owner"), state("department"));
    // A later filter that makes a header of what it finds in the filter state.
    let header = json!({ "key": "x-seen-by-a-later-filter", "value": client });
    let mutation = json!({ "mutations": { "request_mutations": [{ "append": {
        "header": header,
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
    } }] } });
    let listener = ListenerSpec::new()
        .plugin(with(bookings(&identity), &[("/upstream", told)]))
        .http_filter(
            "envoy.filters.http.header_mutation",
            "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
            mutation,
        )
        .access_log(&format!("[%RESPONSE_CODE% %REQ(X-REQUEST-NAME)%: {client}, {owner}, {department}]"));
    let envoy = gateway(&identity, &upstream).listener("main", listener).start();
    let alice = identity.password("alice", "alice-pw", "view book").access_token;
    let alone = identity.client_credentials("view");

    let names = ["x-client", "x-owner", "x-scopes", "x-department", "x-cost-centre"];
    let forged = |request: Request| {
        let request = names.iter().fold(request, |request, name| {
            request.header(name, "evil").header(name.to_uppercase(), "evil").header(name.replace('-', "_"), "evil")
        });
        request.header("x-request-name", "forged")
    };
    for (name, request) in [("plain", list().header("x-request-name", "plain")), ("forged", forged(list()))] {
        for (token, expected, seen, line) in [
            (
                &alice,
                [&["web"][..], &["alice"], &["view book"], &["time travel"], &[]],
                "web",
                "web, alice, time travel",
            ),
            // No owner and no department: no header, whatever the caller sent.
            (&alone, [&["traveller"], &[], &["view"], &[], &[]], "traveller", "traveller, -, -"),
        ] {
            upstream.clear();
            assert_eq!(status(&envoy, request.clone(), token), 200);
            let passed = arrived(&upstream, token);
            assert_eq!(names.map(|name| passed.headers_named(name)), expected);
            assert_eq!(passed.headers_named("x-seen-by-a-later-filter"), [seen]);
            assert_eq!(passed.headers_named("authorization"), [""; 0]);
            assert!(!passed.headers.iter().any(|(_, value)| value == b"evil"), "{passed:?}");
            let line = format!("[200 {name}: {line}]");
            wait_until(&line, LIMIT, || envoy.log().contains(&line));
        }
    }

    // Headers and access log carry no identity on public routes, nor for a token that is refused.
    let public = forged(Request::get("/healthz"));
    upstream.clear();
    assert_eq!(send(envoy.addr("main"), &public.bearer(&alice)).status, 200);
    let passed = arrived(&upstream, &alice);
    assert_eq!(names.map(|name| passed.headers_named(name)), [[""; 0]; 5]);
    assert_refused(&send(envoy.addr("main"), &forged(cancel()).bearer(&alice)), Refusal::LacksScope("cancel"));
    for line in ["[200 forged: -, -, -]", "[403 forged: -, -, -]"] {
        wait_until(line, LIMIT, || envoy.log().contains(line));
    }
}
