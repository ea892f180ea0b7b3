//! Leases in shared data: of several workers, one introspects a token, or fetches keys, and the others wait.
//!
//! A time that is compared with one in shared data is read after the data: otherwise a lease that another worker has just
//! taken would look as if the clock had been set back.

use std::time::Duration;

use super::epoch::number;
use crate::base::UnixTime;
use crate::cache::{Lease, LeaseOutcome};
use crate::host::{Host, MailboxId};

/// Writes the keys of all leases, unless that was done: a key that was never written cannot be updated atomically.
/// The main thread does this before any worker runs.
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

/// How long the lease of a token is held, if it is.
pub(super) fn held_until(lease: Lease, host: &impl Host) -> Option<UnixTime> {
    let found = host.shared_data(&lease.key());
    lease.held_until(found.as_deref(), host.now())
}

/// Extends the lease of a token.
pub(super) fn renew(lease: Lease, host: &impl Host) {
    host.update_shared_data(&lease.key(), &mut |found| lease.renew(found, host.now()));
}

/// Gives the lease of a token back, and wakes the workers that wait for it.
pub(super) fn release(lease: Lease, is_answered: bool, host: &impl Host) {
    let mut mailboxes = Vec::new();
    let is_released = host.update_shared_data(&lease.key(), &mut |found| {
        let (woken, left) = lease.release(found, host.now())?;
        mailboxes = woken;
        Some(left)
    });
    if is_released {
        mailboxes.iter().for_each(|mailbox| host.send_message(*mailbox, &lease.message(is_answered)));
    }
}

/// Whether this worker is the one to fetch the keys under `key` in the next `period`.
pub(super) fn acquire_for(key: &str, period: Duration, host: &impl Host) -> bool {
    host.update_shared_data(&format!("{key}.lease"), &mut |held| {
        let (until, now) = (number(held), host.now());
        let ours = now.saturating_add(period).as_millis();
        (until <= now.as_millis() || until > ours).then(|| ours.to_le_bytes().to_vec())
    })
}

const ARE_PREPARED: &str = "scopegate.leases";
