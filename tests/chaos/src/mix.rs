//! Which requests are sent, in what proportion.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use scopegate_testbed::tokens::{Algorithm, Issuer, opaque, tampered};

use crate::truth::{Kind, World, Worth, wall_clock};

/// A request that is to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Shot {
    pub(crate) kind: Kind,
    pub(crate) token: Option<Arc<str>>,
    pub(crate) path: &'static str,
}

/// How many requests a second there are, and how many of them with a token that has not been seen before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rates {
    pub(crate) requests: u64,
    pub(crate) unknown: u64,
}

/// An endless row of requests.
#[derive(Debug)]
pub(crate) struct Mix {
    world: Arc<World>,
    rates: Rates,
    /// The tokens that come again and again.
    pools: Vec<(Vec<Shot>, usize)>,
    /// Which pool is next, in a fixed row with each as often as its share.
    row: Vec<usize>,
    place: usize,
    /// Tokens that come again soon, each with its time.
    later: BinaryHeap<(Reverse<Instant>, usize)>,
    shots: Vec<Option<Shot>>,
    free: Vec<usize>,
    count: u64,
    unknown: u64,
}

impl Mix {
    /// Issues the tokens.
    pub(crate) fn new(world: &Arc<World>, issuer: &Issuer, rates: Rates) -> Result<Self> {
        let mut mix = Self {
            world: Arc::clone(world),
            rates,
            pools: Vec::new(),
            row: Vec::new(),
            place: 0,
            later: BinaryHeap::new(),
            shots: Vec::new(),
            free: Vec::new(),
            count: 0,
            unknown: 0,
        };
        let lasting = |kind, scope, count| mix_pool(world, kind, "l-", scope, LASTING, count, None);
        let brief = mix_pool(world, Kind::Brief, "b-", GOOD, BRIEF, 30, None);
        let bad = mix_pool(world, Kind::Bad, "x-", GOOD, LASTING, 20, Some(Instant::now()));
        let jwts = Self::jwts(issuer)?;
        let single = |kind, path| vec![Shot { kind, token: None, path }];
        let mut swapped = lasting(Kind::OldScope, "view old", 5);
        swapped.extend(lasting(Kind::NewScope, "view new", 5));
        swapped.iter_mut().for_each(|shot| shot.path = "/swapped");
        // A pool and its share of a hundred.
        let pools = [
            (lasting(Kind::Lasting, GOOD, 300), 50),
            (lasting(Kind::Narrow, "openid", 30), 8),
            (brief, 5),
            (bad, 4),
            (jwts, 18),
            (swapped, 4),
            (single(Kind::Anonymous, "/bookings"), 7),
            (single(Kind::Public, "/healthz"), 4),
        ];
        let row: Vec<usize> =
            pools.iter().enumerate().flat_map(|(pool, (_, share))| std::iter::repeat_n(pool, *share)).collect();
        // A step that has no divisor in common with the length spreads each pool over the row.
        mix.row = (0..row.len()).map(|place| row[place * 61 % row.len()]).collect();
        mix.pools = pools.into_iter().map(|(pool, _)| (pool, 0)).collect();
        Ok(mix)
    }

    fn jwts(issuer: &Issuer) -> Result<Vec<Shot>> {
        let mut shots = Vec::new();
        let now = wall_clock();
        for number in 0..90 {
            let algorithm = if number % 2 == 0 { Algorithm::Rs256 } else { Algorithm::Es256 };
            let life = match number % 9 {
                0 | 1 => -60,
                2 => SHORT_JWT,
                _ => DAY,
            };
            let token = issuer.jwt(algorithm, number, life)?;
            let (kind, token) = match number % 9 {
                0 | 1 => (Kind::ExpiredJwt, token),
                3 | 4 => (Kind::ForgedJwt, tampered(&token)?),
                _ => (Kind::Jwt(now + life), token),
            };
            shots.push(Shot { kind, token: Some(token.into()), path: "/bookings" });
        }
        Ok(shots)
    }

    /// Every token that comes again and again, once.
    pub(crate) fn all(&self) -> impl Iterator<Item = Shot> {
        self.pools.iter().flat_map(|(pool, _)| pool.iter().cloned())
    }

    pub(crate) fn next(&mut self, now: Instant) -> Result<Shot> {
        self.count += 1;
        if self.unknown * self.rates.requests < self.count * self.rates.unknown {
            self.unknown += 1;
            return self.never_seen(now);
        }
        if self.later.peek().is_some_and(|(Reverse(due), _)| *due <= now) {
            let (_, index) = self.later.pop().context("something that is due")?;
            self.free.push(index);
            return self.shots[index].take().context("a request that is due");
        }
        self.place = (self.place + 1) % self.row.len();
        let (pool, next) = &mut self.pools[self.row[self.place]];
        *next = (*next + 1) % pool.len();
        Ok(pool[*next].clone())
    }

    fn never_seen(&mut self, now: Instant) -> Result<Shot> {
        // Its kind, how it begins, after how many milliseconds it is revoked, and when it comes again.
        let (kind, prefix, revoked, again): (_, _, _, &[u64]) = match self.unknown % 6 {
            0 => (Kind::New, "b-", None, &[100, 300, 1_500]),
            1 if self.world.stale_if_error.is_zero() => (Kind::Revoked, "b-", Some(1_000), REVOKED_AGAIN),
            1 => (Kind::Revoked, "b-", Some(1_000), REVOKED_LATE_AGAIN),
            2 => (Kind::Bad, "l-", Some(0), &[500]),
            3 | 4 => (Kind::Expired, "l-", None, &[500]),
            _ => (Kind::Random, "", None, &[]),
        };
        let token: Arc<str> = opaque(prefix, 1).pop().context("a token")?.into();
        let revoked_at = revoked.map(|millis| now + Duration::from_millis(millis));
        if kind != Kind::Random {
            // By the real clock: Envoy's may go back, but not before it.
            let expires_at = wall_clock() + if kind == Kind::Expired { -60 } else { DAY };
            let life = if prefix == "b-" { BRIEF } else { LASTING };
            let is_always_active = self.unknown % 6 == 3;
            let worth = Worth {
                scope: GOOD,
                expires_at,
                revoked_at,
                life,
                is_always_active,
                vouched_at: None,
                denied_at: None,
            };
            self.world.tokens().insert(Arc::clone(&token), worth);
        }
        let shot = Shot { kind, token: Some(token), path: "/bookings" };
        for millis in again {
            let index = self.free.pop().unwrap_or_else(|| {
                self.shots.push(None);
                self.shots.len() - 1
            });
            self.shots[index] = Some(shot.clone());
            self.later.push((Reverse(now + Duration::from_millis(*millis)), index));
        }
        Ok(shot)
    }
}

fn mix_pool(
    world: &World,
    kind: Kind,
    prefix: &str,
    scope: &'static str,
    life: Duration,
    count: usize,
    revoked_at: Option<Instant>,
) -> Vec<Shot> {
    let expires_at = wall_clock() + DAY;
    let shot = |token: String| {
        let token: Arc<str> = token.into();
        let worth =
            Worth { scope, expires_at, revoked_at, life, is_always_active: false, vouched_at: None, denied_at: None };
        world.tokens().insert(Arc::clone(&token), worth);
        Shot { kind, token: Some(token), path: "/bookings" }
    };
    opaque(prefix, count).into_iter().map(shot).collect()
}

/// `cache.max_ttl`: longer than any phase.
pub(crate) const LASTING: Duration = Duration::from_secs(50 * 60);
/// `introspection.max_ttl` of the server whose tokens begin with `b-`: shorter than any phase.
pub(crate) const BRIEF: Duration = Duration::from_secs(2);
/// When a token that is revoked after a second comes again, in milliseconds: while it is good, while it may still be
/// believed, and when it may not any more.
const REVOKED_AGAIN: &[u64] = &[500, 1_500, 4_100, 5_000];
/// Also after the cached inactive response has expired (`inactive_ttl`), but within the time in which a cached active
/// response could be used if the server were unavailable (`stale_if_error`).
const REVOKED_LATE_AGAIN: &[u64] = &[500, 1_500, 4_100, 5_000, 10_500];
const GOOD: &str = "openid view";
const DAY: i64 = 24 * 3600;
/// Shorter than the hour by which the clock jumps.
const SHORT_JWT: i64 = 1800;
