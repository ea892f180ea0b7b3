//! A request on its way, what it or a renewal asks, and whether its end has a reason.

use scopegate::{Call, RequestHead, Step};
use scopegate_fuzz::model::{Answer, Outcome, Verdict};

use crate::under_way::{UnderWay, Waiting};
use crate::{Revocation, Run, TOKENS, WORKERS, name, outcome};

impl Run {
    pub(crate) fn request(&mut self, worker: usize, token: u8, wants_view: bool) -> Option<Outcome> {
        let authorization = format!("Bearer {}", name(token));
        let path = if wants_view { "/view" } else { "/any" };
        let headers = [(":method", "GET"), (":path", path), (":authority", "a"), ("authorization", &authorization)]
            .map(|(name, value)| (name, value.as_bytes()));
        let step =
            self.workers[worker].gate.begin(RequestHead { headers: &headers, route: None, has_body: false }, self.now);
        self.drive(worker, token, wants_view, step, None)
    }

    /// Takes the steps of a request, until it has ended as it may or waits. `direct`: the answer it has just got.
    pub(crate) fn drive(
        &mut self,
        worker: usize,
        token: u8,
        wants_view: bool,
        mut step: Step,
        direct: Option<usize>,
    ) -> Option<Outcome> {
        loop {
            step = match step {
                Step::Lookup(lookup) => {
                    self.read_shared(worker, token);
                    let bucket = self.shared.get(lookup.key()).map(Vec::as_slice);
                    lookup.resume(&self.workers[worker].gate, bucket, self.now)
                }
                Step::Call(call) => {
                    self.join(worker, Some(token), call, Some(wants_view));
                    return None;
                }
                Step::Verify(_) => panic!("no JWT"),
                end => {
                    let outcome = outcome(end);
                    self.explain(worker, token, wants_view, outcome, direct);
                    return Some(outcome);
                }
            };
        }
    }

    /// That an end has its reason.
    pub(crate) fn explain(&self, worker: usize, token: u8, wants_view: bool, outcome: Outcome, direct: Option<usize>) {
        let it = &self.workers[worker];
        let direct = direct.map(|answer| self.answers[answer].direct_end(wants_view));
        let known = it.known.iter().map(|answer| &self.answers[answer]).filter(|answer| answer.token == token);
        let mut known = known.filter(|answer| !self.is_revoked(answer, it.looked));
        let is_explained = match outcome {
            Outcome::CircuitOpen => it.failures.refuse(&self.terms, self.now),
            Outcome::Unavailable => direct == Some(outcome),
            Outcome::Passed | Outcome::Insufficient | Outcome::Refused => {
                direct == Some(outcome)
                    || known.any(|one| one.counts(&self.terms, self.now) && one.end(wants_view, self.now) == outcome)
            }
        };
        assert!(is_explained, "worker {worker}: {} ends as {outcome:?}: {direct:?} {:#?}", name(token), self.answers);
    }

    /// Whether an answer says good of a token that has been revoked since, and a worker that has last looked then for
    /// what has changed must know.
    fn is_revoked(&self, answer: &Answer, looked: usize) -> bool {
        let is_known =
            |revocation: &Revocation| looked > revocation.known && answer.settled.is_some_and(|op| looked > op);
        let mut revocations = self.revocations.iter().filter(|revocation| revocation.token == answer.token);
        let is_good = !answer.is_bad() && !answer.is_out_of_time;
        is_good && revocations.any(|revocation| revocation.asked > answer.asked && is_known(revocation))
    }

    /// A worker reads what others know of a token.
    pub(crate) fn read_shared(&mut self, worker: usize, token: u8) {
        for answer in self.known.iter().filter(|answer| self.answers[*answer].token == token) {
            self.workers[worker].known.learn(answer, "");
        }
    }

    /// Waits for the answer to a call, and asks unless somebody has. No request waits for a renewal, whose token is what
    /// it asks about.
    pub(crate) fn join(&mut self, worker: usize, token: Option<u8>, call: Call, wants_view: Option<bool>) {
        let Self { terms, now, server, workers, .. } = self;
        let it = &mut workers[worker];
        assert!(!it.failures.refuse(terms, *now), "the circuit of worker {worker} is open");
        let flight = call.flight(&it.gate);
        let same = it.flights.iter().position(|under_way| under_way.flight == flight);
        let under_way = match same.map(|place| &mut it.flights[place]) {
            Some(under_way) => under_way,
            None => {
                it.failures.ask(terms, *now);
                let attempt = call.attempt(None, call.deadline(*now), *now).expect("the circuit is closed, or tried");
                let form = call.request(&it.gate, attempt, *now).body;
                let asked =
                    (0..TOKENS).find(|token| form.split('&').any(|pair| pair == format!("token={}", name(*token))));
                let asked = asked.expect("a token");
                assert!(token.is_none_or(|token| token == asked), "{form}");
                let token = asked;
                assert!(it.flights.iter().all(|other| other.token != token), "a token has one question");
                let verdict = if server.mood == 0 { server.tokens[usize::from(token)] } else { Verdict::CalloutError };
                it.flights.push(UnderWay {
                    flight,
                    attempt,
                    token,
                    waiting: Vec::new(),
                    orphan: None,
                    renews: call.renews(),
                    asked: self.operations,
                    asked_at: *now,
                    epochs: it.epochs,
                    is_out_of_time: false,
                    mood: server.mood,
                    verdict,
                });
                it.flights.last_mut().expect("it is there")
            }
        };
        assert!(token.is_none_or(|token| token == under_way.token));
        match wants_view {
            Some(wants_view) => {
                under_way.waiting.push(Waiting { call, wants_view });
                under_way.orphan = None;
            }
            None if under_way.waiting.is_empty() && under_way.orphan.is_none() => under_way.orphan = Some(call),
            None => {}
        }
    }

    pub(crate) fn renew(&mut self, worker: usize) {
        for renewal in self.workers[worker].gate.take_renewals() {
            let shared = &self.shared;
            let bucket = renewal.key(&self.workers[worker].gate).and_then(|key| shared.get(&key));
            let bucket = bucket.cloned();
            let call = renewal.resume(&self.workers[worker].gate, bucket.as_deref(), self.now);
            let Some(call) = call else {
                // Another worker was quicker, whose answer is taken over, or nobody is asked.
                (0..TOKENS).for_each(|token| self.read_shared(worker, token));
                continue;
            };
            assert!(call.renews());
            self.join(worker, None, call, None);
        }
    }

    /// Asks again at once: what was kept is known, here and wherever shared data are read.
    pub(crate) fn probe(&mut self, worker: usize, answer: usize, was_kept: bool, others: usize) {
        let (heard, now) = (self.answers[answer], self.now);
        if others == 0 || !was_kept || !heard.counts(&self.terms, now) {
            return;
        }
        let outcome = self.request(worker, heard.token, true);
        assert_eq!(outcome, Some(heard.end(true, now)), "worker {worker} has heard {heard:?}");
        // One that is about to put in what it has heard before may put that over this.
        let other = (worker + 1) % WORKERS;
        if others == 2 && self.workers[other].hearing.is_none() {
            assert!(self.request(other, heard.token, true).is_some(), "worker {other} asks again: {heard:?}");
        }
    }
}
