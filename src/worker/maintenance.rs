//! Background work: renews cached entries that are in use, and refreshes keys.

use std::time::Duration;

use super::{Worker, leases};
use crate::base::UnixTime;
use crate::flow::driver;
use crate::host::{CalloutError, CalloutResult, Host};
use crate::server::{KeyFetch, KeysFetched};

impl Worker {
    /// Renews the entries that were used shortly before their expiry.
    pub(super) fn renew(&mut self, host: &impl Host) {
        for renewal in self.state.take_renewals() {
            let bucket = host.shared_data(&renewal.key(&self.gate));
            let now = host.now();
            if let Some(call) = driver::renew(renewal, bucket.as_deref(), &mut self.context(now)) {
                self.coalescer.start(call.key(&self.gate), call, now);
            }
        }
    }

    /// Takes over the keys that other workers or an earlier configuration have published.
    pub(super) fn take_over_published_keys(&self, host: &impl Host) {
        for server in self.gate.servers() {
            if let Some(published) = server.keys_key().and_then(|key| host.shared_data(&key)) {
                server.take_over_keys(&published, host.now());
            }
        }
    }

    /// Takes over published keys, and fetches keys whose refresh is due, unless another worker does.
    pub(super) fn refresh_keys(&mut self, host: &mut impl Host) {
        for server in self.gate.servers().to_vec() {
            let Some(key) = server.keys_key() else { continue };
            let published = host.shared_data(&key);
            // The clock is read after the shared data, so that keys that another worker has just published are not in
            // the future.
            let now = host.now();
            if let Some(published) = published {
                server.take_over_keys(&published, now);
            }
            if !server.keys_are_due(now) || !leases::acquire_for(&key, KEY_LEASE, host) {
                continue;
            }
            if let Some(fetch) = KeyFetch::scheduled(&server, now) {
                self.send_key_fetch(fetch, now, host);
            }
        }
    }

    fn send_key_fetch(&mut self, fetch: KeyFetch, now: UnixTime, host: &mut impl Host) {
        match host.send_callout(&fetch.request()) {
            Some(callout) => drop(self.key_fetches.insert(callout, (fetch, now))),
            None => self.complete_key_fetch(fetch, CalloutResult::NotSent(CalloutError::NotSent), now, host),
        }
    }

    pub(super) fn complete_key_fetch(
        &mut self,
        fetch: KeyFetch,
        result: CalloutResult<'_>,
        sent_at: UnixTime,
        host: &mut impl Host,
    ) {
        let (server, now) = (fetch.server_index(), host.now());
        let KeysFetched { outcome, error, publish, next } = fetch.resume(result, sent_at, now);
        self.count_callout(outcome, sent_at, now, host);
        self.report(server, error, publish.as_ref(), now, host);
        if let Some(next) = next {
            self.send_key_fetch(next, now, host);
        }
    }
}

/// How long a worker may take to fetch keys before another worker tries.
const KEY_LEASE: Duration = Duration::from_secs(2);
