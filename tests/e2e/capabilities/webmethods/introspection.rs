//! The product's introspection service asked by the gateway, and the gateway in the Microgateway's place. Neither
//! product is to be had: adapters in front of a real identity server speak for them.

use super::*;

/// Answers introspections at `path` alone: what the server at `identity` says, as `edit` words it.
fn adapter(
    identity: &OidcProvider,
    path: &'static str,
    edit: impl Fn(&Value) -> Value + Send + Sync + 'static,
) -> ScriptedServer {
    let addr = identity.addr();
    ScriptedServer::start(move |call| {
        if call.method != "POST" || call.path != path.as_bytes() {
            return Script::status(404);
        }
        let authorization = call.header("authorization").unwrap_or_default();
        let mut request = Request::post(OidcProvider::INTROSPECTION_PATH, call.body.clone())
            .header("content-type", "application/x-www-form-urlencoded");
        if !authorization.is_empty() {
            request = request.header("authorization", authorization);
        }
        let Ok(answer) = try_send(addr, &request) else {
            return Script::Close;
        };
        if answer.status == 200 { Script::json(edit(&answer.json())) } else { Script::status(answer.status) }
    })
}

const WEBMETHODS_PATH: &str = "/invoke/pub.oauth/introspectToken";

/// The outputs that the service declares, every one a String. A token with the scope `all` never expires; a refresh
/// token is active and nothing else.
fn in_strings(answer: &Value) -> Value {
    if answer["active"] != true {
        return json!({ "active": "false" });
    }
    let text = |name: &str| answer[name].as_str().map(str::to_owned);
    let number = |name: &str| answer[name].as_u64().map(|number| number.to_string());
    if text("token_type").is_none() {
        return json!({ "active": "true", "iat": number("iat") });
    }
    let mut strings = json!({ "active": "true", "token_type": "Bearer", "iat": number("iat") });
    let expires = text("scope").is_none_or(|scope| !scope.split(' ').any(|scope| scope == "all"));
    for (name, value) in [
        ("scope", text("scope")),
        ("client_id", text("client_id")),
        ("owner_id", text("sub")),
        ("exp", number("exp").filter(|_| expires)),
    ] {
        if let Some(value) = value {
            strings[name] = json!(value);
        }
    }
    strings
}

/// An Envoy with the preset and nothing that the preset should know by itself.
fn with_preset(identity: &OidcProvider, adapter: &ScriptedServer, upstream: &Upstream, cache: &str) -> Envoy {
    let introspection = json!({
        "preset": "webmethods",
        "client_id": OidcProvider::GATEWAY_ID,
        "client_secret_env": SECRET_VARIABLE,
        "authority": identity.addr().to_string(),
        "timeout": "5s",
    });
    let changes = [
        ("/authorization_servers/0/introspection", introspection),
        // The service names neither.
        ("/authorization_servers/0/audience", json!("any")),
        ("/cache/max_ttl", json!(cache)),
        ("/upstream", json!({ "headers": { "x-client": "client_id", "x-owner": "owner", "x-expires": "expires_at" } })),
    ];
    Envoy::builder()
        .cluster("identity", adapter.addr())
        .upstream(upstream.addr())
        .env(SECRET_VARIABLE, OidcProvider::GATEWAY_SECRET)
        .plugin(with(bookings(identity), &changes))
        .start()
}

#[test]
fn s2_24_the_strings_of_an_adapter_for_the_introspection_service_are_understood() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let adapter = adapter(&identity, WEBMETHODS_PATH, in_strings);
    let envoy = with_preset(&identity, &adapter, &upstream, "60s");
    let alice = identity.password("alice", "alice-pw", "view");
    let alone = identity.client_credentials("view");
    let now = unix_time();

    assert_eq!(status(&envoy, list(), &alice.access_token), 200);
    assert_eq!(status(&envoy, list(), &alone), 200);
    let passed = upstream.requests();
    assert_eq!([0, 1].map(|index| passed[index].headers_named("x-client").concat()), ["web", "traveller"]);
    assert_eq!([0, 1].map(|index| passed[index].headers_named("x-owner").concat()), ["alice", ""]);
    for passed in &passed {
        let expires: u64 = passed.headers_named("x-expires").concat().parse().expect("a time");
        assert!(expires > now, "{expires}");
    }
    assert_refused(&send(envoy.addr("main"), &book().bearer(&alice.access_token)), Refusal::LacksScope("book"));
    assert_refused(&send(envoy.addr("main"), &list().bearer("garbage")), Refusal::BadToken);
    assert_reason(&envoy, "inactive");
    // Active, so says the service, but no access token.
    assert_refused(&send(envoy.addr("main"), &list().bearer(alice.refresh())), Refusal::BadToken);
    assert_reason(&envoy, "not_an_access_token");

    let revoked = identity.password("alice", "alice-pw", "view").access_token;
    identity.revoke(&revoked);
    assert_refused(&send(envoy.addr("main"), &list().bearer(&revoked)), Refusal::BadToken);
    assert_eq!((identity.introspections(), upstream.request_count()), (5, 2));
    // As the service wants to be asked.
    for call in adapter.calls() {
        assert_eq!((call.method.as_str(), call.path.as_slice()), ("POST", WEBMETHODS_PATH.as_bytes()));
        assert_eq!(call.headers_named("accept"), ["application/json"]);
        assert!(call.header("authorization").is_some_and(|value| value.starts_with("Basic ")), "{call:?}");
    }
}

#[test]
fn s2_24_a_token_expires_by_the_string_that_an_adapter_says_and_lives_on_without_one() {
    let identity = OidcProvider::builder().access_token_ttl(3).start();
    let upstream = Upstream::start();
    let adapter = adapter(&identity, WEBMETHODS_PATH, in_strings);
    let envoy = with_preset(&identity, &adapter, &upstream, "60s");
    let (ends, never, found) = in_time(Duration::from_secs(2), || {
        upstream.clear();
        let [ends, never] = ["view", "view all"].map(|scope| identity.client_credentials(scope));
        let found = [&ends, &never].map(|token| status(&envoy, list(), token));
        (ends, never, found)
    });
    assert_eq!(found, [200, 200]);
    // Cached for a minute both, but for what the answer said.
    wait_until("the token to expire", LIMIT, || status(&envoy, list(), &ends) == 401);
    assert_eq!(status(&envoy, list(), &never), 200);
    let expires: Vec<_> = upstream.requests().iter().map(|passed| passed.headers_named("x-expires").len()).collect();
    assert_eq!((expires[0], expires[1]), (1, 0));
}

#[test]
fn s2_24_a_never_expiring_token_of_an_adapter_is_asked_about_again_and_ends_when_it_is_revoked() {
    const MAX_TTL: Duration = Duration::from_secs(2);
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let adapter = adapter(&identity, WEBMETHODS_PATH, in_strings);
    let envoy = with_preset(&identity, &adapter, &upstream, "2s");
    // A cached entry that is used in the last fifth of its TTL is renewed early.
    let (never, asked) = in_time(Duration::from_millis(1500), || {
        let never = identity.password("alice", "alice-pw", "view all").access_token;
        let before = identity.introspections();
        let found = [(); 2].map(|()| status(&envoy, list(), &never));
        (never, (found, identity.introspections() - before))
    });
    assert_eq!(asked, ([200; 2], 1));
    let before = identity.introspections();
    thread::sleep(MAX_TTL);
    assert_eq!(status(&envoy, list(), &never), 200);
    assert_eq!(identity.introspections(), before + 1);
    identity.revoke(&never);
    wait_until("the token to be refused", LIMIT / 2, || status(&envoy, list(), &never) == 401);
}

const KEYCLOAK_PATH: &str = "/realms/time-travel/protocol/openid-connect/token/introspect";

/// As Keycloak answers for a token of a realm with roles. The scope `all` stands for a client that the gateway was not
/// made an audience of.
fn as_keycloak(answer: &Value) -> Value {
    if answer["active"] != true {
        return json!({ "active": false });
    }
    let is_ours = answer["scope"].as_str().is_none_or(|scope| !scope.split(' ').any(|scope| scope == "all"));
    json!({
        "exp": answer["exp"],
        "iat": answer["iat"],
        "jti": "onrtro:3c7e7f0e-6a5e-4b4a",
        "iss": answer["iss"],
        "aud": if is_ours { json!(["apigw", "account"]) } else { json!("account") },
        "sub": "5e0a1f4c-8f5b-4c5d-9d0c-1b7a3f5f0f4e",
        "typ": if answer["token_type"].is_string() { "Bearer" } else { "Refresh" },
        "azp": answer["client_id"],
        "acr": "1",
        "realm_access": { "roles": answer["realm_access"]["roles"].as_array().cloned().unwrap_or_default() },
        "resource_access": { "account": { "roles": ["view-profile"] } },
        "scope": answer["scope"],
        "preferred_username": answer["username"],
        "client_id": answer["client_id"],
        "username": answer["username"],
        "token_type": answer["token_type"],
        "active": true,
    })
}

#[test]
fn s2_24_in_the_microgateways_place_keycloak_is_understood_through_an_adapter() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let adapter = adapter(&identity, KEYCLOAK_PATH, as_keycloak);
    let introspection = json!({
        "preset": "keycloak",
        "path": KEYCLOAK_PATH,
        "client_id": OidcProvider::GATEWAY_ID,
        "client_secret_env": SECRET_VARIABLE,
        "timeout": "5s",
    });
    let changes = [
        ("/authorization_servers/0/introspection", introspection),
        ("/authorization_servers/0/audience", json!(["apigw"])),
        ("/rules/2/require", json!({ "scope": "cancel", "roles": ["admin"] })),
        ("/upstream", json!({ "headers": { "x-client": "client_id", "x-owner": "owner", "x-roles": "roles" } })),
    ];
    let envoy = Envoy::builder()
        .cluster("identity", adapter.addr())
        .upstream(upstream.addr())
        .env(SECRET_VARIABLE, OidcProvider::GATEWAY_SECRET)
        .plugin(with(bookings(&identity), &changes))
        .start();
    let alice = identity.password("alice", "alice-pw", "view cancel");
    let bob = identity.password("bob", "bob-pw", "view cancel").access_token;
    let not_ours = identity.password("alice", "alice-pw", "view all").access_token;

    assert_eq!([list(), cancel()].map(|request| status(&envoy, request, &alice.access_token)), [200, 200]);
    let passed = upstream.requests().remove(0);
    let seen = ["x-client", "x-owner", "x-roles"].map(|name| passed.headers_named(name).concat());
    assert_eq!(seen, ["web", "alice", "admin"]);

    // The scope without the realm role; the role without the scope; another audience; not an access token; no token.
    assert_eq!(status(&envoy, list(), &bob), 200);
    let response = send(envoy.addr("main"), &cancel().bearer(&bob));
    assert_eq!((response.status, &response.json()["error"]), (403, &json!("access_denied")));
    assert_refused(&send(envoy.addr("main"), &book().bearer(&alice.access_token)), Refusal::LacksScope("book"));
    assert_refused(&send(envoy.addr("main"), &list().bearer(&not_ours)), Refusal::BadToken);
    assert_reason(&envoy, "wrong_audience");
    assert_refused(&send(envoy.addr("main"), &list().bearer(alice.refresh())), Refusal::BadToken);
    assert_reason(&envoy, "not_an_access_token");
    assert_refused(&send(envoy.addr("main"), &list().bearer("garbage")), Refusal::BadToken);
    assert_eq!((identity.introspections(), upstream.request_count()), (5, 3));
}
