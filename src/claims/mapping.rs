//! Where the claims of a token stand in what an authorization server sends.

use super::path::ClaimPath;

/// The paths of the claims. If several paths are listed, the first that is present is used; for roles, all are.
#[derive(Clone, Debug)]
pub(crate) struct ClaimMapping {
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
