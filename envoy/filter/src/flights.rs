//! Callouts under way, and the requests that wait for them: one callout for each thing that is asked, however many
//! requests of this worker need to know.
//!
//! A callout belongs to the root context, so no client that leaves can take it along: its answer is kept whoever is
//! left to hear it. A request that needs one cannot send it itself, since the SDK hands an answer to the context that
//! was called when the callout was sent. It wakes the root by a queue.

use std::cell::RefCell;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use scopegate::{Attempt, Call, CalloutError, CalloutKey, CalloutResult, Gate, Lease, Step, UnixTime};

use crate::host::{self, CalloutResponse};
use crate::request::Request;

/// Everything that is being asked.
#[derive(Default)]
pub(crate) struct Flights {
    under_way: RefCell<BTreeMap<Key, UnderWay>>,
    /// Those that have become ready to be sent, in order. Some may have been sent since, or have ended.
    ready: RefCell<VecDeque<Key>>,
    /// Those that are ready, and for which there is no room at their server yet. Some may have ended.
    parked: RefCell<VecDeque<Key>>,
    /// Those whose callout has been sent, by the id of the callout.
    sent: RefCell<BTreeMap<u32, Key>>,
    waiting: RefCell<BTreeMap<u32, Waiting>>,
    /// Requests that need not wait any more.
    going_on: RefCell<VecDeque<GoingOn>>,
}

/// What is asked, and under which configuration: the same server may have another place in another one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) generation: u64,
    pub(crate) flight: CalloutKey,
}

/// A request that waits.
pub(crate) struct Waiting {
    pub(crate) request: Request,
    pub(crate) call: Call,
    key: Key,
}

/// A request that may go on.
pub(crate) struct GoingOn {
    pub(crate) request: Request,
    pub(crate) how: How,
}

/// With what a request goes on.
pub(crate) enum How {
    /// With what comes next.
    Step(Step),
    /// With an answer to the callout that was sent at `since`.
    Answer { call: Call, outcome: Rc<Outcome>, since: UnixTime },
    /// By looking for what another worker has found out.
    LookAgain(Call),
}

/// What became of a callout.
pub(crate) enum Outcome {
    /// It was not sent, for this reason.
    NotSent(CalloutError),
    /// What came back, if anything did.
    Answered(Option<CalloutResponse>),
}

impl Outcome {
    /// As the core takes it.
    pub(crate) fn answer(&self) -> CalloutResult<'_> {
        match self {
            Self::NotSent(trouble) => CalloutResult::NotSent(*trouble),
            Self::Answered(response) => CalloutResponse::answer(response.as_ref()),
        }
    }
}

struct UnderWay {
    /// The streams that wait, in order. Some may have left.
    streams: Vec<u32>,
    /// How many have not.
    left: usize,
    /// What it takes to understand the answer if nobody waits: the last one to leave leaves it here.
    orphan: Option<(Rc<Gate>, Call)>,
    /// Whether it renews what is known, whoever has come to wait for it since.
    renews: bool,
    /// By when there must be an answer.
    deadline: UnixTime,
    /// Whether there was no room for it at its server.
    was_parked: bool,
    state: State,
}

/// How far a flight has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// To be sent as soon as the root is awake. `alone`: without a lease, since another worker had one and no answer.
    Ready { alone: bool },
    /// Another worker asks; it has until then to say so again.
    Elsewhere { until: UnixTime },
    /// Sent at that time. `leased`: others may wait for the answer. `attempt`: how; `None` if it could not be.
    Sent { since: UnixTime, leased: bool, attempt: Option<Attempt> },
}

/// What became of a request that wants to wait.
pub(crate) enum Joined {
    /// The first of its kind: somebody has to send the callout.
    First,
    /// It waits with others.
    Waits,
    /// There are too many already.
    Crowded(Waiting),
}

/// Who is to hear an answer.
pub(crate) struct Landed {
    pub(crate) waiting: Vec<Waiting>,
    /// Set if nobody waits any more: then the answer is still worth keeping.
    pub(crate) orphan: Option<(Rc<Gate>, Call)>,
}

impl Flights {
    /// Has a request wait for what its call asks.
    pub(crate) fn join(&self, request: Request, call: Call) -> Joined {
        let key = Key { generation: request.generation(), flight: call.flight(request.gate()) };
        let stream = request.stream();
        let waiting = Waiting { request, call, key: key.clone() };
        let mut all = self.under_way.borrow_mut();
        let under_way = all.get_mut(&key);
        let is_full = |under_way: &UnderWay| under_way.left >= MAX_WAITING;
        if under_way.as_deref().is_some_and(is_full) || self.waiting.borrow().len() >= MAX_WAITING_IN_ALL {
            return Joined::Crowded(waiting);
        }
        if let Some(under_way) = under_way {
            self.waiting.borrow_mut().insert(stream, waiting);
            under_way.streams.push(stream);
            under_way.left = under_way.left.saturating_add(1);
            under_way.orphan = None;
            return Joined::Waits;
        }
        let under_way = UnderWay { streams: vec![stream], left: 1, ..UnderWay::new(&waiting.call) };
        self.waiting.borrow_mut().insert(stream, waiting);
        all.insert(key.clone(), under_way);
        self.ready.borrow_mut().push_back(key);
        Joined::First
    }

    /// Whether this is being asked.
    pub(crate) fn asks(&self, generation: u64, flight: CalloutKey) -> bool {
        self.under_way.borrow().contains_key(&Key { generation, flight })
    }

    /// Asks without anyone waiting for the answer, unless somebody does already.
    pub(crate) fn ask(&self, gate: &Rc<Gate>, generation: u64, call: Call) {
        let key = Key { generation, flight: call.flight(gate) };
        if let Entry::Vacant(place) = self.under_way.borrow_mut().entry(key.clone()) {
            let (renews, under_way) = (call.renews(), UnderWay::new(&call));
            place.insert(UnderWay { orphan: Some((Rc::clone(gate), call)), renews, ..under_way });
            self.ready.borrow_mut().push_back(key);
        }
    }

    /// Has what nobody waits for any more asked nevertheless, if that is due.
    pub(crate) fn go_on_alone(&self, gate: &Rc<Gate>, generation: u64, call: Call) {
        if call.flight(gate).is_due() {
            self.ask(gate, generation, call);
        }
    }

    /// Notes that a stream has ended, which may have been waiting.
    pub(crate) fn leave(&self, stream: u32) {
        let Some(Waiting { request, call, key }) = self.waiting.borrow_mut().remove(&stream) else {
            return self.leave_while_going_on(stream);
        };
        let mut all = self.under_way.borrow_mut();
        let Some(under_way) = all.get_mut(&key) else { return };
        under_way.left = under_way.left.saturating_sub(1);
        let is_sent = matches!(under_way.state, State::Sent { .. });
        match under_way.left {
            // Nobody has been asked, and nobody wants to know: who opens streams only to reset them costs no callouts.
            0 if !is_sent && !key.flight.is_due() => drop(all.remove(&key)),
            0 => under_way.orphan = Some((Rc::clone(request.gate()), call)),
            _ => {}
        }
    }

    fn leave_while_going_on(&self, stream: u32) {
        let mut going_on = self.going_on.borrow_mut();
        let Some(index) = going_on.iter().position(|one| one.request.stream() == stream) else { return };
        if let Some(GoingOn { request, how: How::Step(Step::Call(call)) }) = going_on.remove(index) {
            self.go_on_alone(request.gate(), request.generation(), call);
        }
    }

    /// Has a request go on as soon as it is its turn.
    pub(crate) fn let_go_on(&self, request: Request, how: How) {
        self.going_on.borrow_mut().push_back(GoingOn { request, how });
    }

    /// The next request to go on.
    pub(crate) fn next_going_on(&self) -> Option<GoingOn> {
        self.going_on.borrow_mut().pop_front()
    }

    /// Whether there is one.
    pub(crate) fn any_going_on(&self) -> bool {
        !self.going_on.borrow().is_empty()
    }

    /// Everything in a certain state.
    pub(crate) fn those(&self, is: impl Fn(&Key, State) -> bool) -> Vec<Key> {
        let all = self.under_way.borrow();
        all.iter().filter(|(key, under_way)| is(key, under_way.state)).map(|(key, _)| key.clone()).collect()
    }

    /// What has waited for its turn for too long, and what another worker was to ask and has not answered in time; and
    /// what to say of it.
    pub(crate) fn overdue(&self, now: UnixTime) -> Vec<(Key, CalloutError)> {
        let waiting = self.those(|_, state| matches!(state, State::Ready { .. } | State::Elsewhere { .. }));
        let overdue = |key: Key| {
            let state = self.state(&key)?;
            let is_overdue = self.with_call(&key, |_, call, deadline| call.is_overdue(deadline, now))?;
            if state.is_ready() {
                (is_overdue || self.has_waited_too_long(&key, now)).then_some((key, CalloutError::Crowded))
            } else {
                is_overdue.then_some((key, CalloutError::NoAnswer))
            }
        };
        waiting.into_iter().filter_map(overdue).collect()
    }

    /// Whether the server of a flight may be asked one more question at the moment.
    pub(crate) fn has_room(&self, key: &Key) -> bool {
        let max = self.with_call(key, |_, call, _| call.max_callouts()).unwrap_or(usize::MAX);
        self.sent.borrow().values().filter(|sent| sent.competes_with(key)).count() < max
    }

    /// Whether there was no room for a flight for so long that it is not to be sent any more.
    pub(crate) fn has_waited_too_long(&self, key: &Key, now: UnixTime) -> bool {
        let was_parked = self.under_way.borrow().get(key).is_some_and(|under_way| under_way.was_parked);
        was_parked && !self.with_call(key, |_, call, deadline| call.is_timely(deadline, now)).unwrap_or_default()
    }

    /// Has a flight wait for room; `false` if too many do.
    pub(crate) fn park(&self, key: &Key) -> bool {
        let (mut parked, mut all) = (self.parked.borrow_mut(), self.under_way.borrow_mut());
        let competing = |parked: &VecDeque<Key>| parked.iter().filter(|parked| parked.competes_with(key)).count();
        if competing(&parked) >= MAX_PARKED {
            parked.retain(|key| all.get(key).is_some_and(UnderWay::is_ready));
        }
        let has_place = competing(&parked) < MAX_PARKED;
        if let (true, Some(under_way)) = (has_place, all.get_mut(key)) {
            under_way.was_parked = true;
            parked.push_back(key.clone());
        }
        has_place
    }

    /// Has the next flight take the room that this one leaves, or does not take.
    pub(crate) fn unpark(&self, left: &Key) {
        let (mut parked, all) = (self.parked.borrow_mut(), self.under_way.borrow());
        while let Some(index) = parked.iter().position(|key| key.competes_with(left)) {
            if let Some(key) = parked.remove(index).filter(|key| all.get(key).is_some_and(UnderWay::is_ready)) {
                return self.ready.borrow_mut().push_front(key);
            }
        }
    }

    /// How far a flight has come.
    pub(crate) fn state(&self, key: &Key) -> Option<State> {
        self.under_way.borrow().get(key).map(|under_way| under_way.state)
    }

    /// Notes how far a flight has come.
    pub(crate) fn set_state(&self, key: &Key, state: State) {
        if let Some(under_way) = self.under_way.borrow_mut().get_mut(key) {
            under_way.state = state;
            if matches!(state, State::Ready { .. }) {
                self.ready.borrow_mut().push_back(key.clone());
            }
        }
    }

    /// Whether another worker has said that its lease for this flight is over.
    pub(crate) fn waits_for(key: &Key, state: State, lease: Lease) -> bool {
        matches!(state, State::Elsewhere { .. }) && key.flight.lease() == Some(lease)
    }

    /// Does something with the call of a flight, whosever it is, and its deadline; `None` if there is no such flight.
    pub(crate) fn with_call<T>(&self, key: &Key, with: impl FnOnce(&Gate, &Call, UnixTime) -> T) -> Option<T> {
        let all = self.under_way.borrow();
        let under_way = all.get(key)?;
        let waiting = self.waiting.borrow();
        let first = under_way.streams.iter().find_map(|stream| waiting.get(stream)).filter(|first| first.key == *key);
        match (first, &under_way.orphan) {
            (Some(Waiting { request, call, .. }), _) => Some(with(request.gate(), call, under_way.deadline)),
            (None, Some((gate, call))) => Some(with(gate, call, under_way.deadline)),
            (None, None) => None,
        }
    }

    /// A flight that is ready to be sent, and whether it is to be sent without a lease.
    pub(crate) fn next_ready(&self) -> Option<(Key, bool)> {
        let (mut ready, all) = (self.ready.borrow_mut(), self.under_way.borrow());
        loop {
            let key = ready.pop_front()?;
            if let Some(UnderWay { state: State::Ready { alone }, .. }) = all.get(&key) {
                return Some((key, *alone));
            }
        }
    }

    /// Notes which callout is that of a flight.
    pub(crate) fn sent(&self, key: &Key, callout: u32) {
        self.sent.borrow_mut().insert(callout, key.clone());
    }

    /// The flight of a callout that has been answered.
    pub(crate) fn answered(&self, callout: u32) -> Option<Key> {
        self.sent.borrow_mut().remove(&callout)
    }

    /// How many requests wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.borrow().len()
    }

    /// How many callouts are under way.
    pub(crate) fn in_flight(&self) -> usize {
        self.sent.borrow().len()
    }

    /// How many leases this worker holds.
    pub(crate) fn leases(&self) -> usize {
        let all = self.under_way.borrow();
        all.values().filter(|under_way| matches!(under_way.state, State::Sent { leased: true, .. })).count()
    }

    /// Ends a flight, and returns everyone who waits for it.
    pub(crate) fn land(&self, key: &Key) -> Option<Landed> {
        let UnderWay { streams, orphan, renews, .. } = self.under_way.borrow_mut().remove(key)?;
        let mut held = self.waiting.borrow_mut();
        let ours = |stream: &u32| {
            held.get(stream).filter(|waiting| waiting.key == *key)?;
            held.remove(stream)
        };
        let mut waiting: Vec<Waiting> = streams.iter().filter_map(ours).collect();
        if let Some(first) = waiting.first_mut().filter(|_| renews) {
            first.call.hear_for_renewal();
        }
        Some(Landed { waiting, orphan })
    }
}

impl Key {
    fn competes_with(&self, other: &Self) -> bool {
        self.generation == other.generation && self.flight.competes_with(&other.flight)
    }
}

impl UnderWay {
    /// One that nobody waits for yet, to be sent by whichever worker is first.
    fn new(call: &Call) -> Self {
        Self {
            streams: Vec::new(),
            left: 0,
            orphan: None,
            renews: false,
            deadline: call.deadline(host::now()),
            was_parked: false,
            state: State::Ready { alone: false },
        }
    }

    fn is_ready(&self) -> bool {
        self.state.is_ready()
    }
}

impl State {
    fn is_ready(self) -> bool {
        matches!(self, Self::Ready { .. })
    }
}

/// Requests that may wait for one answer.
const MAX_WAITING: usize = 4096;

/// Requests that may wait for any.
const MAX_WAITING_IN_ALL: usize = 16_384;

/// Questions that may wait for room at one server.
const MAX_PARKED: usize = 1024;
