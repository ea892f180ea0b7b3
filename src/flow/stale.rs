//! What was last known of a token, where nobody is there to say what it is worth now (`cache.stale_if_error`).
//!
//! Only what is in shared data counts, where an answer that the token is inactive takes it out; only while the server
//! is lost, and not when it says something that is of no use, or when callers have brought it about that nobody could be
//! asked; for a bounded time; and never past the end of the token itself.

use super::gate::Gate;
use super::step::Step;
use super::token_check::{Lookup, TokenCheck};
use crate::base::UnixTime;
use crate::cache::{CacheEntry, CacheOutcome, Partition};
use crate::claims::Introspection;
use crate::decision::Denial;
use crate::policy::{authorize, forward};

impl TokenCheck {
    /// Looks what was last known of the token from this candidate, or the next one that nobody answered for.
    pub(super) fn look_for_stale(self, from: usize, gate: &Gate) -> Step {
        let mut lost = self.candidates.iter().enumerate().skip(from).filter(|(_, candidate)| candidate.is_lost);
        let candidate = lost.next().map(|(candidate, _)| candidate);
        match candidate.and_then(|candidate| Some((candidate, self.digest(candidate)?))) {
            Some((candidate, digest)) => {
                let (region, is_stale) = (Partition::Active, true);
                let key = region.key(&digest, gate.cache.capacity);
                Step::Lookup(Lookup { exchange: self, candidate, region, key, is_stale })
            }
            None => self.refuse(gate),
        }
    }

    /// Goes on with what stands under the key.
    pub(super) fn resume_while_stale(
        self,
        candidate: usize,
        gate: &Gate,
        bucket: Option<&[u8]>,
        now: UnixTime,
    ) -> Step {
        let (Some(server), Some(digest)) = (self.server(candidate), self.digest(candidate)) else {
            return self.refuse(gate);
        };
        let cache = server.cache(&gate.cache);
        let known = bucket.and_then(|bucket| Partition::Active.find_stale(bucket, &digest, now, &cache));
        match known.filter(|known| server.is_still_trusted(&known.facts, now)) {
            Some(known) => self.decide_while_stale(candidate, gate, &known, now),
            None => self.look_for_stale(candidate.saturating_add(1), gate),
        }
    }

    /// The decision, from facts that have ended while nobody could be asked.
    fn decide_while_stale(self, candidate: usize, gate: &Gate, known: &CacheEntry, now: UnixTime) -> Step {
        let (Introspection::Active(claims), Some(server)) = (&known.facts, self.server(candidate)) else {
            return self.refuse(gate);
        };
        match authorize(&self.demand, &gate.applications, (server.index, &server.config.tokens), claims, now) {
            Ok(permit) => {
                gate.counters.record(CacheOutcome::Stale);
                let stale = Some(now.saturating_since(known.ends_at()));
                Step::Forward(forward(&gate.upstream, permit, &server.config.name, &claims.forwarded, stale))
            }
            Err(Denial::Expired) => self.refuse(gate),
            Err(denial) => gate.refuse_demand(denial, &self.demand, Some(server.index)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::Duration;

    use super::*;
    use crate::config::Config;
    use crate::host::{CalloutError, CalloutResult};
    use crate::request::RequestHead;

    /// A worker that remembers nothing itself after a minute, and the shared data of its proxy.
    struct Proxy {
        gate: Gate,
        buckets: HashMap<String, Vec<u8>>,
    }

    /// How a request ended: its status, and for how long what was known had been past its end.
    type End = (u16, Option<String>);

    const PASSES: End = (200, None);
    const LOST: CalloutResult<'_> = CalloutResult::NoAnswer;
    const INACTIVE: CalloutResult<'_> = body(r#"{"active":false}"#);
    const GOOD: CalloutResult<'_> = body(r#"{"active":true}"#);

    const fn body(text: &str) -> CalloutResult<'_> {
        CalloutResult::Response { status: 200, content_type: None, body: text.as_bytes() }
    }

    const fn status(status: u16) -> CalloutResult<'static> {
        CalloutResult::Response { status, content_type: None, body: b"" }
    }

    fn at(seconds: u64) -> UnixTime {
        UnixTime::from_secs(1_000_000).saturating_add(Duration::from_secs(seconds))
    }

    fn stale_for(seconds: u64) -> End {
        (200, Some(seconds.to_string()))
    }

    impl Proxy {
        fn new(stale_if_error: &str) -> Self {
            let text = format!(
                r#"{{"authorization_servers":[{{"name":"a","cluster":"c","audience":"any",
                    "introspection":{{"path":"/i","client_id":"g","client_secret":"s"}}}}],
                    "cache":{{"max_ttl":"60s","stale_if_error":"{stale_if_error}"}},
                    "rules":[{{"name":"r","match":[{{"path":"/"}}],"require":{{"authenticated":true}}}}]}}"#
            );
            let gate = Gate::new(Config::parse(text.as_bytes(), &|_| None).unwrap(), [7; 32]);
            Self { gate, buckets: HashMap::new() }
        }

        /// A request of this moment, if this is what the server answers, should it be asked.
        fn request(&mut self, answer: CalloutResult<'_>, seconds: u64) -> End {
            let now = at(seconds);
            let headers = [(":method", "GET"), (":path", "/"), ("authorization", "Bearer t")]
                .map(|(name, value)| (name, value.as_bytes()));
            let mut step = self.gate.begin(RequestHead { headers: &headers, route: None, has_body: false }, now);
            loop {
                step = match step {
                    Step::Forward(forward) => {
                        let [(name, age)] = forward.set.as_slice() else { return PASSES };
                        assert_eq!(name, "x-auth-stale");
                        return (200, Some(age.clone()));
                    }
                    Step::Respond(reply) => return (reply.status, None),
                    Step::Lookup(lookup) => {
                        let bucket = self.buckets.get(lookup.key()).map(Vec::as_slice);
                        lookup.resume(&self.gate, bucket, now)
                    }
                    Step::Call(call) => {
                        let answered = call.resume(&self.gate, answer, now, now);
                        for insert in answered.inserts() {
                            let applied = insert.apply(self.buckets.get(insert.key()).map(Vec::as_slice));
                            self.buckets.insert(insert.key().to_owned(), applied.bucket);
                        }
                        assert!(!answered.ends_epoch(), "what is past its end nobody believes any more");
                        answered.step
                    }
                    Step::Verify(_) | Step::Report(_) => panic!("no JWT, and all is enforced"),
                };
            }
        }
    }

    #[test]
    fn what_was_active_counts_for_a_while_after_its_end_if_nobody_is_there() {
        let mut proxy = Proxy::new("5m");
        assert_eq!((proxy.request(LOST, 0), proxy.request(GOOD, 0)), ((503, None), PASSES));
        assert_eq!((proxy.request(LOST, 59), proxy.request(LOST, 60)), (PASSES, stale_for(0)));
        for trouble in [LOST, CalloutResult::NotSent(CalloutError::CircuitOpen), status(500), status(503)] {
            assert_eq!(proxy.request(trouble, 90), stale_for(30), "{trouble:?}");
        }
        assert_eq!((proxy.request(LOST, 359), proxy.request(LOST, 360)), (stale_for(299), (503, None)));
        assert_eq!((proxy.request(GOOD, 361), proxy.request(LOST, 500)), (PASSES, stale_for(79)));
        let (_, stale) = proxy.gate.take_cache_results().into_iter().find(|(r, _)| *r == CacheOutcome::Stale).unwrap();
        assert_eq!(stale, 7);
        // Not unless it is configured.
        let mut proxy = Proxy::new("0s");
        assert_eq!((proxy.request(GOOD, 0), proxy.request(LOST, 60)), (PASSES, (503, None)));
    }

    #[test]
    fn it_does_not_while_somebody_says_something_or_callers_bring_it_about() {
        let mut proxy = Proxy::new("5m");
        assert_eq!(proxy.request(GOOD, 0), PASSES);
        let said = [status(401), status(404), status(429), body("<html>"), body("[]")];
        for answer in said.into_iter().chain([CalloutResult::NotSent(CalloutError::Crowded)]) {
            assert_eq!(proxy.request(answer, 61), (503, None), "{answer:?}");
        }
        assert_eq!(proxy.request(LOST, 61), stale_for(1));
    }

    #[test]
    fn nobody_passes_by_a_token_that_has_ended_or_was_last_called_inactive() {
        let mut proxy = Proxy::new("5m");
        assert_eq!(proxy.request(body(r#"{"active":true,"exp":1000100}"#), 0), PASSES);
        assert_eq!((proxy.request(LOST, 99), proxy.request(LOST, 100)), (stale_for(39), (503, None)));
        let mut proxy = Proxy::new("5m");
        assert_eq!((proxy.request(GOOD, 0), proxy.request(INACTIVE, 61)), (PASSES, (401, None)));
        assert_eq!((proxy.request(LOST, 62), proxy.request(LOST, 70)), ((401, None), (503, None)));
    }
}
