//! The non-INVITE server transaction (RFC 3261 17.2.2).
//!
//! ```text
//! Trying     -> 1xx from user -> Proceeding   Trying, Proceeding -> 200-699 from user -> Completed
//! Trying     -> request -> absorbed           Proceeding, Completed -> request -> resend
//! Completed  -> Timer J -> Terminated
//! Trying, Proceeding -> Timer F -> Terminated (the user never answered; RFC 4320 4.1)
//! ```

use std::time::{Duration, Instant};

use super::{Reliability, Step, Timer, TimerTable, Timing};

/// One request other than INVITE and ACK that we received.
#[derive(Debug)]
pub(in crate::sip) struct ServerNonInvite {
    state: State,
    timers: TimerTable,
    give_up: Duration,
    reliability: Reliability,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Trying,
    Proceeding,
    Completed,
    Terminated,
}

impl ServerNonInvite {
    /// The request has just arrived.
    pub(in crate::sip) fn start(
        now: Instant,
        timing: &Timing,
        reliability: Reliability,
    ) -> ServerNonInvite {
        let mut timers = TimerTable::default();
        timers.set(Timer::F, now + timing.give_up());
        ServerNonInvite { state: State::Trying, timers, give_up: timing.give_up(), reliability }
    }

    /// The request arrived again.
    pub(in crate::sip) fn on_request(&mut self) -> Step {
        match self.state {
            State::Proceeding | State::Completed => Step::Resend,
            State::Trying | State::Terminated => Step::Nothing,
        }
    }

    /// The user answers. `Nothing` says that it is too late for this response.
    pub(in crate::sip) fn on_user_response(&mut self, now: Instant, status: u16) -> Step {
        match (self.state, status) {
            (State::Trying | State::Proceeding, 100..=199) => {
                self.state = State::Proceeding;
                Step::Respond
            }
            (State::Trying | State::Proceeding, _) => {
                self.timers.clear();
                let wait = match self.reliability {
                    Reliability::Unreliable => self.give_up,
                    Reliability::Reliable => Duration::ZERO,
                };
                self.timers.set(Timer::J, now + wait);
                self.state = State::Completed;
                Step::Respond
            }
            (State::Completed | State::Terminated, _) => Step::Nothing,
        }
    }

    /// Whether the user still owes the final response.
    pub(in crate::sip) fn is_open(&self) -> bool {
        matches!(self.state, State::Trying | State::Proceeding)
    }

    /// A moment of [`Self::next_timeout`] has come. Call until it is in the future.
    pub(in crate::sip) fn on_timeout(&mut self, now: Instant) -> Step {
        if self.timers.expire(now).is_none() {
            return Step::Nothing;
        }
        self.timers.clear();
        self.state = State::Terminated;
        Step::Ended
    }

    /// The earliest deadline.
    pub(in crate::sip) fn next_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }
}
