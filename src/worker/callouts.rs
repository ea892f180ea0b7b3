//! Sends callouts, retries them, and completes them: what there is to keep of a response is kept once, before any request
//! or worker goes on with it.

use std::rc::Rc;

use super::coalescer::{CalloutEnd, Coalescer, Progress, ResumeWith, Resumption, Waiter, Waiters};
use super::{Worker, epoch, leases};
use crate::base::UnixTime;
use crate::cache::{Lease, LeaseOutcome};
use crate::flow::{Call, CalloutKey, Context, Counter, Effects, Step, driver};
use crate::host::{CalloutError, CalloutOutcome, Host, Publish};
use crate::server::{Attempt, CircuitChange};

impl Worker {
    /// Sends a callout, unless its server has enough of them or another worker sends it.
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

    /// Sends a callout; after an attempt that has failed, if there was one.
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

    /// Ends a callout that is not sent.
    fn fail(&mut self, key: &CalloutKey, error: CalloutError, host: &mut impl Host) {
        let progress = Progress::Sent { at: host.now(), is_leased: false, attempt: None };
        self.coalescer.set_progress(key, progress);
        self.complete(key, CalloutEnd::NotSent(error), host);
    }

    /// Completes a callout, unless it is sent once more: the first request that waits parses the response, for all.
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

    /// Sends a further callout although no request waits for it, if it serves all of them.
    pub(super) fn continue_alone(&mut self, call: Call, host: &impl Host) {
        let key = call.key(&self.gate);
        if key.outlives_requests() {
            self.coalescer.start(key, call, host.now());
        }
    }

    /// Records the result of an attempt; returns whether another one is to be made.
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
                "authorization server `{}`: the circuit breaker of a cluster is open: too many callouts in a row have failed",
                call.server_name()
            ),
            Some(CircuitChange::Closed) => {
                log::warn!("authorization server `{}`: the circuit breaker is closed again", call.server_name());
            }
            None => {}
        }
        let Some(error) = call.should_retry(attempt, end.result(), deadline, now) else { return false };
        self.state.counters.count(Counter::CalloutsRetried);
        self.count_callout(error.outcome(), sent_at, now, host);
        self.warn(server, error, now);
        true
    }

    /// The next step of the first request that takes a response; and whether other workers find in shared data what they
    /// wait for.
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
        let (effects, step) = driver::resume_call(call, end.result(), sent_at, &mut self.context(now));
        // Before the entry is removed, so that a worker that puts it in at the same time notices; and after, so that
        // a worker that has read it meanwhile reads again.
        if effects.begins_epoch {
            epoch::begin(host);
        }
        let mut is_shared = false;
        for update in effects.updates() {
            is_shared = self.write(update, host) && !update.is_removal();
        }
        if effects.begins_epoch {
            epoch::begin(host);
        } else if epoch::current(host) != current
            && let Some(undo) = effects.undo()
        {
            self.write(&undo, host);
            epoch::begin(host);
        }
        let Effects { outcome, error, publish, .. } = effects;
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

    /// Publishes for other workers, and logs an error.
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

    /// Logs an error of an authorization server, once a second for each.
    fn warn(&mut self, server: usize, error: CalloutError, now: UnixTime) {
        let name = self.gate.servers().get(server).map_or("", |server| server.config.name.as_str());
        let limit = self.server_log_limits.get_mut(server);
        if let Some(suppressed) = limit.and_then(|limit| limit.admit(now)) {
            log::warn!("authorization server `{name}`: {}{suppressed}", error.explain());
        }
    }

    /// Lets every request that waits look at what another worker has learned.
    fn look_again(&mut self, key: &CalloutKey) {
        let Some(Waiters { waiting, .. }) = self.coalescer.remove(key) else { return };
        for Waiter { stream, call, .. } in waiting {
            self.resumptions.push_back(Resumption { stream, with: ResumeWith::LookAgain(call) });
        }
    }

    /// Another worker's lease has ended.
    pub(super) fn on_lease_end(&mut self, lease: Lease, is_answered: bool, host: &mut impl Host) {
        for key in self.coalescer.keys(|key, progress| Coalescer::waits_for(key, progress, lease)) {
            if is_answered {
                self.look_again(&key);
                continue;
            }
            // The other worker got no response, or one that is too long to be shared. This one must not wait for one
            // worker after another, nor send a callout that has no time left.
            let now = host.now();
            if self.coalescer.call(&key).is_some_and(|(call, deadline)| call.is_timely(deadline, now)) {
                self.coalescer.set_progress(&key, Progress::Ready { is_alone: true });
            } else {
                self.fail(&key, CalloutError::NoAnswer, host);
            }
        }
    }

    /// Ends the callouts that could not be sent in time.
    pub(super) fn end_overdue(&mut self, host: &mut impl Host) {
        for (key, error) in self.coalescer.overdue(host.now()) {
            self.fail(&key, error, host);
        }
    }

    /// Renews the leases of this worker, and stops waiting for workers that have not renewed theirs.
    pub(super) fn maintain_leases(&mut self, host: &impl Host) {
        for key in self.coalescer.keys(|_, progress| matches!(progress, Progress::Sent { is_leased: true, .. })) {
            key.lease().into_iter().for_each(|lease| leases::renew(lease, host));
        }
        let now = host.now();
        let may_be_over =
            |progress| matches!(progress, Progress::HeldElsewhere { until } if Lease::may_be_over(until, now));
        for key in self.coalescer.keys(|_, progress| may_be_over(progress)) {
            match key.lease().and_then(|lease| leases::held_until(lease, host)) {
                Some(until) => self.coalescer.set_progress(&key, Progress::HeldElsewhere { until }),
                None => self.look_again(&key),
            }
        }
    }
}
