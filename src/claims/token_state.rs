//! The state of a token: active, with its claims, or inactive.

use std::rc::Rc;

use super::claim_set::Claims;
use crate::base::UnixTime;

/// The state of a token, as stated by the authorization server or a verified JWT.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TokenState {
    Active(Rc<Claims>),
    Inactive,
}

impl TokenState {
    /// Returns whether the token is inactive or has expired. It does not become valid again.
    pub(crate) fn is_over(&self, now: UnixTime) -> bool {
        match self {
            Self::Active(claims) => claims.expires_at.is_some_and(|expires_at| expires_at <= now),
            Self::Inactive => true,
        }
    }
}
