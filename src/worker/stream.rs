//! The progress of one request: performs the steps of its token check until it is decided or waits for a callout.

use super::Worker;
use super::coalescer::{Joined, ResumeWith};
use super::epoch;
use crate::cache::BucketUpdate;
use crate::flow::{Call, Counter, Decision, Step, driver};
use crate::host::{Host, SignatureVerdict, StreamId};
use crate::request::RequestHead;

impl Worker {
    pub(super) fn begin(&mut self, stream: StreamId, head: RequestHead<'_>, host: &mut impl Host) -> Option<Decision> {
        let step = driver::begin(head, &mut self.context(host.now()));
        self.advance(stream, step, host)
    }

    /// Performs steps until the request is decided; `None` if it waits for a callout.
    fn advance(&mut self, stream: StreamId, mut step: Step, host: &impl Host) -> Option<Decision> {
        loop {
            step = match step {
                Step::Done(decision) => {
                    self.record(stream, &decision, host);
                    return Some(decision);
                }
                Step::ReadShared(lookup) => {
                    let bucket = host.shared_data(lookup.key());
                    driver::resume_lookup(lookup, bucket.as_deref(), &mut self.context(host.now()))
                }
                Step::VerifySignature(verification) => {
                    let verdict = verification.host_arguments().map(|arguments| host.verify_signature(&arguments));
                    let verdict = verdict.unwrap_or(SignatureVerdict::Unsupported);
                    let cx = &mut self.context(host.now());
                    let (update, step) = driver::resume_verification(*verification, verdict, cx);
                    if let Some(update) = update {
                        self.write(&update, host);
                    }
                    step
                }
                Step::Call(call) => self.wait(stream, call, host)?,
            };
        }
    }

    /// Lets a request wait for a callout (`None`). Returns its next step if it must not wait.
    fn wait(&mut self, stream: StreamId, mut call: Call, host: &impl Host) -> Option<Step> {
        let now = host.now();
        let key = call.key(&self.gate);
        if !self.coalescer.is_pending(&key) {
            let cx = &mut self.context(now);
            if !call.is_admitted(|| host.client_address(stream), cx) {
                return Some(driver::refuse_client(&call, cx));
            }
        }
        match self.coalescer.join(key, stream, call, now) {
            Joined::Waits => None,
            Joined::Overloaded(call) => Some(driver::reject_overloaded(call, &mut self.context(host.now()))),
        }
    }

    /// Continues a request that has waited; `None` if it waits again.
    pub(super) fn resume(&mut self, stream: StreamId, with: ResumeWith, host: &impl Host) -> Option<Decision> {
        let cx = &mut self.context(host.now());
        let step = match with {
            ResumeWith::Step(step) => step,
            ResumeWith::RetryLookup(call) => driver::retry_lookup(call, cx),
            // The first waiting request has stored the state.
            ResumeWith::End { call, .. } if call.is_cached(cx) => driver::retry_lookup(call, cx),
            ResumeWith::End { call, end, sent_at } => driver::resume_call(call, end.result(), sent_at, cx).1,
        };
        self.advance(stream, step, host)
    }

    /// Removes a request that has ended, and discards its decision.
    pub(super) fn leave(&mut self, stream: StreamId, host: &impl Host) {
        if self.coalescer.leave(stream) {
            return;
        }
        let Some(index) = self.resumptions.iter().position(|one| one.stream == stream) else { return };
        let Some(left) = self.resumptions.remove(index) else { return };
        if let ResumeWith::Step(Step::Call(call)) = left.with {
            self.continue_alone(call, host);
        }
    }

    /// Counts and logs a decision.
    fn record(&mut self, stream: StreamId, decision: &Decision, host: &impl Host) {
        let counter = match decision {
            Decision::Forward(forward) => {
                let is_public = forward.permit.is_public();
                if self.gate.logs_permits() {
                    let word = if is_public { "public" } else { "permitted" };
                    log::info!("rule `{}`: {word}", forward.permit.rule());
                }
                if is_public { Counter::Public } else { Counter::Permitted }
            }
            Decision::Respond(reply) => {
                if let Some(suppressed) = self.refusal_log_limit.admit(host.now()) {
                    log::info!("{}{}{suppressed}", request_id(stream, host), reply.explain());
                }
                Counter::Denied(reply.denial.class())
            }
            Decision::Report(reply) => {
                if let Some(suppressed) = self.refusal_log_limit.admit(host.now()) {
                    log::warn!("{}{}{suppressed}", request_id(stream, host), reply.explain_report());
                }
                Counter::Reported(reply.denial.class())
            }
        };
        self.state.counters.count(counter);
    }

    /// Writes an update into the shared cache; returns whether it was written.
    pub(super) fn write(&self, update: &BucketUpdate, host: &impl Host) -> bool {
        let evicted = epoch::write(update, host);
        self.state.counters.add(Counter::CacheEntriesEvicted, evicted.unwrap_or_default());
        evicted.is_some()
    }
}

/// Returns a prefix for log messages with the id of the request. A client may have chosen the id, so only UUIDs are
/// logged.
fn request_id(stream: StreamId, host: &impl Host) -> String {
    let is_uuid = |id: &str| {
        id.len() == 36
            && id.bytes().enumerate().all(|(at, b)| match at {
                8 | 13 | 18 | 23 => b == b'-',
                _ => b.is_ascii_hexdigit(),
            })
    };
    host.request_id(stream).filter(|id| is_uuid(id)).map(|id| format!("request {id}: ")).unwrap_or_default()
}
