//! HTTP requests to an authorization server, as the host is asked to send them, and what comes back.

use std::borrow::Cow;
use std::time::Duration;

use crate::base::words;

/// An HTTP request that the host is asked to send.
pub struct CalloutRequest<'a> {
    /// The Envoy cluster to send it to.
    pub cluster: &'a str,
    /// Pseudo-headers and headers, in order. They may carry our credentials, and the token.
    pub headers: Vec<(&'static str, Cow<'a, str>)>,
    /// The body. It may carry the same.
    pub body: String,
    /// How long to wait for the whole answer.
    pub timeout: Duration,
}

impl std::fmt::Debug for CalloutRequest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CalloutRequest").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

words! {
    /// How a callout ended.
    pub enum CalloutOutcome {
        /// The token is active.
        Active = "active",
        /// The token is not active.
        Inactive = "inactive",
        /// The token endpoint issued the gateway's own access token.
        ClientToken = "own_token",
        /// The server's keys.
        Keys = "keys",
        /// The server's metadata.
        Metadata = "metadata",
        /// It could not be sent.
        NotSent = "not_sent",
        /// No response in time.
        NoAnswer = "no_answer",
        /// The server refused the gateway's client.
        ClientRefused = "client_refused",
        /// An unexpected status.
        ErrorStatus = "error_status",
        /// The response was too large.
        TooLarge = "too_large",
        /// The response could not be read.
        BadAnswer = "bad_answer",
        /// There are no keys to verify a token with.
        NoKeys = "no_keys",
        /// Too many requests or callouts wait.
        Overloaded = "crowded",
        /// The circuit breaker is open.
        CircuitOpen = "circuit_open",
    }
}

/// The response to a callout, as far as the core needs it.
#[derive(Clone)]
pub struct CalloutResponse {
    /// The status code; 0 if there was none.
    pub status: u16,
    /// The value of Content-Type, if there was one.
    pub content_type: Option<Vec<u8>>,
    /// The body, or its first [`CalloutResponse::MAX_BODY_BYTES`] + 1 bytes.
    pub body: Vec<u8>,
}

impl CalloutResponse {
    /// A longer body is refused.
    pub const MAX_BODY_BYTES: usize = MAX_RESPONSE_BYTES;

    /// The response, or that there was none in time.
    pub(crate) fn result(response: Option<&Self>) -> CalloutResult<'_> {
        match response {
            None => CalloutResult::NoAnswer,
            Some(Self { status, content_type, body }) => {
                CalloutResult::Response { status: *status, content_type: content_type.as_deref(), body }
            }
        }
    }
}

impl std::fmt::Debug for CalloutResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CalloutResponse").field("status", &self.status).finish_non_exhaustive()
    }
}

/// What came back for a [`CalloutRequest`].
#[derive(Clone, Copy)]
pub(crate) enum CalloutResult<'a> {
    /// It was not sent, for this reason: [`CalloutError::NotSent`] if the host could not, for example because the cluster
    /// does not exist.
    NotSent(CalloutError),
    /// It was sent, and nothing came back in time.
    NoAnswer,
    /// An HTTP response.
    Response {
        /// The status code; 0 if there was none.
        status: u16,
        /// The value of Content-Type, if there was one.
        content_type: Option<&'a [u8]>,
        /// The body, or its first [`MAX_RESPONSE_BYTES`] + 1 bytes.
        body: &'a [u8],
    },
}

/// A response that has come, whole.
pub(crate) struct Response<'a> {
    pub(crate) status: u16,
    content_type: Option<&'a [u8]>,
    pub(crate) body: &'a [u8],
}

impl Response<'_> {
    /// Whether its Content-Type, if it has one, is `application/json` or a `+json` type, with any parameters.
    pub(crate) fn may_be_json(&self) -> bool {
        self.content_type.is_none_or(is_json)
    }
}

impl<'a> CalloutResult<'a> {
    /// Why nobody was there to answer, if nobody was. Envoy itself answers 503 for a connection that fails, and 504 for
    /// a timeout. Any other error may be about this one token: were it to count, a caller with a token that the server
    /// stumbles over could keep it from being asked for all others.
    pub(crate) fn outage(self) -> Option<CalloutError> {
        match self {
            Self::NotSent(trouble) => Some(trouble),
            Self::NoAnswer => Some(CalloutError::NoAnswer),
            Self::Response { status, .. } => matches!(status, 502..=504).then_some(CalloutError::Status(status)),
        }
    }

    /// The response.
    ///
    /// # Errors
    /// There is none, or it is longer than an answer may be.
    pub(crate) fn response(self) -> Result<Response<'a>, CalloutError> {
        match self {
            Self::NotSent(trouble) => Err(trouble),
            Self::NoAnswer => Err(CalloutError::NoAnswer),
            Self::Response { body, .. } if body.len() > MAX_RESPONSE_BYTES => Err(CalloutError::TooLarge),
            Self::Response { status, content_type, body } => Ok(Response { status, content_type, body }),
        }
    }
}

impl std::fmt::Debug for CalloutResult<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotSent(trouble) => f.debug_tuple("NotSent").field(trouble).finish(),
            Self::NoAnswer => f.write_str("NoAnswer"),
            Self::Response { status, .. } => f.debug_struct("Response").field("status", status).finish_non_exhaustive(),
        }
    }
}

/// Who asks. Some servers, GitHub among them, turn away who does not say.
pub(crate) const USER_AGENT: (&str, Cow<'static, str>) = ("user-agent", Cow::Borrowed("scopegate"));

/// A longer answer is not read.
pub(crate) const MAX_RESPONSE_BYTES: usize = 65_536;

/// Why there is no usable answer. The caller is never to blame for any of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CalloutError {
    /// The request could not be sent.
    NotSent,
    /// No answer in time, or the connection broke.
    NoAnswer,
    /// 401 or 403: the server refuses our own client.
    ClientRefused(u16),
    /// A status that means nothing here. Envoy itself answers 503 for a connection that fails and 504 for a
    /// timeout.
    Status(u16),
    /// Longer than [`MAX_RESPONSE_BYTES`].
    TooLarge,
    /// Not an answer of the dialect that is configured; says in what way.
    BadAnswer(&'static str),
    /// The token endpoint, which is to issue our own token, answered with this status.
    TokenStatus(u16),
    /// The token endpoint answered with something that is no token response; says in what way.
    BadTokenAnswer(&'static str),
    /// The keys of the server were answered with this status.
    KeysStatus(u16),
    /// What came for the keys of the server is no set of usable keys; says in what way.
    BadKeys(&'static str),
    /// The metadata of the server, which say where its keys are, were answered with this status.
    MetadataStatus(u16),
    /// What came for its metadata is of no use; says why.
    BadMetadata(&'static str),
    /// Too many requests wait, or too many questions.
    Overloaded,
    /// Nobody is asked for a while, since too many questions in a row were lost.
    CircuitOpen,
    /// There are no keys of the server yet, or those there were are too old.
    NoKeys,
}

impl CalloutError {
    /// How a callout that fails like this is counted.
    pub(crate) const fn outcome(self) -> CalloutOutcome {
        match self {
            Self::NotSent => CalloutOutcome::NotSent,
            Self::NoAnswer => CalloutOutcome::NoAnswer,
            Self::ClientRefused(_) => CalloutOutcome::ClientRefused,
            Self::Status(_) | Self::TokenStatus(_) | Self::KeysStatus(_) | Self::MetadataStatus(_) => {
                CalloutOutcome::ErrorStatus
            }
            Self::TooLarge => CalloutOutcome::TooLarge,
            Self::BadAnswer(_) | Self::BadTokenAnswer(_) | Self::BadKeys(_) | Self::BadMetadata(_) => {
                CalloutOutcome::BadAnswer
            }
            Self::NoKeys => CalloutOutcome::NoKeys,
            Self::Overloaded => CalloutOutcome::Overloaded,
            Self::CircuitOpen => CalloutOutcome::CircuitOpen,
        }
    }

    /// Whether nobody was there to answer, by no fault of ours or of the callers.
    pub(crate) const fn is_outage(self) -> bool {
        match self {
            Self::NotSent | Self::NoAnswer | Self::CircuitOpen => true,
            Self::Status(status) | Self::TokenStatus(status) => status >= 500,
            Self::ClientRefused(_)
            | Self::TooLarge
            | Self::BadAnswer(_)
            | Self::BadTokenAnswer(_)
            | Self::KeysStatus(_)
            | Self::BadKeys(_)
            | Self::MetadataStatus(_)
            | Self::BadMetadata(_)
            | Self::NoKeys
            // Whoever sends enough requests can bring this about.
            | Self::Overloaded => false,
        }
    }

    /// One sentence for the operator: what happened and where to look.
    pub fn explain(self) -> String {
        match self {
            Self::NotSent => {
                "the request could not be sent: does the cluster exist, has it endpoints, is it full?".to_owned()
            }
            Self::NoAnswer => "no answer came in time: is the server up and reachable?".to_owned(),
            Self::ClientRefused(status) => {
                format!(
                    "answered {status}: it refuses our client; check client_id, its secret or key, and client_authentication"
                )
            }
            Self::Status(status @ (503 | 504))
            | Self::TokenStatus(status @ (503 | 504))
            | Self::KeysStatus(status @ (503 | 504))
            | Self::MetadataStatus(status @ (503 | 504)) => {
                format!("answered {status}, or Envoy did in its place: is the server up, reachable and in time?")
            }
            Self::Status(status) => {
                format!(
                    "answered {status}, which says nothing about a token: check introspection.path and the server's log"
                )
            }
            Self::TooLarge => format!("the answer is longer than {MAX_RESPONSE_BYTES} bytes"),
            Self::BadAnswer(why) => {
                format!("the answer is no introspection response: {why}; check introspection.path and preset")
            }
            Self::TokenStatus(status) => {
                format!("its token endpoint answered {status}: check token.path, token.scope and the server's log")
            }
            Self::BadTokenAnswer(why) => {
                format!("the answer of its token endpoint is no token response: {why}; check token.path")
            }
            Self::KeysStatus(status) => {
                format!(
                    "answered {status} when asked for its keys: check jwt.jwks_path, or whether jwt.cluster leads to where jwks_uri points, and the server's log"
                )
            }
            Self::BadKeys(why) => {
                format!("what it sent as its keys cannot be used: {why}; check jwt.jwks_path, or its jwks_uri")
            }
            Self::MetadataStatus(status) => {
                format!("answered {status} when asked for its metadata: check issuer and jwt.discovery")
            }
            Self::BadMetadata(why) => {
                format!("its metadata cannot be used: {why}; check issuer and jwt.discovery")
            }
            Self::CircuitOpen => {
                "it is not asked for a while, since too many questions in a row were lost: an earlier message says why"
                    .to_owned()
            }
            Self::Overloaded => {
                "too many requests or questions wait for it: is the server slow, or max_callouts too low?".to_owned()
            }
            Self::NoKeys => "there are no keys of it to verify tokens with: an earlier message says why".to_owned(),
        }
    }
}

fn is_json(content_type: &[u8]) -> bool {
    let essence = content_type.split(|b| *b == b';').next().unwrap_or_default().trim_ascii().to_ascii_lowercase();
    essence == b"application/json" || essence.ends_with(b"+json")
}
