//! Stores the state of a token in the memory of the worker and in the shared cache.

use super::gate::Context;
use super::token_check::TokenCheck;
use crate::base::UnixTime;
use crate::cache::{BucketUpdate, CacheEntry};
use crate::claims::TokenState;

/// Stores the state of a token in the memory of this worker, and returns the entry. `sent_at` is when the callout was
/// sent that returned the state.
pub(super) fn store_local(
    check: &TokenCheck,
    state: &TokenState,
    sent_at: UnixTime,
    cx: &mut Context<'_>,
) -> Option<CacheEntry> {
    let server = check.server();
    let entry = CacheEntry::new(state.clone(), sent_at, cx.now, &server.cache(&cx.gate.cache));
    let is_overtaken = |entry: &CacheEntry| entry.may_be_revoked() && cx.state.cache.is_overtaken(sent_at, cx.now);
    let Some(entry) = entry.filter(|entry| !is_overtaken(entry)) else {
        cx.state.cache.remove(server.index, &check.token);
        return None;
    };
    cx.state.store(server, &check.token, entry.clone(), &cx.gate.cache);
    Some(entry)
}

/// Returns the update that stores an entry in the shared cache.
pub(super) fn insertion(check: &TokenCheck, entry: &CacheEntry, cx: &Context<'_>) -> Option<BucketUpdate> {
    BucketUpdate::new(entry, *check.digest(), cx.now, &cx.gate.cache)
}

/// Returns the update that removes the entry of an active token from the shared cache.
pub(super) fn removal(check: &TokenCheck, cx: &Context<'_>) -> BucketUpdate {
    BucketUpdate::removal(*check.digest(), cx.now, &cx.gate.cache)
}
