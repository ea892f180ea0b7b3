//! One request: performs the steps that the core asks for, until it may pass or is answered.

use std::rc::Rc;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;
use scopegate::{Call, CalloutAnswer, Forward, Gate, HostVerdict, Insert, RawHead, Reply, Step, UnixTime};

use crate::host;
use crate::metrics::{PERMITTED, PUBLIC};
use crate::root::Shared;

pub(crate) struct Stream {
    id: u32,
    shared: Rc<Shared>,
    /// The configuration that this request began with; a newer one does not concern it.
    gate: Option<Rc<Gate>>,
    waiting: Option<Waiting>,
    /// Whether the request may pass. Until then nothing of it does.
    passed: bool,
}

/// A callout under way.
struct Waiting {
    callout: u32,
    call: Call,
    since: UnixTime,
}

impl Stream {
    pub(crate) fn new(id: u32, shared: Rc<Shared>, gate: Option<Rc<Gate>>) -> Self {
        Self { id, shared, gate, waiting: None, passed: false }
    }

    /// Performs steps until the request has passed, is answered, or waits for a callout.
    fn perform(&mut self, gate: &Gate, step: Step) {
        self.perform_all(gate, step);
        for (result, count) in gate.take_cache_results() {
            self.shared.metrics.count_cache(result, count);
        }
    }

    fn perform_all(&mut self, gate: &Gate, mut step: Step) {
        loop {
            step = match step {
                Step::Forward(forward) => {
                    self.pass(gate, &forward);
                    return;
                }
                Step::Respond(reply) => {
                    self.answer(&reply);
                    return;
                }
                Step::Lookup(lookup) => {
                    let bucket = host::shared_data(lookup.key());
                    lookup.resume(gate, bucket.as_deref(), host::now())
                }
                Step::Verify(verification) => {
                    let verdict = verification.host_arguments().map(|arguments| host::verify_signature(&arguments));
                    let verified = verification.resume(gate, verdict.unwrap_or(HostVerdict::Unable), host::now());
                    self.keep(verified.insert.as_ref());
                    verified.step
                }
                Step::Call(call) => {
                    let since = host::now();
                    match host::dispatch(self.shared.root, self.id, &call.request(gate, since)) {
                        Ok(callout) => {
                            self.waiting = Some(Waiting { callout, call, since });
                            return;
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
        let answered = call.resume(gate, answer, since, now);
        let millis = u64::try_from(now.saturating_since(since).as_millis()).unwrap_or(u64::MAX);
        self.shared.metrics.count_callout(answered.outcome, millis);
        self.keep(answered.insert.as_ref());
        answered.publish.iter().for_each(host::publish);
        if let Some(trouble) = answered.trouble {
            self.shared.warn_of_trouble(&server, trouble, now);
        }
        answered.step
    }

    fn keep(&self, insert: Option<&Insert>) {
        if let Some(evicted) = insert.and_then(host::insert) {
            self.shared.metrics.count_evicted(evicted);
        }
    }

    fn pass(&mut self, gate: &Gate, forward: &Forward) {
        for (name, value) in &forward.set {
            host::set_request_header(name, value);
        }
        for (name, value) in &forward.filter_state {
            host::set_filter_state(name, value);
        }
        let outcome = if forward.permit.is_public() { PUBLIC } else { PERMITTED };
        self.shared.metrics.count_decision(outcome);
        if gate.logs_permits() {
            log::info!("rule `{}`: {outcome}", forward.permit.rule());
        }
        self.passed = true;
    }

    fn answer(&self, reply: &Reply) {
        self.shared.metrics.count_decision(reply.denial.outcome());
        if let Some(suppressed) = self.shared.refusals.admit(host::now()) {
            let rule = reply.rule.as_deref().unwrap_or("-");
            log::info!("rule `{rule}`: refused with {}: {}{suppressed}", reply.status, reply.denial.reason());
        }
        let headers = reply.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let _ = hostcalls::send_http_response(u32::from(reply.status), headers, Some(reply.body.as_bytes()));
    }

    fn action(&self) -> Action {
        if self.passed { Action::Continue } else { Action::Pause }
    }
}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _num_headers: usize, end_of_stream: bool) -> Action {
        let Some(gate) = self.gate.clone() else {
            self.answer(&Reply::misconfigured());
            return self.action();
        };
        let headers = host::request_headers();
        let has_body = !end_of_stream;
        host::edit_request_headers(&gate.cleaning(RawHead { headers: &headers, route: None, has_body }));
        let route = if gate.needs_route() { host::route_name() } else { None };
        let head = RawHead { headers: &headers, route: route.as_deref(), has_body };
        let step = gate.begin(head, host::now());
        self.perform(&gate, step);
        self.action()
    }

    /// Envoy holds the body back while the headers wait, unless the plugin is configured with
    /// `allow_on_headers_stop_iteration`: then a body that continued would take the headers with it.
    fn on_http_request_body(&mut self, _body_size: usize, _end_of_stream: bool) -> Action {
        self.action()
    }

    /// Some applications merge trailers into the headers, so they are cleaned like these.
    fn on_http_request_trailers(&mut self, _num_trailers: usize) -> Action {
        if let Some(gate) = &self.gate {
            let trailers = host::request_trailers();
            host::edit_request_trailers(&gate.cleaning(RawHead { headers: &trailers, route: None, has_body: false }));
        }
        self.action()
    }
}

impl Context for Stream {
    fn on_done(&mut self) -> bool {
        if let Some(waiting) = self.waiting.take() {
            waiting.call.abandon();
            self.shared.metrics.count_abandoned_callout();
        }
        true
    }

    fn on_http_call_response(&mut self, callout: u32, num_headers: usize, body_size: usize, _num_trailers: usize) {
        let (Some(gate), Some(waiting)) = (self.gate.clone(), self.waiting.take()) else {
            return;
        };
        if waiting.callout != callout {
            self.waiting = Some(waiting);
            return;
        }
        let response = host::callout_response(self.shared.root, self.id, num_headers, body_size);
        let answer = host::CalloutResponse::answer(response.as_ref());
        let step = self.resume(&gate, waiting.call, answer, waiting.since);
        self.perform(&gate, step);
        if self.passed {
            let _ = hostcalls::resume_http_request();
        }
    }
}
