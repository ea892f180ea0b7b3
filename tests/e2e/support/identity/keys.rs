//! Keys that a test makes for itself, and what is signed with them. By openssl, which the tests need anyway for
//! certificates.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
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
        Self::make("RS256", &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"])
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

    /// A JWT of these claims.
    #[track_caller]
    pub fn jwt(&self, claims: &Value) -> String {
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let header = json!({ "typ": "JWT", "alg": self.algorithm });
        let signed = format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()));
        let arguments = ["dgst", "-sha256", "-sign", "private.pem"];
        let signature = openssl(self.directory.path(), &arguments, signed.as_bytes());
        let signature = if self.algorithm == "ES256" { flat(&signature) } else { signature };
        format!("{signed}.{}", encode(&signature))
    }
}

/// The two integers of an ECDSA signature as a JWT has them: 32 bytes each, one after the other (RFC 7518, 3.4), not in
/// DER.
fn flat(der: &[u8]) -> Vec<u8> {
    // SEQUENCE, its length, then INTEGER, length, bytes; twice.
    let mut rest = &der[2..];
    let mut joined = Vec::new();
    for _ in 0..2 {
        let (integer, after) = rest[2..].split_at(usize::from(rest[1]));
        let digits = &integer[integer.iter().position(|byte| *byte != 0).unwrap_or(integer.len())..];
        joined.resize(joined.len() + 32 - digits.len(), 0);
        joined.extend_from_slice(digits);
        rest = after;
    }
    joined
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
