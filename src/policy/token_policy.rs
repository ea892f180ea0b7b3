//! Which tokens of an authorization server are accepted at all, whatever a rule requires.

use std::time::Duration;

use crate::token::ScopeStrategy;

/// What every token of an authorization server must meet, and how its scope is compared.
#[derive(Clone, Debug)]
pub(crate) struct TokenPolicy {
    /// The required `iss`; `None` accepts any.
    pub(crate) issuer: Option<String>,
    pub(crate) audience: Audience,
    pub(crate) scope_strategy: ScopeStrategy,
    /// How far `nbf` may lie in the future.
    pub(crate) not_before_leeway: Duration,
}

/// Which audiences (RFC 7662 §2.2 `aud`) are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// Every one, and none. Said in the configuration, never implied.
    Any,
    /// A token must be meant for one of these.
    OneOf(Vec<String>),
}

/// For tokens that were introspected: the authorization server has just called the token active, so it can only
/// disagree because the clock of this machine is late. `exp` has no such tolerance.
pub(crate) const INTROSPECTED_NOT_BEFORE_LEEWAY: Duration = Duration::from_secs(5);
