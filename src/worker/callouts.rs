//! Sends, retries and completes callouts. The state from a response is stored once, before any request or worker
//! continues with it.

use std::rc::Rc;

use super::coalescer::{CalloutEnd, Coalescer, Progress, ResumeWith, Resumption, Waiter, Waiters};
use super::{Worker, epoch, leases};
use crate::base::UnixTime;
use crate::cache::{Lease, LeaseOutcome};
use crate::flow::{Call, CalloutKey, CompletedCallout, Context, Counter, Step, driver};
use crate::host::{CalloutError, CalloutOutcome, Host, Publish};
use crate::server::{Attempt, CircuitChange};

impl Worker {
    /// Sends a callout, unless `max_callouts` of its server is reached or another worker sends it.
    pub(super) fn launch(&mut self, key: &CalloutKey, is_alone: bool, host: &mut impl Host) {
        let now = host.now();
        if !self.coalescer.has_room(key) {
            if !self.coalescer.enqueue(key) {
                self.fail(key, CalloutError::Overloaded, host);
            }
            return;
        }
        if self.coalescer.has_queued_too_long(key, now) {
            return self.fail(key, CalloutError::Overloaded, host);
        }
        let lease = key.lease().filter(|_| !is_alone).zip(host.mailbox());
        let is_leased = match lease.map(|(lease, mailbox)| leases::acquire(lease, mailbox, host)) {
            Some(LeaseOutcome::Acquired(_)) => true,
            Some(LeaseOutcome::HeldElsewhere(_, until)) => {
                self.coalescer.set_progress(key, Progress::HeldElsewhere { until });
                return self.coalescer.dequeue(key);
            }
            Some(LeaseOutcome::Uncoordinated) | None => false,
        };
        self.send(key, None, is_leased, host);
    }

    /// Sends a callout. `after` is the failed attempt, if it is a retry.
    fn send(&mut self, key: &CalloutKey, after: Option<Attempt>, is_leased: bool, host: &mut impl Host) {
        let now = host.now();
        let Some((call, deadline)) = self.coalescer.call(key) else {
            drop(self.coalescer.remove(key));
            return;
        };
        let attempt = call.try_begin_attempt(after, deadline, now);
        let sent = attempt.and_then(|attempt| {
            let cx = &mut Context { gate: &self.gate, state: &mut self.state, now };
            host.send_callout(&call.request(attempt, cx)).ok_or(CalloutError::NotSent)
        });
        self.coalescer.set_progress(key, Progress::Sent { at: now, is_leased, attempt: attempt.ok() });
        match sent {
            Ok(callout) => self.coalescer.record_sent(key, callout),
            Err(error) => self.complete(key, CalloutEnd::NotSent(error), host),
        }
    }

    /// Completes a callout that is not sent.
    fn fail(&mut self, key: &CalloutKey, error: CalloutError, host: &mut impl Host) {
        let progress = Progress::Sent { at: host.now(), is_leased: false, attempt: None };
        self.coalescer.set_progress(key, progress);
        self.complete(key, CalloutEnd::NotSent(error), host);
    }

    /// Completes a callout, unless it is retried. The first waiting request parses the response for all.
    pub(super) fn complete(&mut self, key: &CalloutKey, end: CalloutEnd, host: &mut impl Host) {
        let Some(Progress::Sent { at, is_leased, attempt }) = self.coalescer.progress(key) else { return };
        if let Some(attempt) = attempt
            && self.should_retry(key, attempt, &end, at, host)
        {
            return self.send(key, Some(attempt), is_leased, host);
        }
        let Some(Waiters { waiting, orphan }) = self.coalescer.remove(key) else { return };
        self.coalescer.dequeue(key);
        let (end, was_sent) = (Rc::new(end), attempt.is_some());
        let mut waiting = waiting.into_iter();
        let is_shared = match (waiting.next(), orphan) {
            (Some(Waiter { stream, call, .. }), _) => {
                let (step, is_shared) = self.take_response(call, &end, at, was_sent, host);
                self.resumptions.push_back(Resumption { stream, with: ResumeWith::Step(step) });
                is_shared
            }
            (None, Some(call)) => {
                let (step, is_shared) = self.take_response(call, &end, at, was_sent, host);
                if let Step::Call(next) = step {
                    self.continue_alone(next, host);
                }
                is_shared
            }
            (None, None) => false,
        };
        if let Some(lease) = key.lease().filter(|_| is_leased) {
            leases::release(lease, is_shared, host);
        }
        for Waiter { stream, call, .. } in waiting {
            let with = ResumeWith::End { call, end: Rc::clone(&end), sent_at: at };
            self.resumptions.push_back(Resumption { stream, with });
        }
    }

    /// Starts a follow-up callout that no request waits for, if it serves all requests.
    pub(super) fn continue_alone(&mut self, call: Call, host: &impl Host) {
        let key = call.key(&self.gate);
        if key.outlives_requests() {
            self.coalescer.start(key, call, host.now());
        }
    }

    /// Records the result of an attempt; returns whether the callout is to be retried.
    fn should_retry(
        &mut self,
        key: &CalloutKey,
        attempt: Attempt,
        end: &CalloutEnd,
        sent_at: UnixTime,
        host: &mut impl Host,
    ) -> bool {
        let now = host.now();
        let Some((call, deadline)) = self.coalescer.call(key) else { return false };
        let server = call.server_index();
        match call.record(attempt, end.result(), now) {
            Some(CircuitChange::Opened) => log::warn!(
                "authorization server `{}`: the circuit breaker of a cluster has opened, because too many callouts in a row have failed: check that the server is up and reachable",
                call.server_name()
            ),
            Some(CircuitChange::Closed) => {
                log::warn!(
                    "authorization server `{}`: the circuit breaker of a cluster has closed: the server responds again",
                    call.server_name()
                );
            }
            None => {}
        }
        let Some(error) = call.should_retry(attempt, end.result(), deadline, now) else { return false };
        self.state.counters.count(Counter::CalloutsRetried);
        self.count_callout(error.outcome(), sent_at, now, host);
        self.warn(server, error, now);
        true
    }

    /// Processes a response for the first waiting request. Returns its next step, and whether other workers can find
    /// the response in shared data.
    fn take_response(
        &mut self,
        call: Call,
        end: &CalloutEnd,
        sent_at: UnixTime,
        was_sent: bool,
        host: &mut impl Host,
    ) -> (Step, bool) {
        let (server, now) = (call.server_index(), host.now());
        let current = epoch::current(host);
        self.state.enter_epoch(current, now);
        let (completed, step) = driver::resume_call(call, end.result(), sent_at, &mut self.context(now));
        // The epoch begins before the entry is removed, so that a worker that stores the entry at the same time detects
        // it; and again after the removal, so that a worker that has read the entry meanwhile reads it again.
        if completed.begins_epoch {
            epoch::begin(host);
        }
        let mut is_shared = false;
        for update in completed.updates() {
            is_shared = self.write(update, host) && !update.is_removal();
        }
        if completed.begins_epoch {
            epoch::begin(host);
        } else if epoch::current(host) != current
            && let Some(undo) = completed.undo()
        {
            self.write(&undo, host);
            epoch::begin(host);
        }
        let CompletedCallout { outcome, error, publish, .. } = completed;
        if was_sent {
            self.count_callout(outcome, sent_at, now, host);
        }
        self.report(server, error, publish.as_ref(), now, host);
        (step, is_shared)
    }

    pub(super) fn count_callout(
        &self,
        outcome: CalloutOutcome,
        sent_at: UnixTime,
        now: UnixTime,
        host: &mut impl Host,
    ) {
        self.state.counters.count(Counter::Callout(outcome));
        host.record_callout_time(now.saturating_since(sent_at));
    }

    /// Publishes a value for other workers, and logs an error.
    pub(super) fn report(
        &mut self,
        server: usize,
        error: Option<CalloutError>,
        publish: Option<&Publish>,
        now: UnixTime,
        host: &impl Host,
    ) {
        if let Some(Publish { key, value }) = publish {
            host.set_shared_data(key, value);
        }
        if let Some(error) = error {
            self.warn(server, error, now);
        }
    }

    /// Logs an error of an authorization server, at most once per second and server.
    fn warn(&mut self, server: usize, error: CalloutError, now: UnixTime) {
        let name = self.gate.servers().get(server).map_or("", |server| server.config.name.as_str());
        let limit = self.server_log_limits.get_mut(server);
        if let Some(suppressed) = limit.and_then(|limit| limit.admit(now)) {
            log::warn!("authorization server `{name}`: {}{suppressed}", error.explain());
        }
    }

    /// Lets every waiting request look its token up again, because another worker may have stored the state.
    fn retry_lookup(&mut self, key: &CalloutKey) {
        let Some(Waiters { waiting, .. }) = self.coalescer.remove(key) else { return };
        for Waiter { stream, call, .. } in waiting {
            self.resumptions.push_back(Resumption { stream, with: ResumeWith::RetryLookup(call) });
        }
    }

    /// Handles the end of another worker's lease.
    pub(super) fn on_lease_end(&mut self, lease: Lease, has_response: bool, host: &mut impl Host) {
        for key in self.coalescer.keys(|key, progress| Coalescer::waits_for(key, progress, lease)) {
            if has_response {
                self.retry_lookup(&key);
                continue;
            }
            // The other worker got no response, or one that is too long for shared data. This worker sends a callout
            // without a lease, so that it does not wait for one worker after another, and only if enough time is left.
            let now = host.now();
            if self.coalescer.call(&key).is_some_and(|(call, deadline)| call.is_timely(deadline, now)) {
                self.coalescer.set_progress(&key, Progress::Ready { is_alone: true });
            } else {
                self.fail(&key, CalloutError::TimedOut, host);
            }
        }
    }

    /// Ends the callouts that could not be sent in time.
    pub(super) fn end_overdue(&mut self, host: &mut impl Host) {
        for (key, error) in self.coalescer.overdue(host.now()) {
            self.fail(&key, error, host);
        }
    }

    /// Renews the leases of this worker. Stops waiting for workers that have not renewed theirs.
    pub(super) fn maintain_leases(&mut self, host: &impl Host) {
        for key in self.coalescer.keys(|_, progress| matches!(progress, Progress::Sent { is_leased: true, .. })) {
            key.lease().into_iter().for_each(|lease| leases::renew(lease, host));
        }
        let now = host.now();
        let may_have_ended =
            |progress| matches!(progress, Progress::HeldElsewhere { until } if Lease::may_have_ended(until, now));
        for key in self.coalescer.keys(|_, progress| may_have_ended(progress)) {
            match key.lease().and_then(|lease| leases::held_until(lease, host)) {
                Some(until) => self.coalescer.set_progress(&key, Progress::HeldElsewhere { until }),
                None => self.retry_lookup(&key),
            }
        }
    }
}
