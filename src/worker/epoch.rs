//! The epoch of the cache, and updates of the shared cache.
//!
//! A worker that learns that an active token was revoked begins an epoch. Every worker then invalidates its entries of
//! revocable tokens.

use crate::cache::BucketUpdate;
use crate::host::Host;

/// Returns the number of the epoch.
pub(super) fn current(host: &impl Host) -> u64 {
    number(host.shared_data(KEY).as_deref())
}

/// Begins an epoch.
pub(super) fn begin(host: &impl Host) {
    host.update_shared_data(KEY, &mut |epoch| Some(number(epoch).wrapping_add(1).to_le_bytes().to_vec()));
}

/// Writes an update into its bucket, and returns the number of fresh entries that were evicted. Returns `None` if other
/// workers kept writing the bucket: the entry is not shared then, which costs additional callouts only.
pub(super) fn write(update: &BucketUpdate, host: &impl Host) -> Option<u32> {
    let mut evicted = 0;
    if update.is_removal() && !update.changes(host.shared_data(update.key()).as_deref()) {
        return Some(evicted);
    }
    let is_written = host.update_shared_data(update.key(), &mut |bucket| {
        let updated = update.apply(bucket);
        evicted = updated.evicted;
        Some(updated.bucket)
    });
    if !is_written && update.is_removal() {
        // A removal must not be lost. The other entries of the bucket can be restored by callouts.
        host.set_shared_data(update.key(), b"");
    }
    is_written.then_some(evicted)
}

/// Decodes a number from shared data; 0 if there is none.
pub(super) fn number(value: Option<&[u8]>) -> u64 {
    value.and_then(|value| Some(u64::from_le_bytes(*value.first_chunk()?))).unwrap_or_default()
}

const KEY: &str = "scopegate.epoch";
