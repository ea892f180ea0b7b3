//! Renews entries that are in use before they expire, so that no request waits for a callout.
//!
//! A use shortly before the expiry schedules the renewal; unused entries expire. The old entry is used until the
//! response arrives, and not after its expiry.

use super::gate::{Context, Gate};
use super::state::Renewal;
use super::token_check::Next;
use crate::cache::Partition;

impl Renewal {
    /// Returns the key to read in shared data: another worker may have renewed the entry.
    pub(crate) fn key(&self, gate: &Gate) -> String {
        Partition::Active.key(self.check.digest(), gate.cache.capacity)
    }
}

/// Continues with a bucket from shared data; `None` if another worker has renewed the entry.
pub(super) fn resume(renewal: Renewal, bucket: Option<&[u8]>, cx: &mut Context<'_>) -> Option<Next> {
    let Renewal { check, ends_at } = renewal;
    let server = check.server();
    let settings = server.cache(&cx.gate.cache);
    let found = bucket.and_then(|bucket| Partition::Active.find(bucket, check.digest(), cx.now, &settings));
    if let Some(newer) = found.filter(|entry| entry.ends_at() > ends_at) {
        cx.state.store(server, &check.token, newer, &cx.gate.cache);
        return None;
    }
    Some(Next::Validate(check, None))
}
