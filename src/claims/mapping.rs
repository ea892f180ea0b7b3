//! The mapping of the members of an introspection response or JWT to claims.

use super::path::ClaimPath;

/// The paths of the claims. If a list has several paths, the first path with a value is used; for roles, all paths are
/// used.
#[derive(Clone, Debug)]
pub(crate) struct ClaimMapping {
    /// Members that every introspection response for an access token has.
    pub(crate) required_members: Vec<ClaimPath>,
    /// Members that have one of these values in the introspection response for an access token.
    pub(crate) required_values: Vec<(ClaimPath, Vec<String>)>,
    /// Values of `token_type`, `token_use` and `typ` that mark tokens other than access tokens. Case-insensitive.
    pub(crate) refused_token_types: Vec<String>,
    pub(crate) scope: Vec<ClaimPath>,
    /// Whether commas separate scope tokens, in addition to spaces.
    pub(crate) scope_commas: bool,
    pub(crate) client_id: Vec<ClaimPath>,
    pub(crate) owner: Vec<ClaimPath>,
    pub(crate) issuer: Vec<ClaimPath>,
    pub(crate) audience: Vec<ClaimPath>,
    pub(crate) roles: Vec<ClaimPath>,
    pub(crate) expires_at: Vec<ClaimPath>,
    pub(crate) expires_in: Vec<ClaimPath>,
    pub(crate) not_before: Vec<ClaimPath>,
    /// Whether times are RFC 3339 strings instead of seconds since the epoch.
    pub(crate) rfc3339: bool,
}
