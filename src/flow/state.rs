//! The mutable state that all requests of a worker share.

use std::rc::Rc;

use super::counters::{Counter, Counters};
use super::token_check::TokenCheck;
use crate::base::{SeededRandom, UnixTime};
use crate::cache::{CacheEntry, CacheOutcome, CacheSettings, LocalCache};
use crate::server::{Charge, Server, UnknownTokenLimit, UnknownTokenLimitSettings};
use crate::token::AccessToken;

/// The mutable state of a worker.
#[derive(Debug)]
pub(crate) struct State {
    pub(super) cache: LocalCache,
    pub(crate) counters: Rc<Counters>,
    pub(super) random: SeededRandom,
    unknown_tokens: Option<UnknownTokenLimit>,
    renewals: Vec<Renewal>,
    /// Whether the host verifies signatures; `false` once it has rejected a supported one.
    pub(super) host_verifies: bool,
}

/// The renewal of an entry that expires soon. No request waits for it.
#[derive(Debug)]
pub(crate) struct Renewal {
    pub(super) check: TokenCheck,
    pub(super) ends_at: UnixTime,
}

impl State {
    /// `seed` must be random and different in every worker and configuration.
    pub(crate) fn new(
        seed: [u8; 32],
        capacity: u32,
        limit: Option<UnknownTokenLimitSettings>,
        counters: Rc<Counters>,
    ) -> Self {
        let mut random = SeededRandom::new(seed);
        Self {
            cache: LocalCache::new(random.next_key(), capacity),
            counters,
            unknown_tokens: limit.map(|limit| UnknownTokenLimit::new(random.next_key(), limit)),
            renewals: Vec::new(),
            host_verifies: true,
            random,
        }
    }

    /// Invalidates the entries of revocable tokens if the epoch has changed.
    pub(crate) fn enter_epoch(&mut self, epoch: u64, now: UnixTime) {
        self.cache.enter_epoch(epoch, now);
    }

    /// Schedules the renewal of an entry.
    pub(super) fn renew(&mut self, renewal: Renewal) {
        if self.renewals.len() < MAX_RENEWALS {
            self.renewals.push(renewal);
        }
    }

    /// Takes the scheduled renewals.
    pub(crate) fn take_renewals(&mut self) -> Vec<Renewal> {
        std::mem::take(&mut self.renewals)
    }

    /// Counts the outcome of a cache lookup, once per server and request.
    pub(super) fn count(&self, check: &mut TokenCheck, outcome: CacheOutcome) {
        if !std::mem::replace(&mut check.is_counted, true) {
            self.counters.count(Counter::Cache(outcome));
        }
    }

    /// Stores an entry in the memory of this worker.
    pub(super) fn store(&mut self, server: &Server, token: &AccessToken, entry: CacheEntry, settings: &CacheSettings) {
        self.cache.insert(server.index, token, entry, &server.cache(settings));
    }

    /// Charges a client for an unknown token; `None` if it has exceeded its limit.
    pub(super) fn charge(&mut self, client: &[u8], now: UnixTime) -> Option<Charge> {
        match &mut self.unknown_tokens {
            Some(limit) => limit.charge(client, now),
            None => Some(Charge::NONE),
        }
    }

    /// Refunds the charge for a token that turned out to be active.
    pub(super) fn refund(&mut self, charge: &Charge) {
        if let Some(limit) = &mut self.unknown_tokens {
            limit.refund(charge);
        }
    }
}

/// The maximum number of scheduled renewals. Further entries are scheduled at their next use.
const MAX_RENEWALS: usize = 64;
