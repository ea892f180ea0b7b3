//! What an attacker makes of public keys, and of keys of their own.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use rsa::pkcs8::{DecodePublicKey as _, EncodePublicKey as _};

use super::*;

const EVERY: [&str; 9] = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];

#[test]
fn no_key_but_a_fit_one_of_the_issuer_makes_a_token() {
    let (issuer, upstream) = (Issuer::start(), Upstream::start());
    let (attacker, weak, encrypting) = (SigningKey::rs256(), SigningKey::rsa(1024), SigningKey::rs256());
    let unfit = Unfit { weak: &weak, encrypting: &encrypting };
    unfit.publish(&issuer);
    // Serves the attacker's keys to every client.
    let jwks = json!({ "keys": [attacker.jwk("rsa")] });
    let lair = ScriptedServer::start(move |_| Script::json(jwks.clone()));
    let ways = [
        ("default", json!({}), json!({ "scope": "view" })),
        ("every", json!({ "algorithms": EVERY }), json!({ "scope": "view" })),
    ];
    let envoy = issuer.gateway(&ways, &upstream).cluster("lair", lair.addr()).start();
    let good = issuer.token(&claims());
    wait_for_keys(&envoy, "default", &good);
    wait_for_keys(&envoy, "every", &good);

    let mut rows: Vec<Row> = vec![
        ("a good token", "default", good.clone(), Passes),
        ("a good token", "every", good.clone(), Passes),
        (
            "a good token with keys of the attacker",
            "default",
            with_keys_of(&issuer.rsa, &attacker, "rsa", lair.addr()),
            Passes,
        ),
    ];
    rows.extend(secrets(&issuer));
    rows.extend(unsigned(&good));
    rows.extend(swapped(&issuer));
    rows.extend(unfit.rows());
    rows.extend(brought_along(&attacker, lair.addr()));
    rows.push(("a good token, after all of them", "default", good, Passes));
    judge(&envoy, &upstream, &rows);
    assert_eq!(lair.call_count(), 0, "requests to the attacker: {:?}", lair.calls());
    // No token of the table has chosen where keys are fetched.
    assert!(issuer.server.calls().iter().all(|call| call.path == b"/jwks"));
}

/// Tokens signed with public data, as if it were a secret.
fn secrets(issuer: &Issuer) -> Vec<Row> {
    let pem = std::fs::read_to_string(issuer.rsa.public_pem()).expect("the key");
    let key = rsa::RsaPublicKey::from_public_key_pem(&pem).expect("the key");
    let der = key.to_public_key_der().expect("the key").into_vec();
    let jwk = issuer.rsa.jwk("rsa");
    let modulus = jwk["n"].as_str().expect("n");
    let modulus_bytes = BASE64_URL_SAFE_NO_PAD.decode(modulus).expect("base64url");
    let secrets: [(&str, &[u8]); 6] = [
        ("HS256 with the public key in PEM", pem.as_bytes()),
        ("HS256 with the public key in PEM without its last line end", pem.trim_end().as_bytes()),
        ("HS256 with the public key in DER", &der),
        ("HS256 with the modulus", &modulus_bytes),
        ("HS256 with the modulus in base64url", modulus.as_bytes()),
        ("HS256 with nothing", b""),
    ];
    let mut rows = Vec::new();
    for (what, secret) in secrets {
        // As it should be called, and as if it were a signature of the key.
        for (alg, reason) in [("HS256", "malformed_jwt"), ("RS256", "bad_signature")] {
            let input = input(&with(header(), &json!({ "alg": alg })));
            let code = hmac_sha256::HMAC::mac(input.as_bytes(), secret);
            let token = format!("{input}.{}", BASE64_URL_SAFE_NO_PAD.encode(code));
            rows.extend(["default", "every"].map(|way| (what, way, token.clone(), Refused(reason))));
        }
    }
    rows
}

/// Header and claims of a token, to be signed.
fn input(header: &Value) -> String {
    let encode = |json: &Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
    format!("{}.{}", encode(header), encode(&claims()))
}

fn unsigned(good: &str) -> Vec<Row> {
    let (_, signature) = good.rsplit_once('.').expect("a signature");
    let mut rows = Vec::new();
    for alg in ["none", "None", "NONE", "nOnE", "", "rs256", "RS256 ", "HS384", "HS512", "ES512", "ES256K", "RSA-OAEP"]
    {
        for signature in ["", "eA", signature] {
            let token = format!("{}.{signature}", input(&with(header(), &json!({ "alg": alg }))));
            rows.push((alg, "every", token, Refused("malformed_jwt")));
        }
    }
    let token = |alg: Value| format!("{}.{signature}", input(&with(header(), &json!({ "alg": alg }))));
    rows.push(("alg a list", "every", token(json!(["RS256", "none"])), Refused("malformed_jwt")));
    rows.push(("no alg", "every", token(Value::Null), Refused("malformed_jwt")));
    rows
}

/// Signed by one key of the issuer in the name of another, or by another algorithm than it says.
fn swapped(issuer: &Issuer) -> Vec<Row> {
    let es256 = |members: Value| {
        issuer.ec.sign(&with(json!({ "alg": "ES256", "typ": "at+jwt", "kid": "ec" }), &members), &claims())
    };
    let rs256 = |members: Value| issuer.rsa.sign(&with(header(), &members), &claims());
    let mut rows = vec![
        ("ES256", "default", es256(json!({})), Passes),
        ("ES256 in the name of the RSA key", "default", es256(json!({ "kid": "rsa" })), Refused("unknown_key")),
        ("RS256 in the name of the EC key", "default", rs256(json!({ "kid": "ec" })), Refused("unknown_key")),
        ("ES256 that says RS256", "default", es256(json!({ "alg": "RS256", "kid": "rsa" })), Refused("bad_signature")),
        ("RS256 that says ES256", "default", rs256(json!({ "alg": "ES256", "kid": "ec" })), Refused("bad_signature")),
        ("ES256 that says ES384", "every", es256(json!({ "alg": "ES384" })), Refused("unknown_key")),
        ("ES256 that says EdDSA", "every", es256(json!({ "alg": "EdDSA" })), Refused("unknown_key")),
    ];
    for alg in ["RS384", "RS512", "PS256", "PS384", "PS512"] {
        rows.push(("RS256 that says otherwise", "every", rs256(json!({ "alg": alg })), Refused("bad_signature")));
    }
    rows
}

/// Keys that the issuer publishes, and that no access token may be signed with.
struct Unfit<'a> {
    /// 1024 bits (RFC 7518 §3.3).
    weak: &'a SigningKey,
    encrypting: &'a SigningKey,
}

impl Unfit<'_> {
    fn publish(&self, issuer: &Issuer) {
        issuer.publish(self.weak.jwk("weak"));
        let other = |kid: &str, members: Value| issuer.publish(with(self.encrypting.jwk(kid), &members));
        other("enc", json!({ "use": "enc" }));
        other("ops", json!({ "key_ops": ["sign"] }));
        other("rs512", json!({ "alg": "RS512" }));
        other("oaep", json!({ "alg": "RSA-OAEP" }));
        issuer.publish(json!({ "kty": "oct", "kid": "oct", "k": BASE64_URL_SAFE_NO_PAD.encode(SECRET) }));
    }

    fn rows(&self) -> Vec<Row> {
        let unknown = Refused("unknown_key");
        let named = |key: &SigningKey, kid: Value| key.sign(&with(header(), &json!({ "kid": kid })), &claims());
        let symmetric = input(&with(header(), &json!({ "alg": "HS256", "kid": "oct" })));
        let code = BASE64_URL_SAFE_NO_PAD.encode(hmac_sha256::HMAC::mac(symmetric.as_bytes(), SECRET));
        vec![
            ("by an RSA key of 1024 bits", "every", named(self.weak, json!("weak")), unknown.clone()),
            ("by an RSA key of 1024 bits, nameless", "every", named(self.weak, Value::Null), Refused("bad_signature")),
            ("by a key for encryption", "every", named(self.encrypting, json!("enc")), unknown.clone()),
            ("by a key for other operations", "every", named(self.encrypting, json!("ops")), unknown.clone()),
            ("by a key for another algorithm", "every", named(self.encrypting, json!("rs512")), unknown.clone()),
            ("by a key for another use of RSA", "every", named(self.encrypting, json!("oaep")), unknown),
            ("by such a key, nameless", "every", named(self.encrypting, Value::Null), Refused("bad_signature")),
            ("by a symmetric key", "every", format!("{symmetric}.{code}"), Refused("malformed_jwt")),
        ]
    }
}

/// Everybody may read it, since it stands in a JWK set.
const SECRET: &[u8] = b"a secret of thirty-two bytes, public";

/// Signed by the attacker, whose keys the header brings or says where to find (RFC 7515 §4.1.2 to §4.1.6).
fn brought_along(attacker: &SigningKey, lair: SocketAddr) -> Vec<Row> {
    let url = format!("http://{lair}/jwks");
    let chain = BASE64_STANDARD.encode(attacker.certificate());
    let mut rows = Vec::new();
    for (what, members) in [
        ("nothing", json!({})),
        ("jwk", json!({ "jwk": attacker.jwk("rsa") })),
        ("jku", json!({ "jku": url })),
        ("x5u", json!({ "x5u": url })),
        ("x5c", json!({ "x5c": [chain] })),
    ] {
        for (kid, reason) in [
            (json!("rsa"), "bad_signature"),
            (Value::Null, "bad_signature"),
            (json!("theirs"), "unknown_key"),
            (json!(url), "unknown_key"),
        ] {
            let token = attacker.sign(&with(header(), &with(json!({ "kid": kid }), &members)), &claims());
            rows.push((what, "default", token, Refused(reason)));
        }
    }
    rows.push(("all of them", "default", with_keys_of(attacker, attacker, "rsa", lair), Refused("bad_signature")));
    rows
}

/// A token that brings keys of the attacker in every way, signed by whomever.
fn with_keys_of(signer: &SigningKey, attacker: &SigningKey, kid: &str, lair: SocketAddr) -> String {
    let url = format!("http://{lair}/jwks");
    let chain = BASE64_STANDARD.encode(attacker.certificate());
    let brought = json!({ "jwk": attacker.jwk(kid), "jku": url, "x5u": url, "x5c": [chain], "kid": kid });
    signer.sign(&with(header(), &brought), &claims())
}
