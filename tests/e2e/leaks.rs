//! Secrets that no case covers: secrets from the environment, values derived from them, and signed tokens.

use serde_json::json;

use crate::secrets::Secrets;
use crate::support::*;

const CLIENT: (&str, &str) = ("gateway-of-leaks", "s3cret/of+the environment");
const OWN: &str = "own-token-of-the-gateway";
const SUBJECT: &str = "subject-of-the-token";

#[test]
fn secrets_of_the_environment_and_signed_tokens_are_in_no_log_metric_or_dump() {
    let (issuer, ours) = (SigningKey::es256(), SigningKey::es256());
    let jwks = json!({ "keys": [issuer.jwk("ec")] });
    let server = ScriptedServer::start(move |request| match &*request.path {
        b"/token" => Script::json(json!({ "access_token": OWN, "token_type": "Bearer", "expires_in": 60 })),
        b"/jwks" => Script::json(jwks.clone()),
        _ => Script::json(json!({ "active": true, "sub": SUBJECT, "client_id": "client-of-the-token" })),
    });
    let upstream = Upstream::start();
    let by_own_token = json!({
        "path": "/own", "timeout": "5s", "client_authentication": "bearer", "client_id": CLIENT.0, "client_secret_env": "GATEWAY_SECRET",
        "token": { "path": "/token", "client_authentication": "client_secret_basic", "scope": "ask" },
    });
    let by_assertion = json!({
        "path": "/signed", "timeout": "5s", "client_authentication": "private_key_jwt", "client_id": CLIENT.0,
        "private_key_env": "GATEWAY_KEY", "assertion_audience": "https://as.example.test",
    });
    let rule = |name: &str| {
        let path = format!("/{name}");
        json!({ "name": name, "match": [{ "path": path }], "require": { "authenticated": true }, "authorization_server": name })
    };
    let configuration = json!({
        "authorization_servers": [
            { "name": "own", "cluster": "identity_server", "audience": "any", "introspection": by_own_token },
            { "name": "signed", "cluster": "identity_server", "audience": "any", "introspection": by_assertion },
            { "name": "jwt", "cluster": "identity_server", "audience": "any", "issuer": "https://as.example.test",
              "jwt": { "jwks_path": "/jwks", "timeout": "5s" } },
        ],
        "bearer": { "query": "access_token", "cookie": "session" },
        "upstream": { "headers": { "x-subject": "sub" } },
        "log": "decisions",
        "rules": [rule("own"), rule("signed"), rule("jwt")],
    });
    let pem = std::fs::read_to_string(ours.private_pem()).unwrap();
    let envoy = Envoy::builder()
        .plugin(configuration)
        .cluster("identity_server", server.addr())
        .upstream(upstream.addr())
        .host_env("GATEWAY_SECRET", CLIENT.1)
        .host_env("GATEWAY_KEY", &pem)
        .start();

    let mut secrets = Secrets::default();
    secrets.add_secret("the gateway's client", CLIENT.0, CLIENT.1);
    secrets.add_secret("the gateway's key", CLIENT.0, &pem);
    for (whose, token) in [("gateway token", OWN), ("the subject", SUBJECT), ("the client", "client-of-the-token")] {
        secrets.add_token(whose, token);
    }
    let header = json!({ "alg": "ES256", "kid": "ec", "typ": "at+jwt" });
    let claims = json!({ "iss": "https://as.example.test", "sub": SUBJECT, "exp": unix_time() + 60 });
    let good = issuer.sign(&header, &claims);
    let forged = ours.sign(&header, &claims);
    for (path, token, expected) in [
        ("/own", "opaque-token-for-own", 200),
        ("/signed", "opaque-token-for-signed", 200),
        ("/jwt", good.as_str(), 200),
        ("/jwt", forged.as_str(), 401),
    ] {
        secrets.add_token(path, token);
        for request in [
            Request::get(path).bearer(token),
            Request::get(path).header("cookie", format!("session={token}")),
            Request::get(format!("{path}?access_token={token}")),
        ] {
            let response = send(envoy.addr("main"), &request);
            assert_eq!(response.status, expected, "{path}: {}", response.text());
            if expected != 200 {
                assert_eq!(secrets.found_in(&format!("{:?} {}", response.headers, response.text())), [""; 0]);
            }
        }
    }
    // The callouts contain secrets, too: the gateway's credentials, and assertions signed with its key.
    let sent = server.calls();
    sent.iter()
        .filter_map(|call| call.header("authorization"))
        .for_each(|value| secrets.add_token("a callout", &value));
    let assertions = sent.iter().filter_map(|call| call.form_value("client_assertion"));
    let assertions: Vec<&str> = assertions.collect();
    assert!(!assertions.is_empty());
    assertions.iter().for_each(|assertion| secrets.add_token("an assertion", assertion));

    assert!(secrets.count() >= 25, "only {} secrets", secrets.count());
    for (place, text) in [
        ("the log", envoy.log()),
        ("/stats", envoy.admin("/stats")),
        ("Prometheus", envoy.prometheus()),
        ("/config_dump", envoy.admin("/config_dump")),
    ] {
        assert!(text.len() > 1_000, "{place}: {text}");
        let found = secrets.found_in(&text);
        assert!(found.is_empty(), "{place} contains\n{}", found.join("\n"));
    }
}
