//! A worker hears an answer: as `resolve` and `hear` of envoy/filter/src/root/callouts.rs have it, call of the host by call.

use scopegate::{Answered, BucketUpdate, CircuitChange};
use scopegate_fuzz::model::{Answer, Verdict};

use crate::under_way::{UnderWay, Waiting};
use crate::{Revocation, Run, name};

/// An answer that is being heard; other workers do things between the calls to the host.
pub(crate) struct Hearing {
    answered: Answered,
    /// That of shared data when it began.
    epoch: u64,
    answer: usize,
    wants_view: Option<bool>,
    others: Vec<Waiting>,
    flight: UnderWay,
    phase: u8,
}

impl Run {
    pub(crate) fn begin_to_hear(&mut self, worker: usize, flight: usize) -> Option<(usize, bool)> {
        self.workers.get(worker)?.flights.get(flight)?;
        let mut flight = self.workers[worker].flights.remove(flight);
        let mut waiting = std::mem::take(&mut flight.waiting);
        let (call, wants_view) = match flight.orphan.take() {
            Some(call) => (call, None),
            None => {
                let mut first = waiting.remove(0);
                if flight.renews {
                    first.call.hear_for_renewal();
                }
                (first.call, Some(first.wants_view))
            }
        };
        self.enter_epoch(worker);
        let Self { terms, now, workers, answers, epoch, .. } = self;
        let it = &mut workers[worker];
        let (body, now) = (flight.body(), *now);
        let is_answered = !matches!(flight.mood, 1 | 2 | 4);
        let change = call.note(flight.attempt, flight.answer(&body), now).map(|change| change == CircuitChange::Opened);
        assert_eq!(change, it.failures.note(terms, is_answered, now));
        let answered = call.resume(&it.gate, flight.answer(&body), flight.asked_at, now);
        let Answer { verdict, token, .. } = flight.as_heard(now);
        assert_eq!(answered.ends_epoch(), flight.renews && verdict.is_over(now), "{verdict:?}");
        assert_eq!(answered.trouble.is_some(), verdict == Verdict::CalloutError);
        assert!(answered.inserts().all(|insert| !insert.key().contains(&name(token))));
        answers.push(flight.as_heard(now));
        let (answer, epoch) = (answers.len() - 1, *epoch);
        let was_kept = self.remember(worker, answer, &flight);
        let hearing = Hearing { answered, epoch, answer, wants_view, others: waiting, flight, phase: 0 };
        self.workers[worker].hearing = Some(hearing);
        Some((answer, was_kept))
    }

    /// What a worker knows when it has heard an answer; whether that counts from now on.
    pub(crate) fn remember(&mut self, worker: usize, answer: usize, flight: &UnderWay) -> bool {
        let Self { terms, workers, answers, .. } = self;
        let (it, heard) = (&mut workers[worker], answers[answer]);
        if heard.verdict == Verdict::CalloutError {
            return false;
        }
        it.known.forget(|known, _| answers[known].token == flight.token);
        let is_overtaken = !heard.is_bad() && it.epochs != flight.epochs && !flight.is_out_of_time;
        if heard.lasts(terms) && !is_overtaken {
            it.known.learn(answer, "");
        }
        // What was asked in the millisecond in which an epoch began may have been asked before, and so may what was asked
        // before the clock stepped back.
        heard.lasts(terms)
            && !flight.is_out_of_time
            && (heard.is_bad() || !is_overtaken && heard.asked_at > it.epoch_since)
    }

    pub(crate) fn go_on_hearing(&mut self, worker: usize) {
        let Some(mut hearing) = self.workers[worker].hearing.take() else { return };
        hearing.phase += 1;
        match hearing.phase {
            1 => self.epoch += u64::from(hearing.answered.ends_epoch()),
            2 => hearing.answered.inserts().for_each(|insert| self.put(insert, hearing.answer)),
            3 if hearing.answered.ends_epoch() => {
                self.epoch += 1;
                let (token, asked) = (hearing.flight.token, hearing.flight.asked);
                self.revocations.push(Revocation { token, asked, known: self.operations });
            }
            3 if hearing.epoch != self.epoch => {
                if let Some(removal) = hearing.answered.undo() {
                    self.put(&removal, hearing.answer);
                    self.epoch += 1;
                }
            }
            3 => {}
            _ => return self.follow(worker, hearing),
        }
        if hearing.phase == 3 {
            self.answers[hearing.answer].settled = Some(self.operations);
        }
        self.workers[worker].hearing = Some(hearing);
    }

    /// A worker ends what it is about, before it does anything else.
    pub(crate) fn settle(&mut self, worker: usize) {
        while self.workers[worker].hearing.is_some() {
            self.go_on_hearing(worker);
        }
    }

    /// Those who waited go on.
    pub(crate) fn follow(&mut self, worker: usize, hearing: Hearing) {
        let Hearing { answered, answer, wants_view, others, flight, .. } = hearing;
        if let Some(wants_view) = wants_view {
            self.drive(worker, flight.token, wants_view, answered.step, Some(answer));
        }
        for Waiting { call, wants_view } in others {
            let (gate, now) = (&self.workers[worker].gate, self.now);
            if call.is_answered(gate, now) {
                let step = call.look_again(gate, now);
                self.drive(worker, flight.token, wants_view, step, None);
            } else {
                let body = flight.body();
                let step = call.resume(gate, flight.answer(&body), flight.asked_at, now).step;
                self.answers.push(Answer { settled: Some(self.operations), ..flight.as_heard(now) });
                let answer = self.answers.len() - 1;
                self.remember(worker, answer, &flight);
                self.drive(worker, flight.token, wants_view, step, Some(answer));
            }
        }
    }

    /// As `insert` of envoy/filter/src/host.rs.
    pub(crate) fn put(&mut self, insert: &BucketUpdate, answer: usize) {
        let applied = insert.apply(self.shared.get(insert.key()).map(Vec::as_slice));
        self.shared.insert(insert.key().to_owned(), applied.bucket);
        let (answers, heard) = (&self.answers, self.answers[answer]);
        let is_bad = !insert.is_removal() && heard.is_bad();
        self.known.forget(|known, _| answers[known].token == heard.token && answers[known].is_bad() == is_bad);
        if !insert.is_removal() {
            assert!(heard.lasts(&self.terms), "what has ended is kept");
            self.known.learn(answer, insert.key());
        }
    }
}
