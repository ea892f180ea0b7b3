//! Token lifetimes, and which tokens cause an introspection request.

use super::*;

/// How long tokens live here. Long enough for keys to be fetched and the token to be seen good.
const TTL: u64 = 3;
const ATTEMPTS: usize = 10;

#[test]
fn a_token_ends_when_it_says_cached_or_not() {
    let identity = OidcProvider::builder().access_token_ttl(TTL).start();
    let upstream = Upstream::start();
    let audience = json!([OidcProvider::JWT_RESOURCE]);
    let plugin = |max_ttl: &str| {
        json!({
            "authorization_servers": [oidc_server("oidc", &identity, &audience, &json!({}))],
            "cache": { "max_ttl": max_ttl },
            "rules": [rule("oidc", &json!({ "scope": "view" }))],
        })
    };
    let envoy = gateway()
        .cluster("identity", identity.addr())
        .upstream(upstream.addr())
        .plugin(plugin("60s"))
        .listener("uncached", ListenerSpec::new().plugin(plugin("0s")))
        .start();
    let issue = |scope: &str| identity.jwt(scope, OidcProvider::JWT_RESOURCE);
    // A token that lacks the scope is not kept from the keys by that.
    for listener in ["main", "uncached"] {
        let token = issue("book");
        wait_until_everywhere("the keys to be there", LIMIT, || show(envoy.addr(listener), "oidc", &token) != 503);
    }

    // On a slow machine a token may be over before it was seen good often: another one is tried then.
    let seen_good = (0..ATTEMPTS).any(|_| {
        let token = issue("view");
        let claims = jwt_parts(&token).1;
        let end = claims["exp"].as_u64().expect("exp");
        assert_eq!(end - claims["iat"].as_u64().expect("iat"), TTL, "{claims}");
        let hits = envoy.counter("scopegate.cache.result.hit");
        let mut good = 0;
        loop {
            // The time before the first is asked and after the last has answered: whatever is between both is judged.
            let asked = unix_time();
            let found = ["main", "uncached"].map(|listener| show(envoy.addr(listener), "oidc", &token));
            let answered = unix_time();
            if answered < end {
                assert_eq!(found, [200, 200], "{} s before its end", end - answered);
                good += 1;
            } else if asked >= end {
                assert_eq!(found, [401, 401], "{} s after its end", asked - end);
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        // Each of the two workers verifies it once.
        let cached = || envoy.counter("scopegate.cache.result.hit") - hits + 2 >= good;
        wait_until("all but two answers to come from the cache", LIMIT, cached);
        good > 10
    });
    assert!(seen_good, "no token was good more than ten times");
    let refused = envoy.log().matches("refused with 401: expired\n").count();
    assert!(refused >= 2, "{refused} refusals for that reason");
    assert_eq!(identity.introspections(), 0);
}

#[test]
fn of_one_server_jwts_are_judged_here_and_opaque_tokens_are_asked_about() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let opaque_audience = "https://bookings.example.test/";
    let mut server = oidc_server("both", &identity, &json!([OidcProvider::JWT_RESOURCE, opaque_audience]), &json!({}));
    server["introspection"] = json!({
        "path": OidcProvider::INTROSPECTION_PATH,
        "client_id": OidcProvider::GATEWAY_ID,
        "client_secret": OidcProvider::GATEWAY_SECRET,
        "timeout": "5s",
    });
    let envoy = gateway()
        .cluster("identity", identity.addr())
        .upstream(upstream.addr())
        .plugin(json!({
            "authorization_servers": [server],
            "upstream": { "headers": { "x-client": "client_id", "x-scope": "scope" } },
            "rules": [rule("both", &json!({ "scope": "view" }))],
        }))
        .start();
    let jwt = identity.jwt("view", OidcProvider::JWT_RESOURCE);
    wait_for_keys(&envoy, "both", &jwt);
    let passes = |what: &'static str, token: &str| (what, "both", token.to_owned(), Tells("x-client", "traveller"));

    judge(&envoy, &upstream, &[passes("a JWT", &jwt)]);
    assert_eq!(identity.introspections(), 0);
    let opaque = identity.client_credentials("view");
    // Two requests, one callout: the response is cached.
    judge(&envoy, &upstream, &[passes("an opaque token", &opaque)]);
    assert_eq!(identity.introspections(), 1);
    judge(&envoy, &upstream, &[passes("the JWT again", &jwt), passes("the opaque token again", &opaque)]);
    assert_eq!(identity.introspections(), 1);
    // A token in the form of a JWT is never introspected, however bad it is. Any other token is.
    let changed = tampered(&jwt, &json!({ "scope": "view book" }));
    judge(&envoy, &upstream, &[("a JWT, changed", "both", changed, Refused("bad_signature"))]);
    assert_eq!(identity.introspections(), 1);
    judge(&envoy, &upstream, &[("no token of theirs", "both", "opaque".to_owned(), Refused("inactive"))]);
    assert_eq!(identity.introspections(), 2);
}
