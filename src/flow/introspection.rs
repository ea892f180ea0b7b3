//! What an introspection request asks, and what is already known when it is sent.

use std::rc::Rc;

use crate::claims::{Claims, TokenState};
use crate::server::Endpoint;

/// An introspection request: where it is sent, and what the token's verified signature has shown.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) endpoint: Rc<Endpoint>,
    /// The claims of a JWT whose signature was verified; `None` for other tokens.
    pub(super) signed: Option<Rc<Claims>>,
}

impl Question {
    /// The state of the token after the response: no more than both the response and the signed token allow.
    pub(super) fn intersect(&self, state: TokenState) -> TokenState {
        match (state, &self.signed) {
            (TokenState::Active(claims), Some(signed)) => {
                TokenState::Active(Rc::new(Rc::unwrap_or_clone(claims).intersect(signed)))
            }
            (state, _) => state,
        }
    }
}
