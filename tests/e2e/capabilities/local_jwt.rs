//! S2.21: JWTs are judged in the proxy, by the keys of their authorization server and without a call for each.

use std::thread;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::*;

/// What the identity server calls the API for which it issues JWTs.
const JWT_AUDIENCE: &str = "https://jwt.example.test/";

/// The bookings API for holders of JWTs.
fn jwt_bookings(identity: &OidcProvider) -> Value {
    let server = json!({
        "name": "identity",
        "cluster": "identity",
        "issuer": identity.issuer(),
        "audience": [JWT_AUDIENCE],
        "jwt": { "jwks_path": "/jwks", "min_refetch_interval": "1s", "timeout": "5s" },
    });
    let headers = json!({ "headers": { "x-client": "client_id", "x-scope": "scope", "x-owner": "owner" } });
    with(bookings(identity), &[("/authorization_servers", json!([server])), ("/upstream", headers)])
}

/// A JWT access token (RFC 9068).
#[track_caller]
fn jwt(identity: &OidcProvider, scope: &str, resource: &str) -> String {
    let form = [("grant_type", "client_credentials"), ("scope", scope), ("resource", resource)];
    tokens_of(&identity.token_request(Client::Basic("traveller", "traveller-secret"), &form)).access_token
}

fn keys_fetched(identity: &OidcProvider) -> usize {
    identity.log().iter().filter(|line| line.starts_with("GET /jwks ")).count()
}

/// The token with another header or payload, and the same signature.
fn forged(token: &str, header: Option<Value>, payload: impl FnOnce(&mut Value)) -> String {
    let parts: Vec<_> = token.split('.').collect();
    let read = |part: &str| -> Value {
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
    };
    let write = |json: &Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
    let mut claims = read(parts[1]);
    payload(&mut claims);
    format!("{}.{}.{}", write(&header.unwrap_or_else(|| read(parts[0]))), write(&claims), parts[2])
}

#[test]
fn s2_21_a_jwt_is_honoured_without_asking_and_only_for_its_scope() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let envoy = gateway(&identity, &upstream).plugin(jwt_bookings(&identity)).start();
    wait_until("the keys to be fetched before anyone needs them", LIMIT, || keys_fetched(&identity) > 0);
    let token = jwt(&identity, "view", JWT_AUDIENCE);
    wait_until("every worker to have them", LIMIT, || (0..8).all(|_| status(&envoy, list(), &token) == 200));
    upstream.clear();

    for _ in 0..3 {
        assert_eq!(status(&envoy, list(), &token), 200);
        assert_refused(&send(envoy.addr("main"), &book().bearer(&token)), Refusal::LacksScope("book"));
    }
    assert_eq!(identity.introspections(), 0);
    let passed = upstream.requests();
    assert_eq!(passed[0].headers_named("x-client"), ["traveller"]);
    assert_eq!(passed[0].headers_named("x-scope"), ["view"]);
    // The client is nobody's user.
    assert_eq!(passed[0].headers_named("x-owner"), [""; 0]);
    assert_eq!(passed[0].headers_named("authorization"), [""; 0]);
    // Where nobody introspects, an opaque token is nobody's.
    assert_refused(&send(envoy.addr("main"), &list().bearer(&identity.client_credentials("view"))), Refusal::BadToken);
    assert_reason(&envoy, "malformed_jwt");
    assert_eq!(identity.introspections(), 0);
}

#[test]
fn s2_21_whatever_is_wrong_with_a_jwt_it_is_refused() {
    let (identity, other, upstream) = (OidcProvider::start(), OidcProvider::start(), Upstream::start());
    let narrow =
        with(jwt_bookings(&identity), &[("/authorization_servers/0/audience", json!(["https://other.example.test/"]))]);
    let envoy = gateway(&identity, &upstream)
        .plugin(jwt_bookings(&identity))
        .listener("narrow", ListenerSpec::new().plugin(narrow))
        .start();
    let good = jwt(&identity, "view", JWT_AUDIENCE);
    let answer = |token: &str| send(envoy.addr("main"), &list().bearer(token));
    wait_until("the keys to be there", LIMIT, || (0..8).all(|_| answer(&good).status == 200));
    upstream.clear();

    let header = |alg: &str| Some(json!({ "alg": alg, "typ": "at+jwt" }));
    let unsigned = forged(&good, header("none"), |_| ());
    let (unsigned, _) = unsigned.rsplit_once('.').expect("three parts");
    for (token, reason) in [
        (forged(&good, None, |claims| claims["scope"] = json!("view admin")), "bad_signature"),
        (forged(&good, None, |claims| claims["exp"] = json!(9_999_999_999_u64)), "bad_signature"),
        (format!("{unsigned}."), "malformed_jwt"),
        (forged(&good, header("none"), |_| ()), "malformed_jwt"),
        (forged(&good, header("HS256"), |_| ()), "malformed_jwt"),
        (forged(&good, header("RS384"), |_| ()), "malformed_jwt"),
        (forged(&good, Some(json!({ "alg": "RS256", "typ": "JWT" })), |_| ()), "not_an_access_token"),
        (forged(&good, None, |claims| claims["iss"] = json!("https://evil.test")), "wrong_issuer"),
        (forged(&good, None, |claims| claims["exp"] = json!(1)), "expired"),
        (forged(&good, None, |claims| drop(claims.as_object_mut().expect("claims").remove("exp"))), "malformed_jwt"),
        (forged(&good, None, |claims| claims["iat"] = json!(9_999_999_999_u64)), "not_yet_valid"),
        (forged(&good, None, |claims| claims["nonce"] = json!("n")), "not_an_access_token"),
        (jwt(&other, "view", JWT_AUDIENCE), "wrong_issuer"),
    ] {
        for _ in 0..2 {
            assert_refused(&answer(&token), Refusal::BadToken);
        }
        assert_reason(&envoy, reason);
    }
    // Signed with the very key that everybody may read, as if it were a secret.
    let login = identity.authorization_code_pkce("alice", "alice-pw", &["openid", "view"], &["view"]);
    assert_refused(&answer(login.id()), Refusal::BadToken);
    assert_refused(&send(envoy.addr("narrow"), &list().bearer(&good)), Refusal::BadToken);
    assert_reason(&envoy, "wrong_audience");
    assert_eq!((identity.introspections(), upstream.request_count()), (0, 0));
    assert_eq!(answer(&good).status, 200);
}

#[test]
fn s2_21_after_a_key_rotation_the_next_token_is_good_and_the_old_key_vouches_for_nothing() {
    let first = OidcProvider::start();
    let upstream = Upstream::start();
    let configuration = with(jwt_bookings(&first), &[("/authorization_servers/0/jwt/refresh", json!("1s"))]);
    let envoy = gateway(&first, &upstream).plugin(configuration).start();
    let old = jwt(&first, "view", JWT_AUDIENCE);
    // A worker whose keys are on their way says 503.
    wait_until("the keys to be there", LIMIT, || (0..8).all(|_| status(&envoy, list(), &old) == 200));

    // The same server with another key.
    let port = first.addr().port();
    drop(first);
    let second = OidcProvider::builder().port(port).start();
    let new = jwt(&second, "view", JWT_AUDIENCE);
    wait_until("a token of the new key to be good", LIMIT, || status(&envoy, list(), &new) == 200);
    // Cached or not, by every worker.
    let refused = || (0..8).all(|_| status(&envoy, list(), &old) == 401);
    wait_until("the token of the old key to be refused", LIMIT, refused);
    assert_refused(&send(envoy.addr("main"), &list().bearer(&old)), Refusal::BadToken);
    assert_reason(&envoy, "unknown_key");
    assert_eq!(second.introspections(), 0);
}

#[test]
fn s2_21_without_keys_nobody_passes_and_nobody_is_called_a_liar() {
    let identity = OidcProvider::start();
    let upstream = Upstream::start();
    let token = jwt(&identity, "view", JWT_AUDIENCE);
    let (configuration, addr) = (jwt_bookings(&identity), identity.addr());
    drop(identity);
    let envoy = Envoy::builder().cluster("identity", addr).upstream(upstream.addr()).plugin(configuration).start();
    for _ in 0..3 {
        assert_refused(&send(envoy.addr("main"), &list().bearer(&token)), Refusal::Unavailable);
    }
    // What could never be good is refused without keys, too.
    assert_refused(&send(envoy.addr("main"), &list().bearer("opaque")), Refusal::BadToken);
    assert_eq!(upstream.request_count(), 0);

    let back = OidcProvider::builder().port(addr.port()).start();
    let token = jwt(&back, "view", JWT_AUDIENCE);
    wait_until("the keys to be there", LIMIT, || status(&envoy, list(), &token) == 200);
}

#[test]
fn s2_21_tokens_with_unknown_keys_do_not_become_a_flood_of_fetches() {
    const TOKENS: usize = 300;
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let slow = [("/authorization_servers/0/jwt/min_refetch_interval", json!("1h"))];
    let envoy = gateway(&identity, &upstream).plugin(with(jwt_bookings(&identity), &slow)).start();
    wait_until("the keys", LIMIT, || keys_fetched(&identity) > 0);
    let good = jwt(&identity, "view", JWT_AUDIENCE);
    wait_until("the keys to be there", LIMIT, || (0..8).all(|_| status(&envoy, list(), &good) == 200));
    let before = keys_fetched(&identity);
    for n in 0..TOKENS {
        let token = forged(&good, Some(json!({ "alg": "RS256", "typ": "at+jwt", "kid": format!("k{n}") })), |_| ());
        let found = status(&envoy, list(), &token);
        assert!(matches!(found, 401 | 503), "{found}");
    }
    // At most one for each worker.
    thread::sleep(Duration::from_millis(200));
    let fetched = keys_fetched(&identity) - before;
    assert!(fetched <= 2, "{fetched} fetches for {TOKENS} tokens");
    assert_eq!(status(&envoy, list(), &good), 200);
}

#[test]
fn s2_21_a_good_signature_can_be_asked_about_too_and_a_bad_one_never_reaches_the_server() {
    let glewlwyd = Glewlwyd::start();
    let upstream = Upstream::start();
    let token = glewlwyd.client_credentials("view");
    let payload = token.split('.').nth(1).expect("a JWT");
    let claims: Value =
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).expect("base64url")).expect("JSON");
    let configuration = json!({
        "authorization_servers": [{
            "name": "identity",
            "cluster": "identity",
            "issuer": claims["iss"],
            "audience": "any",
            "introspection": {
                "preset": "glewlwyd",
                "client_id": Glewlwyd::GATEWAY_ID,
                "client_secret": Glewlwyd::GATEWAY_SECRET,
                "timeout": "5s",
            },
            "jwt": { "jwks_path": "/api/oidc/jwks", "introspect": true, "timeout": "5s" },
        }],
        "realm": "bookings",
        "cache": { "max_ttl": "0s", "inactive_ttl": "0s" },
        "rules": [{ "name": "View", "match": [{ "path_prefix": "/" }], "require": { "scope": "view" } }],
    });
    let envoy =
        Envoy::builder().cluster("identity", glewlwyd.addr()).upstream(upstream.addr()).plugin(configuration).start();
    assert_eq!(status(&envoy, list(), &token), 200);
    let asked = glewlwyd.introspections();
    assert!(asked > 0);
    let tampered = forged(&token, None, |claims| claims["scope"] = json!("view book"));
    assert_refused(&send(envoy.addr("main"), &list().bearer(&tampered)), Refusal::BadToken);
    assert_eq!(glewlwyd.introspections(), asked);
    // Revoked, and seen to be.
    let web = glewlwyd.password("alice", "alice-pw", "view").access_token;
    assert_eq!(status(&envoy, list(), &web), 200);
    glewlwyd.revoke(&web);
    assert_eq!(status(&envoy, list(), &web), 401);
}
