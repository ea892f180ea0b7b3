//! Applications and their strategies: which clients are whose, and what each application is registered for.

use super::*;

/// Two APIs, both open to the scope `view`. The Travel Desk is registered for the flights, the Front Desk for the
/// hotels; `mode` is how an API looks callers up.
fn registry(identity: &OidcProvider, mode: &str) -> Value {
    let rule = |api: &str| {
        let prefix = format!("/{}", api.to_lowercase());
        json!({ "name": api, "api": api, "match": [{ "path_prefix": prefix }], "require": { "scope": "view" } })
    };
    json!({
        "authorization_servers": [authorization_server("identity", identity)],
        "realm": "bookings",
        "upstream": { "headers": { "x-application": "application", "x-client": "client_id" } },
        "apis": [{ "name": "Flights", "application": mode }, { "name": "Hotels", "application": mode }],
        "applications": [
            { "name": "Travel Desk", "clients": [{ "client_id": "web" }], "apis": ["Flights"] },
            { "name": "Front Desk", "clients": [{ "client_id": "traveller" }], "apis": ["Hotels"] },
        ],
        "rules": [rule("Flights"), rule("Hotels")],
    })
}

fn flights() -> Request {
    Request::get("/flights/1955")
}

fn hotels() -> Request {
    Request::get("/hotels/7")
}

/// The application that the gateway forwarded with each of the newest requests.
fn applications(upstream: &Upstream) -> Vec<String> {
    upstream.requests().iter().map(|passed| passed.headers_named("x-application").join("|")).collect()
}

#[test]
fn s2_7_where_applications_register_a_valid_scope_alone_is_refused_as_the_profile_says() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let plain = registry(&identity, "registered");
    let profile = with(plain.clone(), &[("/errors", json!("webmethods"))]);
    let envoy =
        gateway(&identity, &upstream).plugin(plain).listener("webmethods", ListenerSpec::new().plugin(profile)).start();
    let web = identity.password("alice", "alice-pw", "view").access_token;
    let traveller = identity.client_credentials("view");
    let stranger = identity.password_for(Client::ONCE, "alice", "alice-pw", "view").access_token;

    // A name that the caller sends is not the name that the API reads.
    let forged = |request: Request| request.header("x-application", "Front Desk").header("X_Application", "Front Desk");
    assert_eq!(send(envoy.addr("main"), &forged(flights()).bearer(&web)).status, 200);
    assert_eq!(send(envoy.addr("webmethods"), &hotels().bearer(&traveller)).status, 200);
    assert_eq!(applications(&upstream), ["Travel Desk", "Front Desk"]);
    upstream.clear();

    // Registered, but for the other API; registered for nothing at all. From the cache, too.
    for _ in 0..2 {
        for (request, token) in
            [(hotels(), &web), (flights(), &traveller), (flights(), &stranger), (hotels(), &stranger)]
        {
            let request = request.bearer(token);
            let response = send(envoy.addr("main"), &request);
            assert_eq!(response.status, 403, "{request:?}");
            assert_eq!(response.json()["error"], "access_denied");
            assert!(response.headers_named("www-authenticate").is_empty(), "{response:?}");
            assert_refused_as_the_product_does(&send(envoy.addr("webmethods"), &request));
        }
    }
    // The registration does not stand in for the scope.
    let booker = identity.password("alice", "alice-pw", "book").access_token;
    assert_refused(&send(envoy.addr("main"), &flights().bearer(&booker)), Refusal::LacksScope("view"));
    assert_eq!(upstream.request_count(), 0);
}

#[test]
fn s2_7_a_global_application_may_use_every_api_and_a_stranger_none() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let configuration = with(registry(&identity, "any"), &[("/errors", json!("webmethods"))]);
    let envoy = gateway(&identity, &upstream).plugin(configuration).start();
    let web = identity.password("alice", "alice-pw", "view").access_token;
    let stranger = identity.password_for(Client::ONCE, "alice", "alice-pw", "view").access_token;

    assert_eq!([flights(), hotels()].map(|request| status(&envoy, request, &web)), [200; 2]);
    assert_eq!(applications(&upstream), ["Travel Desk"; 2]);
    for request in [flights(), hotels()] {
        assert_refused_as_the_product_does(&send(envoy.addr("main"), &request.bearer(&stranger)));
    }
    assert_eq!(upstream.request_count(), 2);
}

#[test]
fn s2_7_where_anonymous_calls_pass_they_are_marked_unknown_and_still_need_a_good_token() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let envoy = gateway(&identity, &upstream).plugin(registry(&identity, "anonymous")).start();
    let web = identity.password("alice", "alice-pw", "view").access_token;
    let stranger = identity.password_for(Client::ONCE, "alice", "alice-pw", "view").access_token;

    for (request, token) in [(flights(), &web), (hotels(), &web), (flights(), &stranger), (hotels(), &stranger)] {
        assert_eq!(status(&envoy, request.header("x-application", "Front Desk"), token), 200);
    }
    assert_eq!(applications(&upstream), ["Travel Desk", "Travel Desk", "unknown", "unknown"]);
    let clients: Vec<_> = upstream.requests().iter().filter_map(|passed| passed.header("x-client")).collect();
    assert_eq!(clients, ["web", "web", "once", "once"]);

    assert_refused(&send(envoy.addr("main"), &flights()), Refusal::NoToken);
    assert_refused(&send(envoy.addr("main"), &flights().bearer("garbage")), Refusal::BadToken);
    assert_eq!(upstream.request_count(), 4);
}

#[test]
fn s2_7_a_client_of_one_authorization_server_is_not_its_namesake_of_another() {
    let (north, south, upstream) = (OidcProvider::start(), OidcProvider::start(), Upstream::start());
    let servers = json!([authorization_server("north", &north), authorization_server("south", &south)]);
    let clients = json!([{ "authorization_server": "north", "client_id": "traveller" }]);
    let changes = [
        ("/authorization_servers", servers),
        ("/apis", json!([{ "name": "Flights", "application": "any", "authorization_server": ["south", "north"] }])),
        ("/applications", json!([{ "name": "Travel Desk", "clients": clients, "apis": ["Flights"] }])),
        ("/errors", json!("webmethods")),
    ];
    let mut configuration = with(registry(&north, "any"), &changes);
    configuration["rules"].as_array_mut().expect("a list").truncate(1);
    let envoy = Envoy::builder()
        .cluster("north", north.addr())
        .cluster("south", south.addr())
        .upstream(upstream.addr())
        .env(SECRET_VARIABLE, OidcProvider::GATEWAY_SECRET)
        .plugin(configuration)
        .start();
    let (of_north, of_south) = (north.client_credentials("view"), south.client_credentials("view"));

    for _ in 0..2 {
        assert_eq!(status(&envoy, flights(), &of_north), 200);
        assert_refused_as_the_product_does(&send(envoy.addr("main"), &flights().bearer(&of_south)));
    }
    assert_eq!(applications(&upstream), ["Travel Desk"; 2]);
}

#[test]
fn s2_8_who_is_unknown_to_an_adapter_is_no_application_but_may_pass_without_a_registry() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    // The product's own introspection may leave out the client of a public one.
    let adapter = ScriptedServer::in_front_of(identity.addr(), |mut answer| {
        answer.as_object_mut().expect("an object").remove("client_id");
        answer
    });
    let by = |mode: &str| with(registry(&identity, mode), &[("/authorization_servers/0/cluster", json!("adapter"))]);
    let mut without = by("any");
    for api in without["apis"].as_array_mut().expect("a list") {
        api.as_object_mut().expect("an object").remove("application");
    }
    let envoy = gateway(&identity, &upstream)
        .cluster("adapter", adapter.addr())
        .plugin(without)
        .listener("registered", ListenerSpec::new().plugin(by("registered")))
        .listener("any", ListenerSpec::new().plugin(by("any")))
        .listener("anonymous", ListenerSpec::new().plugin(by("anonymous")))
        .start();
    let login = Login::new("alice", "alice-pw", &["openid", "view"]);
    let public = identity.implicit(&login).access_token;
    // The client of this one is registered; who leaves out its name leaves out the registration.
    let confidential = identity.authorization_code(Client::WEB, &login).access_token;

    for token in [&public, &confidential] {
        for (listener, expected) in [("main", 200), ("registered", 403), ("any", 403), ("anonymous", 200)] {
            assert_eq!(send(envoy.addr(listener), &flights().bearer(token)).status, expected, "{listener}");
        }
    }
    assert_eq!(applications(&upstream), ["", "unknown", "", "unknown"]);
}
