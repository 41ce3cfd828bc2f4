//! The non-INVITE client transaction (RFC 3261 17.1.2).
//!
//! ```text
//! Trying     -> 1xx -> Proceeding        Trying, Proceeding -> 200-699 -> Completed
//! Trying     -> Timer E -> Trying        Proceeding -> Timer E -> Proceeding (every T2)
//! Trying, Proceeding -> Timer F -> Terminated
//! Completed  -> Timer K -> Terminated
//! ```

use std::time::{Duration, Instant};

use super::{Backoff, Reliability, Step, Timer, TimerTable, Timing};

/// One request other than INVITE and ACK that we sent.
#[derive(Debug)]
pub(in crate::sip) struct ClientNonInvite {
    state: State,
    timers: TimerTable,
    backoff: Backoff,
    t4: Duration,
    reliability: Reliability,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Trying,
    Proceeding,
    Completed,
    Terminated,
}

impl ClientNonInvite {
    /// The request has just been sent.
    pub(in crate::sip) fn start(
        now: Instant,
        timing: &Timing,
        reliability: Reliability,
    ) -> ClientNonInvite {
        let backoff = Backoff::new(timing.t1, Some(timing.t2));
        let mut timers = TimerTable::default();
        if reliability == Reliability::Unreliable {
            timers.set(Timer::E, backoff.first(now));
        }
        timers.set(Timer::F, now + timing.give_up());
        ClientNonInvite { state: State::Trying, timers, backoff, t4: timing.t4, reliability }
    }

    /// A response arrived.
    pub(in crate::sip) fn on_response(&mut self, now: Instant, status: u16) -> Step {
        match (self.state, status) {
            (State::Trying | State::Proceeding, 100..=199) => {
                // The interval that already runs ends; the next ones are T2 (17.1.2.2).
                self.backoff.slow_down();
                self.state = State::Proceeding;
                Step::Deliver
            }
            (State::Trying | State::Proceeding, _) => {
                self.timers.clear();
                let wait = match self.reliability {
                    Reliability::Unreliable => self.t4,
                    Reliability::Reliable => Duration::ZERO,
                };
                self.timers.set(Timer::K, now + wait);
                self.state = State::Completed;
                Step::Deliver
            }
            (State::Completed | State::Terminated, _) => Step::Nothing,
        }
    }

    /// A moment of [`Self::next_timeout`] has come. Call until it is in the future.
    pub(in crate::sip) fn on_timeout(&mut self, now: Instant) -> Step {
        let Some((timer, due)) = self.timers.expire(now) else { return Step::Nothing };
        match timer {
            Timer::E => {
                let next = self.backoff.after(due, now);
                self.timers.set(Timer::E, next);
                Step::Resend
            }
            Timer::F => self.end(Step::TimedOut),
            _ => self.end(Step::Ended),
        }
    }

    /// Whether a final response is still to come.
    pub(in crate::sip) fn is_open(&self) -> bool {
        matches!(self.state, State::Trying | State::Proceeding)
    }

    /// The earliest deadline.
    pub(in crate::sip) fn next_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    fn end(&mut self, step: Step) -> Step {
        self.timers.clear();
        self.state = State::Terminated;
        step
    }
}
