//! How we say who we are to an authorization server (RFC 6749 §2.3, RFC 7523 §2.2).

use std::borrow::Cow;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::base::{Secret, SeededRandom, UnixTime};
use crate::jose::{Assertion, SigningKey};

/// The credentials of our client.
#[derive(Debug)]
pub(crate) enum ClientAuthentication {
    /// `client_secret_basic`: the whole Authorization header.
    Basic(Secret),
    /// `client_secret_post`
    Post { client_id: String, client_secret: Secret },
    /// `private_key_jwt`: an assertion of its own for each request.
    PrivateKeyJwt(Box<ClientAssertion>),
}

/// What client assertions say, and the key that signs them.
#[derive(Debug)]
pub(crate) struct ClientAssertion {
    pub(crate) client_id: String,
    pub(crate) audience: String,
    pub(crate) key: SigningKey,
}

impl ClientAuthentication {
    /// Adds what belongs among the parameters; returns what belongs in the Authorization header.
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

    /// What the facts that come back depend on: part of the fingerprint of a configuration.
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
        // A key that cannot sign is refused with the configuration. Should one fail later, the server refuses
        // the empty assertion, and with it our client.
        self.key.sign(&assertion).unwrap_or_default()
    }
}

/// `client_secret_basic`. Both parts are form-encoded before they are joined (RFC 6749 §2.3.1, RFC 7617 §2),
/// or left as they are for servers that do not decode them.
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

/// An assertion is for one request; this is for clocks that differ.
const ASSERTION_LIFETIME: Duration = Duration::from_secs(60);
