//! How one kind of authorization server is asked and answers: what presets fill in and a configuration may
//! override, field by field.

use crate::claims::ClaimPath;

/// The request of RFC 7662 §2.1, or what stands in its place.
#[derive(Clone, Debug)]
pub(crate) struct RequestDialect {
    pub(crate) method: &'static str,
    pub(crate) token_in: TokenIn,
    /// The name of the parameter or JSON member that carries the token.
    pub(crate) token_parameter: String,
    /// Further parameters, such as `token_type_hint`.
    pub(crate) parameters: Vec<(String, String)>,
    /// The Accept header.
    pub(crate) accept: String,
}

/// Where a request carries the token that is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenIn {
    /// The form of the body.
    Form,
    /// A JSON object in the body.
    Json,
    /// The query of the URI: the token may end up in the server's access log.
    Query,
    /// The Authorization header, as a bearer token: it is its own credential.
    Authorization,
}

/// The answer of RFC 7662 §2.2, or what stands in its place. Where several paths are listed, the first that
/// is there counts; of roles, all of them.
#[derive(Clone, Debug)]
pub(crate) struct AnswerDialect {
    pub(crate) active: Activity,
    /// Statuses that say the token is not good.
    pub(crate) invalid_statuses: Vec<u16>,
    /// Members that say so although the status is 200.
    pub(crate) error_members: Vec<ClaimPath>,
    /// Members that the answer for an access token always has.
    pub(crate) required_members: Vec<ClaimPath>,
    /// Members that have one of these values in the answer for an access token.
    pub(crate) required_values: Vec<(ClaimPath, Vec<String>)>,
    /// What `token_type`, `token_use` and `typ` call tokens that are not access tokens; any case.
    pub(crate) refused_token_types: Vec<String>,
    pub(crate) scope: Vec<ClaimPath>,
    /// Whether commas separate scope tokens, too.
    pub(crate) scope_commas: bool,
    pub(crate) client_id: Vec<ClaimPath>,
    pub(crate) owner: Vec<ClaimPath>,
    pub(crate) issuer: Vec<ClaimPath>,
    pub(crate) audience: Vec<ClaimPath>,
    pub(crate) roles: Vec<ClaimPath>,
    pub(crate) expires_at: Vec<ClaimPath>,
    pub(crate) expires_in: Vec<ClaimPath>,
    pub(crate) not_before: Vec<ClaimPath>,
    /// Whether points in time are RFC 3339 texts instead of seconds since the epoch.
    pub(crate) rfc3339: bool,
}

/// What says that a token is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activity {
    /// The member `active`, a boolean.
    Boolean,
    /// The member `active`, a boolean or the text of one.
    BooleanOrString,
    /// Status 200.
    Status,
}

impl Activity {
    pub(crate) const WORDS: [(&str, Self); 3] =
        [("boolean", Self::Boolean), ("boolean_or_string", Self::BooleanOrString), ("status", Self::Status)];
}

impl TokenIn {
    pub(crate) const WORDS: [(&str, Self); 4] =
        [("form", Self::Form), ("json", Self::Json), ("query", Self::Query), ("authorization", Self::Authorization)];
}
