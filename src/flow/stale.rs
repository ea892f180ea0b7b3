//! Stale entries of the shared cache, for use while the authorization server is unavailable (`cache.stale_if_error`).
//!
//! - Only entries of the shared cache are used, because an inactive response removes the entry there.
//! - They are used only if the server is unavailable: not after an invalid response, and not if clients have caused
//!   that no callout could be sent.
//! - They are used for a limited time, and never after the token has expired.

use std::vec;

use super::counters::Counter;
use super::decide::refuse;
use super::gate::Context;
use super::token_check::{Candidate, Decision, Lookup, LookupKind, Next, Step, TokenCheck};
use crate::cache::{CacheEntry, CacheOutcome, Partition};
use crate::claims::TokenState;
use crate::decision::Denial;
use crate::policy::{authorize, forward};

/// Looks for stale entries, if `cache.stale_if_error` is set.
pub(super) fn begin(mut check: TokenCheck, cx: &Context<'_>) -> Next {
    if cx.gate.cache.stale_if_error.is_zero() {
        return refuse(&check, cx);
    }
    let unavailable = std::mem::take(&mut check.unavailable).into_iter();
    look_for_next(check, unavailable, cx)
}

fn look_for_next(check: TokenCheck, mut rest: vec::IntoIter<Candidate>, cx: &Context<'_>) -> Next {
    let Some(candidate) = rest.next() else { return refuse(&check, cx) };
    let key = Partition::Active.key(candidate.digest(&check.token), cx.gate.cache.capacity);
    Next::Step(Step::ReadShared(Lookup { check, kind: LookupKind::Stale(candidate, rest), key }))
}

/// Continues with a bucket from shared data.
pub(super) fn resume(
    check: TokenCheck,
    (candidate, rest): (Candidate, vec::IntoIter<Candidate>),
    bucket: Option<&[u8]>,
    cx: &mut Context<'_>,
) -> Next {
    let server = &candidate.server;
    let settings = server.cache(&cx.gate.cache);
    let digest = candidate.digest(&check.token);
    let found = bucket.and_then(|bucket| Partition::Active.find_stale(bucket, digest, cx.now, &settings));
    match found.filter(|entry| server.is_still_trusted(&entry.state, cx.now)) {
        Some(entry) => decide(&check, &candidate, &entry, cx),
        None => look_for_next(check, rest, cx),
    }
}

fn decide(check: &TokenCheck, candidate: &Candidate, entry: &CacheEntry, cx: &Context<'_>) -> Next {
    let TokenState::Active(claims) = &entry.state else { return refuse(check, cx) };
    let server = &candidate.server;
    match authorize(&check.rule, &cx.gate.applications, (server.index, &server.config.tokens), claims, cx.now) {
        Ok(permit) => {
            cx.state.counters.count(Counter::Cache(CacheOutcome::Stale));
            let stale = Some(cx.now.saturating_since(entry.ends_at()));
            let forward = forward(&cx.gate.upstream, permit, &server.config.name, &claims.forwarded, stale);
            Next::Step(Step::Done(Decision::Forward(forward)))
        }
        Err(Denial::Expired) => refuse(check, cx),
        Err(denial) => cx.gate.refuse_by(denial, &check.rule, Some(server.index)),
    }
}
