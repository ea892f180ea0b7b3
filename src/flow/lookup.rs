//! Looks a token up in the memory of the worker, then in the shared cache.

use super::gate::Context;
use super::state::Renewal;
use super::token_check::{Lookup, LookupKind, Next, Step, TokenCheck};
use crate::cache::{CacheOutcome, LocalHit, Partition};
use crate::claims::TokenState;

/// Looks the token up for the current authorization server.
pub(super) fn begin(mut check: TokenCheck, cx: &mut Context<'_>) -> Next {
    if let Some(hit) = find_local(&check, cx) {
        if hit.is_due {
            cx.state.renew(Renewal { check: check.renewal(), ends_at: hit.entry.ends_at() });
        }
        return decide_by_cache(check, hit.entry.state, cx);
    }
    match check.header() {
        // Verification by the host is faster than a lookup in the shared cache.
        Some(header) if cx.state.host_verifies && check.server().verifies_at_host(&header) => {
            cx.state.count(&mut check, CacheOutcome::Miss);
            Next::Validate(check, Some(header))
        }
        Some(_) | None => read(check, Partition::Active, cx),
    }
}

/// Returns the entry in the memory of this worker for the current authorization server.
pub(super) fn find_local(check: &TokenCheck, cx: &mut Context<'_>) -> Option<LocalHit> {
    let server = check.server();
    let hit = cx.state.cache.find(server.index, &check.token, cx.now, &server.cache(&cx.gate.cache));
    hit.filter(|hit| server.is_still_trusted(&hit.entry.state, cx.now))
}

fn read(check: TokenCheck, partition: Partition, cx: &Context<'_>) -> Next {
    let key = partition.key(check.digest(), cx.gate.cache.capacity);
    Next::Step(Step::ReadShared(Lookup { check, kind: LookupKind::Fresh(partition), key }))
}

/// Continues with a bucket from shared data.
pub(super) fn resume(mut check: TokenCheck, partition: Partition, bucket: Option<&[u8]>, cx: &mut Context<'_>) -> Next {
    let server = check.server();
    let settings = server.cache(&cx.gate.cache);
    let found = bucket.and_then(|bucket| partition.find(bucket, check.digest(), cx.now, &settings));
    match (found.filter(|entry| server.is_still_trusted(&entry.state, cx.now)), partition) {
        (Some(entry), _) => {
            cx.state.store(server, &check.token, entry.clone(), &cx.gate.cache);
            decide_by_cache(check, entry.state, cx)
        }
        (None, Partition::Active) => read(check, Partition::Inactive, cx),
        (None, Partition::Inactive) => {
            cx.state.count(&mut check, CacheOutcome::Miss);
            let header = check.header();
            Next::Validate(check, header)
        }
    }
}

fn decide_by_cache(mut check: TokenCheck, state: TokenState, cx: &Context<'_>) -> Next {
    let outcome = match state {
        TokenState::Active(_) => CacheOutcome::Hit,
        TokenState::Inactive => CacheOutcome::InactiveHit,
    };
    cx.state.count(&mut check, outcome);
    Next::Decide(check, state)
}
