//! Whether a token is active, and its claims if it is.

use std::rc::Rc;

use super::claim_set::Claims;
use crate::base::UnixTime;

/// What the authorization server said of a token.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TokenState {
    Active(Rc<Claims>),
    Inactive,
}

impl TokenState {
    /// Whether the token will never be good again.
    pub(crate) fn is_over(&self, now: UnixTime) -> bool {
        match self {
            Self::Active(claims) => claims.expires_at.is_some_and(|expires_at| expires_at <= now),
            Self::Inactive => true,
        }
    }
}
