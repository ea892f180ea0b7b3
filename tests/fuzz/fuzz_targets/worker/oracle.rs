//! The oracle: sees what happens to every worker from outside, keeps the model up to date, and checks each event.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use scopegate::{CalloutResponse, Decision, UnixTime};
use scopegate_fake_proxy::{FakeWorker, Proxy};
use scopegate_fuzz::model::{Answer, Failures, Knowledge, Outcome, Terms, Verdict};

use crate::WORKERS;
use crate::explain::outcome;
use crate::server::{Sent, Server};

/// Where the number of the epoch is.
pub(crate) const EPOCH: &str = "scopegate.epoch";

/// The epoch.
pub(crate) fn epoch(proxy: &Proxy) -> u64 {
    let value = proxy.shared(EPOCH);
    value.and_then(|value| Some(u64::from_le_bytes(*value.first_chunk()?))).unwrap_or_default()
}

#[derive(Debug)]
pub(crate) struct Oracle {
    pub(crate) terms: Terms,
    pub(crate) server: Server,
    pub(crate) workers: [Seen; WORKERS],
    /// Every answer that has arrived.
    pub(crate) answers: Vec<Answer>,
    /// Those that shared data may hold.
    pub(crate) shared: Knowledge,
    /// Tokens that a renewal has found revoked.
    pub(crate) revocations: Vec<Revocation>,
    /// Counts events.
    pub(crate) ops: usize,
    /// How many events are under way, one within another.
    depth: usize,
    /// A clock that is never set back.
    pub(crate) clock: Duration,
    /// Whether an operation is to happen within the next event.
    pub(crate) is_armed: bool,
    /// Whether the clock was ever set back: leases that were over may be held again.
    pub(crate) is_set_back: bool,
    /// Leases of workers that are gone: for which token, and until when.
    pub(crate) abandoned: Vec<(u8, Duration)>,
    /// An answer that has just arrived, and that every worker can find.
    pub(crate) heard: Option<Answer>,
}

#[derive(Debug)]
pub(crate) struct Revocation {
    pub(crate) token: u8,
    /// In which event the callout was sent, and after which one every worker can know.
    pub(crate) asked: usize,
    pub(crate) known: usize,
}

/// A worker, seen from outside.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) failures: Failures,
    pub(crate) known: Knowledge,
    /// The epoch that it has entered last, how many those were, and when.
    epoch: u64,
    pub(crate) epochs: usize,
    epoch_since: Option<UnixTime>,
    /// Whether it may have entered another one since.
    is_uncertain: bool,
    /// In which event it has last looked for the epoch.
    pub(crate) looked: usize,
    pub(crate) callouts: BTreeMap<u64, Sent>,
    pub(crate) requests: BTreeMap<u64, Request>,
    /// The tokens that requests wait for.
    pub(crate) waits: BTreeMap<u8, Wait>,
    /// Tokens with a cache hit since the last tick: the next tick may renew their entries.
    pub(crate) hits: BTreeSet<u8>,
    /// Tokens whose renewal may have been waiting since then.
    pub(crate) renewals: BTreeMap<u8, Duration>,
    pub(crate) answered: usize,
    pub(crate) retried: usize,
    pub(crate) sent: usize,
    pub(crate) unsent: usize,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) token: u8,
    pub(crate) wants_view: bool,
}

/// Requests of a worker wait for a token.
#[derive(Debug)]
pub(crate) struct Wait {
    pub(crate) since: Duration,
    /// Since when it has waited for the same callout, at the latest.
    pub(crate) restarted: Duration,
    /// Whether the clock was set back since.
    pub(crate) is_out_of_time: bool,
    /// Whether the message that ends it may not arrive.
    pub(crate) is_excused: bool,
}

/// What happens to a worker.
#[derive(Debug)]
pub(crate) enum Cause {
    Request { stream: u64, token: u8, wants_view: bool },
    Respond { callout: u64, is_over: bool, leaves: Option<u64> },
    Leave(u64),
    Message,
    Tick,
}

/// An event that is under way.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) worker: usize,
    pub(crate) op: usize,
    pub(crate) cause: Cause,
    epoch: u64,
    has_entered: bool,
    /// What shared data may have held at its beginning, if another event can happen within.
    pub(crate) shared: Option<Knowledge>,
    pub(crate) heard: Option<Heard>,
    /// The callouts that could not be sent.
    pub(crate) unsent: usize,
}

/// A callout that has ended, and the place of the answer.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) sent: Sent,
    pub(crate) answer: Option<usize>,
    /// Whether the worker keeps it; `None` if that is uncertain.
    pub(crate) is_kept: Option<bool>,
}

impl Oracle {
    pub(crate) fn new(terms: Terms) -> Self {
        let (workers, answers, shared, revocations, clock) = Default::default();
        let (abandoned, heard, is_armed, is_set_back) = Default::default();
        let (server, ops, depth) = (Server::new(), 0, 0);
        Self {
            terms,
            server,
            workers,
            answers,
            shared,
            revocations,
            ops,
            depth,
            clock,
            is_armed,
            is_set_back,
            abandoned,
            heard,
        }
    }

    /// The name of a callout of a worker, by its place.
    pub(crate) fn callout(&self, worker: usize, place: usize) -> Option<u64> {
        self.workers[worker].callouts.keys().nth(place).copied()
    }

    /// The callouts whose time is over.
    pub(crate) fn over(&self, worker: usize) -> Vec<u64> {
        let callouts = self.workers[worker].callouts.iter();
        callouts.filter(|(_, sent)| sent.over_at <= self.clock).map(|(callout, _)| *callout).collect()
    }

    pub(crate) fn response(&self, worker: usize, callout: u64, is_over: bool) -> Option<CalloutResponse> {
        self.workers[worker].callouts.get(&callout).filter(|_| !is_over)?.response()
    }

    /// The name of a request that waits, by its place.
    pub(crate) fn stream(&self, worker: usize, place: usize) -> Option<u64> {
        self.workers[worker].requests.keys().nth(place).copied()
    }

    pub(crate) fn is_idle(&self, worker: usize) -> bool {
        self.workers[worker].requests.is_empty() && self.workers[worker].callouts.is_empty()
    }

    pub(crate) fn advance(&mut self, step: Duration) {
        self.clock += step;
        let callouts = self.workers.iter().flat_map(|it| it.callouts.values());
        let lapsed: BTreeSet<u8> =
            callouts.filter(|sent| sent.leased_until <= self.clock).map(|sent| sent.token).collect();
        self.excuse(|_, token| lapsed.contains(&token));
    }

    pub(crate) fn set_back(&mut self) {
        self.is_set_back = true;
        for it in &mut self.workers {
            it.callouts.values_mut().for_each(|sent| sent.is_out_of_time = true);
            it.waits.values_mut().for_each(|wait| wait.is_out_of_time = true);
            it.renewals.values_mut().for_each(|since| *since = Duration::ZERO);
        }
        self.excuse(|_, _| true);
    }

    /// The messages that end some waits may not arrive.
    pub(crate) fn excuse(&mut self, is: impl Fn(usize, u8) -> bool) {
        for (worker, it) in self.workers.iter_mut().enumerate() {
            let excused = it.waits.iter_mut().filter(|(token, _)| is(worker, **token));
            excused.for_each(|(_, wait)| wait.is_excused = true);
        }
    }

    pub(crate) fn corrupt(&mut self, key: &str, is_lost: bool) {
        if is_lost {
            self.shared.forget(|_, bucket| bucket == Some(key));
        }
        self.excuse(|_, _| key.starts_with("scopegate.lease."));
    }

    pub(crate) fn replace(&mut self, worker: usize) {
        let gone = std::mem::take(&mut self.workers[worker]);
        self.abandoned.extend(gone.callouts.values().map(|sent| (sent.token, sent.leased_until)));
        self.excuse(|_, _| true);
    }

    pub(crate) fn begin(&mut self, worker: usize, cause: Cause, fake: &mut FakeWorker) -> Event {
        if self.depth == 0 && !matches!(cause, Cause::Message) {
            self.check_waits(worker, fake);
        }
        self.depth += 1;
        self.ops += 1;
        self.heard = None;
        fake.host.is_cut_off = self.server.is_cut_off();
        fake.host.reads.borrow_mut().clear();
        fake.host.writes.borrow_mut().clear();
        let (epoch, shared) = (epoch(fake.host.proxy()), self.is_armed.then(|| self.shared.clone()));
        let (op, has_entered, heard, unsent) = (self.ops, false, None, 0);
        let mut event = Event { worker, op, cause, epoch, has_entered, shared, heard, unsent };
        match event.cause {
            Cause::Request { stream, token, wants_view } => {
                self.workers[worker].requests.insert(stream, Request { token, wants_view });
            }
            Cause::Leave(stream) => drop(self.workers[worker].requests.remove(&stream)),
            Cause::Respond { callout, is_over, leaves } => {
                leaves.and_then(|stream| self.workers[worker].requests.remove(&stream));
                self.hear(&mut event, callout, is_over, fake.host_now());
            }
            Cause::Tick => {
                self.enter_epoch(&mut event, fake.host_now());
                let (clock, it) = (self.clock, &mut self.workers[worker]);
                let held = it.callouts.values_mut().filter(|sent| sent.leased_until > clock);
                held.for_each(|sent| sent.leased_until = clock + Terms::LEASE);
            }
            Cause::Message => {}
        }
        event
    }

    fn enter_epoch(&mut self, event: &mut Event, now: UnixTime) {
        event.has_entered = true;
        let (it, answers) = (&mut self.workers[event.worker], &self.answers);
        if it.epoch != event.epoch {
            if it.is_uncertain {
                it.callouts.values_mut().for_each(|sent| sent.is_uncertain = true);
            } else {
                it.known.forget(|answer, _| !answers[answer].is_bad());
            }
            (it.epoch, it.epochs, it.epoch_since) = (event.epoch, it.epochs + 1, Some(now));
            it.is_uncertain = false;
        }
        // One in the future is from before the clock was set back.
        it.epoch_since = it.epoch_since.min(Some(now));
        it.looked = event.op;
    }

    /// A callout ends.
    fn hear(&mut self, event: &mut Event, callout: u64, is_over: bool, now: UnixTime) {
        let (terms, it) = (self.terms, &mut self.workers[event.worker]);
        let mut sent = it.callouts.remove(&callout).expect("a callout");
        if is_over {
            sent.lose();
        }
        sent.is_uncertain |= it.is_uncertain;
        it.failures.note(&terms, sent.is_answered(), now);
        it.answered += usize::from(sent.is_answered());
        if sent.is_answered() {
            self.enter_epoch(event, now);
        }
        let (mut answer, mut is_kept) = (None, Some(false));
        if !matches!(sent.verdict, Verdict::Error { .. }) {
            let Sent { token, verdict, asked, asked_at, is_out_of_time, .. } = sent;
            let heard = Answer { token, verdict, asked, asked_at, heard_at: now, is_out_of_time, settled: None };
            answer = Some(self.answers.len());
            self.answers.push(heard);
            is_kept = self.remember(event.worker, self.answers.len() - 1, &sent);
        }
        event.heard = Some(Heard { sent, answer, is_kept });
    }

    /// A worker may keep an answer; returns whether it does, if that is certain.
    fn remember(&mut self, worker: usize, answer: usize, sent: &Sent) -> Option<bool> {
        let (terms, it, heard) = (self.terms, &mut self.workers[worker], self.answers[answer]);
        let answers = &self.answers;
        it.known.forget(|known, _| answers[known].token == heard.token);
        let is_certain = !sent.is_out_of_time && !sent.is_uncertain;
        let is_overtaken = !heard.is_bad() && it.epochs != sent.epochs;
        if !heard.lasts(&terms) || is_overtaken && is_certain {
            return Some(false);
        }
        it.known.learn(answer, None);
        self.shared.learn(answer, None);
        // A callout that was sent in the millisecond in which an epoch began may have been sent before it.
        let is_kept = heard.is_bad() || !is_overtaken && Some(heard.asked_at) > it.epoch_since;
        (is_certain && is_kept).then_some(true)
    }

    pub(crate) fn end(
        &mut self,
        event: &mut Event,
        fake: &mut FakeWorker,
        decisions: Vec<(u64, Decision)>,
    ) -> Vec<(u64, Outcome)> {
        self.depth -= 1;
        let (now, worker, is_mixed) = (fake.host_now(), event.worker, self.ops != event.op);
        let (reads, writes) = (fake.host.reads.take(), fake.host.writes.take());
        if !event.has_entered && reads.iter().any(|key| key == EPOCH) {
            self.enter_epoch(event, now);
        }
        let begun = epoch(fake.host.proxy()).wrapping_sub(event.epoch);
        self.workers[worker].is_uncertain |= is_mixed && begun > 0;
        let revokes = self.check_epoch(event, begun, is_mixed);
        self.settle(event, &writes, revokes, is_mixed);
        self.learn(event, &reads);
        self.record_callouts(event, fake);
        let ended = decisions.into_iter().map(|(stream, decision)| {
            let request = self.workers[worker].requests.remove(&stream).expect("a request that waits");
            let outcome = outcome(&decision);
            self.explain(worker, request, outcome, event, now);
            if outcome == Outcome::Passed || outcome == Outcome::Insufficient {
                self.workers[worker].hits.insert(request.token);
            }
            (stream, outcome)
        });
        let ended = ended.collect();
        self.record_waits(event, fake);
        self.check_gauges(worker, fake);
        if self.depth == 0 {
            self.check_waits(worker, fake);
            self.check_patience(event);
        }
        let heard = event.heard.as_ref().filter(|heard| heard.is_kept == Some(true) && !is_mixed);
        let heard = heard.and_then(|heard| heard.answer).map(|answer| self.answers[answer]);
        self.heard = heard.filter(|heard| heard.counts(&self.terms, now));
        ended
    }

    /// That an epoch begins if and only if a renewal finds a token revoked; returns whether one does.
    fn check_epoch(&mut self, event: &Event, begun: u64, is_mixed: bool) -> bool {
        let answer = event.heard.as_ref().and_then(|heard| heard.answer).map(|answer| self.answers[answer]);
        let (is_over, renews) = match (answer, &event.heard) {
            (Some(answer), Some(heard)) => (answer.is_bad(), heard.sent.renews),
            _ => (false, Some(false)),
        };
        let revokes = is_over && renews.unwrap_or(begun == 2 && !is_mixed);
        if !is_mixed {
            assert_eq!(begun, if revokes { 2 } else { 0 }, "epochs by {answer:?}");
        }
        if let (true, Some(Heard { sent, .. })) = (revokes, &event.heard) {
            self.revocations.push(Revocation { token: sent.token, asked: sent.asked, known: self.ops });
        }
        revokes
    }
}
