//! The messages of Envoy's foreign function `verify_signature`, in protobuf. It is many times faster than the
//! verification in this module and returns the same verdict.

use prost::Message;

use super::{Algorithm, PublicKey};
use crate::host::SignatureVerdict;

/// `VerifySignatureArguments`
#[derive(Clone, PartialEq, Message)]
struct Arguments {
    #[prost(string, tag = "1")]
    hash_function: String,
    /// SubjectPublicKeyInfo in DER.
    #[prost(bytes = "vec", tag = "2")]
    public_key: Vec<u8>,
    /// In the encoding of the host: ECDSA signatures in DER.
    #[prost(bytes = "vec", tag = "3")]
    signature: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    text: Vec<u8>,
}

/// `VerifySignatureResult`
#[derive(Clone, PartialEq, Message)]
struct Outcome {
    #[prost(bool, tag = "1")]
    result: bool,
}

/// Returns the argument of `verify_signature`; `None` if the host does not support the algorithm, or if the encoding of
/// the signature is invalid.
pub(crate) fn host_arguments(key: &PublicKey, algorithm: Algorithm, text: &[u8], signature: &[u8]) -> Option<Vec<u8>> {
    let signed = key.for_host(algorithm, signature)?;
    let arguments = Arguments {
        hash_function: signed.hash.to_owned(),
        public_key: signed.public_key,
        signature: signed.signature,
        text: text.to_vec(),
    };
    Some(arguments.encode_to_vec())
}

impl SignatureVerdict {
    /// Parses the result of Envoy's `verify_signature`. An unreadable result is `Unsupported`.
    pub fn from_envoy(result: &[u8]) -> Self {
        match Outcome::decode(result).map(|outcome| outcome.result) {
            Ok(true) => Self::Valid,
            Ok(false) => Self::Invalid,
            Err(_) => Self::Unsupported,
        }
    }
}
