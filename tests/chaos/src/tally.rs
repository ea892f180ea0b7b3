//! The counters of a phase.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use hdrhistogram::Histogram;
use scopegate_testbed::cpu::CpuTime;

use crate::truth::Kind;

/// The counts of one phase. A request belongs to the phase in which it was due.
#[derive(Debug)]
pub(crate) struct Tally(Mutex<Counts>);

#[derive(Clone, Debug)]
pub(crate) struct Counts {
    pub(crate) name: String,
    pub(crate) sent: u64,
    pub(crate) statuses: BTreeMap<u16, u64>,
    pub(crate) wrongly_allowed: u64,
    pub(crate) hung: u64,
    pub(crate) unexpected: u64,
    /// Sent again, because Envoy had closed an idle connection at the same time.
    pub(crate) sent_again: u64,
    /// Connections that a draining listener refused.
    pub(crate) refused: u64,
    pub(crate) restarts: u64,
    /// From when a request was due until it was answered, in microseconds.
    pub(crate) latencies: Histogram<u64>,
    pub(crate) last_unavailable: Option<Instant>,
    pub(crate) begun: Instant,
    pub(crate) lasted: Duration,
    begun_at: CpuTime,
    /// The share of the CPU time that the machine did not get, from 0 to 1.
    pub(crate) stolen: f64,
    /// Whether the rate was to be held.
    pub(crate) is_held: bool,
    /// The first few failures.
    pub(crate) examples: Vec<String>,
}

impl Tally {
    pub(crate) fn new(name: &str) -> Result<Self> {
        Ok(Self(Mutex::new(Counts {
            name: name.to_owned(),
            sent: 0,
            statuses: BTreeMap::new(),
            wrongly_allowed: 0,
            hung: 0,
            unexpected: 0,
            sent_again: 0,
            refused: 0,
            restarts: 0,
            latencies: Histogram::new_with_bounds(1, 60_000_000, 3)?,
            last_unavailable: None,
            begun: Instant::now(),
            lasted: Duration::ZERO,
            begun_at: CpuTime::now()?,
            stolen: 0.0,
            is_held: true,
            examples: Vec::new(),
        })))
    }

    pub(crate) fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    /// Notes that the phase is over.
    pub(crate) fn end(&mut self) -> Result<()> {
        self.lasted = self.begun.elapsed();
        self.stolen = CpuTime::now()?.stolen_since(&self.begun_at);
        Ok(())
    }

    pub(crate) fn answered(&mut self, status: u16, took: Duration) {
        *self.statuses.entry(status).or_default() += 1;
        self.latencies.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        // A response that arrives in the next phase may fail because of that phase's fault.
        if status == 503 && self.lasted.is_zero() {
            self.last_unavailable = Some(Instant::now());
        }
    }

    /// Keeps it if it is one of the first of its sort.
    pub(crate) fn example(&mut self, kind: Kind, what: &str) {
        if self.examples.iter().filter(|example| example.contains(what)).count() < 3 {
            let after = self.begun.elapsed().as_secs_f64();
            self.examples.push(format!("{}: {kind:?}: {what}, after {after:.2} s", self.name));
        }
    }

    /// The answers with a status from `low` up to `high`.
    pub(crate) fn between(&self, low: u16, high: u16) -> u64 {
        self.statuses.range(low..=high).map(|(_, count)| count).sum()
    }

    #[expect(clippy::cast_precision_loss, reason = "counts fit")]
    pub(crate) fn rate(&self) -> f64 {
        self.sent as f64 / self.lasted.as_secs_f64().max(0.001)
    }

    /// Whether the phase failed.
    pub(crate) fn is_bad(&self) -> bool {
        self.wrongly_allowed + self.hung + self.unexpected + self.restarts > 0
    }
}
