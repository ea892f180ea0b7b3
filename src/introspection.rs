//! Token introspection (RFC 7662): the request that is sent and the answer as it is understood.
//!
//! An answer is either understood completely or it is [`Trouble`]; nothing is guessed. Only `active: false`
//! says that a token is bad. Whatever else goes wrong is the authorization server's trouble, or ours with it.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::claims::Claims;
use crate::json::Json;
use crate::token::{AccessToken, Secret};

/// The introspection endpoint of an authorization server, and how it is asked.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) cluster: String,
    pub(crate) authority: String,
    pub(crate) path: String,
    /// The Authorization header of the request.
    pub(crate) authorization: Secret,
    pub(crate) timeout: Duration,
    /// Members that the answer for an access token always has at this server.
    pub(crate) required_members: Vec<String>,
}

/// An HTTP request that the host is asked to send.
pub struct CalloutRequest<'a> {
    /// The Envoy cluster to send it to.
    pub cluster: &'a str,
    /// Pseudo-headers and headers, in order. They carry our client secret.
    pub headers: Vec<(&'static str, &'a str)>,
    /// The body. It carries the token.
    pub body: String,
    /// How long to wait for the whole answer.
    pub timeout: Duration,
}

impl std::fmt::Debug for CalloutRequest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CalloutRequest").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

/// What came back for a [`CalloutRequest`].
#[derive(Clone, Copy)]
pub enum CalloutAnswer<'a> {
    /// The host could not send it, for example because the cluster does not exist.
    NotSent,
    /// It was sent, and nothing came back in time.
    NoAnswer,
    /// An HTTP response.
    Response {
        /// The status code; 0 if there was none.
        status: u16,
        /// The value of Content-Type, if there was one.
        content_type: Option<&'a [u8]>,
        /// The body, or its first [`MAX_ANSWER_BYTES`] + 1 bytes.
        body: &'a [u8],
    },
}

impl std::fmt::Debug for CalloutAnswer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotSent => f.write_str("NotSent"),
            Self::NoAnswer => f.write_str("NoAnswer"),
            Self::Response { status, .. } => f.debug_struct("Response").field("status", status).finish_non_exhaustive(),
        }
    }
}

/// A longer answer is not read.
pub const MAX_ANSWER_BYTES: usize = 65_536;

/// What the authorization server said of a token.
#[derive(Debug, PartialEq)]
pub(crate) enum Introspection {
    Active(Claims),
    Inactive,
}

/// Why there is no usable answer. The caller is never to blame for any of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The request could not be sent.
    NotSent,
    /// No answer in time, or the connection broke.
    NoAnswer,
    /// 401 or 403: the server refuses our own client.
    ClientRefused(u16),
    /// Any other status than 200. Envoy itself answers 503 for a connection that fails and 504 for a timeout.
    Status(u16),
    /// Longer than [`MAX_ANSWER_BYTES`].
    TooLarge,
    /// Not an introspection response; says in what way.
    BadAnswer(&'static str),
}

impl Trouble {
    /// The word for it in metrics and logs.
    pub const fn outcome(self) -> &'static str {
        match self {
            Self::NotSent => "not_sent",
            Self::NoAnswer => "no_answer",
            Self::ClientRefused(_) => "client_refused",
            Self::Status(_) => "error_status",
            Self::TooLarge => "too_large",
            Self::BadAnswer(_) => "bad_answer",
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
                format!("answered {status}: it refuses our client; check client_id and the client secret")
            }
            Self::Status(status @ (503 | 504)) => {
                format!("answered {status}, or Envoy did in its place: is the server up, reachable and in time?")
            }
            Self::Status(status) => {
                format!("answered {status} instead of 200: check introspection.path and the server's log")
            }
            Self::TooLarge => format!("the answer is longer than {MAX_ANSWER_BYTES} bytes"),
            Self::BadAnswer(why) => format!("the answer is no introspection response: {why}"),
        }
    }
}

impl Endpoint {
    /// RFC 7662 §2.1. The hint keeps servers that honour it from answering for refresh tokens.
    pub(crate) fn request(&self, token: &AccessToken) -> CalloutRequest<'_> {
        let body = form_urlencoded::Serializer::new(String::new())
            .append_pair("token", token.reveal())
            .append_pair("token_type_hint", "access_token")
            .finish();
        CalloutRequest {
            cluster: &self.cluster,
            headers: vec![
                (":method", "POST"),
                (":path", &self.path),
                (":authority", &self.authority),
                ("content-type", "application/x-www-form-urlencoded"),
                ("accept", "application/json"),
                ("authorization", self.authorization.reveal()),
            ],
            body,
            timeout: self.timeout,
        }
    }

    /// RFC 7662 §2.2. `projection` names the members whose values are forwarded upstream.
    pub(crate) fn understand<'n>(
        &self,
        answer: CalloutAnswer<'_>,
        projection: impl Iterator<Item = &'n str>,
    ) -> Result<Introspection, Trouble> {
        let (status, content_type, body) = match answer {
            CalloutAnswer::NotSent => return Err(Trouble::NotSent),
            CalloutAnswer::NoAnswer => return Err(Trouble::NoAnswer),
            CalloutAnswer::Response { status, content_type, body } => (status, content_type, body),
        };
        if body.len() > MAX_ANSWER_BYTES {
            return Err(Trouble::TooLarge);
        }
        match status {
            200 => {}
            400 if is_unsupported_token_type(body) => return Ok(Introspection::Inactive),
            401 | 403 => return Err(Trouble::ClientRefused(status)),
            _ => return Err(Trouble::Status(status)),
        }
        if content_type.is_some_and(|value| !is_json(value)) {
            return Err(Trouble::BadAnswer("its Content-Type is not JSON"));
        }
        let json = Json::parse(body).map_err(|_| Trouble::BadAnswer("it is not JSON"))?;
        if json.has_duplicate_names() {
            return Err(Trouble::BadAnswer("a member occurs twice"));
        }
        let Json::Object(members) = json else {
            return Err(Trouble::BadAnswer("it is not a JSON object"));
        };
        match members.iter().find(|(name, _)| name == "active") {
            Some((_, Json::Bool(false))) => Ok(Introspection::Inactive),
            Some((_, Json::Bool(true))) => Claims::from_members(&members, &self.required_members, projection)
                .map(Introspection::Active)
                .map_err(Trouble::BadAnswer),
            Some(_) => Err(Trouble::BadAnswer("`active` is not a boolean")),
            None => Err(Trouble::BadAnswer("`active` is missing")),
        }
    }
}

/// `client_secret_basic`: both parts form-encoded before they are joined (RFC 6749 §2.3.1, RFC 7617 §2).
pub(crate) fn basic_authorization(client_id: &str, client_secret: &str) -> Secret {
    let encode = |part: &str| form_urlencoded::byte_serialize(part.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encode(client_id), encode(client_secret));
    Secret::new(format!("Basic {}", STANDARD.encode(pair)))
}

/// The one 400 that is a verdict on the token: the server does not introspect tokens of this kind, such as
/// ID tokens (error code of RFC 7009 §2.2.1).
fn is_unsupported_token_type(body: &[u8]) -> bool {
    matches!(Json::parse(body), Ok(Json::Object(members))
        if members.iter().any(|(name, value)| name == "error" && *value == Json::String("unsupported_token_type".to_owned())))
}

/// `application/json` or a `+json` type, with any parameters.
fn is_json(content_type: &[u8]) -> bool {
    let essence = content_type.split(|b| *b == b';').next().unwrap_or_default().trim_ascii().to_ascii_lowercase();
    essence == b"application/json" || essence.ends_with(b"+json")
}

#[cfg(test)]
mod tests;
