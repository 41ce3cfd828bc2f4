//! A party of a connected call that another one takes the place of: a transfer that the party asked
//! for (RFC 3515, RFC 5589), or a call that names ours as the one to replace (RFC 3891).
//!
//! ```text
//! Connected -> HandOver(A) -> dial B .. Rejected -> dial C .. -> failed, A and the call go on
//!                                    .. Answered -> B talks, A leaves: its BYE, or ours after 4 s
//! Connected -> Replaced(A) -> B talks, A is hung up
//! ```
//!
//! The party that asked may leave before: then the call is the new party's, and over if nobody takes it.

use std::collections::VecDeque;
use std::time::Instant;

use crate::base::Cause;

use super::callee::{Callee, CalleeState, may_fail_over};
use super::dialing::Then;
use super::exchange::HandOver;
use super::timers::Timer;
use super::{Call, Early, End, Error, Leg, LegEvent, Output, Rejection, State, Target, Who};

/// A handing over under way.
#[derive(Debug)]
pub(super) struct Handing {
    /// Who is to be replaced.
    old: Leg,
    /// Whether it has left already.
    old_is_gone: bool,
    /// Who is dialled.
    new: u8,
    waiting: VecDeque<Target>,
}

impl Call {
    /// Begins to dial who takes the place of `old`.
    pub(super) fn hand_over(
        &mut self,
        now: Instant,
        old: Leg,
        targets: Vec<Target>,
    ) -> Result<(), Error> {
        let mut waiting = VecDeque::from(targets);
        let first = waiting.pop_front().ok_or(Error::NoPeer)?;
        if self.state != State::Connected || self.handing.is_some() || !self.talks(old) {
            return Err(Error::NoPeer);
        }
        let new = self.dial_in_place(now, first)?;
        self.handing = Some(Handing { old, old_is_gone: false, new, waiting });
        self.timers.set(Timer::HandOver, now + self.limits.answer);
        Ok(())
    }

    /// A call that has come takes the place of `old` at once.
    pub(super) fn replaced(&mut self, now: Instant, old: Leg, target: Target) -> Result<(), Error> {
        if self.state != State::Connected || self.handing.is_some() || !self.talks(old) {
            return Err(Error::NoPeer);
        }
        let new = self.new_callee(now, target, "takes the call over")?;
        self.take_place(old, new);
        self.leave(old);
        Ok(())
    }

    /// Whether this leg is one of the two that talk.
    fn talks(&self, leg: Leg) -> bool {
        match leg {
            Leg::Caller => self.caller_present,
            Leg::Callee(n) => self
                .callees
                .get(usize::from(n))
                .is_some_and(|callee| callee.state == CalleeState::Answered),
        }
    }

    fn new_callee(&mut self, now: Instant, target: Target, what: &str) -> Result<u8, Error> {
        let new = u8::try_from(self.callees.len()).map_err(|_| Error::NoPeer)?;
        self.record.attempts = self.record.attempts.saturating_add(1);
        self.record.trace.push(format!("attempt {}: {target} {what}", self.callees.len() + 1));
        self.callees.push(Callee {
            target,
            state: CalleeState::Dialed,
            since: now,
            rang: false,
            early_media: false,
            media_ready: false,
        });
        Ok(new)
    }

    fn dial_in_place(&mut self, now: Instant, target: Target) -> Result<u8, Error> {
        let new = self.new_callee(now, target.clone(), "is to take the call over")?;
        self.out.push_back(Output::Dial(Leg::Callee(new), target));
        Ok(new)
    }

    /// Whether this event is of the leg that is dialled to take a place; it is done then.
    pub(super) fn is_handing_event(&mut self, now: Instant, n: u8, event: &LegEvent) -> bool {
        if self.handing.as_ref().is_none_or(|handing| handing.new != n) {
            return false;
        }
        match event {
            LegEvent::Ringing(early) => self.handing_rings(n, *early),
            LegEvent::Progress(Early::Media) => self.handing_rings(n, Early::Media),
            LegEvent::Trying | LegEvent::Progress(Early::NoMedia) => {}
            LegEvent::Answered => {
                self.tell_attempt(now, n, "answered", Then::Nothing);
                if let Some(handing) = self.handing.take() {
                    self.handed(now, handing);
                }
            }
            LegEvent::Rejected(rejection) => {
                self.callees[usize::from(n)].state = CalleeState::Gone;
                self.handing_failed(now, n, rejection.clone());
            }
            LegEvent::Ended(cause) => {
                self.callees[usize::from(n)].state = CalleeState::Gone;
                let cause = if *cause == Cause::Hangup { Cause::Declined } else { *cause };
                self.handing_failed(now, n, Rejection::plain(cause));
            }
            LegEvent::MediaFailed => {
                self.cancel(n, Cause::MediaFailed);
                self.handing_failed(now, n, Rejection::plain(Cause::MediaFailed));
            }
            _ => return false,
        }
        true
    }

    fn handing_rings(&mut self, n: u8, early: Early) {
        if early == Early::Media {
            self.callees[usize::from(n)].early_media = true;
        }
        self.out.push_back(Output::HandOver(HandOver::Rings(Leg::Callee(n), early)));
    }

    fn handed(&mut self, now: Instant, handing: Handing) {
        let Handing { old, old_is_gone, new, .. } = handing;
        self.take_place(old, new);
        self.timers.stop(Timer::HandOver);
        self.out.push_back(Output::HandOver(HandOver::Done { old, new: Leg::Callee(new) }));
        if !old_is_gone {
            // It asked for this, and says goodbye by itself.
            self.leaving = Some(old);
            self.timers.set(Timer::Leave, now + self.limits.leave);
        }
    }

    /// `new` talks from now on, `old` does so no more.
    fn take_place(&mut self, old: Leg, new: u8) {
        self.callees[usize::from(new)].state = CalleeState::Answered;
        match old {
            Leg::Caller => {
                self.caller_present = false;
                self.in_place_of_caller = Some(new);
            }
            Leg::Callee(before) => {
                self.callees[usize::from(before)].state = CalleeState::Gone;
                if self.in_place_of_caller == Some(before) {
                    self.in_place_of_caller = Some(new);
                } else {
                    self.winner = Some(new);
                }
            }
        }
    }

    /// Hangs up who has been replaced.
    fn leave(&mut self, old: Leg) {
        let cause = Cause::Hangup;
        let end = End { cause, by: Who::Gateway, sip: None, q850: cause.q850(), rule: None };
        self.out.push_back(Output::HangUp(old, end));
    }

    /// Its time to say goodbye is over.
    pub(super) fn leave_late(&mut self) {
        if let Some(old) = self.leaving.take() {
            self.leave(old);
        }
    }

    /// Whether the end of this leg is that of a party that was replaced, or waits for that.
    pub(super) fn is_leaving(&mut self, leg: Leg) -> bool {
        if self.leaving == Some(leg) {
            self.leaving = None;
            self.timers.stop(Timer::Leave);
            return true;
        }
        match &mut self.handing {
            Some(handing) if handing.old == leg => {
                handing.old_is_gone = true;
                match leg {
                    Leg::Caller => self.caller_present = false,
                    Leg::Callee(n) => self.callees[usize::from(n)].state = CalleeState::Gone,
                }
                true
            }
            _ => false,
        }
    }

    fn handing_failed(&mut self, now: Instant, n: u8, rejection: Rejection) {
        let Some(mut handing) = self.handing.take() else { return };
        let next = may_fail_over(&self.callees[usize::from(n)], &rejection);
        let next = handing.waiting.pop_front().filter(|_| next);
        let then = if next.is_some() { Then::Next } else { Then::Final };
        self.tell_attempt(now, n, &rejection.words(), then);
        if let Some(target) = next
            && let Ok(new) = self.dial_in_place(now, target)
        {
            handing.new = new;
            self.handing = Some(handing);
            return;
        }
        self.timers.stop(Timer::HandOver);
        if handing.old_is_gone {
            let by = if handing.old == Leg::Caller { Who::Caller } else { Who::Callee };
            return self.end(now, rejection.cause, by, None, rejection.q850);
        }
        self.out.push_back(Output::HandOver(HandOver::Failed(rejection)));
    }

    /// Nobody has answered for long.
    pub(super) fn handing_is_late(&mut self, now: Instant) {
        let Some(n) = self.handing.as_ref().map(|handing| handing.new) else { return };
        if let Some(handing) = &mut self.handing {
            handing.waiting.clear();
        }
        self.cancel(n, Cause::NoAnswer);
        self.handing_failed(now, n, Rejection::plain(Cause::NoAnswer));
    }

    /// The leg on the caller's side.
    pub(super) fn caller_side(&self) -> Leg {
        self.in_place_of_caller.map_or(Leg::Caller, Leg::Callee)
    }
}
