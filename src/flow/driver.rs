//! The driver of the state machine: the only place where one phase leads to another.
//!
//! ```text
//! begin ─▶ look up ─▶ validate ─▶ verify ─▶ introspect ─▶ decide ─▶ done
//!             ▲           │         │ ▲          │           │
//!             │           └─────────┼─┼──────────┤           │ another authorization server
//!             │                     ▼ │          ▼           │ may accept the token
//!             │                 fetch keys    callout        │
//!             └──────────────────────────────────────────────┘
//! ```

use std::rc::Rc;

use super::call::{self, CompletedCallout};
use super::gate::Context;
use super::introspection::Introspection;
use super::state::Renewal;
use super::token_check::{Call, Lookup, LookupKind, Next, Step, Verification};
use super::{decide, lookup, renewal, stale, verification};
use crate::base::UnixTime;
use crate::cache::BucketUpdate;
use crate::decision::Denial;
use crate::host::{CalloutError, CalloutResult, SignatureVerdict};
use crate::request::RequestHead;

/// Begins the check of a request.
pub(crate) fn begin(head: RequestHead<'_>, cx: &mut Context<'_>) -> Step {
    run(cx.gate.begin(head), cx)
}

/// Continues with a bucket from shared data.
pub(crate) fn resume_lookup(lookup: Lookup, bucket: Option<&[u8]>, cx: &mut Context<'_>) -> Step {
    let next = match lookup.kind {
        LookupKind::Fresh(partition) => lookup::resume(lookup.check, partition, bucket, cx),
        LookupKind::Stale(candidate, rest) => stale::resume(lookup.check, (candidate, rest), bucket, cx),
    };
    run(next, cx)
}

/// Continues with the host's verdict on a signature. Also returns an update of the shared cache, if any.
pub(crate) fn resume_verification(
    verification: Verification,
    verdict: SignatureVerdict,
    cx: &mut Context<'_>,
) -> (Option<BucketUpdate>, Step) {
    let (update, next) = verification::resume(verification, verdict, cx);
    (update, run(next, cx))
}

/// Continues with the result of a callout that was sent at `sent_at`.
pub(crate) fn resume_call(
    call: Call,
    result: CalloutResult<'_>,
    sent_at: UnixTime,
    cx: &mut Context<'_>,
) -> (CompletedCallout, Step) {
    let (completed, next) = call::resume(call, result, sent_at, cx);
    (completed, run(next, cx))
}

/// Looks the token up again, because another request or worker may have cached a response.
pub(crate) fn retry_lookup(mut call: Call, cx: &mut Context<'_>) -> Step {
    call.check.is_counted = true;
    run(Next::LookUp(call.check), cx)
}

/// Refuses a request whose client has sent too many unknown tokens.
pub(crate) fn refuse_client(call: &Call, cx: &mut Context<'_>) -> Step {
    run(cx.gate.refuse_by(Denial::TooManyUnknownTokens, &call.check.rule, None), cx)
}

/// Gives up a callout because too many requests are waiting.
pub(crate) fn reject_overloaded(call: Call, cx: &mut Context<'_>) -> Step {
    run(call.check.give_up(CalloutError::Overloaded), cx)
}

/// Continues a renewal with a bucket from shared data. Returns `None` if no callout is needed.
pub(crate) fn renew(renewal: Renewal, bucket: Option<&[u8]>, cx: &mut Context<'_>) -> Option<Call> {
    match run(renewal::resume(renewal, bucket, cx)?, cx) {
        Step::Call(call) => Some(call),
        Step::Done(_) | Step::ReadShared(_) | Step::VerifySignature(_) => None,
    }
}

fn run(mut next: Next, cx: &mut Context<'_>) -> Step {
    loop {
        next = match next {
            Next::Step(step) => return step,
            Next::LookUp(check) => lookup::begin(check, cx),
            Next::Advance(check) => check.advance(),
            Next::Validate(check, header) => {
                let server = Rc::clone(check.server());
                match (&server.config.jwt, header, &server.config.introspection) {
                    (Some(jwt), Some(header), _) => Next::Verify { check, jwt: Rc::clone(jwt), header, fetched: false },
                    (_, _, Some(endpoint)) => {
                        Next::Introspect(check, Introspection { endpoint: Rc::clone(endpoint), signed: None })
                    }
                    (Some(_), None, None) => check.reject(Denial::MalformedJwt),
                    (None, _, None) => Next::Advance(check),
                }
            }
            Next::Verify { check, jwt, header, fetched } => verification::begin(check, jwt, &header, fetched, cx),
            Next::FetchKeys(check, jwt) => call::fetch_keys(check, jwt, cx),
            Next::Introspect(check, introspection) => call::introspect(check, introspection, cx),
            Next::Decide(check, state) => decide::decide(check, state, cx),
            Next::Exhausted(check) => stale::begin(check, cx),
        };
    }
}
