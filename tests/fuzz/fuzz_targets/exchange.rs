//! Workers that share a cache and a server: whatever happens in whichever order, no request ends in a way that no answer
//! of the server explains. What does is for the model to say (`src/model.rs`).
//!
//! The bytes are a configuration and operations, one letter each with its arguments behind it, so that an input can be
//! read: `q0a0` has worker 0 asked for `/any` with token `a`. See `Run::act`.
#![no_main]

#[path = "exchange/asking.rs"]
mod asking;
#[path = "exchange/hearing.rs"]
mod hearing;
#[path = "exchange/under_way.rs"]
mod under_way;

use std::cell::LazyCell;
use std::collections::BTreeMap;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use scopegate::{CalloutError, Denial, Gate, Step, UnixTime};
use scopegate_fuzz::model::{Answer, Failures, Knowledge, Outcome, Terms, Verdict};
use scopegate_fuzz::{NOW, seeded_gate};

use crate::hearing::Hearing;
use crate::under_way::{UnderWay, Waiting};

fuzz_target!(|data: &[u8]| {
    let Some((first, operations)) = data.split_first() else { return };
    let mut run = Run::new(TERMS[usize::from(first.wrapping_sub(b'0')) % TERMS.len()]);
    let mut bytes = operations.iter().copied();
    while let Some(letter) = bytes.next() {
        run.act(letter, &mut bytes);
    }
});

const SECOND: Duration = Duration::from_secs(1);

const fn terms(capacity: u32, max_ttl: u64, inactive_ttl: u64, failures: u32) -> Terms {
    let (max_ttl, inactive_ttl) = (Duration::from_secs(max_ttl), Duration::from_secs(inactive_ttl));
    Terms { capacity, max_ttl, inactive_ttl, failures, open_for: Duration::from_secs(2) }
}

/// A plain one, one where entries push each other out, and some where one kind of answer outlives the other.
const TERMS: [Terms; 5] =
    [terms(64, 10, 4, 3), terms(8, 10, 4, 0), terms(64, 4, 10, 1), terms(64, 0, 4, 3), terms(64, 10, 0, 0)];

const WORKERS: usize = 3;
const TOKENS: u8 = 12;

/// Steps of the clock, in milliseconds.
const STEPS: [u64; 10] = [0, 1, 50, 250, 1_000, 2_000, 4_000, 8_000, 9_999, 3_600_000];

/// Everything there is.
struct Run {
    terms: Terms,
    now: UnixTime,
    server: Server,
    /// With versions nobody would see more: one operation at a time touches it.
    shared: BTreeMap<String, Vec<u8>>,
    epoch: u64,
    workers: [Worker; WORKERS],
    /// Every answer that was heard.
    answers: Vec<Answer>,
    /// Those that shared data may hold.
    known: Knowledge,
    /// Tokens that a renewal has found revoked.
    revocations: Vec<Revocation>,
    /// Counts operations.
    operations: usize,
    seeds: u8,
}

struct Revocation {
    token: u8,
    /// In which operation the server was asked, and in which one everybody could know.
    asked: usize,
    known: usize,
}

/// The authorization server, as it is now.
struct Server {
    tokens: [Verdict; TOKENS as usize],
    /// Which kind of trouble it is in; 0: none.
    mood: u8,
}

struct Worker {
    /// Made when it is needed: that takes longer than all else.
    gate: LazyCell<Gate, Box<dyn FnOnce() -> Gate>>,
    flights: Vec<UnderWay>,
    /// An answer that is being heard, and how far that has come.
    hearing: Option<Hearing>,
    failures: Failures,
    known: Knowledge,
    /// The last epoch it has entered, how many those were, and when.
    epoch: u64,
    epochs: usize,
    epoch_since: UnixTime,
    /// The operation in which it has last looked for one.
    looked: usize,
}

impl Run {
    fn new(terms: Terms) -> Self {
        let mut seeds = 0;
        let workers = std::array::from_fn(|_| {
            seeds += 1;
            Worker::new(&terms, seeds)
        });
        let server = Server { tokens: [Verdict::Inactive; TOKENS as usize], mood: 0 };
        let (shared, answers, known, revocations) = Default::default();
        let (now, epoch, operations) = (NOW, 0, 0);
        Self { terms, now, server, shared, epoch, workers, answers, known, revocations, operations, seeds }
    }

    fn act(&mut self, letter: u8, bytes: &mut impl Iterator<Item = u8>) {
        let mut argument = |below: usize| match bytes.next() {
            Some(byte @ (b'a'..=b'z')) => usize::from(byte - b'a') % below,
            byte => usize::from(byte.unwrap_or_default().wrapping_sub(b'0')) % below,
        };
        self.operations += 1;
        match letter {
            // A request: worker, token, path.
            b'q' => {
                let (worker, token, path) = (argument(WORKERS), token(argument(TOKENS.into())), argument(2));
                self.settle(worker);
                self.request(worker, token, path == 1);
            }
            // The answer to a callout arrives: worker, callout, whether both workers are asked for more.
            b'd' => {
                let (worker, flight, probe) = (argument(WORKERS), argument(8), argument(3));
                self.settle(worker);
                if let Some((answer, was_kept)) = self.begin_to_hear(worker, flight) {
                    self.settle(worker);
                    self.probe(worker, answer, was_kept, probe);
                }
            }
            // The same, but no more than its beginning.
            b'h' => {
                let (worker, flight) = (argument(WORKERS), argument(8));
                self.settle(worker);
                self.begin_to_hear(worker, flight);
            }
            // The next part of that: worker.
            b'p' => {
                let worker = argument(WORKERS);
                self.go_on_hearing(worker);
            }
            // A request leaves: worker, callout.
            b'x' => {
                let (worker, flight) = (argument(WORKERS), argument(8));
                if let Some(flight) = self.workers[worker].flights.get_mut(flight)
                    && !flight.waiting.is_empty()
                {
                    let left = flight.waiting.remove(0);
                    flight.orphan = flight.waiting.is_empty().then_some(left.call);
                }
            }
            // Those who wait look again, as if another worker had asked: worker, callout.
            b'l' => {
                let (worker, flight) = (argument(WORKERS), argument(8));
                self.settle(worker);
                if flight < self.workers[worker].flights.len() {
                    let flight = self.workers[worker].flights.remove(flight);
                    for Waiting { call, wants_view } in flight.waiting {
                        let step = call.look_again(&self.workers[worker].gate, self.now);
                        self.drive(worker, flight.token, wants_view, step, None);
                    }
                }
            }
            // A tick: worker.
            b't' => {
                let worker = argument(WORKERS);
                self.settle(worker);
                self.enter_epoch(worker);
                self.renew(worker);
            }
            // The clock goes on, or steps back.
            b'+' => self.now = self.now.saturating_add(Duration::from_millis(STEPS[argument(STEPS.len())])),
            b'-' => {
                self.now = self.now.saturating_sub(Duration::from_millis(STEPS[argument(STEPS.len())]));
                let flights = self.workers.iter_mut().flat_map(|worker| &mut worker.flights);
                flights.for_each(|flight| flight.is_out_of_time = true);
            }
            // A token becomes active: token, scope, end.
            b'a' => {
                let (token, view, end) = (argument(TOKENS.into()), argument(2) == 1, argument(6));
                let expires_at = match end {
                    0 => None,
                    1 => Some(self.now.saturating_sub(SECOND)),
                    end => Some(self.now.saturating_add(SECOND * [1, 4, 9, 60][end - 2])),
                };
                let expires_at = expires_at.map(|expires_at| UnixTime::from_secs(expires_at.as_secs()));
                self.server.tokens[token] = Verdict::Active { view, expires_at };
            }
            // It is revoked: token.
            b'v' => self.server.tokens[argument(TOKENS.into())] = Verdict::Inactive,
            // The server's mood.
            b'm' => self.server.mood = u8::try_from(argument(10)).unwrap_or_default(),
            // A bucket becomes something else: which, what.
            b'c' => {
                let (bucket, kind) = (argument(32), argument(6));
                let garbage: Vec<u8> = (0..argument(32)).map(|_| u8::try_from(argument(256)).unwrap()).collect();
                self.corrupt(bucket, kind, &garbage);
            }
            // A worker is another one: worker.
            b'n' => {
                let worker = argument(WORKERS);
                self.seeds = self.seeds.wrapping_add(1);
                self.workers[worker] = Worker::new(&self.terms, self.seeds);
            }
            _ => {}
        }
    }

    fn enter_epoch(&mut self, worker: usize) {
        let (it, answers) = (&mut self.workers[worker], &self.answers);
        it.gate.enter_epoch(self.epoch, self.now);
        if it.epoch != self.epoch {
            (it.epoch, it.epochs, it.epoch_since) = (self.epoch, it.epochs + 1, self.now);
            it.known.forget(|answer, _| !answers[answer].is_bad());
        }
        // One in the future is from before the clock stepped back.
        it.epoch_since = it.epoch_since.min(self.now);
        it.looked = self.operations;
        let is_open = it.failures.refuse(&self.terms, self.now);
        assert_eq!(it.gate.open_circuits(self.now), usize::from(is_open), "open circuits of worker {worker}");
    }

    fn corrupt(&mut self, bucket: usize, kind: usize, garbage: &[u8]) {
        let Some(key) = self.shared.keys().nth(bucket % self.shared.len().max(1)).cloned() else { return };
        let bucket = self.shared.entry(key.clone()).or_default();
        let is_lost = match kind {
            // Cut, continued, or of another version: entries may be left.
            0 => {
                bucket.truncate(garbage.len() * 8);
                false
            }
            1 => {
                bucket.extend_from_slice(garbage);
                false
            }
            // Something else altogether.
            2 => {
                *bucket = garbage.to_vec();
                true
            }
            3 => {
                *bucket = [&[2], garbage].concat();
                true
            }
            4 => {
                bucket.clear();
                true
            }
            _ => {
                self.shared.remove(&key);
                true
            }
        };
        if is_lost {
            self.known.forget(|_, held| held == key);
        }
    }
}

impl Worker {
    fn new(terms: &Terms, seed: u8) -> Self {
        let terms = *terms;
        let gate = LazyCell::new(Box::new(move || seeded_gate(&terms.configuration(), [seed; 32])) as Box<_>);
        let (flights, hearing, failures, known) = Default::default();
        Self {
            gate,
            flights,
            hearing,
            failures,
            known,
            epoch: 0,
            epochs: 0,
            epoch_since: UnixTime::from_secs(0),
            looked: 0,
        }
    }
}

fn outcome(end: Step) -> Outcome {
    match end {
        Step::Forward(forward) => {
            assert!(!forward.permit.is_public());
            Outcome::Passed
        }
        Step::Respond(reply) => {
            let (status, outcome) = match reply.denial {
                Denial::InsufficientScope => (403, Outcome::Insufficient),
                Denial::Inactive | Denial::Expired => (401, Outcome::Refused),
                Denial::Unavailable(CalloutError::CircuitOpen) => (503, Outcome::CircuitOpen),
                Denial::Unavailable(_) => (503, Outcome::Unavailable),
                other => panic!("{other:?}"),
            };
            assert_eq!(reply.status, status);
            outcome
        }
        Step::Lookup(_) | Step::Call(_) | Step::Verify(_) | Step::Report(_) => panic!("no end"),
    }
}

fn token(index: usize) -> u8 {
    u8::try_from(index).unwrap_or_default()
}

/// No name is in another.
fn name(token: u8) -> String {
    format!("token-{}", char::from(b'a' + token))
}
