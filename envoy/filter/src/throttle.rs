//! A bound on what a flood of requests, or an outage, can write to the log.

use std::cell::Cell;
use std::time::Duration;

use scopegate::UnixTime;

/// Lets a number of messages a second through and counts the others.
#[derive(Debug)]
pub(crate) struct Throttle {
    per_second: u32,
    second: Cell<Option<UnixTime>>,
    admitted: Cell<u32>,
    suppressed: Cell<u32>,
}

impl Throttle {
    pub(crate) const fn new(per_second: u32) -> Self {
        Self { per_second, second: Cell::new(None), admitted: Cell::new(0), suppressed: Cell::new(0) }
    }

    /// Whether a message may be written: then with this at its end, which says how many were held back since
    /// the last one.
    pub(crate) fn admit(&self, now: UnixTime) -> Option<String> {
        let same_second = |start: UnixTime| start <= now && now.saturating_since(start) < Duration::from_secs(1);
        if !self.second.get().is_some_and(same_second) {
            self.second.set(Some(now));
            self.admitted.set(0);
        }
        if self.admitted.get() >= self.per_second {
            self.suppressed.set(self.suppressed.get().saturating_add(1));
            return None;
        }
        self.admitted.set(self.admitted.get().saturating_add(1));
        Some(match self.suppressed.take() {
            0 => String::new(),
            suppressed => format!(" ({suppressed} more since the last message)"),
        })
    }
}
