//! The INVITE server transaction (RFC 3261 17.2.1 with RFC 6026 section 8.7).
//!
//! ```text
//! Proceeding -> 200 ms -> Proceeding(100)     Proceeding -> 1xx from user -> Proceeding
//! Proceeding -> 2xx from user -> Accepted     Proceeding -> 300-699 from user -> Completed
//! Proceeding, Completed -> INVITE -> resend   Accepted -> INVITE -> absorbed
//! Completed  -> Timer G -> Completed(resend)  Completed -> ACK -> Confirmed
//! Completed  -> Timer H -> Terminated         Confirmed -> Timer I -> Terminated
//! Accepted   -> Timer L -> Terminated
//! ```
//!
//! The 2xx is sent again by the session until its ACK comes (RFC 3261 13.3.1.4), not from here.

use std::time::{Duration, Instant};

use super::{Backoff, Reliability, Step, Timer, TimerTable, Timing};

/// One INVITE that we received.
#[derive(Debug)]
pub(in crate::sip) struct ServerInvite {
    state: State,
    timers: TimerTable,
    backoff: Backoff,
    timing: Timing,
    reliability: Reliability,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing sent yet: a repeated INVITE has nothing to be answered with.
    Silent,
    Proceeding,
    Completed,
    Confirmed,
    Accepted,
    Terminated,
}

impl ServerInvite {
    /// The request has just arrived.
    pub(in crate::sip) fn start(
        now: Instant,
        timing: &Timing,
        reliability: Reliability,
    ) -> ServerInvite {
        let mut timers = TimerTable::default();
        timers.set(Timer::Trying, now + timing.trying);
        let backoff = Backoff::new(timing.t1, Some(timing.t2));
        let timing = timing.clone();
        ServerInvite { state: State::Silent, timers, backoff, timing, reliability }
    }

    /// The INVITE arrived again.
    pub(in crate::sip) fn on_request(&mut self) -> Step {
        match self.state {
            State::Proceeding | State::Completed => Step::Resend,
            State::Silent | State::Confirmed | State::Accepted | State::Terminated => Step::Nothing,
        }
    }

    /// The ACK of a 300-699 arrived (the one of a 2xx belongs to the session).
    pub(in crate::sip) fn on_ack(&mut self, now: Instant) -> Step {
        if self.state == State::Completed {
            self.timers.clear();
            let wait = match self.reliability {
                Reliability::Unreliable => self.timing.t4,
                Reliability::Reliable => Duration::ZERO,
            };
            self.timers.set(Timer::I, now + wait);
            self.state = State::Confirmed;
        }
        Step::Nothing
    }

    /// The user answers. `Nothing` says that it is too late for this response.
    pub(in crate::sip) fn on_user_response(&mut self, now: Instant, status: u16) -> Step {
        match (self.state, status) {
            (State::Silent | State::Proceeding, 100..=199) => {
                self.timers.stop(Timer::Trying);
                self.state = State::Proceeding;
                Step::Respond
            }
            (State::Silent | State::Proceeding, 200..=299) => {
                self.timers.clear();
                self.timers.set(Timer::L, now + self.timing.give_up());
                self.state = State::Accepted;
                Step::Respond
            }
            (State::Silent | State::Proceeding, _) => {
                self.timers.clear();
                if self.reliability == Reliability::Unreliable {
                    self.timers.set(Timer::G, self.backoff.first(now));
                }
                self.timers.set(Timer::H, now + self.timing.give_up());
                self.state = State::Completed;
                Step::Respond
            }
            (State::Accepted, 200..=299) => Step::Respond,
            _ => Step::Nothing,
        }
    }

    /// A moment of [`Self::next_timeout`] has come. Call until it is in the future.
    pub(in crate::sip) fn on_timeout(&mut self, now: Instant) -> Step {
        let Some((timer, due)) = self.timers.expire(now) else { return Step::Nothing };
        match timer {
            Timer::Trying => {
                self.state = State::Proceeding;
                Step::SendTrying
            }
            Timer::G => {
                let next = self.backoff.after(due, now);
                self.timers.set(Timer::G, next);
                Step::Resend
            }
            Timer::H => self.end(Step::TimedOut),
            _ => self.end(Step::Ended),
        }
    }

    /// Whether no final response has been sent: CANCEL still has something to cancel.
    pub(in crate::sip) fn is_open(&self) -> bool {
        matches!(self.state, State::Silent | State::Proceeding)
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
