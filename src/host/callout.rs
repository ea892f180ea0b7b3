//! Callouts: HTTP requests that the host sends to an authorization server, and their results.

use std::borrow::Cow;
use std::time::Duration;

use crate::base::words;

/// An HTTP request for the host to send.
pub struct CalloutRequest<'a> {
    /// The Envoy cluster that receives the request.
    pub cluster: &'a str,
    /// Pseudo-headers and headers, in order. They may contain credentials of the gateway and the access token.
    pub headers: Vec<(&'static str, Cow<'a, str>)>,
    /// The body. It may contain credentials of the gateway and the access token.
    pub body: String,
    /// The timeout for the whole response.
    pub timeout: Duration,
}

impl std::fmt::Debug for CalloutRequest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CalloutRequest").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

words! {
    /// The outcome of a callout.
    pub enum CalloutOutcome {
        /// The token is active.
        Active = "active",
        /// The token is not active.
        Inactive = "inactive",
        /// The token endpoint issued the gateway's own access token.
        ClientToken = "own_token",
        /// The JWK set was fetched.
        Keys = "keys",
        /// The metadata were fetched.
        Metadata = "metadata",
        /// The callout could not be sent.
        NotSent = "not_sent",
        /// The callout timed out, or the connection failed.
        TimedOut = "no_answer",
        /// The server refused the gateway's client (401 or 403).
        ClientRefused = "client_refused",
        /// An unexpected status.
        ErrorStatus = "error_status",
        /// The response was too large.
        TooLarge = "too_large",
        /// The response is invalid.
        InvalidResponse = "bad_answer",
        /// No keys are available to verify a JWT.
        NoKeys = "no_keys",
        /// Too many requests or callouts are waiting.
        Overloaded = "crowded",
        /// The circuit breaker is open.
        CircuitOpen = "circuit_open",
    }
}

/// The response to a callout: the parts that the core uses.
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
    /// The longest body that is accepted, in bytes.
    pub const MAX_BODY_BYTES: usize = MAX_RESPONSE_BYTES;

    /// Converts a response; `None` means that the callout timed out.
    pub(crate) fn result(response: Option<&Self>) -> CalloutResult<'_> {
        match response {
            None => CalloutResult::TimedOut,
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

/// The result of a [`CalloutRequest`].
#[derive(Clone, Copy)]
pub(crate) enum CalloutResult<'a> {
    /// The callout was not sent. The error is [`CalloutError::NotSent`] if the host could not send it, for example
    /// because the cluster does not exist.
    NotSent(CalloutError),
    /// The callout was sent and timed out.
    TimedOut,
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

/// A complete response within the size limit.
pub(crate) struct Response<'a> {
    pub(crate) status: u16,
    content_type: Option<&'a [u8]>,
    pub(crate) body: &'a [u8],
}

impl Response<'_> {
    /// Returns whether the Content-Type allows a JSON body: `application/json` or a `+json` type, with any parameters,
    /// or no Content-Type.
    pub(crate) fn may_be_json(&self) -> bool {
        self.content_type.is_none_or(is_json)
    }
}

impl<'a> CalloutResult<'a> {
    /// Returns the error if the server is unavailable. Envoy responds with 503 if a connection fails, and with 504 on a
    /// timeout. Other error statuses do not count as an outage, because they may concern only this token: otherwise a
    /// client whose token makes the server fail could open the circuit breaker for all others.
    pub(crate) fn outage(self) -> Option<CalloutError> {
        match self {
            Self::NotSent(error) => Some(error),
            Self::TimedOut => Some(CalloutError::TimedOut),
            Self::Response { status, .. } => matches!(status, 502..=504).then_some(CalloutError::Status(status)),
        }
    }

    /// Returns the response.
    ///
    /// # Errors
    /// There is no response, or it is longer than [`MAX_RESPONSE_BYTES`].
    pub(crate) fn response(self) -> Result<Response<'a>, CalloutError> {
        match self {
            Self::NotSent(error) => Err(error),
            Self::TimedOut => Err(CalloutError::TimedOut),
            Self::Response { body, .. } if body.len() > MAX_RESPONSE_BYTES => Err(CalloutError::TooLarge),
            Self::Response { status, content_type, body } => Ok(Response { status, content_type, body }),
        }
    }
}

impl std::fmt::Debug for CalloutResult<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotSent(error) => f.debug_tuple("NotSent").field(error).finish(),
            Self::TimedOut => f.write_str("TimedOut"),
            Self::Response { status, .. } => f.debug_struct("Response").field("status", status).finish_non_exhaustive(),
        }
    }
}

/// The User-Agent of callouts. Some servers, such as GitHub, reject requests without one.
pub(crate) const USER_AGENT: (&str, Cow<'static, str>) = ("user-agent", Cow::Borrowed("scopegate"));

/// The longest response body that is accepted, in bytes.
pub(crate) const MAX_RESPONSE_BYTES: usize = 65_536;

/// Why a callout produced no usable response. None of these errors is caused by the client of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CalloutError {
    /// The callout could not be sent.
    NotSent,
    /// The callout timed out, or the connection failed.
    TimedOut,
    /// The server refused the gateway's client with this status, 401 or 403.
    ClientRefused(u16),
    /// The introspection endpoint responded with an unexpected status. Envoy responds with 503 if a connection fails,
    /// and with 504 on a timeout.
    Status(u16),
    /// The response is longer than [`MAX_RESPONSE_BYTES`].
    TooLarge,
    /// The introspection response is invalid, for this reason.
    InvalidResponse(&'static str),
    /// The token endpoint did not issue an access token to the gateway and responded with this status.
    TokenStatus(u16),
    /// The response of the token endpoint is invalid, for this reason.
    InvalidTokenResponse(&'static str),
    /// The JWKS endpoint responded with this status.
    KeysStatus(u16),
    /// The JWK set is invalid, for this reason.
    InvalidKeys(&'static str),
    /// The metadata endpoint responded with this status.
    MetadataStatus(u16),
    /// The metadata are invalid, for this reason.
    InvalidMetadata(&'static str),
    /// Too many requests or callouts are waiting.
    Overloaded,
    /// The circuit breaker is open, because too many callouts in a row have failed.
    CircuitOpen,
    /// No keys of the server have been fetched, or the keys are older than `jwt.max_age`.
    NoKeys,
}

impl CalloutError {
    /// The outcome by which metrics count this error.
    pub(crate) const fn outcome(self) -> CalloutOutcome {
        match self {
            Self::NotSent => CalloutOutcome::NotSent,
            Self::TimedOut => CalloutOutcome::TimedOut,
            Self::ClientRefused(_) => CalloutOutcome::ClientRefused,
            Self::Status(_) | Self::TokenStatus(_) | Self::KeysStatus(_) | Self::MetadataStatus(_) => {
                CalloutOutcome::ErrorStatus
            }
            Self::TooLarge => CalloutOutcome::TooLarge,
            Self::InvalidResponse(_)
            | Self::InvalidTokenResponse(_)
            | Self::InvalidKeys(_)
            | Self::InvalidMetadata(_) => CalloutOutcome::InvalidResponse,
            Self::NoKeys => CalloutOutcome::NoKeys,
            Self::Overloaded => CalloutOutcome::Overloaded,
            Self::CircuitOpen => CalloutOutcome::CircuitOpen,
        }
    }

    /// Returns whether the server is unavailable, for a reason that neither the gateway's configuration nor a client
    /// causes. Only such errors permit the use of stale entries.
    pub(crate) const fn is_outage(self) -> bool {
        match self {
            Self::NotSent | Self::TimedOut | Self::CircuitOpen => true,
            Self::Status(status) | Self::TokenStatus(status) => status >= 500,
            Self::ClientRefused(_)
            | Self::TooLarge
            | Self::InvalidResponse(_)
            | Self::InvalidTokenResponse(_)
            | Self::KeysStatus(_)
            | Self::InvalidKeys(_)
            | Self::MetadataStatus(_)
            | Self::InvalidMetadata(_)
            | Self::NoKeys
            // Clients can cause this by sending many requests.
            | Self::Overloaded => false,
        }
    }

    /// A message for the operator: the problem, and what to check, with the configuration keys.
    pub fn explain(self) -> String {
        match self {
            Self::NotSent => {
                "the callout could not be sent: check that Envoy has the cluster that `cluster` names, that \
                              the cluster has endpoints, and its circuit breaker thresholds"
                    .to_owned()
            }
            Self::TimedOut => "the callout timed out: check that the server is up and reachable; if it is only slow, \
                               raise `timeout`"
                .to_owned(),
            Self::ClientRefused(status) => format!(
                "the server refused the gateway's client with status {status}: check client_id, the client secret or \
                 private key, and client_authentication"
            ),
            Self::Status(status @ (503 | 504))
            | Self::TokenStatus(status @ (503 | 504))
            | Self::KeysStatus(status @ (503 | 504))
            | Self::MetadataStatus(status @ (503 | 504)) => format!(
                "status {status}, from the server or from Envoy in its place: check that the server is up and \
                 reachable; if it is only slow, raise `timeout`"
            ),
            Self::Status(status) => format!(
                "the introspection endpoint responded with unexpected status {status}: check introspection.path and \
                 the server's log"
            ),
            Self::TooLarge => format!(
                "the response is longer than {MAX_RESPONSE_BYTES} bytes: check introspection.path, token.path or \
                 jwt.jwks_path"
            ),
            Self::InvalidResponse(why) => {
                format!("invalid introspection response: {why}; check introspection.path and preset")
            }
            Self::TokenStatus(status) => format!(
                "the token endpoint responded with unexpected status {status}: check token.path, token.scope and the \
                 server's log"
            ),
            Self::InvalidTokenResponse(why) => {
                format!("invalid response of the token endpoint: {why}; check token.path")
            }
            Self::KeysStatus(status) => format!(
                "the JWKS endpoint responded with unexpected status {status}: check jwt.jwks_path, or that jwt.cluster \
                 leads to the host of jwks_uri, and the server's log"
            ),
            Self::InvalidKeys(why) => {
                format!("invalid JWK set: {why}; check jwt.jwks_path, or the jwks_uri of the server's metadata")
            }
            Self::MetadataStatus(status) => format!(
                "the metadata endpoint responded with unexpected status {status}: check issuer and jwt.discovery"
            ),
            Self::InvalidMetadata(why) => format!("invalid metadata: {why}; check issuer and jwt.discovery"),
            Self::CircuitOpen => "the circuit breaker is open, because too many callouts in a row have failed: an \
                                  earlier message gives the cause; circuit_breaker sets the limits"
                .to_owned(),
            Self::Overloaded => {
                "too many requests or callouts are waiting: check whether the server is slow, or raise \
                                 max_callouts"
                    .to_owned()
            }
            Self::NoKeys => "no keys are available to verify JWTs: an earlier message gives the cause; check \
                             jwt.jwks_path or jwt.discovery"
                .to_owned(),
        }
    }
}

fn is_json(content_type: &[u8]) -> bool {
    let essence = content_type.split(|b| *b == b';').next().unwrap_or_default().trim_ascii().to_ascii_lowercase();
    essence == b"application/json" || essence.ends_with(b"+json")
}
