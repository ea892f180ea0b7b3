//! The metadata of an authorization server say where its keys are (OpenID Connect Discovery 1.0, RFC 8414).

use super::*;

fn plugin(issuer: &str, discovery: &str) -> Value {
    json!({
        "authorization_servers": [{
            "name": "identity",
            "cluster": "identity",
            "issuer": issuer,
            "audience": [OidcProvider::JWT_RESOURCE],
            "jwt": { "discovery": discovery, "timeout": "5s" },
        }],
        "rules": [{ "name": "View", "match": [{ "path_prefix": "/" }], "require": { "scope": "view" } }],
    })
}

fn answered(identity: &OidcProvider, path: &str) -> usize {
    identity.log().iter().filter(|line| line.starts_with(&format!("GET {path} "))).count()
}

#[test]
fn keys_are_found_by_the_metadata_before_anyone_needs_them() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let issuer = identity.issuer();
    let wrong = plugin(&format!("{issuer}/"), "/.well-known/openid-configuration");
    let envoy = Envoy::builder()
        .cluster("identity", identity.addr())
        .upstream(upstream.addr())
        .plugin(plugin(&issuer, "openid"))
        .listener("oauth", ListenerSpec::new().plugin(plugin(&issuer, "oauth")))
        .listener("wrong", ListenerSpec::new().plugin(wrong))
        .start();
    wait_until("the metadata to be read", LIMIT, || {
        answered(&identity, "/.well-known/openid-configuration") > 0
            && answered(&identity, "/.well-known/oauth-authorization-server") > 0
    });
    let token = identity.jwt("view", OidcProvider::JWT_RESOURCE);
    let status = |listener: &str| send(envoy.addr(listener), &Request::get("/").bearer(&token)).status;
    for listener in ["main", "oauth"] {
        wait_until_everywhere("the keys to be there", LIMIT, || status(listener) == 200);
    }
    assert_eq!(identity.introspections(), 0);
    // Metadata of another issuer say nothing, if but a slash makes the difference.
    let why = "invalid metadata: `issuer` differs from the configured issuer";
    wait_until("the operator to be told", LIMIT, || envoy.log().contains(why));
    assert_eq!(status("wrong"), 401);
}

#[test]
fn metadata_that_claim_another_issuer_never_lead_to_keys() {
    let identity = OidcProvider::start();
    let issuer = identity.issuer();
    let claimed = issuer.clone();
    let front = ScriptedServer::in_front_of(identity.addr(), move |mut answer| {
        if answer.get("jwks_uri").is_some() {
            answer["issuer"] = json!(format!("{claimed}/evil"));
        }
        answer
    });
    let upstream = Upstream::start();
    let mut spoofed = plugin(&issuer, "openid");
    spoofed["authorization_servers"][0]["cluster"] = json!("front");
    let envoy = Envoy::builder()
        .cluster("identity", identity.addr())
        .cluster("front", front.addr())
        .upstream(upstream.addr())
        .plugin(spoofed)
        .start();
    let token = identity.jwt("view", OidcProvider::JWT_RESOURCE);
    let why = "invalid metadata";
    wait_until("the operator to be told", LIMIT, || envoy.log().contains(why));
    for _ in 0..4 {
        assert_eq!(send(envoy.addr("main"), &Request::get("/").bearer(&token)).status, 503);
    }
    assert_eq!(answered(&identity, "/jwks"), 0);
    assert_eq!(upstream.request_count(), 0);
}

#[test]
fn a_client_that_leaves_does_not_end_the_search_for_keys() {
    let (key, issuer) = (SigningKey::rs256(), "https://issuer.example.test");
    let jwk = key.jwk("k");
    let server = ScriptedServer::start(move |request| match request.path.as_slice() {
        b"/metadata" => Script::json(json!({ "issuer": issuer, "jwks_uri": format!("{issuer}/jwks") }))
            .after(Duration::from_millis(300)),
        _ => Script::json(json!({ "keys": [jwk] })),
    });
    let upstream = Upstream::start();
    let impatient = || {
        let mut plugin = plugin(issuer, "/metadata");
        plugin["authorization_servers"][0]["jwt"]["min_refetch_interval"] = json!("1s");
        plugin
    };
    let mut other = impatient();
    other["rules"][0]["name"] = json!("Other");
    let envoy = Envoy::builder()
        .cluster("identity", server.addr())
        .upstream(upstream.addr())
        .plugin(impatient())
        .listener("other", ListenerSpec::new().plugin(other))
        .concurrency(1)
        .start();
    let claims = json!({ "iss": issuer, "aud": OidcProvider::JWT_RESOURCE, "scope": "view", "exp": unix_time() + 600 });
    let request = |kid: &str| {
        Request::get("/").bearer(&key.sign(&json!({ "alg": "RS256", "typ": "at+jwt", "kid": kid }), &claims))
    };
    let listeners = ["main", "other"].map(|listener| envoy.addr(listener));
    let fetches = || server.calls().iter().filter(|call| call.path == b"/jwks").count();
    wait_until("the keys to be fetched", LIMIT, || fetches() > 0);
    // One of them has found the keys, the other has them from there in a moment, and does not know where they are.
    wait_until("both to have them", LIMIT, || {
        listeners.map(|address| send(address, &request("k")).status) == [200, 200]
    });
    let before = fetches();
    for address in listeners {
        let asked = server.call_count();
        let mut number = 0;
        // The one that has asked for them may do so again after a while.
        wait_until("a search for the keys", LIMIT, || {
            number += 1;
            let pending = Pending::send(address, &request(&format!("new{number}")));
            let searches =
                try_wait("a callout", Duration::from_millis(200), || (server.call_count() > asked).then_some(()));
            pending.leave(Abort::Rst);
            searches.is_ok()
        });
    }
    wait_until("both to fetch the keys anew", LIMIT, || fetches() == before + 2);
}
