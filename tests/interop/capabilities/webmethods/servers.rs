//! Several authorization servers on one rule, and which of them is asked.

use super::*;

/// Both servers on one rule, in the order of `names`.
fn both(
    bookings: &OidcProvider,
    names: [&str; 2],
    of_bookings: &[(&str, Value)],
    of_partners: &[(&str, Value)],
) -> Value {
    let partners = json!({
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
    let mut own = authorization_server("bookings", bookings);
    own.as_object_mut().expect("an object").remove("issuer");
    json!({
        "authorization_servers": [with(own, of_bookings), with(partners, of_partners)],
        "realm": "bookings",
        "upstream": { "headers": { "x-server": "authorization_server" } },
        "rules": [{
            "name": "ViewTickets",
            "match": [{ "path": "/bookings" }],
            "authorization_server": names,
            "require": { "scope": "view" },
        }],
    })
}

fn gateway_of_both(bookings: &OidcProvider, partners: &Glewlwyd, upstream: &Upstream) -> EnvoyBuilder {
    Envoy::builder()
        .cluster("bookings", bookings.addr())
        .cluster("partners", partners.addr())
        .upstream(upstream.addr())
        .env(SECRET_VARIABLE, OidcProvider::GATEWAY_SECRET)
        .env("PARTNERS_SECRET", Glewlwyd::GATEWAY_SECRET)
}

/// Returns the status of a request with this token, and the number of callouts to each server.
fn asked(envoy: &Envoy, (bookings, partners): (&OidcProvider, &Glewlwyd), token: &str) -> (u16, [usize; 2]) {
    let before = [bookings.introspections(), partners.introspections()];
    let status = status(envoy, list(), token);
    let after = [bookings.introspections(), partners.introspections()];
    (status, [after[0] - before[0], after[1] - before[1]])
}

#[test]
fn s2_20_two_servers_on_one_rule_are_asked_in_its_order_until_one_says_active() {
    let (bookings, partners, upstream) = (OidcProvider::start(), Glewlwyd::start(), Upstream::start());
    let servers = (&bookings, &partners);
    for names in [["bookings", "partners"], ["partners", "bookings"]] {
        let envoy = gateway_of_both(&bookings, &partners, &upstream).plugin(both(&bookings, names, &[], &[])).start();
        let (own, partner) = (bookings.client_credentials("view"), partners.client_credentials("view"));
        let own_first = names[0] == "bookings";
        assert_eq!(asked(&envoy, servers, &own), (200, if own_first { [1, 0] } else { [1, 1] }));
        assert_eq!(asked(&envoy, servers, &partner), (200, if own_first { [1, 1] } else { [0, 1] }));
        assert_eq!(asked(&envoy, servers, "garbage"), (401, [1, 1]));
        // The verdicts of the servers are cached, also that no server knows the token.
        for (token, expected) in [(&*own, 200), (&partner, 200), ("garbage", 401)] {
            assert_eq!(asked(&envoy, servers, token), (expected, [0, 0]));
        }
        // The verdict of the server that knows a token is final.
        assert_eq!(status(&envoy, list(), &partners.client_credentials("book")), 403);
    }
    let by: Vec<_> = upstream.requests().iter().filter_map(|passed| passed.header("x-server")).collect();
    assert_eq!(by, ["bookings", "partners"].repeat(4));
}

#[test]
fn s2_20_a_token_prefix_decides_which_of_two_servers_is_asked() {
    let (bookings, partners, upstream) = (OidcProvider::start(), Glewlwyd::start(), Upstream::start());
    let servers = (&bookings, &partners);
    // How every JWT begins; the tokens of the other server are opaque.
    let configuration = both(&bookings, ["bookings", "partners"], &[], &[("/token_prefix", json!("eyJ"))]);
    let envoy = gateway_of_both(&bookings, &partners, &upstream).plugin(configuration).start();

    let (own, partner) = (bookings.client_credentials("view"), partners.client_credentials("view"));
    assert_eq!(asked(&envoy, servers, &own), (200, [1, 0]));
    assert_eq!(asked(&envoy, servers, &partner), (200, [0, 1]));
    assert_eq!(asked(&envoy, servers, "garbage"), (401, [1, 0]));
    assert_eq!(asked(&envoy, servers, "eyJgarbage"), (401, [0, 1]));
    assert_eq!(upstream.request_count(), 2);
}

#[test]
fn s2_20_the_issuer_of_a_jwt_decides_which_of_two_servers_is_asked() {
    let (bookings, partners, upstream) = (OidcProvider::start(), Glewlwyd::start(), Upstream::start());
    let servers = (&bookings, &partners);
    let of_bookings = [("/issuer", json!(bookings.issuer()))];
    let of_partners = [("/issuer", json!(partners.issuer()))];
    let configuration = both(&bookings, ["bookings", "partners"], &of_bookings, &of_partners);
    let envoy = gateway_of_both(&bookings, &partners, &upstream).plugin(configuration).start();
    let (own, partner) = (bookings.client_credentials("view"), partners.client_credentials("view"));

    // An opaque token names no issuer: the order counts.
    assert_eq!(asked(&envoy, servers, &own), (200, [1, 0]));
    assert_eq!(asked(&envoy, servers, &partner), (200, [0, 1]));
    // A forged token that names a server is introspected there and refused. An unknown issuer causes no callout.
    let key = SigningKey::es256();
    let forged = |issuer: &str| key.jwt(&json!({ "iss": issuer, "scope": "view", "active": true }));
    assert_eq!(asked(&envoy, servers, &forged(&bookings.issuer())), (401, [1, 0]));
    assert_eq!(asked(&envoy, servers, &forged(&partners.issuer())), (401, [0, 1]));
    assert_eq!(asked(&envoy, servers, &forged("https://elsewhere.example.test")), (401, [0, 0]));
    assert_eq!(upstream.request_count(), 2);
}

#[test]
fn s2_20_with_one_of_two_servers_down_tokens_of_the_other_pass_and_unknown_ones_get_503() {
    for down in ["bookings", "partners"] {
        let (bookings, partners, upstream) = (OidcProvider::start(), Glewlwyd::start(), Upstream::start());
        let envoy = gateway_of_both(&bookings, &partners, &upstream)
            .plugin(both(&bookings, ["bookings", "partners"], &[], &[]))
            .start();
        let tokens = |scope: &str| [bookings.client_credentials(scope), partners.client_credentials(scope)];
        let ([own, partner], [own_known, partner_known]) = (tokens("view"), tokens("view"));
        for token in [&own_known, &partner_known] {
            assert_eq!(status(&envoy, list(), token), 200);
        }
        let answer = |token: &str| send(envoy.addr("main"), &list().bearer(token));
        let passes_if_up = |server: &str, token: &str| {
            if server == down {
                assert_refused(&answer(token), Refusal::Unavailable);
            } else {
                assert_eq!(answer(token).status, 200, "{server} while {down} is down");
            }
        };
        // Dropped, it ends.
        let (bookings, partners) = if down == "bookings" {
            drop(bookings);
            (None, Some(partners))
        } else {
            drop(partners);
            (Some(bookings), None)
        };
        passes_if_up("bookings", &own);
        passes_if_up("partners", &partner);
        // While a server is down, no verdict on an unknown token is possible, and the failure is not cached.
        for _ in 0..2 {
            assert_refused(&answer("garbage"), Refusal::Unavailable);
        }
        // Cached entries of both servers stay valid.
        for token in [&own_known, &partner_known] {
            assert_eq!(answer(token).status, 200);
        }
        assert_eq!(upstream.request_count(), 5);
        drop((bookings, partners));
    }
}

#[test]
fn s2_20_a_server_that_is_down_does_not_stand_in_the_way_of_a_verdict_on_what_is_surely_not_its_token() {
    let (bookings, partners, upstream) = (OidcProvider::start(), Glewlwyd::start(), Upstream::start());
    let configuration = both(&bookings, ["partners", "bookings"], &[], &[("/token_prefix", json!("eyJ"))]);
    let envoy = gateway_of_both(&bookings, &partners, &upstream).plugin(configuration).start();
    let partner = partners.client_credentials("view");
    drop(partners);

    assert_eq!(status(&envoy, list(), &bookings.client_credentials("view")), 200);
    assert_refused(&send(envoy.addr("main"), &list().bearer("garbage")), Refusal::BadToken);
    assert_refused(&send(envoy.addr("main"), &list().bearer(&partner)), Refusal::Unavailable);
    assert_eq!((bookings.introspections(), upstream.request_count()), (2, 1));
}
