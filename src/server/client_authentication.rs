//! Client authentication of the gateway at an authorization server (RFC 6749 §2.3, RFC 7523 §2.2).

use std::borrow::Cow;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::base::{Secret, SeededRandom, UnixTime};
use crate::jose::{Assertion, SigningKey};

/// The credentials of the gateway's client.
#[derive(Debug)]
pub(crate) enum ClientAuthentication {
    /// `client_secret_basic`: the value of the Authorization header.
    Basic(Secret),
    /// `client_secret_post`
    Post { client_id: String, client_secret: Secret },
    /// `private_key_jwt`: a new assertion for each request.
    PrivateKeyJwt(Box<ClientAssertion>),
}

/// The constant claims of client assertions, and the key that signs them.
#[derive(Debug)]
pub(crate) struct ClientAssertion {
    pub(crate) client_id: String,
    pub(crate) audience: String,
    pub(crate) key: SigningKey,
}

impl ClientAuthentication {
    /// Adds credentials to the form parameters, or returns the value of the Authorization header.
    pub(super) fn apply<'a>(
        &'a self,
        parameters: &mut Vec<(&'a str, Cow<'a, str>)>,
        now: UnixTime,
        random: &mut SeededRandom,
    ) -> Option<Cow<'a, str>> {
        match self {
            Self::Basic(header) => Some(Cow::Borrowed(header.reveal())),
            Self::Post { client_id, client_secret } => {
                parameters.push(("client_id", Cow::Borrowed(client_id)));
                parameters.push(("client_secret", Cow::Borrowed(client_secret.reveal())));
                None
            }
            Self::PrivateKeyJwt(assertion) => {
                parameters.push(("client_assertion_type", Cow::Borrowed(ASSERTION_TYPE)));
                parameters.push(("client_assertion", Cow::Owned(assertion.sign(now, random))));
                None
            }
        }
    }

    /// Returns the identity of the client, as part of the fingerprint of the configuration: responses may depend on the
    /// client.
    pub(crate) fn identity(&self) -> Cow<'_, str> {
        match self {
            Self::Basic(header) => Cow::Borrowed(header.reveal()),
            Self::Post { client_id, client_secret } => Cow::Owned(format!("{client_id}:{}", client_secret.reveal())),
            Self::PrivateKeyJwt(assertion) => {
                Cow::Owned(format!("{}:{}", assertion.client_id, assertion.key.fingerprint()))
            }
        }
    }
}

impl ClientAssertion {
    fn sign(&self, now: UnixTime, random: &mut SeededRandom) -> String {
        let assertion = Assertion {
            issuer: &self.client_id,
            subject: &self.client_id,
            audience: &self.audience,
            issued_at: now,
            expires_at: now.saturating_add(ASSERTION_LIFETIME),
            id: &random.next_id(),
        };
        // A configuration with a key that cannot sign is refused. If signing fails later, the server refuses the empty
        // assertion.
        self.key.sign(&assertion).unwrap_or_default()
    }
}

/// Returns the Authorization header for `client_secret_basic`. Both parts are form-encoded before they are joined (RFC
/// 6749 §2.3.1, RFC 7617 §2), or unencoded for servers that do not decode them.
pub(crate) fn basic_authorization(client_id: &str, client_secret: &str, form_encoded: bool) -> Secret {
    let encode = |part: &str| match form_encoded {
        true => form_urlencoded::byte_serialize(part.as_bytes()).collect::<String>(),
        false => part.to_owned(),
    };
    let pair = format!("{}:{}", encode(client_id), encode(client_secret));
    Secret::new(format!("Basic {}", STANDARD.encode(pair)))
}

/// `application/x-www-form-urlencoded`
pub(super) fn form(parameters: &[(&str, Cow<'_, str>)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
}

/// RFC 7523 §2.2
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// An assertion is used for one request; its lifetime allows for clock skew.
const ASSERTION_LIFETIME: Duration = Duration::from_secs(60);
