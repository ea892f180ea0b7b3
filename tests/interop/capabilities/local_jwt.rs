//! S2.21: JWTs that the proxy verifies and also introspects.

use super::*;

#[test]
fn s2_21_a_good_signature_can_be_asked_about_too_and_a_bad_one_never_reaches_the_server() {
    let glewlwyd = Glewlwyd::start();
    let upstream = Upstream::start();
    let token = glewlwyd.client_credentials("view");
    let (header, claims) = jwt_parts(&token);
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
    let tampered = forged(&token, &header, &with(claims, &[("/scope", json!("view book"))]));
    assert_refused(&send(envoy.addr("main"), &list().bearer(&tampered)), Refusal::BadToken);
    assert_eq!(glewlwyd.introspections(), asked);
    // Revoked, and seen to be.
    let web = glewlwyd.password("alice", "alice-pw", "view").access_token;
    assert_eq!(status(&envoy, list(), &web), 200);
    glewlwyd.revoke(&web);
    assert_eq!(status(&envoy, list(), &web), 401);
}
