//! The keys of authorization servers between requests: fetched before traffic needs them, refreshed in time, and
//! shared among the workers of one proxy.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use super::source::{self, JwksPlace, JwksSource, Location};
use crate::base::UnixTime;
use crate::host::{CalloutError, CalloutRequest, CalloutResult, Publish};
use crate::jose::KeySet;
use crate::server::jwt::JwtSettings;
use crate::server::runtime::Server;

/// Waits for the keys of an authorization server, or for the metadata that say where they are.
pub struct KeyFetch {
    server: Rc<Server>,
    jwt: Rc<JwtSettings>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Metadata,
    Keys(Location),
}

/// What an answer with keys, or without, leads to.
#[derive(Debug)]
pub struct KeysAnswered {
    /// How the callout ended: one of [`Call::OUTCOMES`](crate::Call::OUTCOMES).
    pub outcome: &'static str,
    /// Why it brought nothing, if it did not.
    pub trouble: Option<CalloutError>,
    /// What to put into shared data for the other workers, if anything.
    pub publish: Option<Publish>,
    /// What is to be asked next, if the keys are still to come.
    pub next: Option<KeyFetch>,
}

impl Server {
    /// Where its keys are in shared data; `None` if it verifies no JWTs.
    pub(crate) fn keys_key(&self) -> Option<String> {
        self.config.jwt.as_ref().map(|jwt| jwt.keys.shared_key())
    }

    /// Takes over what another worker has published, if it is newer than what is here, and not of a time to come.
    pub(crate) fn take_over_keys(&self, published: &[u8], now: UnixTime) {
        let Some((time, json)) = published.split_first_chunk() else { return };
        let time = UnixTime::from_millis(u64::from_le_bytes(*time));
        if time <= now
            && self.keys.borrow().are_older_than(time, now)
            && let Ok(set) = KeySet::parse(json)
        {
            self.keys.borrow_mut().keep(set, time, now);
        }
    }

    /// Whether it is time for this worker to fetch its keys, unless another one does.
    pub(crate) fn keys_are_due(&self, now: UnixTime) -> bool {
        self.config.jwt.as_ref().is_some_and(|jwt| self.keys.borrow().are_due(&jwt.keys, now))
    }
}

impl KeyFetch {
    /// The fetch of the keys of a server before any request needs them; `None` if it has none. Whoever asks for it must
    /// send its request now.
    pub(crate) fn scheduled(server: &Rc<Server>, now: UnixTime) -> Option<Self> {
        let jwt = Rc::clone(server.config.jwt.as_ref()?);
        server.keys.borrow_mut().ask(now);
        let stage = match &jwt.keys.place {
            JwksPlace::Known(location) => Stage::Keys(location.clone()),
            // They may have moved.
            JwksPlace::Discovered(_) => Stage::Metadata,
        };
        Some(Self { server: Rc::clone(server), jwt, stage })
    }

    /// The fetch for a token whose key is unknown: from where the keys were the last time.
    pub(crate) fn for_unknown(server: Rc<Server>, jwt: Rc<JwtSettings>, now: UnixTime) -> Self {
        let stage = match &jwt.keys.place {
            JwksPlace::Known(location) => Stage::Keys(location.clone()),
            JwksPlace::Discovered(_) => {
                server.keys.borrow().location(&jwt.keys, now).cloned().map_or(Stage::Metadata, Stage::Keys)
            }
        };
        Self { server, jwt, stage }
    }

    /// The request to send now.
    pub fn request(&self) -> CalloutRequest<'_> {
        let source = &self.jwt.keys;
        let cluster = self.server.keys.borrow().cluster(source);
        match (&self.stage, &source.place) {
            (Stage::Keys(location), _) | (Stage::Metadata, JwksPlace::Known(location)) => {
                source.keys_request(location, cluster)
            }
            (Stage::Metadata, JwksPlace::Discovered(discovery)) => source.metadata_request(discovery, cluster),
        }
    }

    /// How long it may take.
    pub(crate) fn timeout(&self) -> Duration {
        self.jwt.keys.timeout
    }

    /// Whether it is still to be found out where they are.
    pub(crate) fn seeks_metadata(&self) -> bool {
        matches!(self.stage, Stage::Metadata)
    }

    /// The name of the authorization server that is asked.
    pub fn server(&self) -> &str {
        &self.server.config.name
    }

    /// Takes the answer to the request that was sent at `asked_at`.
    pub fn resume(self, answer: CalloutResult<'_>, asked_at: UnixTime, now: UnixTime) -> KeysAnswered {
        match (&self.stage, &self.jwt.keys.place) {
            (Stage::Metadata, JwksPlace::Discovered(discovery)) => {
                let located = discovery.read(answer);
                self.resume_with_metadata(located, asked_at, now)
            }
            (Stage::Keys(_), _) | (Stage::Metadata, JwksPlace::Known(_)) => {
                self.resume_with_keys(answer, asked_at, now)
            }
        }
    }

    fn resume_with_metadata(
        self,
        located: Result<Location, CalloutError>,
        asked_at: UnixTime,
        now: UnixTime,
    ) -> KeysAnswered {
        let Self { server, jwt, .. } = self;
        let (outcome, trouble, location) = match located {
            Ok(location) => {
                server.keys.borrow_mut().locate(location.clone(), asked_at);
                (METADATA, None, Some(location))
            }
            // Where they were they may still be.
            Err(trouble) => {
                server.keys.borrow_mut().fail(asked_at);
                let location = server.keys.borrow().location(&jwt.keys, now).cloned();
                (trouble.outcome(), Some(trouble), location)
            }
        };
        if location.is_none() {
            server.keys.borrow_mut().end_request();
        }
        let next = location.map(|location| Self { server, jwt, stage: Stage::Keys(location) });
        KeysAnswered { outcome, trouble, publish: None, next }
    }

    fn resume_with_keys(self, answer: CalloutResult<'_>, asked_at: UnixTime, now: UnixTime) -> KeysAnswered {
        self.server.keys.borrow_mut().end_request();
        // Of many requests that have waited for them the first has read them.
        if self.server.keys.borrow().are_since(asked_at, now) {
            return KeysAnswered { outcome: KEYS, trouble: None, publish: None, next: None };
        }
        let (outcome, trouble, publish) = match source::read_keys(answer) {
            Ok(set) => {
                self.server.keys.borrow_mut().keep(set, asked_at, now);
                (KEYS, None, publication(&self.jwt.keys, answer, asked_at))
            }
            Err(trouble) => {
                self.server.keys.borrow_mut().fail(asked_at);
                (trouble.outcome(), Some(trouble), None)
            }
        };
        KeysAnswered { outcome, trouble, publish, next: None }
    }
}

impl fmt::Debug for KeyFetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyFetch").field("server", &self.server()).field("stage", &self.stage).finish_non_exhaustive()
    }
}

/// An answer with good keys, for the other workers: when it was asked for, and the keys as they came.
fn publication(source: &JwksSource, answer: CalloutResult<'_>, asked_at: UnixTime) -> Option<Publish> {
    let CalloutResult::Response { body, .. } = answer else { return None };
    let mut value = asked_at.as_millis().to_le_bytes().to_vec();
    value.extend_from_slice(body);
    Some(Publish { key: source.shared_key(), value })
}

/// The outcome of a callout that brought the server's keys.
pub(crate) const KEYS: &str = "keys";
/// The outcome of a callout that brought its metadata.
pub(crate) const METADATA: &str = "metadata";
