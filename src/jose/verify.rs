//! Public keys, and signature verification by this module or by the host. The host is many times faster and returns the
//! same verdict.

use p256::elliptic_curve::sec1::FromEncodedPoint;
use rsa::pkcs8::EncodePublicKey;
use rsa::signature::Verifier;
use rsa::{BigUint, RsaPublicKey, pkcs1v15, pss, sha2};

use super::Algorithm;

/// A public key for signature verification.
#[derive(Clone, Debug)]
pub(crate) struct PublicKey {
    kind: Kind,
    /// SubjectPublicKeyInfo in DER (RFC 5280 §4.1.2.7); for Ed25519 the raw key.
    der: Vec<u8>,
}

#[derive(Clone, Debug)]
enum Kind {
    Rsa(Box<RsaPublicKey>),
    P256(Box<p256::ecdsa::VerifyingKey>),
    P384(Box<p384::ecdsa::VerifyingKey>),
    Ed25519(ed25519_compact::PublicKey),
}

/// A signature for verification by the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signed {
    pub(crate) hash: &'static str,
    /// SubjectPublicKeyInfo in DER.
    pub(crate) public_key: Vec<u8>,
    /// In the encoding of the host: ECDSA signatures in DER.
    pub(crate) signature: Vec<u8>,
}

impl PublicKey {
    /// Creates an RSA key of 2048 to 8192 bits. RFC 7518 §3.3 sets the lower bound.
    pub(super) fn rsa(modulus: &[u8], exponent: &[u8]) -> Option<Self> {
        let (modulus, exponent) = (BigUint::from_bytes_be(modulus), BigUint::from_bytes_be(exponent));
        if !RSA_BITS.contains(&modulus.bits()) {
            return None;
        }
        let key = RsaPublicKey::new_with_max_size(modulus, exponent, *RSA_BITS.end()).ok()?;
        let der = key.to_public_key_der().ok()?.into_vec();
        Some(Self { kind: Kind::Rsa(Box::new(key)), der })
    }

    /// Creates a P-256 key from its coordinates, each of full length (RFC 7518 §6.2.1.2).
    pub(super) fn p256(x: &[u8], y: &[u8]) -> Option<Self> {
        let (x, y): ([u8; 32], [u8; 32]) = (x.try_into().ok()?, y.try_into().ok()?);
        let point = p256::EncodedPoint::from_affine_coordinates(&x.into(), &y.into(), false);
        let key = Option::<p256::PublicKey>::from(p256::PublicKey::from_encoded_point(&point))?;
        let der = key.to_public_key_der().ok()?.into_vec();
        Some(Self { kind: Kind::P256(Box::new(key.into())), der })
    }

    /// Creates a P-384 key from its coordinates, each of full length (RFC 7518 §6.2.1.2).
    pub(super) fn p384(x: &[u8], y: &[u8]) -> Option<Self> {
        let (x, y): ([u8; 48], [u8; 48]) = (x.try_into().ok()?, y.try_into().ok()?);
        let point = p384::EncodedPoint::from_affine_coordinates(&x.into(), &y.into(), false);
        let key = Option::<p384::PublicKey>::from(p384::PublicKey::from_encoded_point(&point))?;
        let der = key.to_public_key_der().ok()?.into_vec();
        Some(Self { kind: Kind::P384(Box::new(key.into())), der })
    }

    /// Creates an Ed25519 key (RFC 8037 §2).
    pub(super) fn ed25519(x: &[u8]) -> Option<Self> {
        let key = ed25519_compact::PublicKey::from_slice(x).ok()?;
        key.validate().ok()?;
        Some(Self { kind: Kind::Ed25519(key), der: x.to_vec() })
    }

    pub(super) fn der(&self) -> &[u8] {
        &self.der
    }

    /// Returns whether keys of this type are used with this algorithm. A token cannot choose an algorithm for another
    /// type of key.
    pub(crate) const fn fits(&self, algorithm: Algorithm) -> bool {
        match (&self.kind, algorithm) {
            (
                Kind::Rsa(_),
                Algorithm::Rs256
                | Algorithm::Rs384
                | Algorithm::Rs512
                | Algorithm::Ps256
                | Algorithm::Ps384
                | Algorithm::Ps512,
            )
            | (Kind::P256(_), Algorithm::Es256)
            | (Kind::P384(_), Algorithm::Es384)
            | (Kind::Ed25519(_), Algorithm::EdDsa) => true,
            (Kind::Rsa(_) | Kind::P256(_) | Kind::P384(_) | Kind::Ed25519(_), _) => false,
        }
    }

    /// Returns the input of the host's verification; `None` if the host does not support the algorithm, or if the
    /// encoding of the signature is invalid.
    pub(crate) fn for_host(&self, algorithm: Algorithm, signature: &[u8]) -> Option<Signed> {
        let hash = algorithm.host_hash()?;
        let signature = match &self.kind {
            Kind::Rsa(_) => signature.to_vec(),
            Kind::P256(_) => p256::ecdsa::Signature::from_slice(signature).ok()?.to_der().as_bytes().to_vec(),
            Kind::P384(_) => p384::ecdsa::Signature::from_slice(signature).ok()?.to_der().as_bytes().to_vec(),
            Kind::Ed25519(_) => return None,
        };
        Some(Signed { hash, public_key: self.der.clone(), signature })
    }
}

/// Verifies a signature of `text`. An ECDSA signature is `r || s`, each of full length and within 1 to n - 1 (RFC 7518
/// §3.4).
pub(crate) fn verify(key: &PublicKey, algorithm: Algorithm, text: &[u8], signature: &[u8]) -> bool {
    match (&key.kind, algorithm) {
        (Kind::Rsa(key), Algorithm::Rs256) => pkcs1::<sha2::Sha256>(key, text, signature),
        (Kind::Rsa(key), Algorithm::Rs384) => pkcs1::<sha2::Sha384>(key, text, signature),
        (Kind::Rsa(key), Algorithm::Rs512) => pkcs1::<sha2::Sha512>(key, text, signature),
        (Kind::Rsa(key), Algorithm::Ps256) => pss::<sha2::Sha256>(key, text, signature),
        (Kind::Rsa(key), Algorithm::Ps384) => pss::<sha2::Sha384>(key, text, signature),
        (Kind::Rsa(key), Algorithm::Ps512) => pss::<sha2::Sha512>(key, text, signature),
        (Kind::P256(key), Algorithm::Es256) => {
            p256::ecdsa::Signature::from_slice(signature).is_ok_and(|signature| key.verify(text, &signature).is_ok())
        }
        (Kind::P384(key), Algorithm::Es384) => {
            p384::ecdsa::Signature::from_slice(signature).is_ok_and(|signature| key.verify(text, &signature).is_ok())
        }
        (Kind::Ed25519(key), Algorithm::EdDsa) => ed25519_compact::Signature::from_slice(signature)
            .is_ok_and(|signature| key.verify(text, &signature).is_ok()),
        (Kind::Rsa(_) | Kind::P256(_) | Kind::P384(_) | Kind::Ed25519(_), _) => false,
    }
}

fn pkcs1<D>(key: &RsaPublicKey, text: &[u8], signature: &[u8]) -> bool
where
    D: sha2::Digest + rsa::pkcs8::AssociatedOid,
{
    let signature = pkcs1v15::Signature::try_from(signature);
    signature.is_ok_and(|signature| pkcs1v15::VerifyingKey::<D>::new(key.clone()).verify(text, &signature).is_ok())
}

/// The salt has the length of the hash (RFC 7518 §3.5).
fn pss<D>(key: &RsaPublicKey, text: &[u8], signature: &[u8]) -> bool
where
    D: sha2::Digest + sha2::digest::FixedOutputReset,
{
    let signature = pss::Signature::try_from(signature);
    signature.is_ok_and(|signature| pss::VerifyingKey::<D>::new(key.clone()).verify(text, &signature).is_ok())
}

const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

#[cfg(test)]
mod tests {
    use rsa::pkcs8::DecodePrivateKey;
    use rsa::signature::{RandomizedSigner, SignatureEncoding, Signer};

    use super::*;
    use crate::jose::{Header, Jws, KeySet};

    fn verifies(jwks: &str, algorithm: Algorithm, text: &str, signature: &[u8]) -> bool {
        let keys = KeySet::parse(jwks.as_bytes()).unwrap();
        let (key, _) = keys.candidates(algorithm, None).next().unwrap();
        verify(key, algorithm, text.as_bytes(), signature)
    }

    /// RFC 7515 Appendix A.3.
    #[test]
    fn es256_example_of_rfc_7515_verifies() {
        let jwks = r#"{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;
        let token = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
        let jws = Jws::parse(token, &Header::of(token).unwrap()).unwrap();
        let good = jws.signature.clone();
        assert!(verifies(jwks, Algorithm::Es256, jws.signing_input, &good));
        for index in 0..good.len() {
            let mut bad = good.clone();
            bad[index] ^= 1;
            assert!(!verifies(jwks, Algorithm::Es256, jws.signing_input, &bad), "{index}");
        }
        assert!(!verifies(jwks, Algorithm::Es256, &jws.signing_input.replace('J', "K"), &good));
        // DER instead of raw encoding; too short, too long, empty; r or s equal to zero or to the order of the group.
        let der = p256::ecdsa::Signature::from_slice(&good).unwrap().to_der();
        let order = [
            0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad,
            0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
        ];
        let (r, s) = good.split_at(32);
        for bad in [
            der.as_bytes(),
            &good[1..],
            &[&good[..], &[0]].concat(),
            &[],
            &[0; 64],
            &[r, &[0; 32]].concat(),
            &[&[0; 32], s].concat(),
            &[&order, s].concat(),
            &[r, &order].concat(),
        ] {
            assert!(!verifies(jwks, Algorithm::Es256, jws.signing_input, bad), "{bad:?}");
        }
        let keys = KeySet::parse(jwks.as_bytes()).unwrap();
        let (key, _) = keys.candidates(Algorithm::Es256, None).next().unwrap();
        assert_eq!(key.for_host(Algorithm::Es256, &good).unwrap().signature, der.as_bytes());
        assert_eq!(key.for_host(Algorithm::Es256, &[0; 64]), None);
    }

    /// RFC 8037 Appendix A.4.
    #[test]
    fn eddsa_example_of_rfc_8037_verifies() {
        let jwks = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
        let text = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        let signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
        use base64::Engine;
        let signature = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(signature).unwrap();
        assert!(verifies(jwks, Algorithm::EdDsa, text, &signature));
        assert!(!verifies(jwks, Algorithm::EdDsa, "x", &signature));
        assert!(!verifies(jwks, Algorithm::EdDsa, text, &signature[1..]));
    }

    #[test]
    fn rsa_algorithms_verify_only_their_own_signatures() {
        use base64::Engine;
        use rsa::traits::PublicKeyParts;
        let key = rsa::RsaPrivateKey::new(&mut rand_core::OsRng, 2048).unwrap();
        let part = |number: &BigUint| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(number.to_bytes_be());
        let jwks = format!(r#"{{"keys":[{{"kty":"RSA","n":"{}","e":"{}"}}]}}"#, part(key.n()), part(key.e()));
        let rng = &mut rand_core::OsRng;
        let text = b"a.b";
        let signatures = [
            (Algorithm::Rs256, pkcs1v15::SigningKey::<sha2::Sha256>::new(key.clone()).sign(text).to_vec()),
            (Algorithm::Rs384, pkcs1v15::SigningKey::<sha2::Sha384>::new(key.clone()).sign(text).to_vec()),
            (Algorithm::Rs512, pkcs1v15::SigningKey::<sha2::Sha512>::new(key.clone()).sign(text).to_vec()),
            (Algorithm::Ps256, pss::SigningKey::<sha2::Sha256>::new(key.clone()).sign_with_rng(rng, text).to_vec()),
            (Algorithm::Ps384, pss::SigningKey::<sha2::Sha384>::new(key.clone()).sign_with_rng(rng, text).to_vec()),
            (Algorithm::Ps512, pss::SigningKey::<sha2::Sha512>::new(key.clone()).sign_with_rng(rng, text).to_vec()),
        ];
        for (made_with, signature) in &signatures {
            for (read_as, _) in &signatures {
                assert_eq!(
                    verifies(&jwks, *read_as, "a.b", signature),
                    made_with == read_as,
                    "{made_with:?} {read_as:?}"
                );
            }
        }
        assert!(rsa::RsaPrivateKey::from_pkcs8_pem("").is_err());
    }

    #[test]
    fn key_set_selects_usable_keys_by_kid() {
        let x =
            r#""x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0""#;
        let short = "A".repeat(170);
        let set = format!(
            r#"{{"keys":[{{"kty":"EC","crv":"P-256",{x},"kid":"good"}},
                {{"kty":"EC","crv":"P-256",{x},"kid":"enc","use":"enc"}},
                {{"kty":"EC","crv":"P-256",{x},"kid":"ops","key_ops":["sign"]}},
                {{"kty":"EC","crv":"P-256",{x},"kid":"alg","alg":"RS256"}},
                {{"kty":"EC","crv":"P-256",{x},"kid":"none","alg":"none"}},
                {{"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA","kid":"point"}},
                {{"kty":"RSA","n":"{short}","e":"AQAB","kid":"short"}},
                {{"kty":"oct","k":"AAAA","kid":"oct"}}, 7]}}"#
        );
        let set = KeySet::parse(set.as_bytes()).unwrap();
        assert_eq!(set.candidates(Algorithm::Es256, None).count(), 1);
        assert_eq!(set.candidates(Algorithm::Es256, Some("good")).count(), 1);
        for kid in ["enc", "ops", "alg", "none", "point", "short", "oct", "other"] {
            for (_, algorithm) in Algorithm::WORDS {
                assert_eq!(set.candidates(algorithm, Some(kid)).count(), 0, "{kid}");
            }
        }
        for bad in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[],"keys":[]}"#] {
            assert!(KeySet::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        // A server may withdraw all keys.
        assert_eq!(KeySet::parse(br#"{"keys":[]}"#).unwrap().candidates(Algorithm::Es256, None).count(), 0);
    }
}
