//! JWT access tokens of two real issuers.

use serde_json::{Value, json};

use crate::support::fixtures::judging::Verdict::{Refused, Status, Tells};
use crate::support::fixtures::judging::*;
use crate::support::*;

#[test]
fn tokens_of_two_real_issuers_are_good_for_their_own_issuer_and_audience_only() {
    let identity = OidcProvider::builder().every_algorithm().start();
    let glewlwyd = Glewlwyd::start();
    let upstream = Upstream::start();
    let es256 = format!("{}ES256", OidcProvider::JWT_RESOURCE);
    let token = glewlwyd.client_credentials("view");
    let (header, said) = jwt_parts(&token);
    assert_eq!((&header["typ"], &header["alg"]), (&json!("at+jwt"), &json!("RS256")));
    // Its tokens are meant for their scopes.
    assert_eq!(said["aud"], "view");
    let glewlwyd_server = |name: &str, issuer: &Value, audience: &[&str]| {
        json!({
            "name": name,
            "cluster": "glewlwyd",
            "issuer": issuer,
            "audience": audience,
            "jwt": { "jwks_path": "/api/oidc/jwks", "timeout": "5s" },
        })
    };
    let names = ["oidc", "oidc-other-audience", "glewlwyd", "glewlwyd-other-audience", "glewlwyd-other-issuer"];
    let envoy = gateway()
        .cluster("identity", identity.addr())
        .cluster("glewlwyd", glewlwyd.addr())
        .upstream(upstream.addr())
        .plugin(json!({
            "authorization_servers": [
                oidc_server("oidc", &identity, &json!([OidcProvider::JWT_RESOURCE, es256]), &json!({})),
                oidc_server("oidc-other-audience", &identity, &json!([AUDIENCE]), &json!({})),
                glewlwyd_server("glewlwyd", &said["iss"], &["view", "book"]),
                glewlwyd_server("glewlwyd-other-audience", &said["iss"], &[AUDIENCE]),
                glewlwyd_server("glewlwyd-other-issuer", &json!(ISSUER), &["view"]),
            ],
            "upstream": { "headers": { "x-client": "client_id", "x-scope": "scope" } },
            "rules": names.map(|name| rule(name, &json!({ "scope": "view" }))),
        }))
        .start();
    let rs256 = identity.jwt("view", OidcProvider::JWT_RESOURCE);
    let es256 = identity.jwt("view", &es256);
    for (way, token) in [("oidc", &rs256), ("oidc-other-audience", &rs256), ("glewlwyd", &token)] {
        let has_keys = || show(envoy.addr("main"), way, token) != 503;
        wait_until_everywhere("the keys to be there", LIMIT, has_keys);
    }
    let book = glewlwyd.client_credentials("book");
    judge(
        &envoy,
        &upstream,
        &[
            ("RS256", "oidc", rs256.clone(), Tells("x-client", "traveller")),
            ("ES256", "oidc", es256.clone(), Tells("x-client", "traveller")),
            ("RS256 for another API", "oidc-other-audience", rs256.clone(), Refused("wrong_audience")),
            ("ES256 for another API", "oidc-other-audience", es256, Refused("wrong_audience")),
            ("of another server", "glewlwyd", rs256, Refused("wrong_issuer")),
            ("Glewlwyd's", "glewlwyd", token.clone(), Tells("x-scope", "view")),
            ("Glewlwyd's without the scope", "glewlwyd", book, Status(403)),
            (
                "Glewlwyd's, changed",
                "glewlwyd",
                tampered(&token, &json!({ "scope": "view book" })),
                Refused("bad_signature"),
            ),
            ("Glewlwyd's for another API", "glewlwyd-other-audience", token.clone(), Refused("wrong_audience")),
            ("Glewlwyd's where another is expected", "glewlwyd-other-issuer", token.clone(), Refused("wrong_issuer")),
            ("Glewlwyd's where oidc-provider's are taken", "oidc", token, Refused("wrong_issuer")),
        ],
    );
    assert_eq!((identity.introspections(), glewlwyd.introspections()), (0, 0));
}
