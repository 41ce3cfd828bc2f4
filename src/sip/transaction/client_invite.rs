//! The INVITE client transaction (RFC 3261 17.1.1 with RFC 6026 section 8.4).
//!
//! ```text
//! Calling    -> 1xx -> Proceeding        Calling, Proceeding -> 2xx -> Accepted
//! Calling    -> Timer A -> Calling       Calling, Proceeding -> 300-699 -> Completed(ack)
//! Calling    -> Timer B -> Terminated    Completed -> 300-699 -> Completed(ack again)
//! Completed  -> Timer D -> Terminated    Accepted -> 2xx -> Accepted
//! Accepted   -> Timer M -> Terminated
//! ```

use std::time::Instant;

use super::{Backoff, Reliability, Step, Timer, TimerTable, Timing};

/// One INVITE that we sent.
#[derive(Debug)]
pub(in crate::sip) struct ClientInvite {
    state: State,
    timers: TimerTable,
    backoff: Backoff,
    timing: Timing,
    reliability: Reliability,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Calling,
    Proceeding,
    Completed,
    Accepted,
    Terminated,
}

impl ClientInvite {
    /// The request has just been sent.
    pub(in crate::sip) fn start(
        now: Instant,
        timing: &Timing,
        reliability: Reliability,
    ) -> ClientInvite {
        let backoff = Backoff::new(timing.t1, None);
        let mut timers = TimerTable::default();
        if reliability == Reliability::Unreliable {
            timers.set(Timer::A, backoff.first(now));
        }
        timers.set(Timer::B, now + timing.give_up());
        let timing = timing.clone();
        ClientInvite { state: State::Calling, timers, backoff, timing, reliability }
    }

    /// A response arrived.
    pub(in crate::sip) fn on_response(&mut self, now: Instant, status: u16) -> Step {
        match (self.state, status) {
            (State::Calling | State::Proceeding, 100..=199) => {
                self.timers.clear();
                self.state = State::Proceeding;
                Step::Deliver
            }
            (State::Calling | State::Proceeding, 200..=299) => {
                self.timers.clear();
                self.timers.set(Timer::M, now + self.timing.give_up());
                self.state = State::Accepted;
                Step::Deliver
            }
            (State::Calling | State::Proceeding, _) => {
                self.timers.clear();
                let wait = match self.reliability {
                    Reliability::Unreliable => self.timing.d,
                    Reliability::Reliable => std::time::Duration::ZERO,
                };
                self.timers.set(Timer::D, now + wait);
                self.state = State::Completed;
                Step::AckAndDeliver
            }
            (State::Accepted, 200..=299) => Step::Deliver,
            (State::Completed, 300..) => Step::AckAgain,
            (State::Accepted | State::Completed | State::Terminated, _) => Step::Nothing,
        }
    }

    /// A moment of [`Self::next_timeout`] has come. Call until it is in the future.
    pub(in crate::sip) fn on_timeout(&mut self, now: Instant) -> Step {
        let Some((timer, due)) = self.timers.expire(now) else { return Step::Nothing };
        match timer {
            Timer::A => {
                let next = self.backoff.after(due, now);
                self.timers.set(Timer::A, next);
                Step::Resend
            }
            Timer::B => self.end(Step::TimedOut),
            _ => self.end(Step::Ended),
        }
    }

    /// Whether a provisional response has come and no final one, the state in which CANCEL may be sent
    /// (RFC 3261 9.1).
    pub(in crate::sip) fn may_cancel(&self) -> bool {
        self.state == State::Proceeding
    }

    /// Whether a final response is still to come.
    pub(in crate::sip) fn is_open(&self) -> bool {
        matches!(self.state, State::Calling | State::Proceeding)
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
