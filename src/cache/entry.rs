//! One entry of the cache: the state of a token, and how long it may be used.

use super::settings::CacheSettings;
use crate::base::UnixTime;
use crate::claims::TokenState;

/// Facts about a token, and until when they count.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CacheEntry {
    pub(crate) state: TokenState,
    pub(super) expires_at: UnixTime,
}

impl CacheEntry {
    /// What was learned by a question of `since`; `None` if it is not to be kept at all. It is as old as the question:
    /// nobody knows when in the meantime the server has looked.
    pub(crate) fn new(state: TokenState, since: UnixTime, now: UnixTime, cache: &CacheSettings) -> Option<Self> {
        let (state, ends_at) = match state {
            // A server that calls an expired token active would be asked for it on every request. It will never be
            // valid again, so it is kept as what it is.
            state if state.is_over(now) && !cache.max_ttl.is_zero() => {
                (TokenState::Inactive, now.saturating_add(cache.inactive_ttl))
            }
            TokenState::Inactive => (state, now.saturating_add(cache.inactive_ttl)),
            TokenState::Active(ref claims) => {
                let until = since.saturating_add(cache.max_ttl);
                let ends_at = claims.expires_at.unwrap_or(until).min(until);
                (state, ends_at)
            }
        };
        (ends_at > now).then_some(Self { state, expires_at: ends_at })
    }

    /// When it ends.
    pub(crate) fn ends_at(&self) -> UnixTime {
        self.expires_at
    }

    /// From when on it is to be renewed if it is in use; `None` if there is nothing to be learned: the token ends with
    /// it, or needs nobody to be asked.
    pub(super) fn renew_at(&self, cache: &CacheSettings) -> Option<UnixTime> {
        let TokenState::Active(claims) = &self.state else { return None };
        let outlives = claims.expires_at.is_none_or(|expires_at| expires_at > self.expires_at);
        let window = cache.max_ttl.checked_div(RENEWAL_SHARE).unwrap_or_default();
        (outlives && self.may_be_revoked()).then(|| self.expires_at.saturating_sub(window))
    }

    /// Whether the server may be heard to say otherwise before it ends. Of a token whose signature was verified here it
    /// is not asked again before that, whether or not it was asked in the first place.
    pub(crate) fn may_be_revoked(&self) -> bool {
        matches!(&self.state, TokenState::Active(claims) if claims.verified_by.is_none())
    }

    /// Whether it has ended, and still counts while nobody can be asked. Never past the end of the token itself.
    pub(super) fn counts_while_stale(&self, now: UnixTime, cache: &CacheSettings) -> bool {
        !self.state.is_over(now) && self.expires_at <= now && self.expires_at.saturating_add(cache.stale_if_error) > now
    }

    /// Whether it still counts, by what is granted to answers of its server.
    pub(super) fn counts(&self, now: UnixTime, cache: &CacheSettings) -> bool {
        let lifetime = match self.state {
            TokenState::Active(_) => cache.max_ttl,
            TokenState::Inactive => cache.inactive_ttl,
        };
        // One that ends later than any of its kind may was written before the clock stepped back.
        self.expires_at > now && self.expires_at <= now.saturating_add(lifetime)
    }
}

/// The last fifth of the life of an entry is the time to renew it.
const RENEWAL_SHARE: u32 = 5;
