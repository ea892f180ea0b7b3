//! S2.21: JWTs are judged in the proxy, by the keys of their authorization server and without a call for each.

use std::thread;
use std::time::Instant;

use super::*;

/// The audience of the API for which the identity server issues JWTs.
const JWT_AUDIENCE: &str = OidcProvider::JWT_RESOURCE;

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

#[test]
fn s2_21_a_jwt_is_honoured_without_asking_and_only_for_its_scope() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let envoy = gateway(&identity, &upstream).plugin(jwt_bookings(&identity)).start();
    wait_until("the keys to be fetched before anyone needs them", LIMIT, || identity.keys_fetched() > 0);
    let token = identity.jwt("view", JWT_AUDIENCE);
    wait_until_everywhere("every worker to have them", LIMIT, || status(&envoy, list(), &token) == 200);
    upstream.clear();

    for _ in 0..3 {
        assert_eq!(status(&envoy, list(), &token), 200);
        assert_refused(&send(envoy.addr("main"), &book().bearer(&token)), Refusal::LacksScope("book"));
    }
    assert_eq!(identity.introspections(), 0);
    let passed = upstream.requests();
    assert_eq!(passed[0].headers_named("x-client"), ["traveller"]);
    assert_eq!(passed[0].headers_named("x-scope"), ["view"]);
    // A client that acts for itself has no user.
    assert_eq!(passed[0].headers_named("x-owner"), [""; 0]);
    assert_eq!(passed[0].headers_named("authorization"), [""; 0]);
    // Without introspection, every opaque token is invalid.
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
    let good = identity.jwt("view", JWT_AUDIENCE);
    let answer = |token: &str| send(envoy.addr("main"), &list().bearer(token));
    wait_until_everywhere("the keys to be there", LIMIT, || answer(&good).status == 200);
    upstream.clear();

    let (header, claims) = jwt_parts(&good);
    let calling_itself = |member: &str, value: &str| {
        let mut header = header.clone();
        header[member] = json!(value);
        forged(&good, &header, &claims)
    };
    let claiming = |member: &str, value: Value| {
        let mut claims = claims.clone();
        claims[member] = value;
        forged(&good, &header, &claims)
    };
    for (token, reason) in [
        (claiming("scope", json!("view admin")), "bad_signature"),
        (claiming("exp", json!(9_999_999_999_u64)), "bad_signature"),
        (claiming("exp", json!(1)), "expired"),
        (claiming("iss", json!("https://evil.test")), "wrong_issuer"),
        (calling_itself("alg", "none"), "malformed_jwt"),
        (calling_itself("alg", "HS256"), "malformed_jwt"),
        (calling_itself("typ", "JWT"), "not_an_access_token"),
        (other.jwt("view", JWT_AUDIENCE), "wrong_issuer"),
    ] {
        for _ in 0..2 {
            assert_refused(&answer(&token), Refusal::BadToken);
        }
        assert_reason(&envoy, reason);
    }
    // Who the user is, not what a client may do.
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
    let old = first.jwt("view", JWT_AUDIENCE);
    // A worker that is still fetching keys responds with 503.
    wait_until_everywhere("the keys to be there", LIMIT, || status(&envoy, list(), &old) == 200);

    // Restart the server with another key.
    let port = first.addr().port();
    drop(first);
    let second = OidcProvider::builder().port(port).start();
    let new = second.jwt("view", JWT_AUDIENCE);
    wait_until("a token of the new key to be good", LIMIT, || status(&envoy, list(), &new) == 200);
    // Cached or not, by every worker.
    let refused = || status(&envoy, list(), &old) == 401;
    wait_until_everywhere("the token of the old key to be refused", LIMIT, refused);
    assert_refused(&send(envoy.addr("main"), &list().bearer(&old)), Refusal::BadToken);
    assert_reason(&envoy, "unknown_key");
    assert_eq!(second.introspections(), 0);
}

#[test]
fn s2_21_without_keys_nobody_passes_and_nobody_is_called_a_liar() {
    let identity = OidcProvider::start();
    let upstream = Upstream::start();
    let token = identity.jwt("view", JWT_AUDIENCE);
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
    let token = back.jwt("view", JWT_AUDIENCE);
    wait_until("the keys to be there", LIMIT, || status(&envoy, list(), &token) == 200);
}

#[test]
fn s2_21_tokens_with_unknown_keys_do_not_become_a_flood_of_fetches() {
    const TOKENS: usize = 10_000;
    const WORKERS: usize = 2;
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let listening = |authority: &str, interval: &str| {
        // Each is a place of its own, which has its own keys.
        let jwt = json!({
            "jwks_path": "/jwks",
            "authority": authority,
            "min_refetch_interval": interval,
            "timeout": "5s",
        });
        with(jwt_bookings(&identity), &[("/authorization_servers/0/jwt", jwt)])
    };
    let envoy = gateway(&identity, &upstream)
        .concurrency(WORKERS)
        .wasm_log_level("warning")
        .plugin(listening("seldom.example.test", "1h"))
        .listener("often", ListenerSpec::new().plugin(listening("often.example.test", "1s")))
        .start();
    let good = identity.jwt("view", JWT_AUDIENCE);
    let (header, claims) = jwt_parts(&good);
    for (listener, interval) in [("main", Duration::from_secs(3600)), ("often", Duration::from_secs(1))] {
        let answer = |token: &str| send(envoy.addr(listener), &list().bearer(token)).status;
        wait_until_everywhere("the keys to be there", LIMIT, || answer(&good) == 200);
        upstream.clear();
        let (before, start) = (identity.keys_fetched(), Instant::now());
        let found = load(envoy.addr(listener), 8, TOKENS, |number| {
            // Nine tokens of ten name an unknown key. The tenth names a published key that did not sign it.
            let mut header = header.clone();
            let mut claims = claims.clone();
            claims["jti"] = json!(number);
            if number % 10 != 0 {
                header["kid"] = json!(format!("k{number}"));
            }
            list().bearer(&forged(&good, &header, &claims))
        });
        let took = start.elapsed();
        // A fetch that is under way at the end is counted, too.
        thread::sleep(Duration::from_millis(200));
        let fetched = identity.keys_fetched() - before;
        // Each worker at the start and after each interval.
        let most = WORKERS * (1 + usize::try_from(took.as_secs() / interval.as_secs()).expect("a number"));
        assert!(fetched <= most, "{listener}: {fetched} fetches for {TOKENS} tokens in {took:?}, {most} may be");
        let count = |status: u16| found.get(&status).copied().unwrap_or_default();
        assert_eq!(count(401) + count(503), TOKENS, "{listener}: {found:?}");
        // While keys are being fetched, an unknown key gets a 503. At other times it gets a 401.
        assert!(count(401) > 0, "{listener}: {found:?}");
        assert_eq!(upstream.request_count(), 0, "{listener}");
        assert_eq!(answer(&good), 200, "{listener}: a good token, after the flood");
    }
    assert_eq!(identity.introspections(), 0);
}
