//! API scopes, and the scopes of authorization servers that open them by a mapping and by nothing else.

use super::*;

/// The bookings API as the product has it: three API scopes, each opened by one scope of the server `identity`.
fn mapped(identity: &OidcProvider) -> Value {
    json!({
        "authorization_servers": [authorization_server("identity", identity)],
        "realm": "bookings",
        "apis": [{ "name": "TimeTravel", "scopes": api_scopes() }],
        "scope_mappings": [
            { "scope": "view", "opens": ["ViewTickets"] },
            { "scope": "book", "opens": ["BookTickets"] },
            { "scope": "cancel", "opens": ["CancelTickets"] },
        ],
        "rules": [{
            "name": "TimeTravel",
            "api": "TimeTravel",
            "match": [{ "path_prefix": "/bookings" }],
            "require": { "mapped_scope": true },
        }],
    })
}

fn api_scopes() -> Value {
    json!([
        {
            "name": "ViewTickets",
            "resources": [
                { "methods": ["GET"], "path": "/bookings" },
                { "methods": ["GET"], "path": "/bookings/{id}" },
            ],
        },
        { "name": "BookTickets", "resources": [{ "methods": ["POST"], "path": "/bookings" }] },
        { "name": "CancelTickets", "resources": [{ "methods": ["DELETE"], "path": "/bookings/{id}" }] },
    ])
}

fn calls(envoy: &Envoy, token: &str) -> [u16; 4] {
    [list(), get_one(), book(), cancel()].map(|request| status(envoy, request, token))
}

#[test]
fn s2_3_each_token_opens_exactly_the_cells_that_are_mapped() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let plain = mapped(&identity);
    let profile = with(plain.clone(), &[("/errors", json!("webmethods"))]);
    let envoy =
        gateway(&identity, &upstream).plugin(plain).listener("webmethods", ListenerSpec::new().plugin(profile)).start();

    let resources = [list(), get_one(), book(), cancel()];
    let demanded = ["view", "view", "book", "cancel"];
    for scope in ["view", "book", "cancel"] {
        let token = identity.client_credentials(scope);
        for (request, demanded) in resources.iter().zip(demanded) {
            let [plain, profile] =
                ["main", "webmethods"].map(|listener| send(envoy.addr(listener), &request.clone().bearer(&token)));
            if scope == demanded {
                assert_eq!([plain.status, profile.status], [200; 2], "{scope}: {request:?}");
            } else {
                assert_refused(&plain, Refusal::LacksScope(demanded));
                assert_refused_as_the_product_does(&profile);
            }
        }
    }
    let passed: Vec<_> = upstream.requests().into_iter().map(|passed| (passed.method, passed.path)).collect();
    // Each once by either listener.
    let expected: Vec<_> = resources.map(|request| vec![(request.method, request.path); 2]).concat();
    assert_eq!(passed, expected);
    // The two listeners have two configurations, so neither believes what the other was told.
    assert_eq!(identity.introspections(), 6);
}

#[test]
fn s2_4_a_second_mapping_opens_booking_to_view_after_an_update_and_nothing_else() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let mut envoy = gateway(&identity, &upstream).dynamic_listeners().plugin(mapped(&identity)).start();
    let [view, booker, canceller] = ["view", "book", "cancel"].map(|scope| identity.client_credentials(scope));
    assert_eq!(calls(&envoy, &view), [200, 200, 403, 403]);
    assert_eq!(calls(&envoy, &booker), [403, 403, 200, 403]);

    let second = json!({ "scope": "view", "opens": ["BookTickets"] });
    let mut configuration = mapped(&identity);
    configuration["scope_mappings"].as_array_mut().expect("a list").push(second);
    envoy.replace_listeners(&[("main", ListenerSpec::new().plugin(configuration))]).expect("Envoy takes it");
    wait_until("the second mapping", LIMIT, || calls(&envoy, &view) == [200, 200, 200, 403]);
    assert_eq!(calls(&envoy, &booker), [403, 403, 200, 403]);
    assert_eq!(calls(&envoy, &canceller), [403, 403, 403, 200]);
    // Either would do now, and a challenge names them both.
    assert_refused(&send(envoy.addr("main"), &book().bearer(&canceller)), Refusal::LacksScope("book view"));

    // And shut again, with nothing left over in a cache.
    envoy.replace_listeners(&[("main", ListenerSpec::new().plugin(mapped(&identity)))]).expect("Envoy takes it");
    wait_until("the first mappings alone", LIMIT, || calls(&envoy, &view) == [200, 200, 403, 403]);
}

#[test]
fn s2_4_a_token_with_every_scope_passes_everywhere_and_unmapped_resources_stay_shut() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let profile = with(mapped(&identity), &[("/errors", json!("webmethods"))]);
    let envoy = gateway(&identity, &upstream)
        .plugin(mapped(&identity))
        .listener("webmethods", ListenerSpec::new().plugin(profile))
        .start();
    let everything = identity.client_credentials("view book cancel admin all APIManagerScope");
    let unmapped = identity.client_credentials("admin all APIManagerScope");
    assert_eq!(calls(&envoy, &everything), [200; 4]);
    assert_eq!(calls(&envoy, &unmapped), [403; 4]);
    assert_eq!(upstream.request_count(), 4);

    // Resources of the API that no API scope has: no scope opens them, and no challenge names one.
    for (method, path) in [("PUT", "/bookings/7"), ("DELETE", "/bookings"), ("GET", "/bookings/7/invoice")] {
        let request = Request::new(method, path).bearer(&everything);
        let response = send(envoy.addr("main"), &request);
        assert_eq!(response.status, 403, "{method} {path}");
        assert_eq!(
            response.headers_named("www-authenticate"),
            [
                r#"Bearer realm="bookings", error="insufficient_scope", error_description="The access token does not have the scope required""#
            ]
        );
        assert_refused_as_the_product_does(&send(envoy.addr("webmethods"), &request));
    }
    // What belongs to no API at all.
    assert_refused(&send(envoy.addr("main"), &Request::get("/").bearer(&everything)), Refusal::NoRule);
    assert_eq!(upstream.request_count(), 4);
}

#[test]
fn s2_4_a_scope_of_one_alias_does_not_stand_for_the_same_scope_of_another() {
    let (north, south, upstream) = (OidcProvider::start(), OidcProvider::start(), Upstream::start());
    let configuration = json!({
        "authorization_servers": [authorization_server("north", &north), authorization_server("south", &south)],
        "realm": "bookings",
        "apis": [{
            "name": "TimeTravel",
            "authorization_server": ["north", "south"],
            "scopes": api_scopes(),
        }],
        "scope_mappings": [
            { "authorization_server": "north", "scope": "view", "opens": ["ViewTickets"] },
            { "authorization_server": "south", "scope": "view", "opens": ["BookTickets"] },
            { "authorization_server": "south", "scope": "cancel", "opens": ["CancelTickets"] },
            { "authorization_server": "north", "scope": "all", "opens": ["CancelTickets"] },
        ],
        "rules": [{
            "name": "TimeTravel",
            "api": "TimeTravel",
            "match": [{ "path_prefix": "/bookings" }],
            "require": { "mapped_scope": true },
        }],
    });
    let envoy = Envoy::builder()
        .cluster("north", north.addr())
        .cluster("south", south.addr())
        .upstream(upstream.addr())
        .env(SECRET_VARIABLE, OidcProvider::GATEWAY_SECRET)
        .plugin(configuration)
        .start();
    let token = |server: &OidcProvider, scope: &str| server.client_credentials(scope);

    // The second round meets a cache that knows every token, each by its own server.
    let tokens = [
        (token(&north, "view"), [200, 200, 403, 403]),
        (token(&south, "view"), [403, 403, 200, 403]),
        (token(&north, "view book cancel"), [200, 200, 403, 403]),
        (token(&south, "view book cancel"), [403, 403, 200, 200]),
        (token(&north, "all"), [403, 403, 403, 200]),
        (token(&south, "all"), [403; 4]),
    ];
    for _ in 0..2 {
        for (token, expected) in &tokens {
            assert_eq!(calls(&envoy, token), *expected);
        }
    }
    // A challenge names what a token of the same server would need.
    for (server, demanded) in [(&north, "view"), (&south, "cancel")] {
        let token = token(server, "book");
        let (reading, cancelling) =
            (send(envoy.addr("main"), &list().bearer(&token)), send(envoy.addr("main"), &cancel().bearer(&token)));
        let response = if demanded == "view" { reading } else { cancelling };
        assert_refused(&response, Refusal::LacksScope(demanded));
    }
}

#[test]
fn s2_4_a_mapping_may_ask_for_an_audience_as_well() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let by = |audience: &str| with(mapped(&identity), &[("/scope_mappings/0/audience", json!(audience))]);
    let envoy = gateway(&identity, &upstream)
        .plugin(by(AUDIENCE))
        .listener("elsewhere", ListenerSpec::new().plugin(by("https://hotels.example.test/")))
        .start();
    let view = identity.client_credentials("view");

    assert_eq!(status(&envoy, list(), &view), 200);
    assert_refused(&send(envoy.addr("elsewhere"), &list().bearer(&view)), Refusal::BadToken);
    assert_reason(&envoy, "wrong_audience");
}

#[test]
fn s2_5_a_scope_mapped_to_a_whole_api_opens_all_of_it_and_no_other() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let rule = |api: &str| {
        let prefix = format!("/{}", api.to_lowercase());
        json!({ "name": api, "api": api, "match": [{ "path_prefix": prefix }], "require": { "mapped_scope": true } })
    };
    let rooms = json!([{ "name": "ViewRooms", "resources": [{ "methods": ["GET"], "path": "/hotels/{id}" }] }]);
    let changes = [
        ("/apis", json!([{ "name": "Flights" }, { "name": "Hotels", "scopes": rooms }])),
        (
            "/scope_mappings",
            json!([
                { "scope": "all", "opens": ["Flights"] },
                { "scope": "admin", "opens": ["Hotels"] },
                // One scope, a whole API and a part of another.
                { "scope": "view", "opens": ["Flights", "ViewRooms"] },
            ]),
        ),
        ("/rules", json!([rule("Flights"), rule("Hotels")])),
    ];
    let envoy = gateway(&identity, &upstream).plugin(with(mapped(&identity), &changes)).start();
    let [all, admin, view] = ["all", "admin", "view"].map(|scope| identity.client_credentials(scope));
    let answer = |method: &str, path: &str, token: &str| status(&envoy, Request::new(method, path), token);

    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        for path in ["/flights", "/flights/1955/seats/7?window=yes"] {
            let statuses = [&all, &admin, &view].map(|token| answer(method, path, token));
            assert_eq!(statuses, [200, 403, 200], "{method} {path}");
        }
        let part = if method == "GET" { 200 } else { 403 };
        let statuses = [&all, &admin, &view].map(|token| answer(method, "/hotels/7", token));
        assert_eq!(statuses, [403, 200, part], "{method}");
        let statuses = [&all, &admin, &view].map(|token| answer(method, "/hotels/7/rooms", token));
        assert_eq!(statuses, [403, 200, 403], "{method}");
    }
    assert_refused(&send(envoy.addr("main"), &Request::get("/flight").bearer(&all)), Refusal::NoRule);
    assert_eq!(identity.introspections(), 3);
}
