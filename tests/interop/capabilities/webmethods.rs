//! S2.20: several authorization servers.

mod servers;

use super::*;

#[test]
fn s2_20_identity_servers_of_two_makes_each_answer_for_their_own_api() {
    let (bookings, partners, upstream) = (OidcProvider::start(), Glewlwyd::start(), Upstream::start());
    let rule = |name: &str| {
        json!({
            "name": name,
            "match": [{ "path_prefix": format!("/{name}") }],
            "authorization_server": name,
            "require": { "scope": "view" },
        })
    };
    let second = json!({
        "name": "partners",
        "cluster": "partners",
        "audience": "any",
        "introspection": {
            "path": Glewlwyd::INTROSPECTION_PATH,
            "client_id": Glewlwyd::GATEWAY_ID,
            "client_secret_env": "PARTNERS_SECRET",
            "timeout": "5s",
        },
    });
    let configuration = json!({
        "authorization_servers": [authorization_server("bookings", &bookings), second],
        "realm": "bookings",
        "upstream": { "headers": { "x-client": "client_id" } },
        "rules": [rule("bookings"), rule("partners")],
    });
    let envoy = Envoy::builder()
        .cluster("bookings", bookings.addr())
        .cluster("partners", partners.addr())
        .upstream(upstream.addr())
        .env(SECRET_VARIABLE, OidcProvider::GATEWAY_SECRET)
        .env("PARTNERS_SECRET", Glewlwyd::GATEWAY_SECRET)
        .plugin(configuration)
        .start();
    let answer = |path: &str, token: &str| send(envoy.addr("main"), &Request::get(path).bearer(token));
    let own = bookings.password("alice", "alice-pw", "view").access_token;
    let partner = partners.client_credentials("view");

    // The second round meets a cache that knows both tokens, each by its own server.
    for _ in 0..2 {
        assert_eq!(answer("/bookings/1", &own).status, 200);
        assert_eq!(answer("/partners/1", &partner).status, 200);
        assert_refused(&answer("/partners/1", &own), Refusal::BadToken);
        assert_refused(&answer("/bookings/1", &partner), Refusal::BadToken);
    }
    let clients: Vec<_> = upstream.requests().iter().filter_map(|passed| passed.header("x-client")).collect();
    assert_eq!(clients, ["web", "traveller", "web", "traveller"]);
    assert_eq!((bookings.introspections(), partners.introspections()), (2, 2));
    assert_refused(&answer("/partners/1", &partners.client_credentials("book")), Refusal::LacksScope("view"));
}
