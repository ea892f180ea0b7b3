//! Facts in constant use are renewed before they end, so that nobody has to wait for them.
//!
//! It is the use of an entry close to its end that has it renewed; one that nobody uses ends. Until the answer comes
//! the old facts count, to their end and no longer.

use super::call::Call;
use super::gate::Gate;
use super::step::Step;
use super::token_check::TokenCheck;
use crate::base::UnixTime;
use crate::cache::Partition;

/// Facts that are about to end, and what it takes to learn them anew. No request waits for it.
#[derive(Debug)]
pub struct Renewal {
    /// One candidate: the server that has vouched for the token.
    exchange: TokenCheck,
    ends_at: UnixTime,
}

impl Renewal {
    pub(super) fn new(exchange: TokenCheck, ends_at: UnixTime) -> Self {
        Self { exchange, ends_at }
    }

    /// The key to read in shared data: another worker may have been quicker.
    pub fn key(&self, gate: &Gate) -> Option<String> {
        Some(Partition::Active.key(&self.exchange.digest(0)?, gate.cache.capacity))
    }

    /// Goes on with what stands under the key; `None` if there is nothing left to ask.
    pub fn resume(self, gate: &Gate, bucket: Option<&[u8]>, now: UnixTime) -> Option<Call> {
        let Self { mut exchange, ends_at } = self;
        let (server, digest) = (exchange.server(0)?, exchange.digest(0)?);
        let found = bucket.and_then(|bucket| Partition::Active.find(bucket, &digest, now, &server.cache(&gate.cache)));
        if let Some(newer) = found.filter(|fresh| fresh.ends_at() > ends_at) {
            exchange.keep_in_worker(&server, newer, gate);
            return None;
        }
        exchange.renews = true;
        match exchange.judge(0, gate, None, now) {
            Step::Call(call) => Some(call),
            Step::Forward(_) | Step::Respond(_) | Step::Report(_) | Step::Lookup(_) | Step::Verify(_) => None,
        }
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "a test stops by panicking")]
mod tests {
    use std::collections::HashMap;
    use std::time::Duration;

    use super::*;
    use crate::config::Config;
    use crate::host::CalloutResult;
    use crate::request::RequestHead;

    const START: UnixTime = UnixTime::from_secs(1_000_000);

    /// A worker, with the shared data of its proxy.
    struct Worker(Gate);

    #[derive(Default)]
    struct Shared {
        buckets: HashMap<String, Vec<u8>>,
        epoch: u64,
    }

    impl Shared {
        fn take(&mut self, answered: &crate::Answered) {
            answered.inserts().for_each(|insert| self.apply(insert));
            self.epoch += u64::from(answered.ends_epoch());
        }

        fn apply(&mut self, insert: &crate::BucketUpdate) {
            let applied = insert.apply(self.buckets.get(insert.key()).map(Vec::as_slice));
            self.buckets.insert(insert.key().to_owned(), applied.bucket);
        }

        fn get(&self, key: &str) -> Option<&[u8]> {
            self.buckets.get(key).map(Vec::as_slice)
        }
    }

    fn at(seconds: u64) -> UnixTime {
        START.saturating_add(Duration::from_secs(seconds))
    }

    fn body(answer: &str) -> CalloutResult<'_> {
        CalloutResult::Response { status: 200, content_type: None, body: answer.as_bytes() }
    }

    impl Worker {
        fn new(seed: u8) -> Self {
            let text = r#"{"authorization_servers":[{"name":"a","cluster":"c","audience":"any",
                "introspection":{"path":"/i","client_id":"g","client_secret":"s"}}],"cache":{"max_ttl":"100s"},
                "rules":[{"name":"r","match":[{"path":"/"}],"require":{"authenticated":true}}]}"#;
            Self(Gate::new(Config::parse(text.as_bytes(), &|_| None).unwrap(), [seed; 32]))
        }

        /// The status of a request; the server is asked only if `answer` says what it answers.
        fn status(&self, shared: &mut Shared, answer: Option<&str>, now: UnixTime) -> u16 {
            let headers = [(":method", "GET"), (":path", "/"), ("authorization", "Bearer t")]
                .map(|(name, value)| (name, value.as_bytes()));
            let mut step = self.0.begin(RequestHead { headers: &headers, route: None, has_body: false }, now);
            loop {
                step = match step {
                    Step::Forward(_) => return 200,
                    Step::Respond(reply) => return reply.status,
                    Step::Lookup(lookup) => {
                        let bucket = shared.get(lookup.key()).map(<[u8]>::to_vec);
                        lookup.resume(&self.0, bucket.as_deref(), now)
                    }
                    Step::Call(call) => {
                        let answered = call.resume(&self.0, body(answer.expect("nobody is asked")), now, now);
                        shared.take(&answered);
                        answered.step
                    }
                    Step::Verify(_) | Step::Report(_) => panic!("no JWT, and all is enforced"),
                };
            }
        }

        fn renew(&self, shared: &mut Shared, answer: &str, now: UnixTime) -> usize {
            let mut calls = 0;
            for renewal in self.0.take_renewals() {
                let bucket = renewal.key(&self.0).and_then(|key| shared.get(&key).map(<[u8]>::to_vec));
                let Some(call) = renewal.resume(&self.0, bucket.as_deref(), now) else { continue };
                calls += 1;
                let answered = call.resume(&self.0, body(answer), now, now);
                shared.take(&answered);
            }
            calls
        }
    }

    const GOOD: &str = r#"{"active":true}"#;

    #[test]
    fn facts_in_use_are_renewed_before_they_end_and_others_end() {
        let (worker, mut shared) = (Worker::new(1), Shared::default());
        assert_eq!(worker.status(&mut shared, Some(GOOD), at(0)), 200);
        assert_eq!(worker.status(&mut shared, None, at(79)), 200);
        assert_eq!(worker.renew(&mut shared, GOOD, at(79)), 0);
        assert_eq!(worker.status(&mut shared, None, at(80)), 200);
        assert_eq!(worker.renew(&mut shared, GOOD, at(81)), 1);
        assert_eq!(worker.status(&mut shared, None, at(150)), 200);
        assert_eq!(worker.renew(&mut shared, GOOD, at(150)), 0);
        // Not used again until it has ended.
        assert_eq!(worker.status(&mut shared, Some(r#"{"active":false}"#), at(181)), 401);
    }

    #[test]
    fn of_many_requests_one_has_them_renewed() {
        let (worker, mut shared) = (Worker::new(1), Shared::default());
        assert_eq!(worker.status(&mut shared, Some(GOOD), at(0)), 200);
        for _ in 0..10 {
            assert_eq!(worker.status(&mut shared, None, at(85)), 200);
        }
        assert_eq!(worker.0.take_renewals().len(), 1);
        // That one came to nothing; another tries again, but not at once.
        assert_eq!(worker.status(&mut shared, None, at(85)), 200);
        assert_eq!(worker.0.take_renewals().len(), 0);
        assert_eq!(worker.status(&mut shared, None, at(86)), 200);
        assert_eq!(worker.0.take_renewals().len(), 1);
        // Without an answer the old facts count to their end.
        assert_eq!(worker.status(&mut shared, None, at(99)), 200);
        assert_eq!(worker.status(&mut shared, Some(r#"{"active":false}"#), at(100)), 401);
    }

    #[test]
    fn what_another_worker_has_renewed_is_taken_over() {
        let (one, other, mut shared) = (Worker::new(1), Worker::new(2), Shared::default());
        assert_eq!(one.status(&mut shared, Some(GOOD), at(0)), 200);
        assert_eq!(other.status(&mut shared, None, at(1)), 200);
        assert_eq!((one.status(&mut shared, None, at(85)), other.status(&mut shared, None, at(85))), (200, 200));
        assert_eq!(one.renew(&mut shared, GOOD, at(86)), 1);
        assert_eq!(other.renew(&mut shared, GOOD, at(86)), 0);
        assert_eq!(other.status(&mut shared, None, at(180)), 200);
    }

    #[test]
    fn a_token_that_turns_out_to_be_revoked_is_refused_by_every_worker_from_then_on() {
        let (one, other, mut shared) = (Worker::new(1), Worker::new(2), Shared::default());
        assert_eq!(one.status(&mut shared, Some(GOOD), at(0)), 200);
        assert_eq!(one.status(&mut shared, None, at(85)), 200);
        assert_eq!(other.status(&mut shared, None, at(79)), 200);
        assert_eq!(one.renew(&mut shared, r#"{"active":false}"#, at(85)), 1);
        assert_eq!(one.status(&mut shared, None, at(86)), 401);
        // The other one knows it as active, until it hears of the epoch.
        assert_eq!(other.status(&mut shared, None, at(86)), 200);
        other.0.enter_epoch(shared.epoch, at(86));
        assert_eq!(other.status(&mut shared, None, at(86)), 401);
        // Not even when it has been forgotten that it is inactive: then the server is asked.
        assert_eq!(one.status(&mut shared, Some(r#"{"active":false}"#), at(95)), 401);
    }

    #[test]
    fn an_answer_that_a_revocation_has_overtaken_is_not_kept() {
        for (asked_at, status) in [(84, 401), (86, 401), (87, 200)] {
            let (one, other, mut shared) = (Worker::new(1), Worker::new(2), Shared::default());
            assert_eq!(one.status(&mut shared, Some(GOOD), at(0)), 200);
            assert_eq!(other.status(&mut shared, None, at(1)), 200);
            assert_eq!((one.status(&mut shared, None, at(84)), other.status(&mut shared, None, at(84))), (200, 200));
            let renewal = other.0.take_renewals().pop().unwrap();
            let call = renewal.resume(&other.0, None, at(84)).unwrap();
            assert_eq!(one.renew(&mut shared, r#"{"active":false}"#, at(85)), 1);
            other.0.enter_epoch(shared.epoch, at(86));
            // Said before the token was revoked, or so it may be, and heard afterwards.
            let answered = call.resume(&other.0, body(GOOD), at(asked_at), at(88));
            shared.take(&answered);
            for worker in [other, Worker::new(3)] {
                assert_eq!(worker.status(&mut shared, Some(r#"{"active":false}"#), at(88)), status, "{asked_at}");
            }
        }
    }

    #[test]
    fn what_was_put_in_while_an_epoch_began_is_taken_out_again() {
        let (worker, mut shared) = (Worker::new(1), Shared::default());
        assert_eq!(worker.status(&mut shared, Some(GOOD), at(0)), 200);
        assert_eq!(worker.status(&mut shared, None, at(84)), 200);
        let call = worker.0.take_renewals().pop().unwrap().resume(&worker.0, None, at(84)).unwrap();
        let answered = call.resume(&worker.0, body(GOOD), at(84), at(84));
        shared.take(&answered);
        shared.apply(&answered.undo().unwrap());
        let newcomer = Worker::new(2);
        assert_eq!(newcomer.status(&mut shared, Some(r#"{"active":false}"#), at(85)), 401);
    }

    #[test]
    fn a_renewal_that_brings_an_end_in_the_past_is_a_revocation() {
        let (one, other, mut shared) = (Worker::new(1), Worker::new(2), Shared::default());
        assert_eq!(one.status(&mut shared, Some(GOOD), at(0)), 200);
        assert_eq!((one.status(&mut shared, None, at(84)), other.status(&mut shared, None, at(79))), (200, 200));
        assert_eq!(one.renew(&mut shared, r#"{"active":true,"exp":1000080}"#, at(85)), 1);
        other.0.enter_epoch(shared.epoch, at(86));
        assert_eq!((one.status(&mut shared, None, at(86)), other.status(&mut shared, None, at(86))), (401, 401));
        // Nor when it has been forgotten.
        assert_eq!(one.status(&mut shared, Some(r#"{"active":false}"#), at(97)), 401);
    }

    #[test]
    fn a_token_that_ends_is_not_renewed() {
        let (worker, mut shared) = (Worker::new(1), Shared::default());
        assert_eq!(worker.status(&mut shared, Some(r#"{"active":true,"exp":1000090}"#), at(0)), 200);
        assert_eq!(worker.status(&mut shared, None, at(85)), 200);
        assert_eq!(worker.0.take_renewals().len(), 0);
    }
}
