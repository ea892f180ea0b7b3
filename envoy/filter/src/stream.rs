//! One request: performs the steps that the core asks for, until it may pass or is answered.

use std::rc::Rc;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;
use scopegate::{Call, CalloutAnswer, Denial, Forward, Gate, RawHead, Reply, Step, UnixTime};

use crate::host;
use crate::metrics::{PERMITTED, PUBLIC};
use crate::root::Shared;

pub(crate) struct Stream {
    id: u32,
    shared: Rc<Shared>,
    /// The configuration that this request began with; a newer one does not concern it.
    gate: Option<Rc<Gate>>,
    waiting: Option<Waiting>,
}

/// A callout under way.
struct Waiting {
    callout: u32,
    call: Call,
    since: UnixTime,
}

/// How a request goes on.
enum Outcome {
    Passed,
    Answered,
    Waits,
}

impl Stream {
    pub(crate) fn new(id: u32, shared: Rc<Shared>, gate: Option<Rc<Gate>>) -> Self {
        Self { id, shared, gate, waiting: None }
    }

    fn perform(&mut self, gate: &Gate, mut step: Step) -> Outcome {
        loop {
            step = match step {
                Step::Forward(forward) => return self.pass(gate, &forward),
                Step::Respond(reply) => return self.answer(&reply),
                Step::Lookup(lookup) => {
                    let bucket = host::bucket(lookup.key());
                    let looked = lookup.resume(gate, bucket.as_deref(), host::now());
                    if let Some(result) = looked.result {
                        self.shared.metrics.count_cache(result);
                    }
                    looked.step
                }
                Step::Call(call) => {
                    let since = host::now();
                    match host::dispatch(self.shared.root, self.id, &call.request()) {
                        Ok(callout) => {
                            self.waiting = Some(Waiting { callout, call, since });
                            return Outcome::Waits;
                        }
                        Err(_) => self.resume(gate, call, CalloutAnswer::NotSent, since),
                    }
                }
            };
        }
    }

    /// Hands an answer to the core and keeps what was learned.
    fn resume(&self, gate: &Gate, call: Call, answer: CalloutAnswer<'_>, since: UnixTime) -> Step {
        let now = host::now();
        let server = call.server().to_owned();
        let answered = call.resume(gate, answer, now);
        let millis = u64::try_from(now.saturating_since(since).as_millis()).unwrap_or(u64::MAX);
        self.shared.metrics.count_callout(answered.outcome, millis);
        if let Some(evicted) = answered.insert.as_ref().and_then(host::insert) {
            self.shared.metrics.count_evicted(evicted);
        }
        if let Step::Respond(Reply { denial: Denial::Unavailable(trouble), .. }) = &answered.step
            && let Some(suppressed) = self.shared.trouble.admit(now)
        {
            let explained = trouble.explain();
            log::warn!(
                "authorization server `{server}`: {explained} ({suppressed} more like this since the last message)"
            );
        }
        answered.step
    }

    fn pass(&self, gate: &Gate, forward: &Forward) -> Outcome {
        for (name, value) in &forward.set {
            host::set_request_header(name, value);
        }
        let outcome = if forward.permit.is_public() { PUBLIC } else { PERMITTED };
        self.shared.metrics.count_decision(outcome);
        if gate.logs_permits() {
            log::info!("rule `{}`: {outcome}", forward.permit.rule());
        }
        Outcome::Passed
    }

    fn answer(&self, reply: &Reply) -> Outcome {
        self.shared.metrics.count_decision(reply.denial.outcome());
        let rule = reply.rule.as_deref().unwrap_or("-");
        log::info!("rule `{rule}`: refused with {}: {}", reply.status, reply.denial.reason());
        let headers = reply.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let _ = hostcalls::send_http_response(u32::from(reply.status), headers, Some(reply.body.as_bytes()));
        Outcome::Answered
    }
}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _num_headers: usize, _end_of_stream: bool) -> Action {
        let Some(gate) = self.gate.clone() else {
            self.answer(&Reply::misconfigured());
            return Action::Pause;
        };
        let headers = host::request_headers();
        for name in gate.unwanted_headers(RawHead { headers: &headers, route: None }) {
            host::remove_request_header(&name);
        }
        let route = if gate.needs_route() { host::route_name() } else { None };
        let step = gate.begin(RawHead { headers: &headers, route: route.as_deref() });
        match self.perform(&gate, step) {
            Outcome::Passed => Action::Continue,
            Outcome::Answered | Outcome::Waits => Action::Pause,
        }
    }
}

impl Context for Stream {
    fn on_http_call_response(&mut self, callout: u32, num_headers: usize, body_size: usize, _num_trailers: usize) {
        let (Some(gate), Some(waiting)) = (self.gate.clone(), self.waiting.take()) else {
            return;
        };
        if waiting.callout != callout {
            self.waiting = Some(waiting);
            return;
        }
        let response = host::callout_response(self.shared.root, self.id, num_headers, body_size);
        let answer = match &response {
            None => CalloutAnswer::NoAnswer,
            Some(response) => CalloutAnswer::Response {
                status: response.status,
                content_type: response.content_type.as_deref(),
                body: &response.body,
            },
        };
        let step = self.resume(&gate, waiting.call, answer, waiting.since);
        if let Outcome::Passed = self.perform(&gate, step) {
            let _ = hostcalls::resume_http_request();
        }
    }
}
