//! Rate limit for log messages, so that a flood of requests or an outage cannot fill the log.

use std::time::Duration;

use super::time::UnixTime;

/// Admits a fixed number of messages per second and counts the suppressed ones.
#[derive(Debug)]
pub(crate) struct LogLimit {
    per_second: u32,
    second: Option<UnixTime>,
    admitted: u32,
    suppressed: u32,
}

impl LogLimit {
    pub(crate) const fn new(per_second: u32) -> Self {
        Self { per_second, second: None, admitted: 0, suppressed: 0 }
    }

    /// Returns `None` if the message must be suppressed. Otherwise returns a suffix for the message, which gives the
    /// number of messages suppressed since the last one and is empty if there were none.
    pub(crate) fn admit(&mut self, now: UnixTime) -> Option<String> {
        let same_second = |start: UnixTime| start <= now && now.saturating_since(start) < Duration::from_secs(1);
        if !self.second.is_some_and(same_second) {
            self.second = Some(now);
            self.admitted = 0;
        }
        if self.admitted >= self.per_second {
            self.suppressed = self.suppressed.saturating_add(1);
            return None;
        }
        self.admitted = self.admitted.saturating_add(1);
        Some(match std::mem::take(&mut self.suppressed) {
            0 => String::new(),
            suppressed => format!(" ({suppressed} more since the last message)"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_beyond_the_limit_are_suppressed_and_counted() {
        let mut limit = LogLimit::new(2);
        let at = |millis: u64| UnixTime::from_millis(1_000_000 + millis);
        let admitted: Vec<_> = (0..4).map(|_| limit.admit(at(0))).collect();
        assert_eq!(admitted, [Some(String::new()), Some(String::new()), None, None]);
        assert_eq!(limit.admit(at(999)), None);
        assert_eq!(limit.admit(at(1000)).unwrap(), " (3 more since the last message)");
        // A clock that was set back starts a new second.
        assert_eq!(limit.admit(at(10)), Some(String::new()));
    }
}
