//! An authorization server and its state in one worker.

use std::cell::{Ref, RefCell, RefMut};

use super::client_token::ClientToken;
use super::failover::Failover;
use super::jwks::store::JwksStore;
use super::settings::ServerSettings;
use crate::base::UnixTime;
use crate::cache::CacheSettings;
use crate::claims::TokenState;
use crate::jose::Header;
use crate::token::DigestKey;

/// An authorization server: its settings, and its state in this worker. No borrow of the state outlives the expression
/// that creates it.
#[derive(Debug)]
pub(crate) struct Server {
    /// The index of the server in the configuration.
    pub(crate) index: usize,
    pub(crate) config: ServerSettings,
    pub(crate) digest_key: DigestKey,
    client_token: RefCell<ClientToken>,
    keys: RefCell<JwksStore>,
    failover: RefCell<Failover>,
}

impl Server {
    /// `fingerprint` identifies the configuration, `index` the server in it.
    pub(crate) fn new(index: usize, config: ServerSettings, fingerprint: &[u8; 32]) -> Self {
        Self {
            index,
            digest_key: DigestKey::new(fingerprint, index),
            client_token: RefCell::default(),
            keys: RefCell::default(),
            failover: RefCell::new(Failover::new(config.clusters, config.circuit_breaker)),
            config,
        }
    }

    /// Returns the gateway's own access token at this server.
    pub(crate) fn client_token(&self) -> Ref<'_, ClientToken> {
        self.client_token.borrow()
    }

    pub(crate) fn client_token_mut(&self) -> RefMut<'_, ClientToken> {
        self.client_token.borrow_mut()
    }

    /// Returns the keys that verify JWTs of this server.
    pub(crate) fn keys(&self) -> Ref<'_, JwksStore> {
        self.keys.borrow()
    }

    pub(crate) fn keys_mut(&self) -> RefMut<'_, JwksStore> {
        self.keys.borrow_mut()
    }

    /// Returns the state of the server's clusters.
    pub(crate) fn failover(&self) -> Ref<'_, Failover> {
        self.failover.borrow()
    }

    pub(crate) fn failover_mut(&self) -> RefMut<'_, Failover> {
        self.failover.borrow_mut()
    }

    /// Returns the cache settings with the TTL of this server.
    pub(crate) fn cache(&self, cache: &CacheSettings) -> CacheSettings {
        let max_ttl = self.config.max_ttl.map_or(cache.max_ttl, |max_ttl| max_ttl.min(cache.max_ttl));
        CacheSettings { max_ttl, ..*cache }
    }

    /// Returns whether the host can verify a token with this header, and no introspection is configured.
    pub(crate) fn verifies_at_host(&self, header: &Header) -> bool {
        let native = header.algorithm().is_some_and(|algorithm| algorithm.host_hash().is_some());
        native && self.config.jwt.as_ref().is_some_and(|jwt| !jwt.introspects)
    }

    /// Returns whether the key that verified the token is still trusted. It is `true` for tokens that were introspected
    /// only.
    pub(crate) fn is_still_trusted(&self, state: &TokenState, now: UnixTime) -> bool {
        match (state, &self.config.jwt) {
            (TokenState::Active(claims), Some(jwt)) => {
                claims.verified_by.as_ref().is_none_or(|thumbprint| self.keys().is_trusted(thumbprint, &jwt.keys, now))
            }
            (TokenState::Active(claims), None) => claims.verified_by.is_none(),
            (TokenState::Inactive, _) => true,
        }
    }
}
