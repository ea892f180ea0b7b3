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
            // A tampered token: the payload has an additional scope, the signature is unchanged.
            let verdict = Refused(if listed == signed_with { "bad_signature" } else { "malformed_jwt" });
            rows.push((signed_with, listed, tampered(token, &json!({ "scope": "view book" })), verdict));
        }
    }
    judge(&envoy, &upstream, &rows);
    assert_eq!(identity.introspections(), 0);
}
