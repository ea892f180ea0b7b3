//! How Envoy is asked to verify a signature: its foreign function `verify_signature`, many times faster than what
//! can be done here, and of the same verdict. Argument and result are protobuf.

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
    /// As the host takes it: of ECDSA in DER.
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

/// The argument for the host; `None` if it has nothing to say of such a signature: the algorithm is none of its
/// own, or the signature is none at all.
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
    /// Reads the result of Envoy's `verify_signature`; an unreadable one is no verdict.
    pub fn from_envoy(result: &[u8]) -> Self {
        match Outcome::decode(result).map(|outcome| outcome.result) {
            Ok(true) => Self::Valid,
            Ok(false) => Self::Invalid,
            Err(_) => Self::Unsupported,
        }
    }
}
