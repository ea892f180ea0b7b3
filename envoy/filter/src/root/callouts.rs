//! The root's part in callouts: sends those that are ready, has their answers heard, and keeps to leases and deadlines.

use std::rc::Rc;

use scopegate::{Attempt, Call, CalloutError, CircuitChange, Claim, Gate, Lease, Publish, Step, UnixTime};

use super::Root;
use crate::flights::{Flights, How, Key, Landed, Outcome, State, Waiting};
use crate::host;

impl Root {
    pub(super) fn launch_all(&self) {
        host::switch_to(self.shared.root);
        while let Some((key, alone)) = self.shared.flights.next_ready() {
            self.launch(&key, alone);
        }
    }

    /// Sends the callout of a flight, unless another worker has; if there is room for it.
    fn launch(&self, key: &Key, alone: bool) {
        let (flights, now) = (&self.shared.flights, host::now());
        if !flights.has_room(key) {
            if !flights.park(key) {
                self.end(key, CalloutError::Crowded);
            }
            return;
        }
        if flights.has_waited_too_long(key, now) {
            return self.end(key, CalloutError::Crowded);
        }
        let lease = key.flight.lease().filter(|_| !alone).zip(self.shared.queue.get());
        let leased = match lease.map(|(lease, queue)| host::claim_lease(lease, queue)) {
            Some(Claim::Mine(_)) => true,
            Some(Claim::Elsewhere(_, until)) => {
                flights.set_state(key, State::Elsewhere { until });
                return flights.unpark(key);
            }
            Some(Claim::Free) | None => false,
        };
        self.send(key, None, leased);
    }

    /// Sends the callout of a flight; after an attempt that was lost, if there was one.
    fn send(&self, key: &Key, after: Option<Attempt>, leased: bool) {
        let (flights, since) = (&self.shared.flights, host::now());
        let sent = flights.with_call(key, |gate, call, deadline| {
            let attempt = call.attempt(after, deadline, since)?;
            Ok((attempt, host::dispatch(&call.request(gate, attempt, since))))
        });
        let attempt = sent.as_ref().and_then(|sent| Some(sent.as_ref().ok()?.0));
        flights.set_state(key, State::Sent { since, leased, attempt });
        match sent {
            Some(Ok((_, Ok(callout)))) => flights.sent(key, callout),
            Some(Ok((_, Err(_)))) => self.resolve(key, Outcome::NotSent(CalloutError::NotSent)),
            Some(Err(trouble)) => self.resolve(key, Outcome::NotSent(trouble)),
            None => drop(flights.land(key)),
        }
    }

    /// Has everyone go on who waits for what is not asked.
    fn end(&self, key: &Key, trouble: CalloutError) {
        self.shared.flights.set_state(key, State::Sent { since: host::now(), leased: false, attempt: None });
        self.resolve(key, Outcome::NotSent(trouble));
    }

    /// Has everyone go on who waits for an answer, unless it is asked for once more. What there is to keep of it is the
    /// same for all, so it is kept once; and before others are told to look for it.
    pub(super) fn resolve(&self, key: &Key, outcome: Outcome) {
        let flights = &self.shared.flights;
        let Some(State::Sent { since, leased, attempt }) = flights.state(key) else { return };
        if let Some(attempt) = attempt
            && self.retries(key, attempt, &outcome, since)
        {
            return self.send(key, Some(attempt), leased);
        }
        let Some(Landed { waiting, orphan }) = flights.land(key) else { return };
        flights.unpark(key);
        let (outcome, was_asked) = (Rc::new(outcome), attempt.is_some());
        let mut waiting = waiting.into_iter();
        let shared = match (waiting.next(), orphan) {
            (Some(Waiting { request, call, .. }), _) => {
                let (step, shared) = self.hear(request.gate(), call, &outcome, since, was_asked);
                flights.let_go_on(request, How::Step(step));
                shared
            }
            (None, Some((gate, call))) => {
                let (step, shared) = self.hear(&gate, call, &outcome, since, was_asked);
                if let Step::Call(next) = step {
                    flights.go_on_alone(&gate, key.generation, next);
                }
                shared
            }
            (None, None) => false,
        };
        if let Some(lease) = key.flight.lease().filter(|_| leased) {
            host::release_lease(lease, shared);
        }
        for Waiting { request, call, .. } in waiting {
            flights.let_go_on(request, How::Answer { call, outcome: Rc::clone(&outcome), since });
        }
    }

    /// Notes what became of an attempt; whether another one is to be made.
    fn retries(&self, key: &Key, attempt: Attempt, outcome: &Outcome, since: UnixTime) -> bool {
        let now = host::now();
        let noted = self.shared.flights.with_call(key, |_, call, deadline| {
            let change = call.note(attempt, outcome.answer(), now);
            let lost = call.retries(attempt, outcome.answer(), deadline, now);
            (call.server().to_owned(), change, lost)
        });
        let Some((server, change, lost)) = noted else { return false };
        match change {
            Some(CircuitChange::Opened) => log::warn!(
                "authorization server `{server}`: too many questions in a row were lost, so a cluster of it is not asked for a while"
            ),
            Some(CircuitChange::Closed) => log::warn!("authorization server `{server}`: answers again"),
            None => {}
        }
        if let Some(trouble) = lost {
            self.shared.metrics.count_retry();
            self.count(trouble.outcome(), since, now);
            self.note(&server, Some(trouble), None, now);
        }
        lost.is_some()
    }

    /// What comes next for the first that hears an answer; and whether other workers find in shared data what they
    /// wait for.
    fn hear(&self, gate: &Gate, call: Call, outcome: &Outcome, since: UnixTime, was_asked: bool) -> (Step, bool) {
        let (server, now) = (call.server().to_owned(), host::now());
        let epoch = host::epoch();
        gate.enter_epoch(epoch, now);
        let answered = call.resume(gate, outcome.answer(), since, now);
        // Before anything is taken out: who puts in at the same time what is to go must notice. And after: who has
        // read it in the meantime must read again; as must who has read what is taken out again here.
        if answered.ends_epoch() {
            host::begin_epoch();
        }
        let mut shared = false;
        for insert in answered.inserts() {
            shared = self.shared.keep(insert) && !insert.is_removal();
        }
        if answered.ends_epoch() {
            host::begin_epoch();
        } else if host::epoch() != epoch {
            answered.undo().iter().for_each(|removal| {
                self.shared.keep(removal);
                host::begin_epoch();
            });
        }
        if was_asked {
            self.count(answered.outcome, since, now);
        }
        self.note(&server, answered.trouble, answered.publish.as_ref(), now);
        (answered.step, shared)
    }

    /// Counts a callout that has ended.
    pub(super) fn count(&self, outcome: &str, since: UnixTime, now: UnixTime) {
        let millis = u64::try_from(now.saturating_since(since).as_millis()).unwrap_or(u64::MAX);
        self.shared.metrics.count_callout(outcome, millis);
    }

    /// Publishes what there is for other workers, and tells of trouble.
    pub(super) fn note(&self, server: &str, trouble: Option<CalloutError>, publish: Option<&Publish>, now: UnixTime) {
        publish.into_iter().for_each(host::publish);
        if let Some(trouble) = trouble {
            self.shared.warn_of_trouble(server, trouble, now);
        }
    }

    /// Has everyone who waits look again for what another worker has found out.
    fn look_again(&self, key: &Key) {
        let Some(Landed { waiting, .. }) = self.shared.flights.land(key) else { return };
        for Waiting { request, call, .. } in waiting {
            self.shared.flights.let_go_on(request, How::LookAgain(call));
        }
    }

    /// Another worker's lease is over.
    pub(super) fn take_message(&self, lease: Lease, answered: bool) {
        let flights = &self.shared.flights;
        for key in flights.those(|key, state| Flights::waits_for(key, state, lease)) {
            if answered {
                self.look_again(&key);
            } else {
                // With its trouble, or an answer too long to be shared, it is not alone; ours is not to wait for one
                // worker after another, nor to ask when there is no time left for an answer.
                let is_timely = |_: &Gate, call: &Call, deadline| call.is_timely(deadline, host::now());
                if flights.with_call(&key, is_timely).unwrap_or_default() {
                    flights.set_state(&key, State::Ready { alone: true });
                } else {
                    self.end(&key, CalloutError::NoAnswer);
                }
            }
        }
    }

    /// Has nobody wait any longer for what could not be asked in time.
    pub(super) fn end_overdue(&self) {
        for (key, trouble) in self.shared.flights.overdue(host::now()) {
            self.end(&key, trouble);
        }
    }

    /// Keeps the leases of this worker, and does without those of workers that have not kept theirs.
    pub(super) fn care_for_leases(&self) {
        let flights = &self.shared.flights;
        for key in flights.those(|_, state| matches!(state, State::Sent { leased: true, .. })) {
            key.flight.lease().into_iter().for_each(host::renew_lease);
        }
        let now = host::now();
        let is_over = |state| matches!(state, State::Elsewhere { until } if Lease::may_be_over(until, now));
        for key in flights.those(|_, state| is_over(state)) {
            match key.flight.lease().and_then(host::lease_held_until) {
                Some(until) => flights.set_state(&key, State::Elsewhere { until }),
                None => self.look_again(&key),
            }
        }
    }

    /// Has facts that are in use renewed before they end.
    pub(super) fn renew(&self) {
        let Some(gate) = &self.gate else { return };
        for renewal in gate.take_renewals() {
            let bucket = renewal.key(gate).and_then(|key| host::shared_data(&key));
            if let Some(call) = renewal.resume(gate, bucket.as_deref(), host::now()) {
                self.shared.flights.ask(gate, self.generation, call);
            }
        }
    }
}
