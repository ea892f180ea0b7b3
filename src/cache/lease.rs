//! Callouts that several requests wait for: what tells one from another, and which worker sends one that several
//! workers need.
//!
//! A worker that needs to ask about a token takes a lease on it in shared data. Others who find it taken leave the
//! number of their mailbox there, and are woken when the answer is in shared data. A lease is short and renewed while
//! the answer is awaited, so a worker that is lost holds the others up for as long as that, and no longer.
//!
//! There is a fixed number of slots, chosen by the digest, since the host never frees a key; each holds a number of
//! leases. Tokens that find their slot full are not coordinated, which costs a callout at most.

use std::time::Duration;

use crate::base::UnixTime;
use crate::token::TokenDigest;

/// The right to ask about one token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lease {
    digest: [u8; TokenDigest::BYTES],
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lease(redacted)")
    }
}

/// What a worker may do that wants to ask about a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LeaseOutcome {
    /// Ask, once this is written.
    Acquired(Vec<u8>),
    /// Wait, once this is written, until it is woken, or this time has passed.
    HeldElsewhere(Vec<u8>, UnixTime),
    /// Ask, without a lease: it is held for another token.
    Uncoordinated,
}

impl Lease {
    pub(crate) fn new(digest: [u8; TokenDigest::BYTES]) -> Self {
        Self { digest }
    }

    /// How long one lasts if it is not renewed.
    pub(crate) const DURATION: Duration = Duration::from_millis(200);

    /// Whether one that was held until then may be over: its time has come, or the clock has stepped back since, and
    /// nobody will say so.
    pub(crate) fn may_be_over(until: UnixTime, now: UnixTime) -> bool {
        until <= now || until > now.saturating_add(Self::DURATION)
    }

    /// The key in shared data.
    pub(crate) fn key(&self) -> String {
        let slot = self.digest.first_chunk().map_or(0, |first| u16::from_le_bytes(*first)) % SLOTS;
        key_of(slot)
    }

    /// The keys of all leases.
    pub(crate) fn keys() -> impl Iterator<Item = String> {
        (0..SLOTS).map(key_of)
    }

    /// What wakes another worker: the lease is over. `answered`: whether the answer is in shared data.
    pub(crate) fn message(&self, answered: bool) -> Vec<u8> {
        let mut message = self.digest.to_vec();
        message.push(u8::from(answered));
        message
    }

    /// Reads such a message.
    pub(crate) fn read_message(message: &[u8]) -> Option<(Self, bool)> {
        let (digest, rest) = message.split_first_chunk()?;
        matches!(rest, [0 | 1]).then(|| (Self { digest: *digest }, rest == [1]))
    }

    /// Claims the lease for the worker of this mailbox, given what stands under the key.
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
        slot.0.push(Held { digest: self.digest, until: now.saturating_add(Self::DURATION), mailboxes: Vec::new() });
        LeaseOutcome::Acquired(slot.write())
    }

    /// How long it is held as things are; `None` if it is not.
    pub(crate) fn held_until(&self, found: Option<&[u8]>, now: UnixTime) -> Option<UnixTime> {
        Slot::read(found, now).0.iter().find(|held| held.digest == self.digest).map(|held| held.until)
    }

    /// What to write to keep it; `None` if it is not there to be kept.
    pub(crate) fn renew(&self, found: Option<&[u8]>, now: UnixTime) -> Option<Vec<u8>> {
        let mut slot = Slot::read(found, now);
        let held = slot.0.iter_mut().find(|held| held.digest == self.digest)?;
        held.until = now.saturating_add(Self::DURATION);
        Some(slot.write())
    }

    /// Who is to be woken when it is over, and what to write then; `None` if it is not there to be given back.
    pub(crate) fn release(&self, found: Option<&[u8]>, now: UnixTime) -> Option<(Vec<u32>, Vec<u8>)> {
        let mut slot = Slot::read(found, now);
        let index = slot.0.iter().position(|held| held.digest == self.digest)?;
        let held = slot.0.remove(index);
        Some((held.mailboxes, slot.write()))
    }
}

/// What stands under one key: the leases that last.
struct Slot(Vec<Held>);

/// One lease: digest, time in milliseconds, number of mailboxes, mailboxes.
struct Held {
    digest: [u8; TokenDigest::BYTES],
    until: UnixTime,
    mailboxes: Vec<u32>,
}

impl Slot {
    /// Whoever else writes into shared data could have written anything: what cannot be read is not there.
    fn read(found: Option<&[u8]>, now: UnixTime) -> Self {
        let mut rest = found.unwrap_or_default();
        let mut leases = Vec::new();
        while let Some((held, left)) = Held::read(rest)
            && leases.len() < MAX_LEASES
        {
            rest = left;
            if !Lease::may_be_over(held.until, now) {
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

impl Held {
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

/// Keys in shared data.
const SLOTS: u16 = 1024;

/// Leases in one of them.
const MAX_LEASES: usize = 16;

/// Workers that one lease can wake.
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
    fn one_worker_asks_and_the_others_are_woken() {
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
    fn a_worker_that_is_lost_holds_nobody_up_for_long() {
        let LeaseOutcome::Acquired(slot) = lease(1).acquire(None, 7, NOW) else { panic!("free") };
        assert!(matches!(lease(1).acquire(Some(&slot), 8, later(199)), LeaseOutcome::HeldElsewhere(..)));
        assert!(matches!(lease(1).acquire(Some(&slot), 8, later(200)), LeaseOutcome::Acquired(_)));
        // Taken before the clock stepped back.
        assert!(matches!(lease(1).acquire(Some(&slot), 8, UnixTime::from_secs(1)), LeaseOutcome::Acquired(_)));
        // What has run out can neither be kept nor given back.
        assert_eq!(lease(1).renew(Some(&slot), later(200)), None);
        assert_eq!(lease(1).release(Some(&slot), later(200)), None);
    }

    #[test]
    fn nobody_waits_for_a_clock_that_has_stepped_back() {
        let LeaseOutcome::Acquired(slot) = lease(1).acquire(None, 7, NOW) else { panic!("free") };
        let LeaseOutcome::HeldElsewhere(slot, until) = lease(1).acquire(Some(&slot), 8, NOW) else { panic!("taken") };
        assert!(!Lease::may_be_over(until, NOW) && !Lease::may_be_over(until, later(199)));
        assert!(Lease::may_be_over(until, later(200)));
        // Who asks can neither renew the lease now nor wake anybody, so whoever waits has to notice.
        let before = UnixTime::from_secs(1_000);
        assert_eq!((lease(1).renew(Some(&slot), before), lease(1).release(Some(&slot), before)), (None, None));
        assert!(Lease::may_be_over(until, before) && lease(1).held_until(Some(&slot), before).is_none());
    }

    #[test]
    fn leases_that_share_a_slot_keep_out_of_each_others_way_and_have_a_bound() {
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
    fn what_is_no_lease_is_none() {
        for bytes in [&b""[..], b"x", &[1; 39], &[1; 40], &[0xff; 45]] {
            assert!(matches!(lease(1).acquire(Some(bytes), 7, NOW), LeaseOutcome::Acquired(_)), "{bytes:?}");
        }
        let many = [&[1_u8; 32][..], &later(100).as_millis().to_le_bytes(), &[255], &[0; 4 * 255]].concat();
        assert_eq!(lease(1).acquire(Some(&many), 7, NOW), LeaseOutcome::Uncoordinated);
    }

    #[test]
    fn a_message_says_which_lease_is_over_and_whether_there_is_an_answer() {
        for answered in [true, false] {
            assert_eq!(Lease::read_message(&lease(3).message(answered)), Some((lease(3), answered)));
        }
        for message in [&b""[..], b"x", &[3; 32], &[3; 33], &[3; 34]] {
            assert_eq!(Lease::read_message(message), None);
        }
    }
}
