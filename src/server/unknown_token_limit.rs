//! How many unknown tokens a client may have looked up: a token bucket for each client address and worker, so that
//! somebody who makes tokens up cannot have the authorization server asked about all of them.
//!
//! The generic cell rate algorithm: of each bucket only the time is kept at which it will be full again. There is a
//! fixed number of buckets; a keyed hash of the address says which one it is, so clients may share one, and nobody can
//! choose with whom. Of an IPv6 address the first 64 bits count: whoever has one has all of them.

use siphasher::sip::SipHasher13;
use std::hash::Hasher;
use std::net::IpAddr;
use std::net::SocketAddr;

use crate::base::UnixTime;

/// How many, for each client address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UnknownTokenLimitSettings {
    /// In the long run; at least 1.
    pub(crate) per_second: u32,
    /// At once, after a while without any; at least 1.
    pub(crate) burst: u32,
}

impl Default for UnknownTokenLimitSettings {
    fn default() -> Self {
        Self { per_second: 200, burst: 2_000 }
    }
}

/// What a client was charged: the bucket that it came out of, if it came out of one.
#[derive(Debug)]
pub(crate) struct Charge(Option<usize>);

impl Charge {
    pub(crate) const NOTHING: Self = Self(None);
}

/// The buckets of a worker.
#[derive(Debug)]
pub(crate) struct UnknownTokenLimit {
    key: (u64, u64),
    /// When each will be full again, in microseconds since the epoch.
    full_at: Vec<u64>,
    /// After which time there is one more in it, in microseconds.
    interval: u64,
    /// How long an empty one takes to fill, in microseconds.
    capacity: u64,
}

impl UnknownTokenLimit {
    /// Full buckets. Nobody else may know `key`.
    pub(crate) fn new(key: (u64, u64), config: UnknownTokenLimitSettings) -> Self {
        let interval = MICROS.checked_div(u64::from(config.per_second)).unwrap_or(MICROS).max(1);
        let capacity = interval.saturating_mul(u64::from(config.burst));
        Self { key, full_at: vec![0; usize::try_from(BUCKETS).unwrap_or_default()], interval, capacity }
    }

    /// Takes one out of the client's bucket; `None` if there is none in it. `address` is as the host writes it, with a
    /// port perhaps.
    pub(crate) fn charge(&mut self, address: &[u8], now: UnixTime) -> Option<Charge> {
        let now = now.as_millis().saturating_mul(1000);
        let hash = usize::try_from(self.hash(address) % BUCKETS).unwrap_or_default();
        let full_at = self.full_at.get_mut(hash)?;
        // One that would take longer to fill than it can was emptied before the clock stepped back.
        let empty_at = now.saturating_add(self.capacity);
        *full_at = (*full_at).clamp(now, empty_at.max(now));
        let next = full_at.saturating_add(self.interval);
        let is_admitted = next <= empty_at;
        if is_admitted {
            *full_at = next;
        }
        is_admitted.then_some(Charge(Some(hash)))
    }

    /// Puts one back.
    pub(crate) fn refund(&mut self, charge: &Charge) {
        if let Some(full_at) = charge.0.and_then(|bucket| self.full_at.get_mut(bucket)) {
            *full_at = full_at.saturating_sub(self.interval);
        }
    }

    fn hash(&self, address: &[u8]) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(self.key.0, self.key.1);
        match ip(address).map(|ip| ip.to_canonical()) {
            Some(IpAddr::V4(ip)) => hasher.write(&ip.octets()),
            Some(IpAddr::V6(ip)) => hasher.write(ip.octets().get(..8).unwrap_or_default()),
            // A socket in the file system, for example.
            None => hasher.write(address),
        }
        hasher.finish()
    }
}

fn ip(address: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(address).ok()?;
    text.parse::<SocketAddr>().map(|address| address.ip()).or_else(|_| text.parse()).ok()
}

/// 32 KiB in each worker.
const BUCKETS: u64 = 4096;

const MICROS: u64 = 1_000_000;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const CONFIG: UnknownTokenLimitSettings = UnknownTokenLimitSettings { per_second: 10, burst: 5 };

    fn at(millis: u64) -> UnixTime {
        UnixTime::from_millis(1_000_000_000).saturating_add(Duration::from_millis(millis))
    }

    fn admitted(limit: &mut UnknownTokenLimit, address: &str, count: usize, millis: u64) -> usize {
        (0..count).filter(|_| limit.charge(address.as_bytes(), at(millis)).is_some()).count()
    }

    #[test]
    fn a_client_has_its_burst_and_then_its_rate_and_no_other_pays_for_it() {
        let mut limit = UnknownTokenLimit::new((7, 7), CONFIG);
        let mut of = |address, count, millis| admitted(&mut limit, address, count, millis);
        assert_eq!((of("192.0.2.1:1234", 20, 0), of("192.0.2.1:99", 20, 99)), (5, 0));
        assert_eq!(of("192.0.2.2:1234", 3, 99), 3);
        assert_eq!((of("192.0.2.1:1", 20, 100), of("192.0.2.1:1", 20, 350)), (1, 2));
        assert_eq!(of("192.0.2.1:1", 20, 60_000), 5);
    }

    #[test]
    fn what_turns_out_to_be_good_costs_nothing() {
        let mut limit = UnknownTokenLimit::new((7, 7), CONFIG);
        for _ in 0..100 {
            let charge = limit.charge(b"192.0.2.1:1234", at(0)).unwrap();
            limit.refund(&charge);
        }
        assert_eq!(admitted(&mut limit, "192.0.2.1:1234", 20, 0), 5);
        limit.refund(&Charge::NOTHING);
        assert_eq!(admitted(&mut limit, "192.0.2.1:1234", 20, 0), 0);
    }

    #[test]
    fn an_ipv6_client_is_known_by_its_network_and_an_ipv4_client_by_any_spelling() {
        let mut limit = UnknownTokenLimit::new((7, 7), CONFIG);
        let mut of = |address, count| admitted(&mut limit, address, count, 0);
        assert_eq!(
            (of("[2001:db8::1]:80", 3), of("[2001:db8::ffff:2]:81", 9), of("[2001:db8:0:1::1]:80", 9)),
            (3, 2, 5)
        );
        assert_eq!((of("192.0.2.1:80", 3), of("[::ffff:192.0.2.1]:80", 9), of("192.0.2.1", 1)), (3, 2, 0));
        assert_eq!((of("/run/socket", 9), of("", 9)), (5, 5));
    }

    #[test]
    fn a_clock_that_steps_back_empties_no_bucket_for_longer_than_it_takes_to_fill() {
        let mut limit = UnknownTokenLimit::new((7, 7), CONFIG);
        assert_eq!(admitted(&mut limit, "a", 9, 3_600_000), 5);
        assert_eq!((admitted(&mut limit, "a", 9, 0), admitted(&mut limit, "a", 9, 500)), (0, 5));
    }
}
