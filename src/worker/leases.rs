//! Leases in shared data: one worker introspects a token or fetches keys, and the other workers wait.
//!
//! The clock is read after the shared data: otherwise a lease that another worker has just acquired would be in the
//! future, as if the clock had been set back.

use std::time::Duration;

use super::epoch::number;
use crate::base::UnixTime;
use crate::cache::{Lease, LeaseOutcome};
use crate::host::{Host, MailboxId};

/// Writes the keys of all leases once, because a key that was never written cannot be updated atomically. The main
/// thread does this before any worker runs.
pub(super) fn prepare(host: &impl Host) {
    if host.shared_data(ARE_PREPARED).is_some() {
        return;
    }
    for key in Lease::keys() {
        host.set_shared_data(&key, b"");
    }
    host.set_shared_data(ARE_PREPARED, b"1");
}

/// Tries to acquire the lease of a token for the worker with this mailbox.
pub(super) fn acquire(lease: Lease, mailbox: MailboxId, host: &impl Host) -> LeaseOutcome {
    let mut outcome = LeaseOutcome::Uncoordinated;
    let is_written = host.update_shared_data(&lease.key(), &mut |found| {
        outcome = lease.acquire(found, mailbox, host.now());
        match &outcome {
            LeaseOutcome::Acquired(value) | LeaseOutcome::HeldElsewhere(value, _) => Some(value.clone()),
            LeaseOutcome::Uncoordinated => None,
        }
    });
    if is_written { outcome } else { LeaseOutcome::Uncoordinated }
}

/// Returns until when the lease of a token is held; `None` if it is not.
pub(super) fn held_until(lease: Lease, host: &impl Host) -> Option<UnixTime> {
    let found = host.shared_data(&lease.key());
    lease.held_until(found.as_deref(), host.now())
}

/// Extends the lease of a token.
pub(super) fn renew(lease: Lease, host: &impl Host) {
    host.update_shared_data(&lease.key(), &mut |found| lease.renew(found, host.now()));
}

/// Releases the lease of a token, and notifies the workers that wait for it.
pub(super) fn release(lease: Lease, has_response: bool, host: &impl Host) {
    let mut mailboxes = Vec::new();
    let is_released = host.update_shared_data(&lease.key(), &mut |found| {
        let (woken, left) = lease.release(found, host.now())?;
        mailboxes = woken;
        Some(left)
    });
    if is_released {
        mailboxes.iter().for_each(|mailbox| host.send_message(*mailbox, &lease.message(has_response)));
    }
}

/// Acquires the right to fetch the keys under `key` for the next `period`; returns whether this worker has it.
pub(super) fn acquire_for(key: &str, period: Duration, host: &impl Host) -> bool {
    host.update_shared_data(&format!("{key}.lease"), &mut |held| {
        let (until, now) = (number(held), host.now());
        let our_end = now.saturating_add(period).as_millis();
        (until <= now.as_millis() || until > our_end).then(|| our_end.to_le_bytes().to_vec())
    })
}

const ARE_PREPARED: &str = "scopegate.leases";
