//! The requirements on every token of an authorization server, independent of rules.

use std::time::Duration;

use crate::token::ScopeStrategy;

/// The requirements on every token of an authorization server, and how its scopes are compared.
#[derive(Clone, Debug)]
pub(crate) struct TokenPolicy {
    /// The required `iss`; `None` accepts any.
    pub(crate) issuer: Option<String>,
    pub(crate) audience: Audience,
    pub(crate) scope_strategy: ScopeStrategy,
    /// The tolerance for `nbf` in the future.
    pub(crate) not_before_leeway: Duration,
}

/// Which audiences (RFC 7662 §2.2 `aud`) are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// Any audience, and none. Set explicitly in the configuration, never by default.
    Any,
    /// The token must be for one of these audiences.
    OneOf(Vec<String>),
}

/// The tolerance for tokens that were introspected: the server has just called the token active, so only the clock of
/// this machine can be late. `exp` has no tolerance.
pub(crate) const INTROSPECTED_NOT_BEFORE_LEEWAY: Duration = Duration::from_secs(5);
