//! An authorization server at work in one worker.

use std::cell::RefCell;

use super::client_token::ClientToken;
use super::failover::Failover;
use super::jwks::store::JwksStore;
use super::settings::ServerSettings;
use crate::base::UnixTime;
use crate::cache::CacheSettings;
use crate::claims::Introspection;
use crate::jose::Header;
use crate::token::DigestKey;

/// An authorization server, the key that binds digests to it, and our own token there.
#[derive(Debug)]
pub(crate) struct Server {
    /// Its place in the configuration.
    pub(crate) index: usize,
    pub(crate) config: ServerSettings,
    pub(crate) digest_key: DigestKey,
    pub(crate) client_token: RefCell<ClientToken>,
    pub(crate) keys: RefCell<JwksStore>,
    /// How it is reached.
    pub(crate) failover: RefCell<Failover>,
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

    /// How long its answers are kept.
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
    pub(crate) fn is_still_trusted(&self, facts: &Introspection, now: UnixTime) -> bool {
        match (facts, &self.config.jwt) {
            (Introspection::Active(claims), Some(jwt)) => claims
                .verified_by
                .as_ref()
                .is_none_or(|thumbprint| self.keys.borrow().is_trusted(thumbprint, &jwt.keys, now)),
            (Introspection::Active(claims), None) => claims.verified_by.is_none(),
            (Introspection::Inactive, _) => true,
        }
    }
}
