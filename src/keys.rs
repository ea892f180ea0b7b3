//! The keys of authorization servers between requests: fetched before traffic needs them, refreshed in time, and
//! shared among the workers of one proxy.

mod held;
mod source;

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use hmac_sha256::Hash;

pub(crate) use held::Keys;
pub(crate) use source::{Discovery, KeySource, Location, Place, WellKnown};

use crate::callout::{CalloutAnswer, CalloutRequest, Trouble};
use crate::exchange::Publish;
use crate::gate::{Gate, Server};
use crate::jose::KeySet;
use crate::jwt::JwtConfig;
use crate::time::UnixTime;

/// Waits for the keys of an authorization server, or for the metadata that say where they are.
pub struct KeyFetch {
    server: Rc<Server>,
    jwt: Rc<JwtConfig>,
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
    pub trouble: Option<Trouble>,
    /// What to put into shared data for the other workers, if anything.
    pub publish: Option<Publish>,
    /// What is to be asked next, if the keys are still to come.
    pub next: Option<KeyFetch>,
}

impl Gate {
    /// The authorization servers with keys, by index, and where in shared data their keys are.
    pub fn key_servers(&self) -> impl Iterator<Item = (usize, String)> {
        self.servers.iter().filter_map(|server| Some((server.index, server.keys_key()?)))
    }

    /// Takes over what another worker has published, if it is newer than what is here, and not of a time to come.
    pub fn take_over_keys(&self, server: usize, published: &[u8], now: UnixTime) {
        let (Some(server), Some((time, json))) = (self.servers.get(server), published.split_first_chunk()) else {
            return;
        };
        let time = UnixTime::from_millis(u64::from_le_bytes(*time));
        if time <= now
            && server.keys.borrow().are_older_than(time, now)
            && let Ok(set) = KeySet::parse(json)
        {
            server.keys.borrow_mut().keep(set, time, now);
        }
    }

    /// Whether it is time for this worker to fetch the keys of a server, unless another one does.
    pub fn keys_are_due(&self, server: usize, now: UnixTime) -> bool {
        let server = self.servers.get(server);
        server.is_some_and(|server| {
            server.config.jwt.as_ref().is_some_and(|jwt| server.keys.borrow().are_due(&jwt.keys, now))
        })
    }

    /// The fetch of the keys of a server. Whoever asks for it must send its request now.
    pub fn fetch_keys(&self, server: usize, now: UnixTime) -> Option<KeyFetch> {
        let server = Rc::clone(self.servers.get(server)?);
        let jwt = Rc::clone(server.config.jwt.as_ref()?);
        server.keys.borrow_mut().ask(now);
        let stage = match &jwt.keys.place {
            Place::Known(location) => Stage::Keys(location.clone()),
            // They may have moved.
            Place::Discovered(_) => Stage::Metadata,
        };
        Some(KeyFetch { server, jwt, stage })
    }
}

impl KeyFetch {
    /// The fetch for a token whose key is unknown: from where the keys were the last time.
    pub(crate) fn for_unknown(server: Rc<Server>, jwt: Rc<JwtConfig>, now: UnixTime) -> Self {
        let stage = match &jwt.keys.place {
            Place::Known(location) => Stage::Keys(location.clone()),
            Place::Discovered(_) => {
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
            (Stage::Keys(location), _) | (Stage::Metadata, Place::Known(location)) => {
                source.keys_request(location, cluster)
            }
            (Stage::Metadata, Place::Discovered(discovery)) => source.metadata_request(discovery, cluster),
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
    pub fn resume(self, answer: CalloutAnswer<'_>, asked_at: UnixTime, now: UnixTime) -> KeysAnswered {
        match (&self.stage, &self.jwt.keys.place) {
            (Stage::Metadata, Place::Discovered(discovery)) => {
                let located = discovery.read(answer);
                self.resume_with_metadata(located, asked_at, now)
            }
            (Stage::Keys(_), _) | (Stage::Metadata, Place::Known(_)) => self.resume_with_keys(answer, asked_at, now),
        }
    }

    fn resume_with_metadata(
        self,
        located: Result<Location, Trouble>,
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

    fn resume_with_keys(self, answer: CalloutAnswer<'_>, asked_at: UnixTime, now: UnixTime) -> KeysAnswered {
        self.server.keys.borrow_mut().end_request();
        // Of many requests that have waited for them the first has read them.
        if self.server.keys.borrow().are_since(asked_at, now) {
            return KeysAnswered { outcome: KEYS, trouble: None, publish: None, next: None };
        }
        let (outcome, trouble, publish) = match source::read_keys(answer) {
            Ok(set) => {
                self.server.keys.borrow_mut().keep(set, asked_at, now);
                (KEYS, None, self.server.publication(answer, asked_at))
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

impl Server {
    /// Where its keys are in shared data: there for every configuration that has them from the same place.
    fn keys_key(&self) -> Option<String> {
        let source = &self.config.jwt.as_ref()?.keys;
        let place = match &source.place {
            Place::Known(Location { authority, path }) => format!("{}\n{authority}\n{path}", source.clusters.get(0)),
            Place::Discovered(Discovery { metadata: Location { authority, path }, issuer, keeps_authority }) => {
                format!("{}\n{authority}\n{path}\n{issuer}\n{keeps_authority}", source.clusters.get(0))
            }
        };
        let digest: String = Hash::hash(place.as_bytes()).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Some(format!("scopegate.keys.{digest}"))
    }

    /// An answer with good keys, for the other workers: when it was asked for, and the keys as they came.
    fn publication(&self, answer: CalloutAnswer<'_>, asked_at: UnixTime) -> Option<Publish> {
        let CalloutAnswer::Response { body, .. } = answer else { return None };
        let mut value = asked_at.as_millis().to_le_bytes().to_vec();
        value.extend_from_slice(body);
        Some(Publish { key: self.keys_key()?, value })
    }
}

/// The outcome of a callout that brought the server's keys.
pub(crate) const KEYS: &str = "keys";
/// The outcome of a callout that brought its metadata.
pub(crate) const METADATA: &str = "metadata";

#[cfg(test)]
mod tests;
