//! An authorization server at work in one worker.

use std::cell::RefCell;

use super::client_token::OwnToken;
use super::failover::Ways;
use super::jwks::store::Keys;
use super::settings::AuthorizationServer;
use crate::base::UnixTime;
use crate::cache::CacheConfig;
use crate::claims::Introspection;
use crate::jose::Header;
use crate::token::DigestKey;

/// An authorization server, the key that binds digests to it, and our own token there.
#[derive(Debug)]
pub(crate) struct Server {
    /// Its place in the configuration.
    pub(crate) index: usize,
    pub(crate) config: AuthorizationServer,
    pub(crate) digest_key: DigestKey,
    pub(crate) own_token: RefCell<OwnToken>,
    pub(crate) keys: RefCell<Keys>,
    /// How it is reached.
    pub(crate) ways: RefCell<Ways>,
}

impl Server {
    /// `fingerprint` identifies the configuration, and `index` the server in it.
    pub(crate) fn new(index: usize, config: AuthorizationServer, fingerprint: &[u8; 32]) -> Self {
        Self {
            index,
            digest_key: DigestKey::new(fingerprint, index),
            own_token: RefCell::default(),
            keys: RefCell::default(),
            ways: RefCell::new(Ways::new(config.clusters, config.circuit_breaker)),
            config,
        }
    }

    /// How long its answers are kept.
    pub(crate) fn cache(&self, cache: &CacheConfig) -> CacheConfig {
        let max_ttl = self.config.max_ttl.map_or(cache.max_ttl, |max_ttl| max_ttl.min(cache.max_ttl));
        CacheConfig { max_ttl, ..*cache }
    }

    /// Whether the host verifies such a token, and nobody has to be asked about it.
    pub(crate) fn verifies_at_host(&self, header: &Header) -> bool {
        let native = header.algorithm().is_some_and(|algorithm| algorithm.host_hash().is_some());
        native && self.config.jwt.as_ref().is_some_and(|jwt| !jwt.introspects)
    }

    /// Whether the key that facts rest on is still one of the server's.
    pub(crate) fn vouches(&self, facts: &Introspection, now: UnixTime) -> bool {
        match (facts, &self.config.jwt) {
            (Introspection::Active(claims), Some(jwt)) => {
                claims.vouched_by.as_ref().is_none_or(|thumbprint| self.keys.borrow().vouch(thumbprint, &jwt.keys, now))
            }
            (Introspection::Active(claims), None) => claims.vouched_by.is_none(),
            (Introspection::Inactive, _) => true,
        }
    }
}
