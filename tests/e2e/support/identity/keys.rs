//! Keys that a test makes for itself, and what is signed with them. By openssl, which the tests need anyway for
//! certificates.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use p256::elliptic_curve::sec1::ToEncodedPoint as _;
use rsa::pkcs8::DecodePublicKey as _;
use rsa::traits::PublicKeyParts as _;
use serde_json::{Value, json};
use tempfile::TempDir;

/// The seconds of `exp` and its kin.
pub fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970").as_secs()
}

/// A key pair in files, removed with this value.
pub struct SigningKey {
    directory: TempDir,
    algorithm: &'static str,
}

impl SigningKey {
    #[track_caller]
    pub fn rs256() -> Self {
        Self::rsa(2048)
    }

    /// An RSA key of any length, for RS256.
    #[track_caller]
    pub fn rsa(bits: usize) -> Self {
        Self::make("RS256", &["-algorithm", "RSA", "-pkeyopt", &format!("rsa_keygen_bits:{bits}")])
    }

    #[track_caller]
    pub fn es256() -> Self {
        Self::make("ES256", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"])
    }

    #[track_caller]
    fn make(algorithm: &'static str, options: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        openssl(directory.path(), &[&["genpkey", "-out", "private.pem"], options].concat(), b"");
        openssl(directory.path(), &["pkey", "-in", "private.pem", "-pubout", "-out", "public.pem"], b"");
        Self { directory, algorithm }
    }

    pub fn private_pem(&self) -> PathBuf {
        self.directory.path().join("private.pem")
    }

    pub fn public_pem(&self) -> PathBuf {
        self.directory.path().join("public.pem")
    }

    /// The public key as it stands in a JWK set, with `kid` and no more than that (RFC 7517 §4).
    #[track_caller]
    pub fn jwk(&self, kid: &str) -> Value {
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let pem = std::fs::read_to_string(self.public_pem()).expect("a key");
        if self.algorithm == "ES256" {
            let point = p256::PublicKey::from_public_key_pem(&pem).expect("a key on P-256").to_encoded_point(false);
            let (x, y) = (point.x().expect("a point"), point.y().expect("a point"));
            json!({ "kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y), "kid": kid })
        } else {
            let key = rsa::RsaPublicKey::from_public_key_pem(&pem).expect("an RSA key");
            json!({ "kty": "RSA", "n": encode(&key.n().to_bytes_be()), "e": encode(&key.e().to_bytes_be()), "kid": kid })
        }
    }

    /// A certificate that the key has signed for itself, in DER.
    #[track_caller]
    pub fn certificate(&self) -> Vec<u8> {
        let arguments = ["req", "-x509", "-new", "-key", "private.pem", "-subj", "/CN=self", "-outform", "DER"];
        openssl(self.directory.path(), &arguments, b"")
    }

    /// A JWT of these claims, of the type that assertions have.
    #[track_caller]
    pub fn jwt(&self, claims: &Value) -> String {
        self.sign(&json!({ "typ": "JWT", "alg": self.algorithm }), claims)
    }

    /// A JWT with this header, whatever it says.
    #[track_caller]
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        self.sign_texts(header.to_string(), claims.to_string())
    }

    /// A JWS of these bytes (RFC 7515 §7.1), whether they make sense or not.
    #[track_caller]
    pub fn sign_texts(&self, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        self.sign_input(&format!("{}.{}", encode(header.as_ref()), encode(payload.as_ref())))
    }

    /// The text, a dot, and the signature of the text.
    #[track_caller]
    pub fn sign_input(&self, input: &str) -> String {
        let der = self.signature(input.as_bytes());
        let signature = if self.algorithm == "ES256" { flat(&der) } else { der };
        format!("{input}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }

    /// A signature as openssl makes it: by SHA-256, of ECDSA in DER.
    #[track_caller]
    pub fn signature(&self, text: &[u8]) -> Vec<u8> {
        openssl(self.directory.path(), &["dgst", "-sha256", "-sign", "private.pem"], text)
    }
}

/// The two integers of an ECDSA signature as a JWT has them: 32 bytes each, one after the other (RFC 7518 §3.4), not
/// in DER.
fn flat(der: &[u8]) -> Vec<u8> {
    p256::ecdsa::Signature::from_der(der).expect("a signature").to_bytes().to_vec()
}

/// Header and claims of a JWT. Whether it is signed nobody asks.
#[track_caller]
pub fn jwt_parts(token: &str) -> (Value, Value) {
    let read = |part: &str| {
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("a part in JSON")
    };
    let parts: Vec<_> = token.split('.').collect();
    (read(parts[0]), read(parts[1]))
}

/// The JWT with another header and other claims, and the signature that it had.
#[track_caller]
pub fn forged(token: &str, header: &Value, claims: &Value) -> String {
    let (_, signature) = token.rsplit_once('.').expect("a JWT");
    let write = |json: &Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
    format!("{}.{}.{signature}", write(header), write(claims))
}

/// What openssl writes to its standard output.
#[track_caller]
pub fn openssl(directory: &Path, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut command = Command::new("openssl");
    command.args(arguments).current_dir(directory);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("cannot run `openssl`: install it (Debian: apt-get install openssl)");
    // Small: it fits into the pipe, so writing never waits for the program.
    let written = child.stdin.take().expect("its stdin").write_all(input);
    let output = child.wait_with_output().expect("its output");
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    written.expect("openssl reads its input");
    output.stdout
}
