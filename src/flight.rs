//! Callouts that several requests wait for: what tells one from another, and which worker sends one that several
//! workers need.
//!
//! A worker that needs to ask about a token takes a lease on it in shared data. Others who find it taken leave the
//! number of their queue there, and are woken when the answer is in shared data. A lease is short and renewed while
//! the answer is awaited, so a worker that is lost holds the others up for as long as that, and no longer.
//!
//! There is a fixed number of leases, chosen by the digest: the host never frees a key. Tokens that meet in one are
//! not coordinated, which costs a callout at most.

use std::time::Duration;

use crate::time::UnixTime;
use crate::token::TokenDigest;

/// What a callout is about. Requests whose callouts are about the same thing can share one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Flight {
    /// The authorization server's index.
    pub(crate) server: usize,
    pub(crate) subject: Subject,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// What a token is worth. `leased`: whether other workers can find the answer in shared data.
    Token { digest: [u8; TokenDigest::BYTES], leased: bool },
    /// Our own token at the server.
    OwnToken,
    /// The keys of the server.
    Keys,
}

impl Flight {
    /// The lease that workers hold it under, if it is of interest to several.
    pub fn lease(&self) -> Option<Lease> {
        match self.subject {
            Subject::Token { digest, leased: true } => Some(Lease { digest }),
            Subject::Token { leased: false, .. } | Subject::OwnToken | Subject::Keys => None,
        }
    }
}

/// The right to ask about one token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    digest: [u8; TokenDigest::BYTES],
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lease(redacted)")
    }
}

/// What a worker may do that wants to ask about a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Ask, once this is written.
    Mine(Vec<u8>),
    /// Wait, once this is written, until it is woken, or this time has passed.
    Elsewhere(Vec<u8>, UnixTime),
    /// Ask, without a lease: it is held for another token.
    Free,
}

impl Lease {
    /// How long one lasts if it is not renewed.
    pub const DURATION: Duration = Duration::from_millis(200);

    /// The key in shared data.
    pub fn key(&self) -> String {
        let slot = self.digest.first_chunk().map_or(0, |first| u16::from_le_bytes(*first)) % SLOTS;
        key_of(slot)
    }

    /// The keys of all leases.
    pub fn keys() -> impl Iterator<Item = String> {
        (0..SLOTS).map(key_of)
    }

    /// What wakes another worker: the lease is over. `answered`: whether an answer has come that counts.
    pub fn message(&self, answered: bool) -> Vec<u8> {
        let mut message = self.digest.to_vec();
        message.push(u8::from(answered));
        message
    }

    /// Reads such a message.
    pub fn read_message(message: &[u8]) -> Option<(Self, bool)> {
        let (digest, rest) = message.split_first_chunk()?;
        matches!(rest, [0 | 1]).then(|| (Self { digest: *digest }, rest == [1]))
    }

    /// Claims the lease for the worker of this queue, given what stands under the key.
    pub fn claim(&self, found: Option<&[u8]>, queue: u32, now: UnixTime) -> Claim {
        let held = found.and_then(Held::read).filter(|held| held.lasts(now));
        match held {
            None => Claim::Mine(self.held(now, Vec::new()).write()),
            Some(held) if held.digest != self.digest || held.queues.len() >= MAX_QUEUES => Claim::Free,
            Some(mut held) => {
                if !held.queues.contains(&queue) {
                    held.queues.push(queue);
                }
                Claim::Elsewhere(held.write(), held.until)
            }
        }
    }

    /// What to write to keep it; `None` if it is no longer ours to keep.
    pub fn renew(&self, found: Option<&[u8]>, now: UnixTime) -> Option<Vec<u8>> {
        let held = found.and_then(Held::read).filter(|held| held.digest == self.digest)?;
        Some(self.held(now, held.queues).write())
    }

    /// Who is to be woken when it is over; then nothing is to stand under the key. `None` if it is no longer ours.
    pub fn release(&self, found: Option<&[u8]>) -> Option<Vec<u32>> {
        found.and_then(Held::read).filter(|held| held.digest == self.digest).map(|held| held.queues)
    }

    fn held(&self, now: UnixTime, queues: Vec<u32>) -> Held {
        Held { digest: self.digest, until: now.saturating_add(Self::DURATION), queues }
    }
}

fn key_of(slot: u16) -> String {
    format!("scopegate.lease.{slot}")
}

/// A lease as it stands in shared data: digest, time in milliseconds, queues.
struct Held {
    digest: [u8; TokenDigest::BYTES],
    until: UnixTime,
    queues: Vec<u32>,
}

impl Held {
    fn read(bytes: &[u8]) -> Option<Self> {
        let (digest, rest) = bytes.split_first_chunk()?;
        let (until, queues) = rest.split_first_chunk()?;
        let (queues, []) = queues.as_chunks() else { return None };
        (queues.len() <= MAX_QUEUES).then(|| Self {
            digest: *digest,
            until: UnixTime::from_millis(u64::from_le_bytes(*until)),
            queues: queues.iter().map(|queue| u32::from_le_bytes(*queue)).collect(),
        })
    }

    fn write(&self) -> Vec<u8> {
        let mut bytes = self.digest.to_vec();
        bytes.extend_from_slice(&self.until.as_millis().to_le_bytes());
        self.queues.iter().for_each(|queue| bytes.extend_from_slice(&queue.to_le_bytes()));
        bytes
    }

    /// One that ends later than any may was taken before the clock stepped back.
    fn lasts(&self, now: UnixTime) -> bool {
        now < self.until && self.until <= now.saturating_add(Lease::DURATION)
    }
}

/// Leases; with them the keys in shared data.
const SLOTS: u16 = 1024;

/// Workers that one lease can wake.
const MAX_QUEUES: usize = 256;

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
        let Claim::Mine(mut slot) = lease(1).claim(None, 7, NOW) else { panic!("free") };
        for queue in [8, 9, 8] {
            let Claim::Elsewhere(next, until) = lease(1).claim(Some(&slot), queue, later(10)) else { panic!("taken") };
            assert_eq!(until, later(200));
            slot = next;
        }
        slot = lease(1).renew(Some(&slot), later(150)).unwrap();
        assert!(matches!(lease(1).claim(Some(&slot), 10, later(349)), Claim::Elsewhere(..)));
        assert_eq!(lease(1).release(Some(&slot)), Some(vec![8, 9]));
        assert!(matches!(lease(1).claim(Some(b""), 8, later(20)), Claim::Mine(_)));
    }

    #[test]
    fn a_worker_that_is_lost_holds_nobody_up_for_long() {
        let Claim::Mine(slot) = lease(1).claim(None, 7, NOW) else { panic!("free") };
        assert!(matches!(lease(1).claim(Some(&slot), 8, later(199)), Claim::Elsewhere(..)));
        assert!(matches!(lease(1).claim(Some(&slot), 8, later(200)), Claim::Mine(_)));
        // Taken before the clock stepped back.
        assert!(matches!(lease(1).claim(Some(&slot), 8, UnixTime::from_secs(1)), Claim::Mine(_)));
    }

    #[test]
    fn a_lease_of_another_token_is_neither_waited_for_nor_touched() {
        let Claim::Mine(slot) = lease(1).claim(None, 7, NOW) else { panic!("free") };
        assert_eq!(lease(2).claim(Some(&slot), 8, NOW), Claim::Free);
        assert_eq!(lease(2).renew(Some(&slot), NOW), None);
        assert_eq!(lease(2).release(Some(&slot)), None);
    }

    #[test]
    fn what_is_no_lease_is_none() {
        for bytes in [&b""[..], b"x", &[1; 39], &[1; 41], &[1; 43], &[0xff; 40]] {
            assert!(matches!(lease(1).claim(Some(bytes), 7, NOW), Claim::Mine(_)), "{bytes:?}");
        }
        let many = [&[1_u8; 32][..], &later(100).as_millis().to_le_bytes(), &[0; 4 * MAX_QUEUES]].concat();
        assert_eq!(lease(1).claim(Some(&many), 7, NOW), Claim::Free);
        let more = [&many[..], &[0; 4]].concat();
        assert!(matches!(lease(1).claim(Some(&more), 7, NOW), Claim::Mine(_)));
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
