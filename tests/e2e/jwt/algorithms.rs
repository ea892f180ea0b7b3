//! Signature algorithms, each with tokens of an issuer that really uses it.

use super::*;

const ALGORITHMS: [&str; 9] = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];
/// What `jwt.algorithms` is unless told.
const DEFAULT: [&str; 2] = ["RS256", "ES256"];

#[test]
fn each_algorithm_is_taken_where_it_is_listed_and_nowhere_else() {
    let identity = OidcProvider::builder().every_algorithm().start();
    let upstream = Upstream::start();
    let resource = |algorithm: &str| format!("{}{algorithm}", OidcProvider::JWT_RESOURCE);
    let audience = json!(ALGORITHMS.map(resource));
    let server = |name: &str, jwt: Value| oidc_server(name, &identity, &audience, &jwt);
    let mut servers = vec![server("default", json!({}))];
    servers.extend(ALGORITHMS.map(|algorithm| server(algorithm, json!({ "algorithms": [algorithm] }))));
    let names = ["default"].into_iter().chain(ALGORITHMS);
    let envoy = gateway()
        .cluster("identity", identity.addr())
        .upstream(upstream.addr())
        .plugin(json!({
            "authorization_servers": servers,
            "rules": names.map(|name| rule(name, &json!({ "scope": "view" }))).collect::<Vec<_>>(),
        }))
        .start();
    let tokens = ALGORITHMS.map(|algorithm| identity.jwt("view", &resource(algorithm)));
    wait_for_keys(&envoy, "default", &tokens[0]);

    let mut rows: Vec<Row> = Vec::new();
    for (signed_with, token) in ALGORITHMS.into_iter().zip(&tokens) {
        assert_eq!(jwt_parts(token).0["alg"], signed_with, "what the issuer signed with");
        let verdict = |is_listed: bool| if is_listed { Passes } else { Refused("malformed_jwt") };
        rows.push((signed_with, "default", token.clone(), verdict(DEFAULT.contains(&signed_with))));
        for listed in ALGORITHMS {
            rows.push((signed_with, listed, token.clone(), verdict(listed == signed_with)));
            // The same with a scope that nobody granted, and the old signature.
            let verdict = Refused(if listed == signed_with { "bad_signature" } else { "malformed_jwt" });
            rows.push((signed_with, listed, tampered(token, &json!({ "scope": "view book" })), verdict));
        }
    }
    judge(&envoy, &upstream, &rows);
    assert_eq!(identity.introspections(), 0);
}

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
