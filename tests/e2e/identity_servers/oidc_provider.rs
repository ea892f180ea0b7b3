//! oidc-provider, the server of the demo, by its preset. It decodes what it is sent strictly, and is the one of these
//! servers that knows a client by its key.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::*;

const GATEWAY: (&str, &str) = (OidcProvider::GATEWAY_ID, OidcProvider::GATEWAY_SECRET);

/// The preset for a client that has no secret, but these members.
fn with_key(identity: &OidcProvider, client_id: &str, members: &[(&str, Value)]) -> Value {
    let mut configuration = bookings("oidc-provider", (client_id, ""), &[("/issuer", json!(identity.issuer()))]);
    let introspection = &mut configuration["authorization_servers"][0]["introspection"];
    introspection.as_object_mut().expect("an object").remove("client_secret");
    introspection["client_authentication"] = json!("private_key_jwt");
    for (name, value) in members {
        introspection[*name] = value.clone();
    }
    configuration
}

fn pem(key: &SigningKey) -> String {
    std::fs::read_to_string(key.private_pem()).expect("the key")
}

#[test]
fn the_preset_takes_access_tokens_and_nothing_else() {
    let (identity, upstream) = (OidcProvider::start(), Upstream::start());
    let envoy = gateway(bookings("oidc-provider", GATEWAY, &[]), identity.addr(), &upstream).start();
    let login = Login::new("alice", "alice-pw", &["openid", "view"]);
    let tokens = identity.authorization_code(Client::WEB, &login);
    let form = [("grant_type", "client_credentials"), ("resource", "https://jwt.example.test/"), ("scope", "view")];
    let jwt = identity.endpoints().tokens(Client::WEB, &form).access_token;

    // To the server a refresh token is as active as an access token, hint or not; it only leaves out what it is.
    let answer = identity.endpoints().introspect(OidcProvider::GATEWAY, tokens.refresh()).json();
    assert_eq!((&answer["active"], answer.get("token_type")), (&json!(true), None));
    let statuses = ["garbage", tokens.refresh(), tokens.id(), &jwt].map(|token| status(&envoy, token));
    assert_eq!(statuses, [401; 4]);
    assert_eq!(status(&envoy, &tokens.access_token), 200);
    assert_eq!(client_ids(&upstream), ["web"]);
}

#[test]
fn the_gateway_is_known_by_its_secret_in_the_header_in_the_form_and_by_its_key() {
    let (es256, rs256, other) = (SigningKey::es256(), SigningKey::rs256(), SigningKey::es256());
    let identity = OidcProvider::builder().gateway_es256(&es256).gateway_rs256(&rs256).start();
    let upstream = Upstream::start();
    let token = identity.client_credentials("view");
    let method = |name: &str| ("/introspection/client_authentication", json!(name));
    let inline = |key: &SigningKey| ("private_key", json!(pem(key)));
    let post = ("gateway-post", OidcProvider::GATEWAY_SECRET);
    let audience = ("assertion_audience", json!("https://elsewhere.example.test/"));

    let good = [
        ("basic", bookings("oidc-provider", GATEWAY, &[])),
        ("post", bookings("oidc-provider", post, &[method("client_secret_post")])),
        ("es256", with_key(&identity, "gateway-key", &[inline(&es256)])),
        ("rs256", with_key(&identity, "gateway-key-rsa", &[("private_key_env", json!("GATEWAY_KEY"))])),
    ];
    let bad = [
        ("wrong", bookings("oidc-provider", (GATEWAY.0, "wrong"), &[])),
        ("wrong-post", bookings("oidc-provider", (post.0, "wrong"), &[method("client_secret_post")])),
        ("not-encoded", bookings("oidc-provider", GATEWAY, &[method("client_secret_basic_raw")])),
        ("other-key", with_key(&identity, "gateway-key", &[inline(&other)])),
        ("other-algorithm", with_key(&identity, "gateway-key", &[inline(&rs256)])),
        ("other-audience", with_key(&identity, "gateway-key", &[inline(&es256), audience])),
    ];
    let gateways = good.iter().chain(&bad);
    let builder = Envoy::builder().cluster("identity_server", identity.addr()).upstream(upstream.addr());
    let envoy = gateways
        .fold(builder.env("GATEWAY_KEY", &pem(&rs256)), |builder, (name, configuration)| {
            builder.listener(name, ListenerSpec::new().plugin(configuration.clone()))
        })
        .start();
    let status = |name: &str, token: &str| {
        send(envoy.addr(name), &Request::get("/bookings").bearer(token).header("x-gateway", name)).status
    };

    for (name, _) in &good {
        assert_eq!([status(name, &token), status(name, "garbage")], [200, 401], "{name}");
    }
    // If the server refuses the gateway's client, the gateway has no verdict on any token, valid or not.
    for (name, _) in &bad {
        assert_eq!([status(name, &token), status(name, "garbage")], [503, 503], "{name}");
    }
    assert_eq!((identity.introspections(), upstream.request_count()), (20, 4));
    assert_logged(&envoy, "the server refused the gateway's client with status 401");
    assert_logged(&envoy, "the introspection endpoint responded with unexpected status 400");
    let assertion = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"#);
    let keys = [&es256, &rs256, &other].map(pem);
    let lines: Vec<&str> = keys.iter().flat_map(|key| key.lines()).collect();
    assert_not_logged(&envoy, &lines);
    assert_not_logged(&envoy, &[&token, GATEWAY.1, "Basic ", "client_assertion", assertion.as_str()]);
}

#[test]
fn no_two_assertions_are_the_same_whichever_worker_made_them() {
    const REQUESTS: usize = 300;
    let (es256, rs256) = (SigningKey::es256(), SigningKey::rs256());
    let identity = OidcProvider::builder().gateway_es256(&es256).gateway_rs256(&rs256).start();
    let front = ScriptedServer::in_front_of(identity.addr(), |json| json);
    let upstream = Upstream::start();
    // More than are under way at a time: those with one token would share an answer.
    let tokens: Vec<String> = (0..32).map(|_| identity.client_credentials("view")).collect();
    let configuration = |client_id: &str, key: &SigningKey| {
        let mut configuration = with_key(&identity, client_id, &[("private_key", json!(pem(key)))]);
        // Every request causes a callout.
        configuration["cache"] = json!({ "max_ttl": "0s", "inactive_ttl": "0s" });
        ListenerSpec::new().plugin(configuration)
    };
    // Two filters of one client in each of two workers: all four must draw different random values.
    let envoy = Envoy::builder()
        .listener("first", configuration("gateway-key", &es256))
        .listener("second", configuration("gateway-key", &es256))
        .listener("rsa", configuration("gateway-key-rsa", &rs256))
        .cluster("identity_server", front.addr())
        .upstream(upstream.addr())
        .concurrency(2)
        .wasm_log_level("info")
        .start();

    for name in ["first", "second", "rsa"] {
        // The server refuses what it has seen before.
        let counts = load(envoy.addr(name), 16, REQUESTS, |n| Request::get("/bookings").bearer(&tokens[n % 32]));
        assert_eq!(counts, [(200, REQUESTS)].into(), "{name}");
    }
    let ids: BTreeSet<String> = front
        .calls()
        .iter()
        .map(|call| {
            let payload = call.form_value("client_assertion").and_then(|jwt| jwt.split('.').nth(1)).expect("a JWT");
            let payload = BASE64_URL_SAFE_NO_PAD.decode(payload).expect("base64url");
            serde_json::from_slice::<Value>(&payload).expect("JSON")["jti"].as_str().expect("a jti").to_owned()
        })
        .collect();
    assert_eq!(ids.len(), front.call_count());
    assert!(ids.len() > 2 * REQUESTS, "{}", ids.len());
    let stats = envoy.admin("/stats");
    for worker in ["worker_0", "worker_1"] {
        let served = |line: &str| line.contains(&format!(".{worker}.downstream_cx_total: ")) && !line.ends_with(": 0");
        assert!(
            stats.lines().any(|line| line.starts_with("listener.127") && served(line)),
            "{worker} had no part in it"
        );
    }
}

/// oidc-provider issues the token to a client that has a key; it takes no token of its callers, so another server
/// answers the introspections.
#[test]
fn the_token_may_be_had_with_a_key() {
    let (es256, rs256) = (SigningKey::es256(), SigningKey::rs256());
    let identity = OidcProvider::builder().gateway_es256(&es256).gateway_rs256(&rs256).start();
    let upstream = Upstream::start();
    let introspection = ScriptedServer::start(|_| Script::json(json!({ "active": true, "scope": "view" })));
    for (client_id, key) in [("gateway-key", &es256), ("gateway-key-rsa", &rs256)] {
        let pem = std::fs::read_to_string(key.private_pem()).expect("the key");
        let token = json!({
            "path": "/token", "cluster": "token_server", "client_authentication": "private_key_jwt", "scope": "view",
        });
        let mut configuration = bookings("rfc7662", (client_id, ""), &[("/issuer", json!(identity.issuer()))]);
        configuration["authorization_servers"][0]["introspection"] = json!({
            "path": "/introspect", "client_authentication": "bearer", "client_id": client_id,
            "private_key_env": "GATEWAY_KEY", "token": token, "timeout": "5s",
        });
        let envoy = gateway(configuration, introspection.addr(), &upstream)
            .cluster("token_server", identity.addr())
            .env("GATEWAY_KEY", &pem)
            .concurrency(1)
            .start();

        assert_eq!([status(&envoy, "one"), status(&envoy, "another")], [200, 200], "{client_id}");
        let shown: Vec<_> = introspection.calls().iter().filter_map(|call| call.header("authorization")).collect();
        let own = shown[0].strip_prefix("Bearer ").expect("a bearer token");
        assert_eq!(shown, vec![format!("Bearer {own}"); 2]);
        let answer = identity.endpoints().introspect(OidcProvider::GATEWAY, own).json();
        assert_eq!((&answer["active"], &answer["client_id"]), (&json!(true), &json!(client_id)));
        let lines: Vec<&str> = pem.lines().collect();
        assert_not_logged(&envoy, &[&lines[..], &[own, "client_assertion"]].concat());
        introspection.clear();
    }
    assert_eq!(identity.token_requests(), 2);
}
