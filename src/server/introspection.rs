//! Token introspection (RFC 7662) and similar protocols: the introspection request and the parser of the response.
//!
//! Differences between servers are data: [`RequestFormat`], [`ResponseFormat`]. A response is either parsed completely
//! or is a [`CalloutError`]; the parser guesses nothing. Only a response that the format defines as such marks a token
//! as invalid. All other failures are errors of the authorization server or of the gateway's configuration.

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

/// The presets as a JSON object: for each kind of server, the differences from `rfc7662`, in the form of a
/// configuration. `path_example` is an example for servers whose path varies.
pub const PRESETS: &str = include_str!("presets.json");

/// The introspection endpoint of an authorization server.
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
    /// Without credentials: the endpoint is protected in another way, or the token is its own credential.
    None,
    /// With the credentials of its client.
    Client(ClientAuthentication),
    /// With the gateway's own access token, from this token endpoint.
    ClientToken(Rc<TokenEndpoint>),
}

impl EndpointAuthentication {
    /// Adds the client's credentials to the form parameters, or returns the value of the Authorization header. It does
    /// not handle the gateway's own access token.
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

    /// Returns the identity that responses depend on, as part of the fingerprint of the configuration.
    pub(crate) fn identity(&self) -> Cow<'_, str> {
        match self {
            Self::None => Cow::Borrowed(""),
            Self::Client(client) => client.identity(),
            Self::ClientToken(endpoint) => endpoint.authentication.identity(),
        }
    }
}

impl Endpoint {
    /// Creates the introspection request for `token`. `client_token` is the gateway's own access token, if the endpoint
    /// requires one.
    pub(crate) fn request<'a>(
        &'a self,
        token: &'a AccessToken,
        client_token: Option<&Secret>,
        attempt: Attempt,
        now: UnixTime,
        random: &mut SeededRandom,
    ) -> CalloutRequest<'a> {
        let format = &self.request;
        let mut parameters: Vec<(&str, Cow<'_, str>)> = Vec::new();
        if format.token_in != TokenIn::Authorization {
            parameters.push((&format.token_parameter, Cow::Borrowed(token.reveal())));
        }
        parameters.extend(format.parameters.iter().map(|(name, value)| (name.as_str(), Cow::from(value.as_str()))));
        let mut authorization = self.authentication.apply(&mut parameters, now, random);
        if let Some(client_token) = client_token {
            authorization = Some(Cow::Owned(format!("Bearer {}", client_token.reveal())));
        }
        if format.token_in == TokenIn::Authorization {
            authorization = Some(Cow::Owned(format!("Bearer {}", token.reveal())));
        }

        let in_query = format.token_in == TokenIn::Query || format.method == "GET";
        let path = if in_query && !parameters.is_empty() {
            let separator = if self.path.contains('?') { '&' } else { '?' };
            Cow::Owned(format!("{}{separator}{}", self.path, form(&parameters)))
        } else {
            Cow::Borrowed(self.path.as_str())
        };
        let (content_type, body) = match format.token_in {
            TokenIn::Json => (Some("application/json"), json(&parameters)),
            TokenIn::Form | TokenIn::Authorization if !in_query => {
                (Some("application/x-www-form-urlencoded"), form(&parameters))
            }
            TokenIn::Form | TokenIn::Authorization | TokenIn::Query => (None, String::new()),
        };

        let mut headers = vec![
            (":method", Cow::Borrowed(format.method)),
            (":path", path),
            (":authority", Cow::Borrowed(self.authority.as_str())),
        ];
        headers.extend(content_type.map(|value| ("content-type", Cow::Borrowed(value))));
        headers.push(("accept", Cow::Borrowed(format.accept.as_str())));
        headers.extend(authorization.map(|value| ("authorization", value)));
        headers.push(USER_AGENT);
        let cluster = self.clusters.get(attempt.cluster);
        CalloutRequest { cluster, headers, body, timeout: attempt.timeout }
    }

    /// Parses the response to a request that was sent at `sent_at`. `requested` selects the claims that are kept.
    ///
    /// # Errors
    /// The callout failed, or its response is unusable.
    pub(crate) fn parse_response(
        &self,
        result: CalloutResult<'_>,
        requested: &RequestedClaims,
        sent_at: UnixTime,
    ) -> Result<TokenState, CalloutError> {
        let response = result.response()?;
        let format = &self.response;
        match response.status {
            200 => {}
            status if format.invalid_statuses.contains(&status) && !is_client_error(response.body) => {
                return Ok(TokenState::Inactive);
            }
            400 if is_unsupported_token_type(response.body) => return Ok(TokenState::Inactive),
            status @ (401 | 403) => return Err(CalloutError::ClientRefused(status)),
            status => return Err(CalloutError::Status(status)),
        }
        if !response.may_be_json() {
            return Err(CalloutError::InvalidResponse("the Content-Type is not JSON"));
        }
        let json = Json::parse(response.body).map_err(|_| CalloutError::InvalidResponse("the body is not JSON"))?;
        if json.has_duplicate_names() {
            return Err(CalloutError::InvalidResponse("a member name occurs twice"));
        }
        let Json::Object(members) = json else {
            return Err(CalloutError::InvalidResponse("the body is not a JSON object"));
        };
        if format.error_members.iter().any(|path| path.find(&members).is_some()) {
            return Ok(TokenState::Inactive);
        }
        if !is_active(&members, format.active)? {
            return Ok(TokenState::Inactive);
        }
        Claims::from_members(&members, &format.claims, requested, sent_at)
            .map(|claims| TokenState::Active(Rc::new(claims)))
            .map_err(CalloutError::InvalidResponse)
    }
}

/// Evaluates `active`. A missing member means that the token is inactive. A value of an unexpected type is an error.
fn is_active(members: &[(String, Json)], activity: Activity) -> Result<bool, CalloutError> {
    let active = members.iter().find(|(name, _)| name == "active").map(|(_, value)| value);
    match (activity, active) {
        // Some servers send `active: false` although the preset relies on the status.
        (Activity::Status, Some(Json::Bool(false))) => Ok(false),
        (Activity::Status, _) => Ok(true),
        (_, None) => Ok(false),
        (_, Some(Json::Bool(active))) => Ok(*active),
        (Activity::BooleanOrString, Some(Json::String(text))) if text.eq_ignore_ascii_case("true") => Ok(true),
        (Activity::BooleanOrString, Some(Json::String(text))) if text.eq_ignore_ascii_case("false") => Ok(false),
        (Activity::Boolean | Activity::BooleanOrString, Some(_)) => {
            Err(CalloutError::InvalidResponse("`active` is not a boolean"))
        }
    }
}

/// Serializes parameters as a JSON object of strings.
fn json(parameters: &[(&str, Cow<'_, str>)]) -> String {
    let members = parameters.iter().map(|(name, value)| ((*name).to_owned(), serde_json::Value::from(value.as_ref())));
    serde_json::Value::Object(members.collect()).to_string()
}

/// Returns whether an error concerns the gateway's client and not the token (RFC 6749 §5.2), whatever the status.
fn is_client_error(body: &[u8]) -> bool {
    let error = Json::parse(body).ok().and_then(|json| json.member("error")?.as_str().map(str::to_owned));
    error.is_some_and(|error| ["invalid_client", "unauthorized_client", "unsupported_grant_type"].contains(&&*error))
}

/// Returns whether a response with status 400 states that the server does not introspect tokens of this type, such as
/// ID tokens (error code of RFC 7009 §2.2.1). It is valid for every preset.
fn is_unsupported_token_type(body: &[u8]) -> bool {
    Json::parse(body).is_ok_and(|json| {
        !json.has_duplicate_names() && json.member("error").and_then(Json::as_str) == Some("unsupported_token_type")
    })
}
