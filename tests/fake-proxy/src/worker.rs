//! A worker and its fake host.

use std::collections::BTreeMap;
use std::rc::Rc;

use scopegate::{CalloutResponse, Config, Counter, Counters, Decision, RequestHead, UnixTime, Worker};

use crate::host::{Callout, FakeHost};
use crate::{NO_ANSWER, Proxy};

/// A worker, its host, and the requests that it has decided.
pub struct FakeWorker {
    /// The worker itself.
    pub worker: Worker,
    /// Its host.
    pub host: FakeHost,
    /// Its counters.
    pub counters: Rc<Counters>,
    decisions: BTreeMap<u64, Decision>,
    counts: BTreeMap<usize, u32>,
}

impl FakeWorker {
    pub(crate) fn new(proxy: Proxy, configuration: &str) -> Self {
        let config = Config::parse(configuration.as_bytes(), &|_| Some("secret".to_owned()));
        Self::with_config(proxy, config.unwrap_or_else(|problems| panic!("{problems}")))
    }

    /// Creates a worker with a parsed configuration.
    pub fn with_config(proxy: Proxy, config: Config) -> Self {
        let host = FakeHost::new(proxy);
        let seed = u8::try_from(host.proxy.next_id() % 256).expect("a byte");
        let counters = Rc::new(Counters::default());
        let worker = Worker::new(config, [seed; 32], Rc::clone(&counters), &host);
        Self { worker, host, counters, decisions: BTreeMap::new(), counts: BTreeMap::new() }
    }

    /// Returns the time of its proxy.
    pub fn host_now(&self) -> UnixTime {
        self.host.proxy.now()
    }

    /// Begins a request; returns its stream.
    pub fn begin(&mut self, head: RequestHead<'_>) -> u64 {
        let stream = self.host.proxy.next_id();
        if let Some(decision) = self.worker.on_request(stream, head, &mut self.host) {
            self.decisions.insert(stream, decision);
        }
        self.drive();
        stream
    }

    /// Begins a GET request with a bearer token; returns its stream.
    pub fn get(&mut self, path: &str, token: &str) -> u64 {
        let credentials = format!("Bearer {token}");
        let headers = [(":method", "GET"), (":authority", "a"), (":path", path), ("authorization", &credentials)]
            .map(|(name, value)| (name, value.as_bytes()));
        self.begin(RequestHead { headers: &headers, route: None, has_body: false })
    }

    /// Returns the decision about a request, if there is one.
    pub fn decision(&self, stream: u64) -> Option<&Decision> {
        self.decisions.get(&stream)
    }

    /// Takes the decision about a request.
    pub fn take_decision(&mut self, stream: u64) -> Option<Decision> {
        self.decisions.remove(&stream)
    }

    /// Returns the status of a request: 200 if it passes, `None` if it waits.
    pub fn status(&self, stream: u64) -> Option<u16> {
        self.decision(stream).map(|decision| match decision {
            Decision::Forward(_) | Decision::Report(_) => 200,
            Decision::Respond(reply) => reply.status,
        })
    }

    /// Sends a GET request and gives this response to all its callouts; returns its status.
    pub fn ask(&mut self, path: &str, token: &str, response: Option<CalloutResponse>) -> u16 {
        let stream = self.get(path, token);
        answer_all(self, |_| response.clone());
        self.status(stream).expect("a decision")
    }

    /// Sends a GET request and asserts that it needs no callout; returns its status.
    #[track_caller]
    pub fn cached(&mut self, path: &str, token: &str) -> u16 {
        let before = self.host.sent;
        let stream = self.get(path, token);
        assert_eq!(self.host.sent, before, "{:?}", self.host.callouts);
        self.status(stream).expect("a decision")
    }

    /// Returns the only callout that was sent and not answered.
    pub fn callout(&self) -> &Callout {
        let [callout] = self.host.callouts.as_slice() else { panic!("one callout, not {:?}", self.host.callouts) };
        callout
    }

    /// Completes the only callout with this response.
    pub fn respond(&mut self, response: Option<CalloutResponse>) {
        let id = self.callout().id;
        self.respond_to(id, response);
    }

    /// Completes a callout with this response.
    pub fn respond_to(&mut self, id: u64, response: Option<CalloutResponse>) {
        let before = self.host.callouts.len();
        self.host.callouts.retain(|callout| callout.id != id);
        assert_eq!(self.host.callouts.len() + 1, before, "no callout {id}");
        assert!(self.worker.has_callout(id));
        self.worker.on_callout_response(id, response, &mut self.host);
        self.drive();
    }

    /// Ends all callouts that have timed out.
    pub fn time_out(&mut self) {
        let now = self.host.proxy.now();
        let is_over = |callout: &&Callout| callout.sent_at.saturating_add(callout.timeout) <= now;
        let over: Vec<u64> = self.host.callouts.iter().filter(is_over).map(|callout| callout.id).collect();
        over.into_iter().for_each(|id| self.respond_to(id, NO_ANSWER));
    }

    /// Ticks the worker.
    pub fn tick(&mut self) {
        self.worker.on_tick(&mut self.host);
        self.drive();
    }

    /// Delivers the messages of other workers; returns their number.
    pub fn take_mail(&mut self) -> usize {
        let mut count = 0;
        while let Some(message) = self.next_message() {
            count += 1;
            self.worker.on_message(&message, &mut self.host);
            self.drive();
        }
        count
    }

    /// Whether another worker has sent a message that was not taken.
    pub fn has_mail(&self) -> bool {
        let inner = self.host.proxy.0.borrow();
        self.host.mailbox.and_then(|mailbox| inner.mail.get(&mailbox)).is_some_and(|mail| !mail.is_empty())
    }

    /// Takes the next message of another worker, without delivering it.
    pub fn next_message(&self) -> Option<Vec<u8>> {
        self.host.proxy.0.borrow_mut().mail.get_mut(&self.host.mailbox?)?.pop_front()
    }

    /// Ends a request, as if its client had left.
    pub fn leave(&mut self, stream: u64) {
        self.worker.on_stream_end(stream, &self.host);
        self.drive();
    }

    fn drive(&mut self) {
        while self.worker.has_work() {
            if let Some((stream, decision)) = self.worker.next_decision(&mut self.host) {
                let earlier = self.decisions.insert(stream, decision);
                assert!(earlier.is_none(), "two decisions about one request");
            }
        }
    }

    /// Returns the value of a counter, by its name.
    pub fn count(&mut self, name: &str) -> u32 {
        for (index, count) in self.counters.take() {
            *self.counts.entry(index).or_default() += count;
        }
        let index = Counter::all().position(|counter| counter.name() == name).unwrap_or_else(|| panic!("no {name}"));
        self.counts.get(&index).copied().unwrap_or_default()
    }
}

/// Completes every callout, including follow-up callouts, until none is left.
pub fn answer_all(worker: &mut FakeWorker, mut respond: impl FnMut(&Callout) -> Option<CalloutResponse>) {
    for _ in 0..1_000 {
        let Some(callout) = worker.host.callouts.first().cloned() else { return };
        let response = respond(&callout);
        worker.respond_to(callout.id, response);
    }
    panic!("still callouts after 1 000 responses");
}
