//! Fetches the keys of authorization servers, and shares them among the workers of one proxy.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use super::source::{self, JwksPlace, JwksSource, Location};
use crate::base::UnixTime;
use crate::host::{CalloutError, CalloutOutcome, CalloutRequest, CalloutResult, Publish};
use crate::jose::KeySet;
use crate::server::jwt::JwtSettings;
use crate::server::runtime::Server;

/// A pending fetch of the keys of an authorization server, or of the metadata that locate them.
pub(crate) struct KeyFetch {
    server: Rc<Server>,
    jwt: Rc<JwtSettings>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Metadata,
    Keys(Location),
}

/// The result of a callout for keys or metadata.
#[derive(Debug)]
pub(crate) struct KeysFetched {
    /// How the callout ended.
    pub(crate) outcome: CalloutOutcome,
    /// The error, if the callout failed.
    pub(crate) error: Option<CalloutError>,
    /// The value to publish in shared data for the other workers, if any.
    pub(crate) publish: Option<Publish>,
    /// The next callout, if the keys are still missing.
    pub(crate) next: Option<KeyFetch>,
}

impl Server {
    /// Returns the key of the server's JWK set in shared data; `None` if the server has no `jwt` settings.
    pub(crate) fn keys_key(&self) -> Option<String> {
        self.config.jwt.as_ref().map(|jwt| jwt.keys.shared_key())
    }

    /// Takes over the keys that another worker has published, if they are newer than those of this worker and not from
    /// the future.
    pub(crate) fn take_over_keys(&self, published: &[u8], now: UnixTime) {
        let Some((time, json)) = published.split_first_chunk() else { return };
        let time = UnixTime::from_millis(u64::from_le_bytes(*time));
        if time <= now
            && self.keys().are_older_than(time, now)
            && let Ok(set) = KeySet::parse(json)
        {
            self.keys_mut().keep(set, time, now);
        }
    }

    /// Returns whether a refresh of the keys is due.
    pub(crate) fn keys_are_due(&self, now: UnixTime) -> bool {
        self.config.jwt.as_ref().is_some_and(|jwt| self.keys().are_due(&jwt.keys, now))
    }
}

impl KeyFetch {
    /// Creates a scheduled fetch of the keys of a server; `None` if the server has no `jwt` settings. The caller must
    /// send its request now.
    pub(crate) fn scheduled(server: &Rc<Server>, now: UnixTime) -> Option<Self> {
        let jwt = Rc::clone(server.config.jwt.as_ref()?);
        server.keys_mut().record_fetch(now);
        let stage = match &jwt.keys.place {
            JwksPlace::Known(location) => Stage::Keys(location.clone()),
            // The location may have changed.
            JwksPlace::Discovered(_) => Stage::Metadata,
        };
        Some(Self { server: Rc::clone(server), jwt, stage })
    }

    /// Creates a fetch for a token whose key is unknown. It uses the last known location of the keys.
    pub(crate) fn for_unknown(server: Rc<Server>, jwt: Rc<JwtSettings>, now: UnixTime) -> Self {
        let stage = match &jwt.keys.place {
            JwksPlace::Known(location) => Stage::Keys(location.clone()),
            JwksPlace::Discovered(_) => {
                server.keys().location(&jwt.keys, now).cloned().map_or(Stage::Metadata, Stage::Keys)
            }
        };
        Self { server, jwt, stage }
    }

    /// Returns the request to send.
    pub(crate) fn request(&self) -> CalloutRequest<'_> {
        let source = &self.jwt.keys;
        let cluster = self.server.keys().cluster(source);
        match (&self.stage, &source.place) {
            (Stage::Keys(location), _) | (Stage::Metadata, JwksPlace::Known(location)) => {
                source.keys_request(location, cluster)
            }
            (Stage::Metadata, JwksPlace::Discovered(discovery)) => source.metadata_request(discovery, cluster),
        }
    }

    /// Returns the timeout of the request.
    pub(crate) fn timeout(&self) -> Duration {
        self.jwt.keys.timeout
    }

    /// Returns whether the next callout requests the metadata.
    pub(crate) fn seeks_metadata(&self) -> bool {
        matches!(self.stage, Stage::Metadata)
    }

    /// Returns the index of the authorization server in the configuration.
    pub(crate) fn server_index(&self) -> usize {
        self.server.index
    }

    /// Processes the response to the request that was sent at `sent_at`.
    pub(crate) fn resume(self, result: CalloutResult<'_>, sent_at: UnixTime, now: UnixTime) -> KeysFetched {
        match (&self.stage, &self.jwt.keys.place) {
            (Stage::Metadata, JwksPlace::Discovered(discovery)) => {
                let located = discovery.parse_response(result);
                self.resume_with_metadata(located, sent_at, now)
            }
            (Stage::Keys(_), _) | (Stage::Metadata, JwksPlace::Known(_)) => self.resume_with_keys(result, sent_at, now),
        }
    }

    fn resume_with_metadata(
        self,
        located: Result<Location, CalloutError>,
        sent_at: UnixTime,
        now: UnixTime,
    ) -> KeysFetched {
        let Self { server, jwt, .. } = self;
        let (outcome, error, location) = match located {
            Ok(location) => {
                server.keys_mut().locate(location.clone(), sent_at);
                (CalloutOutcome::Metadata, None, Some(location))
            }
            // The last known location may still be valid.
            Err(error) => {
                server.keys_mut().fail(sent_at);
                let location = server.keys().location(&jwt.keys, now).cloned();
                (error.outcome(), Some(error), location)
            }
        };
        if location.is_none() {
            server.keys_mut().end_request();
        }
        let next = location.map(|location| Self { server, jwt, stage: Stage::Keys(location) });
        KeysFetched { outcome, error, publish: None, next }
    }

    fn resume_with_keys(self, result: CalloutResult<'_>, sent_at: UnixTime, now: UnixTime) -> KeysFetched {
        self.server.keys_mut().end_request();
        // Several requests may have waited for one response; the first one has stored the keys.
        if self.server.keys().has_keys_since(sent_at, now) {
            return KeysFetched { outcome: CalloutOutcome::Keys, error: None, publish: None, next: None };
        }
        let (outcome, error, publish) = match source::parse_keys(result) {
            Ok(set) => {
                self.server.keys_mut().keep(set, sent_at, now);
                (CalloutOutcome::Keys, None, publication(&self.jwt.keys, result, sent_at))
            }
            Err(error) => {
                self.server.keys_mut().fail(sent_at);
                (error.outcome(), Some(error), None)
            }
        };
        KeysFetched { outcome, error, publish, next: None }
    }
}

impl fmt::Debug for KeyFetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyFetch")
            .field("server", &self.server.config.name)
            .field("stage", &self.stage)
            .finish_non_exhaustive()
    }
}

/// Returns a valid JWK set for the other workers: the time of the request, and the response body.
fn publication(source: &JwksSource, result: CalloutResult<'_>, sent_at: UnixTime) -> Option<Publish> {
    let CalloutResult::Response { body, .. } = result else { return None };
    let mut value = sent_at.as_millis().to_le_bytes().to_vec();
    value.extend_from_slice(body);
    Some(Publish { key: source.shared_key(), value })
}
