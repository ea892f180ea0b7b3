//! The end of a token check: the decision, based on the state of the token.

use super::gate::Context;
use super::token_check::{Decision, Next, Step, TokenCheck};
use crate::claims::TokenState;
use crate::decision::Denial;
use crate::policy::{authorize, forward};

/// Decides by the state of the token at the current authorization server.
pub(super) fn decide(mut check: TokenCheck, state: TokenState, cx: &mut Context<'_>) -> Next {
    if let (TokenState::Active(_), Some(charge)) = (&state, check.charge.take()) {
        cx.state.refund(&charge);
    }
    let TokenState::Active(claims) = state else { return Next::Advance(check) };
    let server = check.server();
    match authorize(&check.rule, &cx.gate.applications, (server.index, &server.config.tokens), &claims, cx.now) {
        Ok(permit) => {
            let forward = forward(&cx.gate.upstream, permit, &server.config.name, &claims.forwarded, None);
            Next::Step(Step::Done(Decision::Forward(forward)))
        }
        // Expired tokens are cached as inactive, so the decision must be that of an inactive token.
        Err(Denial::Expired) => check.reject(Denial::Expired),
        Err(denial) => cx.gate.refuse_by(denial, &check.rule, Some(server.index)),
    }
}

/// Refuses the request: no authorization server has accepted the token.
pub(super) fn refuse(check: &TokenCheck, cx: &Context<'_>) -> Next {
    let denial = match (check.error, check.refusal) {
        (Some(error), _) => Denial::Unavailable(error),
        (None, Some(refusal)) => refusal,
        (None, None) => Denial::Inactive,
    };
    cx.gate.refuse_by(denial, &check.rule, None)
}
