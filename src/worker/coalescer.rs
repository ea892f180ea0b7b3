//! Pending callouts, and the requests that wait for them. Requests of this worker that need the same callout share one.
//!
//! A callout does not belong to a request, so no client can cancel it by leaving: its response is stored even if no
//! request waits for it any more.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use crate::base::UnixTime;
use crate::cache::Lease;
use crate::flow::{Call, CalloutKey, Step};
use crate::host::{CalloutError, CalloutId, CalloutResponse, CalloutResult, StreamId};
use crate::server::Attempt;

/// The pending callouts of a worker.
#[derive(Debug, Default)]
pub(super) struct Coalescer {
    pending: BTreeMap<CalloutKey, PendingCallout>,
    /// Callouts that have become ready to be sent, in order. Some may have been sent or have ended since.
    ready: VecDeque<CalloutKey>,
    /// Ready callouts beyond `max_callouts` of their server, in order. Some may have ended since.
    queue: VecDeque<CalloutKey>,
    /// Callouts that were sent.
    sent: BTreeMap<CalloutId, CalloutKey>,
    waiters: BTreeMap<StreamId, Waiter>,
}

/// A request that waits for a callout.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) stream: StreamId,
    pub(super) call: Call,
    key: CalloutKey,
}

/// A request that continues.
#[derive(Debug)]
pub(super) struct Resumption {
    pub(super) stream: StreamId,
    pub(super) with: ResumeWith,
}

/// The input with which a request continues.
#[derive(Debug)]
pub(super) enum ResumeWith {
    /// The next step.
    Step(Step),
    /// The result of the callout that was sent at `sent_at`.
    End { call: Call, end: Rc<CalloutEnd>, sent_at: UnixTime },
    /// A new lookup, because another worker may have stored the state.
    RetryLookup(Call),
}

/// How a callout ended.
#[derive(Debug)]
pub(super) enum CalloutEnd {
    /// It was not sent, for this reason.
    NotSent(CalloutError),
    /// It was sent; the response, or `None` if it timed out.
    Sent(Option<CalloutResponse>),
}

impl CalloutEnd {
    pub(super) fn result(&self) -> CalloutResult<'_> {
        match self {
            Self::NotSent(error) => CalloutResult::NotSent(*error),
            Self::Sent(response) => CalloutResponse::result(response.as_ref()),
        }
    }
}

#[derive(Debug)]
struct PendingCallout {
    /// The waiting requests, in order. Some may have ended since.
    streams: Vec<StreamId>,
    /// How many of `streams` still wait.
    waiting: usize,
    /// The call that processes the response if no request waits: that of the last request that has left.
    orphan: Option<Call>,
    /// Whether the callout renews a cached entry, even if other requests have joined it.
    renews: bool,
    /// The deadline of the callout.
    deadline: UnixTime,
    /// Whether the callout was queued.
    was_queued: bool,
    progress: Progress,
}

/// The progress of a callout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Ready to be sent. `is_alone`: without a lease, because another worker held one and got no response.
    Ready { is_alone: bool },
    /// Another worker holds the lease until this time, unless it renews it.
    HeldElsewhere { until: UnixTime },
    /// Sent. `is_leased`: other workers may wait for the response. `attempt` is `None` if the callout could not be
    /// sent.
    Sent { at: UnixTime, is_leased: bool, attempt: Option<Attempt> },
}

/// The result of joining a callout.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "large on 64-bit targets only; it is matched where it is returned")]
pub(super) enum Joined {
    /// The request waits.
    Waits,
    /// Too many requests are waiting.
    Overloaded(Call),
}

/// The requests that wait for a completed callout.
#[derive(Debug)]
pub(super) struct Waiters {
    pub(super) waiting: Vec<Waiter>,
    /// Set if no request waits any more: its call processes the response.
    pub(super) orphan: Option<Call>,
}

impl Coalescer {
    /// Lets a request wait for a callout, and starts the callout unless it is pending.
    pub(super) fn join(&mut self, key: CalloutKey, stream: StreamId, call: Call, now: UnixTime) -> Joined {
        let pending = self.pending.get_mut(&key);
        let is_full = pending.as_ref().is_some_and(|pending| pending.waiting >= MAX_WAITING);
        if is_full || self.waiters.len() >= MAX_WAITING_IN_ALL {
            return Joined::Overloaded(call);
        }
        if let Some(pending) = pending {
            pending.streams.push(stream);
            pending.waiting = pending.waiting.saturating_add(1);
            pending.orphan = None;
        } else {
            let pending = PendingCallout { streams: vec![stream], waiting: 1, ..PendingCallout::new(&call, now) };
            self.pending.insert(key.clone(), pending);
            self.ready.push_back(key.clone());
        }
        self.waiters.insert(stream, Waiter { stream, call, key });
        Joined::Waits
    }

    /// Returns whether a callout is pending.
    pub(super) fn is_pending(&self, key: &CalloutKey) -> bool {
        self.pending.contains_key(key)
    }

    /// Starts a callout that no request waits for, unless it is pending.
    pub(super) fn start(&mut self, key: CalloutKey, call: Call, now: UnixTime) {
        if let Entry::Vacant(place) = self.pending.entry(key.clone()) {
            let (renews, pending) = (call.renews(), PendingCallout::new(&call, now));
            place.insert(PendingCallout { orphan: Some(call), renews, ..pending });
            self.ready.push_back(key);
        }
    }

    /// Removes a request that has ended. A callout that was not sent and that no other request needs ends with it, so
    /// that resetting streams causes no callouts. Returns whether the request was waiting.
    pub(super) fn leave(&mut self, stream: StreamId) -> bool {
        let Some(Waiter { call, key, .. }) = self.waiters.remove(&stream) else { return false };
        let Some(pending) = self.pending.get_mut(&key) else { return true };
        pending.waiting = pending.waiting.saturating_sub(1);
        let is_sent = matches!(pending.progress, Progress::Sent { .. });
        match pending.waiting {
            0 if !is_sent && !key.outlives_requests() => drop(self.pending.remove(&key)),
            0 => pending.orphan = Some(call),
            _ => {}
        }
        true
    }

    /// Returns the keys of all callouts for which `is` returns `true`.
    pub(super) fn keys(&self, is: impl Fn(&CalloutKey, Progress) -> bool) -> Vec<CalloutKey> {
        self.pending.iter().filter(|(key, pending)| is(key, pending.progress)).map(|(key, _)| key.clone()).collect()
    }

    /// Returns the callouts that have waited too long to be sent or for another worker, and the errors they end with.
    pub(super) fn overdue(&self, now: UnixTime) -> Vec<(CalloutKey, CalloutError)> {
        let overdue = |key: CalloutKey| {
            let (call, deadline) = self.call(&key)?;
            let is_overdue = call.is_overdue(deadline, now);
            match self.progress(&key)? {
                Progress::Ready { .. } => {
                    (is_overdue || self.has_queued_too_long(&key, now)).then_some((key, CalloutError::Overloaded))
                }
                Progress::HeldElsewhere { .. } => is_overdue.then_some((key, CalloutError::TimedOut)),
                Progress::Sent { .. } => None,
            }
        };
        let unsent = self.keys(|_, progress| !matches!(progress, Progress::Sent { .. }));
        unsent.into_iter().filter_map(overdue).collect()
    }

    /// Returns whether `max_callouts` of the server permits one more callout.
    pub(super) fn has_room(&self, key: &CalloutKey) -> bool {
        let max = self.call(key).map_or(usize::MAX, |(call, _)| call.max_callouts());
        self.sent.values().filter(|sent| sent.competes_with(key)).count() < max
    }

    /// Returns whether a callout has been queued too long to be sent.
    pub(super) fn has_queued_too_long(&self, key: &CalloutKey, now: UnixTime) -> bool {
        let was_queued = self.pending.get(key).is_some_and(|pending| pending.was_queued);
        was_queued && !self.call(key).is_some_and(|(call, deadline)| call.is_timely(deadline, now))
    }

    /// Puts a callout into the queue; `false` if the queue is full.
    pub(super) fn enqueue(&mut self, key: &CalloutKey) -> bool {
        let Self { queue, pending, .. } = self;
        let competing = |queue: &VecDeque<CalloutKey>| queue.iter().filter(|other| other.competes_with(key)).count();
        if competing(queue) >= MAX_QUEUED {
            queue.retain(|key| pending.get(key).is_some_and(PendingCallout::is_ready));
        }
        let has_place = competing(queue) < MAX_QUEUED;
        if let (true, Some(pending)) = (has_place, pending.get_mut(key)) {
            pending.was_queued = true;
            queue.push_back(key.clone());
        }
        has_place
    }

    /// Makes the next queued callout of the same server ready, because `left` has ended.
    pub(super) fn dequeue(&mut self, left: &CalloutKey) {
        while let Some(index) = self.queue.iter().position(|key| key.competes_with(left)) {
            let key = self.queue.remove(index);
            if let Some(key) = key.filter(|key| self.pending.get(key).is_some_and(PendingCallout::is_ready)) {
                return self.ready.push_front(key);
            }
        }
    }

    /// Returns the progress of a callout.
    pub(super) fn progress(&self, key: &CalloutKey) -> Option<Progress> {
        self.pending.get(key).map(|pending| pending.progress)
    }

    pub(super) fn set_progress(&mut self, key: &CalloutKey, progress: Progress) {
        if let Some(pending) = self.pending.get_mut(key) {
            pending.progress = progress;
            if pending.is_ready() {
                self.ready.push_back(key.clone());
            }
        }
    }

    /// Returns the call of a pending callout, of any waiting request, and its deadline.
    pub(super) fn call(&self, key: &CalloutKey) -> Option<(&Call, UnixTime)> {
        let pending = self.pending.get(key)?;
        let mut waiters = pending.streams.iter().filter_map(|stream| self.waiters.get(stream));
        let first = waiters.find(|waiter| waiter.key == *key).map(|waiter| &waiter.call);
        first.or(pending.orphan.as_ref()).map(|call| (call, pending.deadline))
    }

    /// Returns the next callout that is ready to be sent, and whether it is sent without a lease.
    pub(super) fn next_ready(&mut self) -> Option<(CalloutKey, bool)> {
        loop {
            let key = self.ready.pop_front()?;
            if let Some(PendingCallout { progress: Progress::Ready { is_alone }, .. }) = self.pending.get(&key) {
                return Some((key, *is_alone));
            }
        }
    }

    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Records the host's id of a callout that was sent.
    pub(super) fn record_sent(&mut self, key: &CalloutKey, callout: CalloutId) {
        self.sent.insert(callout, key.clone());
    }

    pub(super) fn has_sent(&self, callout: CalloutId) -> bool {
        self.sent.contains_key(&callout)
    }

    /// Returns and removes the key of a callout that has ended.
    pub(super) fn take_sent(&mut self, callout: CalloutId) -> Option<CalloutKey> {
        self.sent.remove(&callout)
    }

    /// Returns whether a callout waits for this lease of another worker.
    pub(super) fn waits_for(key: &CalloutKey, progress: Progress, lease: Lease) -> bool {
        matches!(progress, Progress::HeldElsewhere { .. }) && key.lease() == Some(lease)
    }

    /// Removes a callout that has ended, and returns the requests that wait for it.
    pub(super) fn remove(&mut self, key: &CalloutKey) -> Option<Waiters> {
        let PendingCallout { streams, orphan, renews, .. } = self.pending.remove(key)?;
        let mut waiting = Vec::new();
        for stream in streams {
            if let Entry::Occupied(waiter) = self.waiters.entry(stream)
                && waiter.get().key == *key
            {
                waiting.push(waiter.remove());
            }
        }
        if let Some(first) = waiting.first_mut().filter(|_| renews) {
            first.call.mark_as_renewal();
        }
        Some(Waiters { waiting, orphan })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Returns the number of waiting requests.
    pub(super) fn waiting(&self) -> usize {
        self.waiters.len()
    }

    /// Returns the number of callouts that were sent and have not ended.
    pub(super) fn in_flight(&self) -> usize {
        self.sent.len()
    }

    /// Returns the number of leases that this worker holds.
    pub(super) fn leases(&self) -> usize {
        let is_leased = |pending: &&PendingCallout| matches!(pending.progress, Progress::Sent { is_leased: true, .. });
        self.pending.values().filter(is_leased).count()
    }
}

impl PendingCallout {
    /// Creates a callout that no request waits for yet.
    fn new(call: &Call, now: UnixTime) -> Self {
        Self {
            streams: Vec::new(),
            waiting: 0,
            orphan: None,
            renews: false,
            deadline: call.deadline(now),
            was_queued: false,
            progress: Progress::Ready { is_alone: false },
        }
    }

    fn is_ready(&self) -> bool {
        matches!(self.progress, Progress::Ready { .. })
    }
}

/// The maximum number of requests that wait for one callout.
const MAX_WAITING: usize = 4096;

/// The maximum number of waiting requests of a worker.
const MAX_WAITING_IN_ALL: usize = 16_384;

/// The maximum number of queued callouts per server.
const MAX_QUEUED: usize = 1024;
