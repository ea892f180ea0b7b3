//! Prints what `src/signed.json` holds: public keys, and a token by each. The private keys are gone afterwards.
#![allow(clippy::unwrap_used, missing_docs, reason = "a tool that may stop")]

use jwt_simple::prelude::*;
use serde_json::{Value, json};

macro_rules! signed {
    ($key:expr, $name:literal) => {{
        let key = $key.with_key_id($name);
        let custom = json!({ "client_id": concat!("client-", $name), "scope": "view" });
        let mut claims = Claims::with_custom_claims(custom, Duration::from_secs(60)).with_issuer("https://as").with_audience("api");
        (claims.issued_at, claims.invalid_before) = (None, None);
        claims.expires_at = Some(Duration::from_secs(scopegate_fake_proxy::START.as_secs() + 60));
        let header = HeaderOptions { signature_type: Some("at+jwt".to_owned()), ..HeaderOptions::default() };
        let token = key.sign_with_options(claims, &header).unwrap();
        json!({ "jwk": serde_json::from_str::<Value>(&key.public_key().to_jwk()).unwrap(), "token": token })
    }};
}

fn main() {
    let rsa = RSAKeyPair::generate(2048).unwrap().to_der().unwrap();
    let signed = json!([
        signed!(RS256KeyPair::from_der(&rsa).unwrap(), "RS256"),
        signed!(RS384KeyPair::from_der(&rsa).unwrap(), "RS384"),
        signed!(RS512KeyPair::from_der(&rsa).unwrap(), "RS512"),
        signed!(PS256KeyPair::from_der(&rsa).unwrap(), "PS256"),
        signed!(PS384KeyPair::from_der(&rsa).unwrap(), "PS384"),
        signed!(PS512KeyPair::from_der(&rsa).unwrap(), "PS512"),
        signed!(ES256KeyPair::generate(), "ES256"),
        signed!(ES384KeyPair::generate(), "ES384"),
        signed!(Ed25519KeyPair::generate(), "EdDSA"),
    ]);
    println!("{signed:#}");
}
