//! One request's way through the gate: performs the steps that the core asks for, until the request may pass, is
//! answered, or waits for a callout. It runs in the request's own context or, when an answer has come, in the root's.

use std::cell::Cell;
use std::rc::Rc;

use proxy_wasm::hostcalls;
use scopegate::{BucketUpdate, Call, Forward, Gate, HostVerdict, Reply, Step};

use crate::flights::{Joined, Waiting};
use crate::host;
use crate::metrics::{PERMITTED, PUBLIC};
use crate::root::Shared;

/// A request that has been judged or is being judged.
#[derive(Clone)]
pub(crate) struct Request(Rc<State>);

struct State {
    stream: u32,
    shared: Rc<Shared>,
    /// The configuration that this request began with; a newer one does not concern it.
    gate: Rc<Gate>,
    generation: u64,
    /// Whether it may pass. Until then nothing of it does.
    passed: Cell<bool>,
}

impl Request {
    pub(crate) fn new(stream: u32, shared: Rc<Shared>, gate: Rc<Gate>, generation: u64) -> Self {
        Self(Rc::new(State { stream, shared, gate, generation, passed: Cell::new(false) }))
    }

    pub(crate) fn stream(&self) -> u32 {
        self.0.stream
    }

    pub(crate) fn gate(&self) -> &Rc<Gate> {
        &self.0.gate
    }

    pub(crate) fn generation(&self) -> u64 {
        self.0.generation
    }

    pub(crate) fn has_passed(&self) -> bool {
        self.0.passed.get()
    }

    /// Performs steps until the request has passed, is answered, or waits.
    pub(crate) fn perform(&self, step: Step) {
        self.perform_all(step);
        for (result, count) in self.0.gate.take_cache_results() {
            self.0.shared.metrics.count_cache(result, count);
        }
    }

    /// The same from the root's context, while this one's is in effect.
    pub(crate) fn go_on(&self, step: Step) {
        self.perform(step);
        if self.has_passed() {
            host::let_pass();
        }
    }

    fn perform_all(&self, mut step: Step) {
        let State { shared, gate, .. } = &*self.0;
        loop {
            step = match step {
                Step::Forward(forward) => return self.pass(&forward),
                Step::Respond(reply) => return shared.answer(&reply),
                Step::Report(reply) => {
                    shared.report(&reply);
                    return self.0.passed.set(true);
                }
                Step::Lookup(lookup) => {
                    let bucket = host::shared_data(lookup.key());
                    lookup.resume(gate, bucket.as_deref(), host::now())
                }
                Step::Verify(verification) => {
                    let verdict = verification.host_arguments().map(|arguments| host::verify_signature(&arguments));
                    let verified = verification.resume(gate, verdict.unwrap_or(HostVerdict::Unable), host::now());
                    if let Some(insert) = &verified.insert {
                        let _ = shared.keep(insert);
                    }
                    verified.step
                }
                Step::Call(mut call) => {
                    if self.may_ask(&mut call) {
                        match shared.flights.join(self.clone(), call) {
                            Joined::First => return shared.wake_root(),
                            Joined::Waits => return,
                            Joined::Crowded(Waiting { call, .. }) => call.turn_away(gate, host::now()),
                        }
                    } else {
                        call.refuse_client(gate)
                    }
                }
            };
        }
    }

    /// Whether somebody asks already, or this request's client may have it asked.
    fn may_ask(&self, call: &mut Call) -> bool {
        let State { shared, gate, generation, .. } = &*self.0;
        shared.flights.asks(*generation, call.flight(gate)) || call.is_admitted(gate, host::client_address, host::now())
    }

    fn pass(&self, forward: &Forward) {
        let State { shared, gate, passed, .. } = &*self.0;
        for (name, value) in &forward.set {
            host::set_request_header(name, value);
        }
        for (name, value) in &forward.filter_state {
            host::set_filter_state(name, value);
        }
        let outcome = if forward.permit.is_public() { PUBLIC } else { PERMITTED };
        shared.metrics.count_decision(outcome);
        if gate.logs_permits() {
            log::info!("rule `{}`: {outcome}", forward.permit.rule());
        }
        passed.set(true);
    }
}

impl Shared {
    /// Answers the caller of the request whose context is in effect.
    pub(crate) fn answer(&self, reply: &Reply) {
        self.metrics.count_decision(reply.denial.outcome());
        if let Some(suppressed) = self.refusals.admit(host::now()) {
            let rule = reply.rule.as_deref().unwrap_or("-");
            log::info!("rule `{rule}`: refused with {}: {}{suppressed}", reply.status, reply.denial.reason());
        }
        let headers = reply.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let _ = hostcalls::send_http_response(u32::from(reply.status), headers, Some(reply.body.as_bytes()));
    }

    /// Notes what the caller would have been answered, if that were enforced.
    fn report(&self, reply: &Reply) {
        self.metrics.count_report(reply.denial.outcome());
        if let Some(suppressed) = self.refusals.admit(host::now()) {
            let rule = reply.rule.as_deref().unwrap_or("-");
            log::warn!(
                "rule `{rule}`: passes, and would be refused with {} if the mode were enforce: {}{suppressed}",
                reply.status,
                reply.denial.reason()
            );
        }
    }

    /// Puts what was learned into shared data; whether it is there now.
    pub(crate) fn keep(&self, insert: &BucketUpdate) -> bool {
        let evicted = host::insert(insert);
        evicted.into_iter().for_each(|evicted| self.metrics.count_evicted(evicted));
        evicted.is_some()
    }
}
