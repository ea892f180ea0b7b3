//! Glewlwyd: its access tokens are JWTs that can be introspected.

use super::*;

const GATEWAY: (&str, &str) = (Glewlwyd::GATEWAY_ID, Glewlwyd::GATEWAY_SECRET);

fn with(members: &[(&str, Value)]) -> Value {
    bookings("glewlwyd", GATEWAY, members)
}

#[test]
fn tokens_of_every_grant_open_what_their_scope_says() {
    let (identity, upstream) = (Glewlwyd::start(), Upstream::start());
    let envoy = gateway(with(&[]), identity.addr(), &upstream).start();
    let of_a_browser = |approved: &[&str]| {
        identity.authorization_code_pkce("bob", "bob-pw", &["openid", "view", "book"], approved).access_token
    };

    assert_eq!(status(&envoy, &identity.client_credentials("view")), 200);
    assert_eq!(status(&envoy, &identity.password("alice", "alice-pw", "view book").access_token), 200);
    assert_eq!(status(&envoy, &of_a_browser(&["openid", "view"])), 200);
    assert_eq!(client_ids(&upstream), ["traveller", "web", "spa"]);
    assert_eq!(status(&envoy, &identity.client_credentials("book")), 403);
    assert_eq!(status(&envoy, &identity.password("alice", "alice-pw", "cancel").access_token), 403);
    assert_eq!(status(&envoy, &of_a_browser(&["openid", "book"])), 403);
    assert_eq!((identity.introspections(), upstream.request_count()), (6, 3));
}

#[test]
fn what_is_no_access_token_or_no_longer_one_is_refused() {
    let (identity, upstream) = (Glewlwyd::start(), Upstream::start());
    let envoy = gateway(with(&[]), identity.addr(), &upstream).start();
    let tokens = identity.authorization_code_pkce("alice", "alice-pw", &["openid", "view"], &["openid", "view"]);
    let revoked = identity.password("alice", "alice-pw", "view").access_token;
    identity.revoke(&revoked);
    let refresh_token = tokens.refresh_token.expect("a refresh token");
    let id_token = tokens.id_token.expect("an ID token");

    // It calls both active as long as it is not told that an access token is meant.
    let caller = Glewlwyd::GATEWAY;
    for (token, kind) in [(&refresh_token, "refresh_token"), (&id_token, "id_token")] {
        let request = caller.form(Glewlwyd::INTROSPECTION_PATH, &[("token", token)]);
        let answer = send(identity.addr(), &request).json();
        assert_eq!((&answer["active"], &answer["token_type"]), (&json!(true), &json!(kind)));
    }
    let statuses = ["garbage", &revoked, &refresh_token, &id_token].map(|token| status(&envoy, token));
    assert_eq!(statuses, [401; 4]);
    assert_eq!(status(&envoy, &tokens.access_token), 200);
    assert_eq!((identity.introspections(), upstream.request_count()), (7, 1));
}

#[test]
fn an_expired_token_is_refused() {
    let (identity, upstream) = (Glewlwyd::with_access_token_ttl(1), Upstream::start());
    let envoy = gateway(with(&[]), identity.addr(), &upstream).start();
    let token = identity.client_credentials("view");
    thread::sleep(Duration::from_secs(1));
    assert_eq!((status(&envoy, &token), upstream.request_count()), (401, 0));
}

#[test]
fn the_audience_is_the_scope_unless_the_client_names_a_resource() {
    let (identity, upstream) = (Glewlwyd::start(), Upstream::start());
    // So the preset does not take it for one; where every client names its resource, it can be told to.
    let changes = [("/audience", json!([AUDIENCE])), ("/introspection/answer", json!({ "audience": ["aud"] }))];
    let envoy = gateway(with(&changes), identity.addr(), &upstream).start();
    let form = [("grant_type", "client_credentials"), ("scope", "view"), ("resource", AUDIENCE)];
    let for_bookings = identity.endpoints().tokens(Client::TRAVELLER, &form).access_token;

    assert_eq!(status(&envoy, &identity.client_credentials("view")), 401);
    assert_logged(&envoy, "refused with 401: wrong_audience");
    assert_eq!(status(&envoy, &for_bookings), 200);
}

#[test]
fn its_refusal_of_the_gateway_is_no_verdict_on_the_token() {
    let (identity, upstream) = (Glewlwyd::start(), Upstream::start());
    let token = identity.client_credentials("view");
    for client in [(GATEWAY.0, "wrong"), ("nobody", "wrong")] {
        let envoy = gateway(bookings("glewlwyd", client, &[]), identity.addr(), &upstream).start();
        assert_eq!([status(&envoy, &token), status(&envoy, &token)], [503, 503], "{client:?}");
        assert_logged(&envoy, "the server refused the gateway's client with status 401");
    }
    // Each request asked: a refusal is not remembered.
    assert_eq!((identity.introspections(), upstream.request_count()), (4, 0));
}

#[test]
fn a_secret_with_odd_characters_arrives_as_the_preset_sends_it() {
    let (identity, upstream) = (Glewlwyd::start(), Upstream::start());
    let token = identity.client_credentials("view");
    let method = |name: &str| ("/introspection/client_authentication", json!(name));
    // It does not undo the form encoding of a secret (RFC 6749, 2.3.1): so encoded, this one is wrong.
    for (members, expected) in
        [(vec![], 200), (vec![method("client_secret_post")], 200), (vec![method("client_secret_basic")], 503)]
    {
        let configuration = bookings("glewlwyd", Glewlwyd::ODD_GATEWAY, &members);
        let envoy = gateway(configuration, identity.addr(), &upstream).start();
        assert_eq!(status(&envoy, &token), expected, "{members:?}");
        assert_not_logged(&envoy, &[&token, Glewlwyd::ODD_GATEWAY.1, "Basic "]);
    }
}

#[test]
fn it_takes_nothing_but_its_preset() {
    let (identity, upstream) = (Glewlwyd::start(), Upstream::start());
    let (view, book) = (identity.client_credentials("view"), identity.client_credentials("book"));
    let refresh = identity.password("alice", "alice-pw", "view").refresh_token.expect("a refresh token");
    // A secret that the server does not decode.
    let configuration = bookings("glewlwyd", Glewlwyd::ODD_GATEWAY, &[]);
    let envoy = gateway(configuration, identity.addr(), &upstream).start();
    let found = [&view, &book, &refresh, "garbage"].map(|token| status(&envoy, token));
    assert_eq!(found, [200, 403, 401, 401]);
}
