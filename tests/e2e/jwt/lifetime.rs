//! How long a token is good, and who is asked about it meanwhile.

use std::time::Instant;

use super::*;

/// How long tokens live here. Long enough for keys to be fetched and the token to be seen good.
const TTL: u64 = 3;

#[test]
fn a_token_ends_when_it_says_cached_or_not() {
    let identity = OidcProvider::builder().access_token_ttl(TTL).start();
    let glewlwyd = Glewlwyd::with_access_token_ttl(TTL);
    let upstream = Upstream::start();
    let audience = json!([OidcProvider::JWT_RESOURCE]);
    let theirs = jwt_parts(&glewlwyd.client_credentials("view")).1;
    let plugin = |max_ttl: &str| {
        json!({
            "authorization_servers": [
                oidc_server("oidc", &identity, &audience, &json!({})),
                {
                    "name": "glewlwyd",
                    "cluster": "glewlwyd",
                    "issuer": theirs["iss"],
                    "audience": ["view", "book"],
                    "jwt": { "jwks_path": "/api/oidc/jwks", "timeout": "5s" },
                },
            ],
            "cache": { "max_ttl": max_ttl },
            "rules": [rule("oidc", &json!({ "scope": "view" })), rule("glewlwyd", &json!({ "scope": "view" }))],
        })
    };
    let envoy = gateway()
        .cluster("identity", identity.addr())
        .cluster("glewlwyd", glewlwyd.addr())
        .upstream(upstream.addr())
        .plugin(plugin("60s"))
        .listener("uncached", ListenerSpec::new().plugin(plugin("0s")))
        .start();
    let issue = |way: &str, scope: &str| match way {
        "oidc" => identity.jwt(scope, OidcProvider::JWT_RESOURCE),
        _ => glewlwyd.client_credentials(scope),
    };
    // A token that lacks the scope is not kept from the keys by that.
    for listener in ["main", "uncached"] {
        for way in ["oidc", "glewlwyd"] {
            let token = issue(way, "book");
            let has_keys = || show(envoy.addr(listener), way, &token) != 503;
            wait_until_everywhere("the keys to be there", LIMIT, has_keys);
        }
    }

    for way in ["oidc", "glewlwyd"] {
        let token = issue(way, "view");
        let claims = jwt_parts(&token).1;
        let end = claims["exp"].as_u64().expect("exp");
        assert_eq!(end - claims["iat"].as_u64().expect("iat"), TTL, "{claims}");
        let hits = envoy.counter("scopegate.cache.result.hit");
        let (mut good, deadline) = (0, Instant::now() + LIMIT);
        loop {
            // The time before the first is asked and after the last has answered: whatever is between both is judged.
            let asked = unix_time();
            let found = ["main", "uncached"].map(|listener| show(envoy.addr(listener), way, &token));
            let answered = unix_time();
            if answered < end {
                assert_eq!(found, [200, 200], "{} s before the end of a token of {way}", end - answered);
                good += 1;
            } else if asked >= end {
                assert_eq!(found, [401, 401], "{} s after the end of a token of {way}", asked - end);
                break;
            }
            assert!(Instant::now() < deadline, "the token of {way} does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(good > 10, "{way}: it was good only {good} times");
        let hits = envoy.counter("scopegate.cache.result.hit") - hits;
        // Each of the two workers verifies it once.
        assert!(hits + 2 >= good, "{way}: {hits} of {good} came from the cache");
    }
    let refused = envoy.log().matches("refused with 401: expired\n").count();
    assert!(refused >= 4, "{refused} refusals for that reason");
    assert_eq!((identity.introspections(), glewlwyd.introspections()), (0, 0));
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
    // Shown twice, asked about once: the answer is kept.
    judge(&envoy, &upstream, &[passes("an opaque token", &opaque)]);
    assert_eq!(identity.introspections(), 1);
    judge(&envoy, &upstream, &[passes("the JWT again", &jwt), passes("the opaque token again", &opaque)]);
    assert_eq!(identity.introspections(), 1);
    // What has the form of a JWT is never asked about, however bad it is; what has not is.
    let changed = tampered(&jwt, &json!({ "scope": "view book" }));
    judge(&envoy, &upstream, &[("a JWT, changed", "both", changed, Refused("bad_signature"))]);
    assert_eq!(identity.introspections(), 1);
    judge(&envoy, &upstream, &[("no token of theirs", "both", "opaque".to_owned(), Refused("inactive"))]);
    assert_eq!(identity.introspections(), 2);
}
