//! Keeps what was learned of a token, in the memory of the worker and for the shared cache.

use super::gate::Context;
use super::states::TokenCheck;
use crate::base::UnixTime;
use crate::cache::{BucketUpdate, CacheEntry};
use crate::claims::TokenState;

/// Keeps the state of a token in the memory of this worker, and returns the entry. `since`: when the callout was sent that
/// the state was learned by.
pub(super) fn keep_local(
    check: &TokenCheck,
    state: &TokenState,
    since: UnixTime,
    cx: &mut Context<'_>,
) -> Option<CacheEntry> {
    let server = check.server();
    let entry = CacheEntry::new(state.clone(), since, cx.now, &server.cache(&cx.gate.cache));
    let is_overtaken = |entry: &CacheEntry| entry.may_be_revoked() && cx.state.cache.is_overtaken(since, cx.now);
    let Some(entry) = entry.filter(|entry| !is_overtaken(entry)) else {
        cx.state.cache.forget(server.index, &check.token);
        return None;
    };
    cx.state.keep(server, &check.token, entry.clone(), &cx.gate.cache);
    Some(entry)
}

/// The update of the shared cache that puts an entry in.
pub(super) fn insertion(check: &TokenCheck, entry: &CacheEntry, cx: &Context<'_>) -> Option<BucketUpdate> {
    BucketUpdate::new(entry, *check.digest(), cx.now, &cx.gate.cache)
}

/// The update of the shared cache that removes the entry of an active token.
pub(super) fn removal(check: &TokenCheck, cx: &Context<'_>) -> BucketUpdate {
    BucketUpdate::removal(*check.digest(), cx.now, &cx.gate.cache)
}
