//! How much a trunk carries: calls at once (`channels`) and new calls a second (`cps`).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The counters of one trunk.
#[derive(Debug, Clone)]
pub struct Limits {
    channels: u32,
    cps: u32,
    calls: u32,
    /// Starts of the last second, at most `cps` of them and those of emergency calls.
    starts: VecDeque<Instant>,
}

/// Why a trunk takes no further call now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Busy {
    /// All channels are in use.
    Channels,
    /// It takes the next one after this time.
    Rate(Duration),
}

impl Limits {
    /// Counters at nought.
    pub fn new(channels: u32, cps: u32) -> Limits {
        Limits { channels, cps, calls: 0, starts: VecDeque::new() }
    }

    /// Other limits from now on; calls in progress stay, even where they are now too many.
    pub fn change(&mut self, channels: u32, cps: u32) {
        (self.channels, self.cps) = (channels, cps);
    }

    /// Calls in progress.
    pub fn calls(&self) -> u32 {
        self.calls
    }

    /// Calls in progress in thousandths of the channels.
    pub fn share(&self) -> u32 {
        let share = u64::from(self.calls) * 1_000 / u64::from(self.channels.max(1));
        u32::try_from(share).unwrap_or(u32::MAX)
    }

    /// Why another call does not fit now, `None` where it does.
    pub fn busy(&self, now: Instant) -> Option<Busy> {
        if self.calls >= self.channels {
            return Some(Busy::Channels);
        }
        let recent = self.starts.iter().filter(|start| now.duration_since(**start) < SECOND);
        let recent: Vec<&Instant> = recent.collect();
        if recent.len() < self.cps as usize {
            return None;
        }
        let oldest = recent[recent.len() - self.cps as usize];
        Some(Busy::Rate(SECOND.saturating_sub(now.duration_since(*oldest))))
    }

    /// Counts a call that starts. The caller has asked `busy`, or it is an emergency call.
    pub fn start(&mut self, now: Instant) {
        self.calls = self.calls.saturating_add(1);
        while self.starts.front().is_some_and(|start| now.duration_since(*start) >= SECOND) {
            self.starts.pop_front();
        }
        self.starts.push_back(now);
    }

    /// Counts a call that ended.
    pub fn end(&mut self) {
        self.calls = self.calls.saturating_sub(1);
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::epoch;

    #[test]
    fn channels_and_rate_are_both_kept() {
        let ms = |ms| epoch() + Duration::from_millis(ms);
        let mut limits = Limits::new(3, 2);
        for at in [0, 400] {
            assert_eq!(limits.busy(ms(at)), None);
            limits.start(ms(at));
        }
        assert_eq!(limits.busy(ms(500)), Some(Busy::Rate(Duration::from_millis(500))));
        assert_eq!(limits.busy(ms(1_000)), None);
        limits.start(ms(1_000));
        assert_eq!(limits.busy(ms(5_000)), Some(Busy::Channels));
        assert_eq!(limits.share(), 1_000);
        limits.end();
        assert_eq!(limits.busy(ms(5_000)), None);
    }
}
