//! The timers of a call as a table: one slot per reason, all read in one place.

use std::time::Instant;

/// Why a timer runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Timer {
    Route,
    FirstResponse,
    Ring,
    Answer,
    CallerMedia,
    CalleeMedia,
    CallerLost,
    CalleeLost,
    KeepRecord,
    MaxCall,
    HandOver,
    Leave,
    Ending,
}

/// One optional moment per [`Timer`].
#[derive(Debug, Default)]
pub(super) struct Timers([Option<Instant>; 13]);

impl Timers {
    pub(super) fn set(&mut self, timer: Timer, at: Instant) {
        self.0[timer as usize] = Some(at);
    }

    /// Sets a timer that does not run yet.
    pub(super) fn begin(&mut self, timer: Timer, at: Instant) {
        self.0[timer as usize].get_or_insert(at);
    }

    /// Sets a timer, or brings it forward where it runs already.
    pub(super) fn not_after(&mut self, timer: Timer, at: Instant) {
        let slot = &mut self.0[timer as usize];
        *slot = Some(slot.map_or(at, |own| own.min(at)));
    }

    pub(super) fn at(&self, timer: Timer) -> Option<Instant> {
        self.0[timer as usize]
    }

    pub(super) fn stop(&mut self, timer: Timer) {
        self.0[timer as usize] = None;
    }

    pub(super) fn stop_all(&mut self) {
        self.0 = Default::default();
    }

    /// The earliest moment of all.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.iter().flatten().min().copied()
    }

    /// Takes one timer whose moment has come, in the order of the enum.
    pub(super) fn take_expired(&mut self, now: Instant) -> Option<Timer> {
        let due = ALL.into_iter().find(|t| self.0[*t as usize].is_some_and(|at| at <= now))?;
        self.stop(due);
        Some(due)
    }
}

const ALL: [Timer; 13] = [
    Timer::Route,
    Timer::FirstResponse,
    Timer::Ring,
    Timer::Answer,
    Timer::CallerMedia,
    Timer::CalleeMedia,
    Timer::CallerLost,
    Timer::CalleeLost,
    Timer::KeepRecord,
    Timer::MaxCall,
    Timer::HandOver,
    Timer::Leave,
    Timer::Ending,
];

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_slot_is_in_the_table_once() {
        for (index, timer) in ALL.into_iter().enumerate() {
            assert_eq!(timer as usize, index);
        }
    }

    #[test]
    fn expired_timers_come_once_and_others_stay() {
        let start = crate::base::epoch();
        let mut timers = Timers::default();
        timers.set(Timer::Ring, start);
        timers.set(Timer::MaxCall, start + Duration::from_secs(1));
        assert_eq!(timers.take_expired(start), Some(Timer::Ring));
        assert_eq!(timers.take_expired(start), None);
        assert_eq!(timers.next(), Some(start + Duration::from_secs(1)));
    }
}
