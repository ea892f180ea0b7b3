//! How much of its processors the machine had.

use anyhow::{Context, Result};

/// CPU time since the machine was started, of all cores, in ticks of whatever length: `/proc/stat`, see proc(5).
#[derive(Clone, Copy, Debug)]
pub struct CpuTime {
    all: u64,
    stolen: u64,
}

impl CpuTime {
    /// Reads the current values. Fails if the file is missing or has another format.
    pub fn now() -> Result<Self> {
        let stat = std::fs::read_to_string("/proc/stat").context("/proc/stat: this takes Linux")?;
        Self::read(&stat).context("/proc/stat: no line of all processors")
    }

    fn read(stat: &str) -> Option<Self> {
        let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
        // What guests took, at the end, is counted among the others already.
        let ticks: Vec<u64> = line.split_whitespace().take(STEAL + 1).map(str::parse).collect::<Result<_, _>>().ok()?;
        Some(Self { all: ticks.iter().sum(), stolen: *ticks.get(STEAL)? })
    }

    /// The share of the time since then that the host gave to others although this machine had use for it, from 0 to 1.
    /// Delays during stolen time are not caused by the measured program.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "ticks of years fit")]
    pub fn stolen_since(&self, earlier: &Self) -> f64 {
        let (all, stolen) = (self.all.saturating_sub(earlier.all), self.stolen.saturating_sub(earlier.stolen));
        stolen as f64 / all.max(1) as f64
    }
}

/// user, nice, system, idle, iowait, irq, softirq, steal.
const STEAL: usize = 7;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_stolen_is_a_share_of_what_there_was() {
        let at = |text: &str| CpuTime::read(text).expect("a line of all processors");
        let before = at("cpu  100 0 100 800 0 0 0 0 7 0\ncpu0 1 2 3\n");
        let after = at("cpu  150 0 100 820 0 0 10 20 9 0\n");
        assert!((after.stolen_since(&before) - 0.2).abs() < 1e-9);
        assert!(after.stolen_since(&after).abs() < 1e-9);
        assert!(CpuTime::read("cpu  1 2 3\n").is_none() && CpuTime::read("").is_none());
    }
}
