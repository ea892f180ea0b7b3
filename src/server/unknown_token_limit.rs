//! A rate limit for unknown tokens: a token bucket for each client address, per worker. A client that invents tokens
//! cannot cause an introspection request for each of them.
//!
//! It is the generic cell rate algorithm: a bucket stores only the time at which it will be full again. The number of
//! buckets is fixed. A keyed hash of the address selects the bucket, so clients may share one, but cannot choose with
//! whom. Only the first 64 bits of an IPv6 address are used, because one client usually controls all addresses with
//! that prefix.

use siphasher::sip::SipHasher13;
use std::hash::Hasher;
use std::net::IpAddr;
use std::net::SocketAddr;

use crate::base::UnixTime;

/// The settings of the rate limit, per client address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UnknownTokenLimitSettings {
    /// The sustained rate per second; at least 1.
    pub(crate) per_second: u32,
    /// The size of a bucket; at least 1.
    pub(crate) burst: u32,
}

impl Default for UnknownTokenLimitSettings {
    fn default() -> Self {
        Self { per_second: 200, burst: 2_000 }
    }
}

/// A charge for an unknown token: the index of the bucket, if the rate limit applies.
#[derive(Debug)]
pub(crate) struct Charge(Option<usize>);

impl Charge {
    pub(crate) const NONE: Self = Self(None);
}

/// The buckets of a worker.
#[derive(Debug)]
pub(crate) struct UnknownTokenLimit {
    key: (u64, u64),
    /// When each bucket will be full again, in microseconds since the epoch.
    full_at: Vec<u64>,
    /// The time after which a bucket gains one token, in microseconds.
    interval: u64,
    /// The time after which an empty bucket is full, in microseconds.
    capacity: u64,
}

impl UnknownTokenLimit {
    /// Creates full buckets. `key` must be secret.
    pub(crate) fn new(key: (u64, u64), config: UnknownTokenLimitSettings) -> Self {
        let interval = MICROS.checked_div(u64::from(config.per_second)).unwrap_or(MICROS).max(1);
        let capacity = interval.saturating_mul(u64::from(config.burst));
        Self { key, full_at: vec![0; usize::try_from(BUCKETS).unwrap_or_default()], interval, capacity }
    }

    /// Charges the client's bucket; `None` if the bucket is empty. `address` is in the format of the host, which may
    /// include a port.
    pub(crate) fn charge(&mut self, address: &[u8], now: UnixTime) -> Option<Charge> {
        let now = now.as_millis().saturating_mul(1000);
        let hash = usize::try_from(self.hash(address) % BUCKETS).unwrap_or_default();
        let full_at = self.full_at.get_mut(hash)?;
        // A later time was stored before the clock was set back.
        let empty_at = now.saturating_add(self.capacity);
        *full_at = (*full_at).clamp(now, empty_at.max(now));
        let next = full_at.saturating_add(self.interval);
        let is_admitted = next <= empty_at;
        if is_admitted {
            *full_at = next;
        }
        is_admitted.then_some(Charge(Some(hash)))
    }

    /// Refunds a charge.
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
            // For example, the path of a Unix domain socket.
            None => hasher.write(address),
        }
        hasher.finish()
    }
}

fn ip(address: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(address).ok()?;
    text.parse::<SocketAddr>().map(|address| address.ip()).or_else(|_| text.parse()).ok()
}

/// The buckets of a worker take 32 KiB.
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
    fn clients_have_separate_bursts_and_rates() {
        let mut limit = UnknownTokenLimit::new((7, 7), CONFIG);
        let mut admit = |address, count, millis| admitted(&mut limit, address, count, millis);
        assert_eq!((admit("192.0.2.1:1234", 20, 0), admit("192.0.2.1:99", 20, 99)), (5, 0));
        assert_eq!(admit("192.0.2.2:1234", 3, 99), 3);
        assert_eq!((admit("192.0.2.1:1", 20, 100), admit("192.0.2.1:1", 20, 350)), (1, 2));
        assert_eq!(admit("192.0.2.1:1", 20, 60_000), 5);
    }

    #[test]
    fn valid_tokens_are_refunded() {
        let mut limit = UnknownTokenLimit::new((7, 7), CONFIG);
        for _ in 0..100 {
            let charge = limit.charge(b"192.0.2.1:1234", at(0)).unwrap();
            limit.refund(&charge);
        }
        assert_eq!(admitted(&mut limit, "192.0.2.1:1234", 20, 0), 5);
        limit.refund(&Charge::NONE);
        assert_eq!(admitted(&mut limit, "192.0.2.1:1234", 20, 0), 0);
    }

    #[test]
    fn ipv6_clients_share_a_bucket_per_prefix() {
        let mut limit = UnknownTokenLimit::new((7, 7), CONFIG);
        let mut admit = |address, count| admitted(&mut limit, address, count, 0);
        assert_eq!(
            (admit("[2001:db8::1]:80", 3), admit("[2001:db8::ffff:2]:81", 9), admit("[2001:db8:0:1::1]:80", 9)),
            (3, 2, 5)
        );
        assert_eq!((admit("192.0.2.1:80", 3), admit("[::ffff:192.0.2.1]:80", 9), admit("192.0.2.1", 1)), (3, 2, 0));
        assert_eq!((admit("/run/socket", 9), admit("", 9)), (5, 5));
    }

    #[test]
    fn buckets_refill_if_the_clock_is_set_back() {
        let mut limit = UnknownTokenLimit::new((7, 7), CONFIG);
        assert_eq!(admitted(&mut limit, "a", 9, 3_600_000), 5);
        assert_eq!((admitted(&mut limit, "a", 9, 0), admitted(&mut limit, "a", 9, 500)), (0, 5));
    }
}
