//! How we say who we are to an authorization server (RFC 6749 §2.3, RFC 7523 §2.2).

use std::borrow::Cow;
use std::rc::Rc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac_sha256::Hash;

use super::own_token::TokenEndpoint;
use crate::jose::{Assertion, SigningKey};
use crate::time::UnixTime;
use crate::token::Secret;

/// The credentials of our client.
#[derive(Debug)]
pub(crate) enum ClientAuthentication {
    /// None: the endpoint is guarded otherwise, or the token is its own credential.
    None,
    /// `client_secret_basic`: the whole Authorization header.
    Basic(Secret),
    /// `client_secret_post`
    Post { client_id: String, client_secret: Secret },
    /// `private_key_jwt`: an assertion of its own for each request.
    PrivateKeyJwt(Box<ClientAssertion>),
    /// An access token of ours, from the token endpoint.
    Bearer(Rc<TokenEndpoint>),
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
        chance: &mut Chance,
    ) -> Option<Cow<'a, str>> {
        match self {
            // The caller has the token.
            Self::None | Self::Bearer(_) => None,
            Self::Basic(header) => Some(Cow::Borrowed(header.reveal())),
            Self::Post { client_id, client_secret } => {
                parameters.push(("client_id", Cow::Borrowed(client_id)));
                parameters.push(("client_secret", Cow::Borrowed(client_secret.reveal())));
                None
            }
            Self::PrivateKeyJwt(assertion) => {
                parameters.push(("client_assertion_type", Cow::Borrowed(ASSERTION_TYPE)));
                parameters.push(("client_assertion", Cow::Owned(assertion.sign(now, chance))));
                None
            }
        }
    }

    /// What the facts that come back depend on: part of the fingerprint of a configuration.
    pub(crate) fn identity(&self) -> Cow<'_, str> {
        match self {
            Self::None => Cow::Borrowed(""),
            Self::Basic(header) => Cow::Borrowed(header.reveal()),
            Self::Post { client_id, client_secret } => Cow::Owned(format!("{client_id}:{}", client_secret.reveal())),
            Self::PrivateKeyJwt(assertion) => {
                Cow::Owned(format!("{}:{}", assertion.client_id, assertion.key.fingerprint()))
            }
            Self::Bearer(endpoint) => endpoint.authentication.identity(),
        }
    }
}

impl ClientAssertion {
    fn sign(&self, now: UnixTime, chance: &mut Chance) -> String {
        let assertion = Assertion {
            issuer: &self.client_id,
            subject: &self.client_id,
            audience: &self.audience,
            issued_at: now,
            expires_at: now.saturating_add(ASSERTION_LIFETIME),
            id: &chance.next_id(),
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

/// Chance, as an argument: the core has none of its own.
pub(crate) struct Chance {
    seed: [u8; 32],
    drawn: u64,
}

impl Chance {
    /// `seed` must be random, and another in every worker.
    pub(crate) const fn new(seed: [u8; 32]) -> Self {
        Self { seed, drawn: 0 }
    }

    /// An identifier that never comes again: 128 bits in hexadecimal.
    fn next_id(&mut self) -> String {
        self.draw().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }

    /// A key for a keyed hash.
    pub(crate) fn next_key(&mut self) -> (u64, u64) {
        let drawn = self.draw();
        let mut words = drawn.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word));
        (words.next().unwrap_or_default(), words.next().unwrap_or_default())
    }

    fn draw(&mut self) -> [u8; 32] {
        self.drawn = self.drawn.wrapping_add(1);
        let mut hash = Hash::new();
        hash.update(self.seed);
        hash.update(self.drawn.to_le_bytes());
        hash.finalize()
    }
}

impl std::fmt::Debug for Chance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Chance(redacted)")
    }
}

/// RFC 7523 §2.2
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// An assertion is for one request; this is for clocks that differ.
const ASSERTION_LIFETIME: Duration = Duration::from_secs(60);
