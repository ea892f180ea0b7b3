//! The keys of authorization servers between requests: fetched before traffic needs them, refreshed in time, and
//! shared among the workers of one proxy.

use hmac_sha256::Hash;

use crate::callout::{CalloutAnswer, CalloutRequest, Trouble};
use crate::exchange::{KEYS, Publish};
use crate::gate::{Gate, Server};
use crate::jose::KeySet;
use crate::jwt::KeySource;
use crate::time::UnixTime;

/// What an answer with keys, or without, leads to.
#[derive(Debug)]
pub struct KeysAnswered {
    /// How the callout ended: one of [`Call::OUTCOMES`](crate::Call::OUTCOMES).
    pub outcome: &'static str,
    /// Why there are no new keys, if there are none.
    pub trouble: Option<Trouble>,
    /// What to put into shared data for the other workers, if anything.
    pub publish: Option<Publish>,
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

    /// The request for the keys of a server. Whoever asks for it must send it now.
    pub fn request_keys(&self, server: usize, now: UnixTime) -> Option<CalloutRequest<'_>> {
        let server = self.servers.get(server)?;
        let source = &server.config.jwt.as_ref()?.keys;
        server.keys.borrow_mut().ask(now);
        Some(source.request())
    }

    /// Takes the answer to such a request, which was sent at `asked_at`.
    pub fn answer_keys(
        &self,
        server: usize,
        answer: CalloutAnswer<'_>,
        asked_at: UnixTime,
        now: UnixTime,
    ) -> Option<KeysAnswered> {
        let server = self.servers.get(server)?;
        let source = &server.config.jwt.as_ref()?.keys;
        Some(server.take_keys(source, answer, asked_at, now))
    }

    /// The name of an authorization server.
    pub fn server_name(&self, server: usize) -> &str {
        self.servers.get(server).map_or("", |server| server.config.name.as_str())
    }
}

impl Server {
    /// Where its keys are in shared data: there for every configuration that has them from the same place.
    fn keys_key(&self) -> Option<String> {
        let source = &self.config.jwt.as_ref()?.keys;
        let place = format!("{}\n{}\n{}", source.cluster, source.authority, source.path);
        let digest: String = Hash::hash(place.as_bytes()).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Some(format!("scopegate.keys.{digest}"))
    }

    /// Takes the answer to a request for its keys: keeps them here, and has them published.
    pub(crate) fn take_keys(
        &self,
        source: &KeySource,
        answer: CalloutAnswer<'_>,
        asked_at: UnixTime,
        now: UnixTime,
    ) -> KeysAnswered {
        match source.understand(answer) {
            Ok(set) => {
                self.keys.borrow_mut().keep(set, asked_at, now);
                KeysAnswered { outcome: KEYS, trouble: None, publish: self.publication(answer, asked_at) }
            }
            Err(trouble) => KeysAnswered { outcome: trouble.outcome(), trouble: Some(trouble), publish: None },
        }
    }

    /// An answer with good keys, for the other workers: when it was asked for, and the keys as they came.
    fn publication(&self, answer: CalloutAnswer<'_>, asked_at: UnixTime) -> Option<Publish> {
        let CalloutAnswer::Response { body, .. } = answer else { return None };
        let mut value = asked_at.as_millis().to_le_bytes().to_vec();
        value.extend_from_slice(body);
        Some(Publish { key: self.keys_key()?, value })
    }
}
