//! A cache entry: the state of a token and its expiry.

use super::settings::CacheSettings;
use crate::base::UnixTime;
use crate::claims::TokenState;

/// The cached state of a token, and when the entry expires.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CacheEntry {
    pub(crate) state: TokenState,
    pub(super) expires_at: UnixTime,
}

impl CacheEntry {
    /// Creates the entry for a state that was requested at `sent_at`; `None` if it must not be cached. The TTL starts
    /// at `sent_at`, because the server may have looked the token up at any time since.
    pub(crate) fn new(state: TokenState, sent_at: UnixTime, now: UnixTime, cache: &CacheSettings) -> Option<Self> {
        let (state, ends_at) = match state {
            // Some servers call an expired token active. It is cached as inactive, or each request would send a
            // callout.
            state if state.is_over(now) && !cache.max_ttl.is_zero() => {
                (TokenState::Inactive, now.saturating_add(cache.inactive_ttl))
            }
            TokenState::Inactive => (state, now.saturating_add(cache.inactive_ttl)),
            TokenState::Active(ref claims) => {
                let until = sent_at.saturating_add(cache.max_ttl);
                let ends_at = claims.expires_at.unwrap_or(until).min(until);
                (state, ends_at)
            }
        };
        (ends_at > now).then_some(Self { state, expires_at: ends_at })
    }

    /// Returns when the entry expires.
    pub(crate) fn ends_at(&self) -> UnixTime {
        self.expires_at
    }

    /// Returns when a renewal of the entry is due, if the entry is in use. `None` if a renewal is useless: the token
    /// expires with the entry, or was verified without a callout.
    pub(super) fn renew_at(&self, cache: &CacheSettings) -> Option<UnixTime> {
        let TokenState::Active(claims) = &self.state else { return None };
        let outlives_entry = claims.expires_at.is_none_or(|expires_at| expires_at > self.expires_at);
        let window = cache.max_ttl.checked_div(RENEWAL_SHARE).unwrap_or_default();
        (outlives_entry && self.may_be_revoked()).then(|| self.expires_at.saturating_sub(window))
    }

    /// Returns whether the token may be revoked before the entry expires. JWTs that were verified here are exempt: no
    /// callout would detect their revocation before the entry expires, whether or not `jwt` also introspects them.
    pub(crate) fn may_be_revoked(&self) -> bool {
        matches!(&self.state, TokenState::Active(claims) if claims.verified_by.is_none())
    }

    /// Returns whether the entry has expired and may be used while the authorization server is unavailable
    /// (`cache.stale_if_error`). Never after the token itself has expired.
    pub(super) fn is_usable_stale(&self, now: UnixTime, cache: &CacheSettings) -> bool {
        !self.state.is_over(now) && self.expires_at <= now && self.expires_at.saturating_add(cache.stale_if_error) > now
    }

    /// Returns whether the entry is fresh. An entry cannot expire later than the current TTL allows.
    pub(super) fn is_fresh(&self, now: UnixTime, cache: &CacheSettings) -> bool {
        let lifetime = match self.state {
            TokenState::Active(_) => cache.max_ttl,
            TokenState::Inactive => cache.inactive_ttl,
        };
        // An entry that expires too late was written before the clock was set back.
        self.expires_at > now && self.expires_at <= now.saturating_add(lifetime)
    }
}

/// An entry is due for renewal in the last fifth of its TTL.
const RENEWAL_SHARE: u32 = 5;
