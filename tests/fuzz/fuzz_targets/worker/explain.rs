//! Whether the end of a request has a reason, and whether a request that waits has one.

use scopegate::{Decision, UnixTime};
use scopegate_fake_proxy::FakeWorker;
use scopegate_fuzz::model::{Answer, Failure, Outcome, Terms, Verdict};

use crate::oracle::{Cause, Event, Oracle, Request, Revocation, Seen, Wait};

impl Oracle {
    /// That an end has a reason.
    pub(crate) fn explain(&self, worker: usize, request: Request, outcome: Outcome, event: &Event, now: UnixTime) {
        let (it, Request { token, wants_view }) = (&self.workers[worker], request);
        let heard = event.heard.as_ref().filter(|heard| heard.sent.token == token);
        let direct = heard.and_then(|heard| self.answers[heard.answer?].direct_end(wants_view));
        let known = it.known.iter().map(|answer| &self.answers[answer]);
        let known = known.filter(|answer| answer.token == token && !self.is_revoked(answer, it.looked));
        let known: Vec<&Answer> = known.collect();
        let is_cached =
            |outcome| known.iter().any(|one| one.counts(&self.terms, now) && one.end(wants_view, now) == Some(outcome));
        let is_stale = |outcome| {
            let outage = [Failure::CircuitOpen, Failure::NotSent, Failure::NoAnswer];
            let is_outage = outage.iter().any(|failure| self.is_failing(*failure, worker, token, event, now));
            let is_unavailable =
                heard.is_some_and(|heard| matches!(heard.sent.verdict, Verdict::Error { is_outage: true }));
            (is_outage || is_unavailable)
                && known.iter().any(|one| {
                    one.counts_while_stale(&self.terms, now) && one.verdict.end(wants_view, now) == Some(outcome)
                })
        };
        let is_explained = match outcome {
            Outcome::Passed | Outcome::Refused => direct == Some(outcome) || is_cached(outcome),
            Outcome::Insufficient => direct == Some(outcome) || is_cached(outcome) || is_stale(outcome),
            Outcome::PassedStale => is_stale(Outcome::Passed),
            Outcome::Unavailable(failure) => self.is_failing(failure, worker, token, event, now),
        };
        assert!(is_explained, "worker {worker}: {outcome:?} of {request:?} by {event:#?} of {self:#?}");
    }

    /// Whether the server is unavailable to a request in this way.
    fn is_failing(&self, failure: Failure, worker: usize, token: u8, event: &Event, now: UnixTime) -> bool {
        let it = &self.workers[worker];
        let heard = event.heard.as_ref().filter(|heard| heard.sent.token == token);
        let failed = heard.filter(|heard| matches!(heard.sent.verdict, Verdict::Error { .. }));
        let is_failed = failed.is_some_and(|heard| heard.sent.failure() == failure);
        match failure {
            Failure::CircuitOpen => it.failures.refuse(&self.terms, now),
            Failure::NotSent => event.unsent > 0,
            Failure::BadAnswer => is_failed,
            Failure::NoAnswer => is_failed || self.terms.has_leases && self.is_late(worker, token),
            Failure::Overloaded => self.is_late(worker, token),
        }
    }

    /// Whether requests have waited so long that no callout is sent for them any more.
    fn is_late(&self, worker: usize, token: u8) -> bool {
        let it = &self.workers[worker];
        let Some(wait) = it.waits.get(&token) else { return false };
        let since = it.renewals.get(&token).copied().unwrap_or(wait.since).min(wait.since);
        wait.is_out_of_time || since + Terms::PATIENCE <= self.clock
    }

    /// Whether an answer calls a token active that was revoked since, and a worker that has last looked then for what has
    /// changed must know.
    fn is_revoked(&self, answer: &Answer, looked: usize) -> bool {
        let is_known =
            |revocation: &Revocation| looked > revocation.known && answer.settled.is_some_and(|op| looked > op);
        let mut revocations = self.revocations.iter().filter(|revocation| revocation.token == answer.token);
        let is_good = !answer.is_bad() && !answer.is_out_of_time;
        is_good && revocations.any(|revocation| revocation.asked > answer.asked && is_known(revocation))
    }

    /// That every request of a worker waits for something that will come.
    pub(crate) fn check_waits(&self, worker: usize, fake: &FakeWorker) {
        let it = &self.workers[worker];
        if fake.has_mail() || it.callouts.len() >= self.terms.max_callouts {
            return;
        }
        for token in it.waits.iter().filter(|(_, wait)| !wait.is_excused).map(|(token, _)| *token) {
            let is_asked = |it: &Seen| it.callouts.values().any(|sent| sent.token == token);
            let is_asked = if self.terms.has_leases { self.workers.iter().any(is_asked) } else { is_asked(it) };
            assert!(is_asked, "worker {worker} waits for {token} in vain: {self:#?}");
        }
    }

    /// That no request has waited longer than the timeout, after a tick, for a callout that was not sent.
    pub(crate) fn check_patience(&self, event: &Event) {
        let it = &self.workers[event.worker];
        let is_over = |wait: &Wait| !wait.is_excused && wait.restarted + Terms::TIMEOUT <= self.clock;
        for (token, _) in it.waits.iter().filter(|(_, wait)| matches!(event.cause, Cause::Tick) && is_over(wait)) {
            let is_sent = it.callouts.values().any(|sent| sent.token == *token);
            assert!(is_sent, "worker {} waits too long for {token}: {self:#?}", event.worker);
        }
    }

    /// That a worker has as much of everything as can be seen from outside.
    pub(crate) fn check_gauges(&self, worker: usize, fake: &FakeWorker) {
        let (it, now) = (&self.workers[worker], fake.host_now());
        let gauges = fake.worker.gauges(now);
        assert_eq!(gauges.callouts_in_flight, it.callouts.len(), "callouts in flight");
        assert_eq!(gauges.requests_waiting, it.requests.len(), "requests that wait");
        assert_eq!(gauges.circuits_open, usize::from(it.failures.refuse(&self.terms, now)), "open circuits");
        assert!(gauges.leases_held <= if self.terms.has_leases { it.callouts.len() } else { 0 }, "leases");
        assert!(it.callouts.len() <= self.terms.max_callouts, "callouts at a time");
        assert!(it.callouts.keys().all(|callout| fake.worker.has_callout(*callout)), "forgotten callouts");
        assert!(it.callouts.is_empty() && it.requests.is_empty() || fake.worker.has_callouts(), "callouts");
    }
}

/// How a request has ended.
pub(crate) fn outcome(decision: &Decision) -> Outcome {
    let reply = match decision {
        Decision::Forward(forward) => {
            assert!(!forward.permit.is_public());
            let is_stale = forward.set.iter().any(|(name, _)| name == "x-auth-stale");
            return if is_stale { Outcome::PassedStale } else { Outcome::Passed };
        }
        Decision::Respond(reply) => reply,
        Decision::Report(reply) => panic!("everything is enforced: {reply:?}"),
    };
    let (status, outcome) = match reply.denial.reason() {
        "insufficient_scope" => (403, Outcome::Insufficient),
        "inactive" | "expired" => (401, Outcome::Refused),
        "circuit_open" => (503, Outcome::Unavailable(Failure::CircuitOpen)),
        "not_sent" => (503, Outcome::Unavailable(Failure::NotSent)),
        "no_answer" => (503, Outcome::Unavailable(Failure::NoAnswer)),
        "crowded" => (503, Outcome::Unavailable(Failure::Overloaded)),
        "error_status" | "client_refused" | "bad_answer" | "too_large" => {
            (503, Outcome::Unavailable(Failure::BadAnswer))
        }
        other => panic!("{other}: {reply:?}"),
    };
    assert_eq!(reply.status, status);
    outcome
}
