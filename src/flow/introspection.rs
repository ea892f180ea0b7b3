//! The target of an introspection request, and the state that is known before it is sent.

use std::rc::Rc;

use crate::claims::{Claims, TokenState};
use crate::server::Endpoint;

/// A pending introspection: the endpoint, and the claims of the token's verified signature.
#[derive(Debug)]
pub(super) struct Introspection {
    pub(super) endpoint: Rc<Endpoint>,
    /// The claims of a JWT whose signature was verified; `None` for other tokens.
    pub(super) signed: Option<Rc<Claims>>,
}

impl Introspection {
    /// Returns the state of the token after the response: what both the response and the signed token allow.
    pub(super) fn intersect(&self, state: TokenState) -> TokenState {
        match (state, &self.signed) {
            (TokenState::Active(claims), Some(signed)) => {
                TokenState::Active(Rc::new(Rc::unwrap_or_clone(claims).intersect(signed)))
            }
            (state, _) => state,
        }
    }
}
