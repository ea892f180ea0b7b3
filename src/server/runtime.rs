//! An authorization server at work in one worker.

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

/// An authorization server: its settings, and what this worker knows of it. No borrow outlives the expression that
/// takes it.
#[derive(Debug)]
pub(crate) struct Server {
    /// Its place in the configuration.
    pub(crate) index: usize,
    pub(crate) config: ServerSettings,
    pub(crate) digest_key: DigestKey,
    client_token: RefCell<ClientToken>,
    keys: RefCell<JwksStore>,
    failover: RefCell<Failover>,
}

impl Server {
    /// `fingerprint` identifies the configuration, and `index` the server in it.
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

    /// The gateway's own access token at this server.
    pub(crate) fn client_token(&self) -> Ref<'_, ClientToken> {
        self.client_token.borrow()
    }

    pub(crate) fn client_token_mut(&self) -> RefMut<'_, ClientToken> {
        self.client_token.borrow_mut()
    }

    /// The keys that verify its JWTs.
    pub(crate) fn keys(&self) -> Ref<'_, JwksStore> {
        self.keys.borrow()
    }

    pub(crate) fn keys_mut(&self) -> RefMut<'_, JwksStore> {
        self.keys.borrow_mut()
    }

    /// Which of its clusters are available.
    pub(crate) fn failover(&self) -> Ref<'_, Failover> {
        self.failover.borrow()
    }

    pub(crate) fn failover_mut(&self) -> RefMut<'_, Failover> {
        self.failover.borrow_mut()
    }

    /// How long its responses are cached.
    pub(crate) fn cache(&self, cache: &CacheSettings) -> CacheSettings {
        let max_ttl = self.config.max_ttl.map_or(cache.max_ttl, |max_ttl| max_ttl.min(cache.max_ttl));
        CacheSettings { max_ttl, ..*cache }
    }

    /// Whether the host verifies such a token, and nobody has to be asked about it.
    pub(crate) fn verifies_at_host(&self, header: &Header) -> bool {
        let native = header.algorithm().is_some_and(|algorithm| algorithm.host_hash().is_some());
        native && self.config.jwt.as_ref().is_some_and(|jwt| !jwt.introspects)
    }

    /// Whether the key that facts rest on is still one of the server's.
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
