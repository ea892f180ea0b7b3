//! Records what an event has done: which answers are known where, which callouts were sent, which requests wait.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use scopegate_fake_proxy::FakeWorker;
use scopegate_fuzz::model::{Answer, Terms};

use crate::oracle::{Cause, Event, Heard, Oracle, Wait};

impl Oracle {
    /// Updates the answers that shared data may hold.
    pub(crate) fn settle(&mut self, event: &Event, writes: &[String], revokes: bool, is_mixed: bool) {
        let is_bucket = |key: &&String| key.starts_with("scopegate.active.") || key.starts_with("scopegate.inactive.");
        let Some(Heard { answer: Some(answer), is_kept, sent }) = &event.heard else {
            assert_eq!(writes.iter().find(is_bucket), None, "nothing was learned");
            return;
        };
        self.answers[*answer].settled = Some(self.ops);
        let (heard, answers) = (self.answers[*answer], &self.answers);
        let prefix = if heard.is_bad() { "scopegate.inactive." } else { "scopegate.active." };
        let removes = revokes || !self.terms.stale_if_error.is_zero();
        match writes.iter().find(|key| key.starts_with(prefix)) {
            Some(key) => {
                assert!(*is_kept != Some(false) || removes, "{heard:?} is shared, and is not to be kept");
                if *is_kept != Some(false) {
                    self.shared.learn(*answer, Some(&Rc::from(key.as_str())));
                }
                if !is_mixed && (heard.is_bad() || !removes) {
                    let is_replaced = |one: &Answer| one.token == heard.token && one.is_bad() == heard.is_bad();
                    self.shared.forget(|known, _| known != *answer && is_replaced(&answers[known]));
                }
            }
            None => {
                assert_ne!(*is_kept, Some(true), "{heard:?} is not shared");
                self.shared.forget(|known, _| known == *answer);
            }
        }
        let removes_active = removes && (heard.is_bad() || !heard.lasts(&self.terms));
        if removes_active && !is_mixed {
            self.shared.forget(|known, _| answers[known].token == sent.token && !answers[known].is_bad());
        }
    }

    /// A worker knows the answers that it has read in shared data.
    pub(crate) fn learn(&mut self, event: &Event, reads: &[String]) {
        let token = match &event.cause {
            Cause::Request { token, .. } => Some(*token),
            // It may make room for the callout of another token.
            Cause::Respond { .. } | Cause::Leave(_) | Cause::Message | Cause::Tick => None,
        };
        let it = &mut self.workers[event.worker];
        for key in reads.iter().filter(|key| key.contains("active.")) {
            let before = event.shared.iter().flat_map(|shared| shared.in_bucket(key));
            for answer in self.shared.in_bucket(key).chain(before) {
                if token.is_none_or(|token| token == self.answers[answer].token) {
                    it.known.learn(answer, None);
                }
            }
        }
    }

    /// The callouts that a worker has sent in an event.
    pub(crate) fn record_callouts(&mut self, event: &mut Event, fake: &FakeWorker) {
        let (terms, now, it) = (self.terms, fake.host_now(), &mut self.workers[event.worker]);
        event.unsent = fake.host.unsent - it.unsent;
        it.unsent = fake.host.unsent;
        for _ in 0..event.unsent {
            it.failures.ask(&terms, now);
            it.failures.note(&terms, false, now);
        }
        let mut count = 0;
        for callout in &fake.host.callouts {
            if it.callouts.contains_key(&callout.id) {
                continue;
            }
            count += 1;
            let mut sent = self.server.take(callout, event.op, self.clock, it.epochs);
            assert!(it.callouts.values().all(|other| other.token != sent.token), "a token has one callout");
            assert!(!it.failures.refuse(&terms, now), "the circuit is open");
            it.failures.ask(&terms, now);
            sent.leased_until = if terms.has_leases { self.clock + Terms::LEASE } else { Duration::MAX };
            let has_waiters = it.requests.values().any(|request| request.token == sent.token);
            sent.renews = if has_waiters { None } else { Some(true) };
            match (&event.cause, &event.heard) {
                (Cause::Request { token, .. }, _) => {
                    assert_eq!(*token, sent.token, "the callout of a request");
                    sent.renews = Some(false);
                }
                (Cause::Respond { .. }, Some(heard)) if heard.sent.token == sent.token => {
                    assert!(!heard.sent.is_answered(), "there was an answer");
                    it.retried += 1;
                    (sent.renews, sent.leased_until) = (heard.sent.renews, heard.sent.leased_until);
                }
                (Cause::Respond { .. }, _) => assert!(terms.max_callouts < 128, "nothing queues"),
                (Cause::Leave(_), _) => panic!("a client that leaves causes no callout"),
                (Cause::Message | Cause::Tick, _) => {}
            }
            it.callouts.insert(callout.id, sent);
        }
        it.sent += count;
        assert_eq!(it.sent, fake.host.sent, "callouts that nothing causes");
        assert!(it.retried * 10 <= 100 + it.answered, "{} of {} retried", it.retried, it.answered);
    }

    pub(crate) fn record_waits(&mut self, event: &Event, fake: &FakeWorker) {
        let (clock, it) = (self.clock, &mut self.workers[event.worker]);
        let tokens: BTreeSet<u8> = it.requests.values().map(|request| request.token).collect();
        it.waits.retain(|token, _| tokens.contains(token));
        for token in tokens {
            let is_abandoned = self.abandoned.iter().any(|(held, until)| *held == token && clock < *until);
            // It may have joined a renewal that waits for a lease which has lapsed since.
            let is_excused = self.is_set_back || is_abandoned || it.renewals.contains_key(&token);
            let wait = Wait { since: clock, restarted: clock, is_out_of_time: false, is_excused };
            let wait = it.waits.entry(token).or_insert(wait);
            if matches!(event.cause, Cause::Message) {
                wait.restarted = clock;
            }
        }
        for sent in it.callouts.values().filter(|sent| sent.asked == event.op) {
            it.renewals.remove(&sent.token);
        }
        if matches!(event.cause, Cause::Tick) {
            for token in std::mem::take(&mut it.hits) {
                it.renewals.entry(token).or_insert(clock);
            }
        }
        if !fake.worker.has_callouts() {
            it.renewals.clear();
        }
    }
}
