//! Token introspection (RFC 7662) and its relatives: the request that is sent and the answer as it is
//! understood.
//!
//! One engine; what differs from server to server is data, a dialect. An answer is either understood
//! completely or it is [`CalloutError`]; nothing is guessed. Only what the dialect names says that a token is bad.
//! Whatever else goes wrong is the authorization server's trouble, or ours with it.

use std::borrow::Cow;
use std::rc::Rc;
use std::time::Duration;

use super::client_authentication::{ClientAuthentication, form};
use super::client_token::TokenEndpoint;
use super::clusters::Clusters;
use super::failover::Attempt;
use super::request_format::{RequestFormat, TokenIn};
use super::response_format::{Activity, ResponseFormat};
use crate::base::{Json, Secret, SeededRandom, UnixTime};
use crate::claims::{Claims, RequestedClaims, TokenState};
use crate::host::{CalloutError, CalloutRequest, CalloutResult, USER_AGENT};
use crate::token::AccessToken;

/// The presets: what each kind of server differs in from `rfc7662`, in the form of a configuration; a JSON object.
/// `path_example` stands where the path depends on the server.
pub const PRESETS: &str = include_str!("presets.json");

/// The introspection endpoint of an authorization server, and how it is asked.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) clusters: Clusters,
    pub(crate) authority: String,
    pub(crate) path: String,
    pub(crate) authentication: EndpointAuthentication,
    pub(crate) timeout: Duration,
    pub(crate) request: RequestFormat,
    pub(crate) response: ResponseFormat,
}

/// How the gateway authenticates at an introspection endpoint.
#[derive(Debug)]
pub(crate) enum EndpointAuthentication {
    /// Not at all: the endpoint is protected otherwise, or the token is its own credential.
    None,
    /// With the credentials of its client.
    Client(ClientAuthentication),
    /// With the gateway's own access token, from this token endpoint.
    ClientToken(Rc<TokenEndpoint>),
}

impl EndpointAuthentication {
    /// Adds the parameters of the client's credentials; returns the value of the Authorization header if they belong
    /// there. An access token of the gateway is not among them.
    fn apply<'a>(
        &'a self,
        parameters: &mut Vec<(&'a str, Cow<'a, str>)>,
        now: UnixTime,
        random: &mut SeededRandom,
    ) -> Option<Cow<'a, str>> {
        match self {
            Self::None | Self::ClientToken(_) => None,
            Self::Client(client) => client.apply(parameters, now, random),
        }
    }

    /// The identity that the server's responses depend on: part of the fingerprint of a configuration.
    pub(crate) fn identity(&self) -> Cow<'_, str> {
        match self {
            Self::None => Cow::Borrowed(""),
            Self::Client(client) => client.identity(),
            Self::ClientToken(endpoint) => endpoint.authentication.identity(),
        }
    }
}

impl Endpoint {
    /// The request for `token`. `own` is our own access token, for an endpoint that takes one.
    pub(crate) fn request<'a>(
        &'a self,
        token: &'a AccessToken,
        own: Option<&Secret>,
        attempt: Attempt,
        now: UnixTime,
        random: &mut SeededRandom,
    ) -> CalloutRequest<'a> {
        let dialect = &self.request;
        let mut parameters: Vec<(&str, Cow<'_, str>)> = Vec::new();
        if dialect.token_in != TokenIn::Authorization {
            parameters.push((&dialect.token_parameter, Cow::Borrowed(token.reveal())));
        }
        parameters.extend(dialect.parameters.iter().map(|(name, value)| (name.as_str(), Cow::from(value.as_str()))));
        let mut authorization = self.authentication.apply(&mut parameters, now, random);
        if let Some(own) = own {
            authorization = Some(Cow::Owned(format!("Bearer {}", own.reveal())));
        }
        if dialect.token_in == TokenIn::Authorization {
            authorization = Some(Cow::Owned(format!("Bearer {}", token.reveal())));
        }

        let in_query = dialect.token_in == TokenIn::Query || dialect.method == "GET";
        let path = if in_query && !parameters.is_empty() {
            let separator = if self.path.contains('?') { '&' } else { '?' };
            Cow::Owned(format!("{}{separator}{}", self.path, form(&parameters)))
        } else {
            Cow::Borrowed(self.path.as_str())
        };
        let (content_type, body) = match dialect.token_in {
            TokenIn::Json => (Some("application/json"), json(&parameters)),
            TokenIn::Form | TokenIn::Authorization if !in_query => {
                (Some("application/x-www-form-urlencoded"), form(&parameters))
            }
            TokenIn::Form | TokenIn::Authorization | TokenIn::Query => (None, String::new()),
        };

        let mut headers = vec![
            (":method", Cow::Borrowed(dialect.method)),
            (":path", path),
            (":authority", Cow::Borrowed(self.authority.as_str())),
        ];
        headers.extend(content_type.map(|value| ("content-type", Cow::Borrowed(value))));
        headers.push(("accept", Cow::Borrowed(dialect.accept.as_str())));
        headers.extend(authorization.map(|value| ("authorization", value)));
        headers.push(USER_AGENT);
        let cluster = self.clusters.get(attempt.cluster);
        CalloutRequest { cluster, headers, body, timeout: attempt.timeout }
    }

    /// The answer to a request that was sent at `asked_at`. `requested` says what of it is kept.
    pub(crate) fn parse_response(
        &self,
        result: CalloutResult<'_>,
        requested: &RequestedClaims,
        asked_at: UnixTime,
    ) -> Result<TokenState, CalloutError> {
        let response = result.response()?;
        let dialect = &self.response;
        match response.status {
            200 => {}
            status if dialect.invalid_statuses.contains(&status) && !blames_client(response.body) => {
                return Ok(TokenState::Inactive);
            }
            400 if is_unsupported_token_type(response.body) => return Ok(TokenState::Inactive),
            status @ (401 | 403) => return Err(CalloutError::ClientRefused(status)),
            status => return Err(CalloutError::Status(status)),
        }
        if !response.may_be_json() {
            return Err(CalloutError::BadAnswer("its Content-Type is not JSON"));
        }
        let json = Json::parse(response.body).map_err(|_| CalloutError::BadAnswer("it is not JSON"))?;
        if json.has_duplicate_names() {
            return Err(CalloutError::BadAnswer("a member occurs twice"));
        }
        let Json::Object(members) = json else {
            return Err(CalloutError::BadAnswer("it is not a JSON object"));
        };
        if dialect.error_members.iter().any(|path| path.find(&members).is_some()) {
            return Ok(TokenState::Inactive);
        }
        if !is_active(&members, dialect.active)? {
            return Ok(TokenState::Inactive);
        }
        Claims::from_members(&members, &dialect.claims, requested, asked_at)
            .map(|claims| TokenState::Active(Rc::new(claims)))
            .map_err(CalloutError::BadAnswer)
    }
}

/// What `active` says. A server that leaves it out does not call the token active; one that answers with
/// another type speaks another language.
fn is_active(members: &[(String, Json)], activity: Activity) -> Result<bool, CalloutError> {
    let active = members.iter().find(|(name, _)| name == "active").map(|(_, value)| value);
    match (activity, active) {
        // A server that says it although nobody asks for it means it.
        (Activity::Status, Some(Json::Bool(false))) => Ok(false),
        (Activity::Status, _) => Ok(true),
        (_, None) => Ok(false),
        (_, Some(Json::Bool(active))) => Ok(*active),
        (Activity::BooleanOrString, Some(Json::String(text))) if text.eq_ignore_ascii_case("true") => Ok(true),
        (Activity::BooleanOrString, Some(Json::String(text))) if text.eq_ignore_ascii_case("false") => Ok(false),
        (Activity::Boolean | Activity::BooleanOrString, Some(_)) => {
            Err(CalloutError::BadAnswer("`active` is not a boolean"))
        }
    }
}

/// A JSON object of strings.
fn json(parameters: &[(&str, Cow<'_, str>)]) -> String {
    let members = parameters.iter().map(|(name, value)| ((*name).to_owned(), serde_json::Value::from(value.as_ref())));
    serde_json::Value::Object(members.collect()).to_string()
}

/// Whether an error speaks of our client and not of the token (RFC 6749 §5.2), whatever its status.
fn blames_client(body: &[u8]) -> bool {
    let error = Json::parse(body).ok().and_then(|json| json.member("error")?.as_str().map(str::to_owned));
    error.is_some_and(|error| ["invalid_client", "unauthorized_client", "unsupported_grant_type"].contains(&&*error))
}

/// The one 400 that is a verdict on the token at every server: it does not introspect tokens of this kind,
/// such as ID tokens (error code of RFC 7009 §2.2.1).
fn is_unsupported_token_type(body: &[u8]) -> bool {
    Json::parse(body).is_ok_and(|json| {
        !json.has_duplicate_names() && json.member("error").and_then(Json::as_str) == Some("unsupported_token_type")
    })
}
