//! Leases: they coordinate workers, so that only one of them introspects a token.
//!
//! A worker acquires a lease on a token in shared data before it sends an introspection request. Other workers that
//! need the same token add their mailbox to the lease, and receive a message when the response is in shared data. A
//! lease is short and is renewed while the callout is pending, so a worker that disappears delays the others for at
//! most [`Lease::DURATION`].
//!
//! The host never frees a key, so the number of slots is fixed. The digest selects the slot; each slot holds several
//! leases. If a slot is full, further tokens are not coordinated, which costs additional callouts only.

use std::time::Duration;

use crate::base::UnixTime;
use crate::token::TokenDigest;

/// The right to introspect one token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lease {
    digest: [u8; TokenDigest::BYTES],
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lease(redacted)")
    }
}

/// The result of acquiring a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LeaseOutcome {
    /// The worker holds the lease once this value is written.
    Acquired(Vec<u8>),
    /// Another worker holds the lease until this time. Once this value is written, that worker sends a message when its
    /// lease ends.
    HeldElsewhere(Vec<u8>, UnixTime),
    /// No lease is available: the worker sends its callout without one.
    Uncoordinated,
}

impl Lease {
    pub(crate) fn new(digest: [u8; TokenDigest::BYTES]) -> Self {
        Self { digest }
    }

    /// The duration of a lease that is not renewed.
    pub(crate) const DURATION: Duration = Duration::from_millis(200);

    /// Returns whether a lease that was held until `until` may have ended: the time has passed, or the clock was set
    /// back, in which case no message may come.
    pub(crate) fn may_have_ended(until: UnixTime, now: UnixTime) -> bool {
        until <= now || until > now.saturating_add(Self::DURATION)
    }

    /// Returns the key of the slot in shared data.
    pub(crate) fn key(&self) -> String {
        let slot = self.digest.first_chunk().map_or(0, |first| u16::from_le_bytes(*first)) % SLOTS;
        key_of(slot)
    }

    /// Returns the keys of all slots.
    pub(crate) fn keys() -> impl Iterator<Item = String> {
        (0..SLOTS).map(key_of)
    }

    /// Returns the message that tells another worker that the lease has ended. `has_response`: whether the response is
    /// in shared data.
    pub(crate) fn message(&self, has_response: bool) -> Vec<u8> {
        let mut message = self.digest.to_vec();
        message.push(u8::from(has_response));
        message
    }

    /// Parses such a message.
    pub(crate) fn read_message(message: &[u8]) -> Option<(Self, bool)> {
        let (digest, rest) = message.split_first_chunk()?;
        matches!(rest, [0 | 1]).then(|| (Self { digest: *digest }, rest == [1]))
    }

    /// Acquires the lease for the worker with this mailbox. `found` is the current value of the slot.
    pub(crate) fn acquire(&self, found: Option<&[u8]>, mailbox: u32, now: UnixTime) -> LeaseOutcome {
        let mut slot = Slot::read(found, now);
        if let Some(held) = slot.0.iter_mut().find(|held| held.digest == self.digest) {
            if held.mailboxes.len() >= MAX_MAILBOXES {
                return LeaseOutcome::Uncoordinated;
            }
            if !held.mailboxes.contains(&mailbox) {
                held.mailboxes.push(mailbox);
            }
            let until = held.until;
            return LeaseOutcome::HeldElsewhere(slot.write(), until);
        }
        if slot.0.len() >= MAX_LEASES {
            return LeaseOutcome::Uncoordinated;
        }
        slot.0.push(HeldLease {
            digest: self.digest,
            until: now.saturating_add(Self::DURATION),
            mailboxes: Vec::new(),
        });
        LeaseOutcome::Acquired(slot.write())
    }

    /// Returns until when the lease is held; `None` if it is not.
    pub(crate) fn held_until(&self, found: Option<&[u8]>, now: UnixTime) -> Option<UnixTime> {
        Slot::read(found, now).0.iter().find(|held| held.digest == self.digest).map(|held| held.until)
    }

    /// Returns the new value of the slot that extends the lease; `None` if the lease has ended.
    pub(crate) fn renew(&self, found: Option<&[u8]>, now: UnixTime) -> Option<Vec<u8>> {
        let mut slot = Slot::read(found, now);
        let held = slot.0.iter_mut().find(|held| held.digest == self.digest)?;
        held.until = now.saturating_add(Self::DURATION);
        Some(slot.write())
    }

    /// Returns the mailboxes of the waiting workers, and the value of the slot without the lease; `None` if the lease
    /// has ended.
    pub(crate) fn release(&self, found: Option<&[u8]>, now: UnixTime) -> Option<(Vec<u32>, Vec<u8>)> {
        let mut slot = Slot::read(found, now);
        let index = slot.0.iter().position(|held| held.digest == self.digest)?;
        let held = slot.0.remove(index);
        Some((held.mailboxes, slot.write()))
    }
}

/// The leases in one slot that have not ended.
struct Slot(Vec<HeldLease>);

/// One lease. Encoding: digest, time in milliseconds, number of mailboxes, mailboxes.
struct HeldLease {
    digest: [u8; TokenDigest::BYTES],
    until: UnixTime,
    mailboxes: Vec<u32>,
}

impl Slot {
    /// Other modules with the same VM id can write any bytes. Unreadable leases are ignored.
    fn read(found: Option<&[u8]>, now: UnixTime) -> Self {
        let mut rest = found.unwrap_or_default();
        let mut leases = Vec::new();
        while let Some((held, remaining)) = HeldLease::read(rest)
            && leases.len() < MAX_LEASES
        {
            rest = remaining;
            if !Lease::may_have_ended(held.until, now) {
                leases.push(held);
            }
        }
        Self(leases)
    }

    fn write(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for held in &self.0 {
            bytes.extend_from_slice(&held.digest);
            bytes.extend_from_slice(&held.until.as_millis().to_le_bytes());
            bytes.push(u8::try_from(held.mailboxes.len()).unwrap_or(u8::MAX));
            held.mailboxes.iter().for_each(|mailbox| bytes.extend_from_slice(&mailbox.to_le_bytes()));
        }
        bytes
    }
}

impl HeldLease {
    fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (digest, rest) = bytes.split_first_chunk()?;
        let (until, rest) = rest.split_first_chunk()?;
        let (count, rest) = rest.split_first()?;
        let (mailboxes, rest) = rest.split_at_checked(usize::from(*count).saturating_mul(4))?;
        let mailboxes = mailboxes.as_chunks().0.iter().map(|mailbox| u32::from_le_bytes(*mailbox)).collect();
        let until = UnixTime::from_millis(u64::from_le_bytes(*until));
        Some((Self { digest: *digest, until, mailboxes }, rest))
    }
}

fn key_of(slot: u16) -> String {
    format!("scopegate.lease.{slot}")
}

/// The number of slots in shared data.
const SLOTS: u16 = 1024;

/// The maximum number of leases in one slot.
const MAX_LEASES: usize = 16;

/// The maximum number of workers that wait for one lease.
const MAX_MAILBOXES: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime::from_secs(1_000_000);

    fn lease(byte: u8) -> Lease {
        Lease { digest: [byte; 32] }
    }

    fn later(millis: u64) -> UnixTime {
        NOW.saturating_add(Duration::from_millis(millis))
    }

    #[test]
    fn one_worker_holds_a_lease_and_others_are_notified() {
        let LeaseOutcome::Acquired(mut slot) = lease(1).acquire(None, 7, NOW) else { panic!("free") };
        for mailbox in [8, 9, 8] {
            let LeaseOutcome::HeldElsewhere(next, until) = lease(1).acquire(Some(&slot), mailbox, later(10)) else {
                panic!("taken")
            };
            assert_eq!(until, later(200));
            slot = next;
        }
        slot = lease(1).renew(Some(&slot), later(150)).unwrap();
        assert_eq!(lease(1).held_until(Some(&slot), later(349)), Some(later(350)));
        assert_eq!(lease(1).held_until(Some(&slot), later(350)), None);
        assert!(matches!(lease(1).acquire(Some(&slot), 10, later(349)), LeaseOutcome::HeldElsewhere(..)));
        let (mailboxes, left) = lease(1).release(Some(&slot), later(349)).unwrap();
        assert_eq!((mailboxes, left.is_empty()), (vec![8, 9], true));
        assert!(matches!(lease(1).acquire(Some(b""), 8, later(20)), LeaseOutcome::Acquired(_)));
    }

    #[test]
    fn lease_of_a_lost_worker_ends() {
        let LeaseOutcome::Acquired(slot) = lease(1).acquire(None, 7, NOW) else { panic!("free") };
        assert!(matches!(lease(1).acquire(Some(&slot), 8, later(199)), LeaseOutcome::HeldElsewhere(..)));
        assert!(matches!(lease(1).acquire(Some(&slot), 8, later(200)), LeaseOutcome::Acquired(_)));
        // Acquired before the clock was set back.
        assert!(matches!(lease(1).acquire(Some(&slot), 8, UnixTime::from_secs(1)), LeaseOutcome::Acquired(_)));
        // An expired lease can be neither renewed nor released.
        assert_eq!(lease(1).renew(Some(&slot), later(200)), None);
        assert_eq!(lease(1).release(Some(&slot), later(200)), None);
    }

    #[test]
    fn lease_ends_if_the_clock_is_set_back() {
        let LeaseOutcome::Acquired(slot) = lease(1).acquire(None, 7, NOW) else { panic!("free") };
        let LeaseOutcome::HeldElsewhere(slot, until) = lease(1).acquire(Some(&slot), 8, NOW) else { panic!("taken") };
        assert!(!Lease::may_have_ended(until, NOW));
        assert!(!Lease::may_have_ended(until, later(199)));
        assert!(Lease::may_have_ended(until, later(200)));
        // The holder can no longer renew or release the lease, so the waiting worker must detect its end.
        let before = UnixTime::from_secs(1_000);
        assert_eq!((lease(1).renew(Some(&slot), before), lease(1).release(Some(&slot), before)), (None, None));
        assert!(Lease::may_have_ended(until, before));
        assert!(lease(1).held_until(Some(&slot), before).is_none());
    }

    #[test]
    fn leases_in_a_slot_are_independent_and_bounded() {
        let mut slot = Vec::new();
        for byte in 0..16 {
            let LeaseOutcome::Acquired(next) = lease(byte).acquire(Some(&slot), 7, NOW) else { panic!("free") };
            slot = next;
        }
        let LeaseOutcome::HeldElsewhere(with, _) = lease(3).acquire(Some(&slot), 8, NOW) else { panic!("taken") };
        assert_eq!(lease(16).acquire(Some(&with), 8, NOW), LeaseOutcome::Uncoordinated);
        let (mailboxes, left) = lease(3).release(Some(&with), NOW).unwrap();
        assert_eq!((mailboxes, lease(3).release(Some(&left), NOW)), (vec![8], None));
        assert!(matches!(lease(16).acquire(Some(&left), 8, NOW), LeaseOutcome::Acquired(_)));
        assert!(matches!(lease(4).acquire(Some(&left), 8, NOW), LeaseOutcome::HeldElsewhere(..)));
        assert_eq!(lease(17).renew(Some(&left), NOW), None);
    }

    #[test]
    fn invalid_slots_are_empty() {
        for bytes in [&b""[..], b"x", &[1; 39], &[1; 40], &[0xff; 45]] {
            assert!(matches!(lease(1).acquire(Some(bytes), 7, NOW), LeaseOutcome::Acquired(_)), "{bytes:?}");
        }
        let many = [&[1_u8; 32][..], &later(100).as_millis().to_le_bytes(), &[255], &[0; 4 * 255]].concat();
        assert_eq!(lease(1).acquire(Some(&many), 7, NOW), LeaseOutcome::Uncoordinated);
    }

    #[test]
    fn messages_name_lease_and_response() {
        for has_response in [true, false] {
            assert_eq!(Lease::read_message(&lease(3).message(has_response)), Some((lease(3), has_response)));
        }
        for message in [&b""[..], b"x", &[3; 32], &[3; 33], &[3; 34]] {
            assert_eq!(Lease::read_message(message), None);
        }
    }
}
