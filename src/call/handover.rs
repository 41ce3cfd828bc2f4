//! A party of a connected call that another one takes the place of: a transfer that the party asked
//! for (RFC 3515, RFC 5589), or a call that names ours as the one to replace (RFC 3891).
//!
//! ```text
//! Connected -> HandOver(A) -> dial B .. Rejected -> dial C .. -> failed, A and the call go on
//!                                    .. Answered -> B talks, A leaves: its BYE, or ours after 4 s
//!                             dial pages B, C at once: the first answer wins, the other is cancelled
//! Connected -> Replaced(A) -> B talks, A is hung up
//! ```
//!
//! The party that asked may leave before: then the call is the new party's, and over if nobody takes it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::base::Cause;

use super::callee::{Callee, CalleeState, may_fail_over};
use super::dialing::Then;
use super::exchange::HandOver;
use super::timers::Timer;
use super::{
    Call, Early, End, Error, Leg, LegEvent, LegKind, Output, Rejection, State, Step, Target,
    Targets, Who,
};

/// A handing over under way.
#[derive(Debug)]
pub(super) struct Handing {
    /// Who is to be replaced.
    old: Leg,
    /// Whether it has left already.
    old_is_gone: bool,
    /// Who is dialled.
    ringing: Vec<u8>,
    waiting: VecDeque<Step>,
    /// How long the new party may talk.
    max_call: Option<Duration>,
}

impl Call {
    /// Begins to dial who takes the place of `old`.
    pub(super) fn hand_over(
        &mut self,
        now: Instant,
        old: Leg,
        targets: Targets,
        max_call: Option<Duration>,
    ) -> Result<(), Error> {
        let steps = targets.into_steps().into_iter().filter(|step| !step.targets.is_empty());
        let mut waiting: VecDeque<Step> = steps.collect();
        let first = waiting.pop_front().ok_or(Error::NoPeer)?;
        if self.state != State::Connected || self.handing.is_some() || !self.talks(old) {
            return Err(Error::NoPeer);
        }
        let ringing = self.dial_in_place(now, first)?;
        self.handing = Some(Handing { old, old_is_gone: false, ringing, waiting, max_call });
        Ok(())
    }

    /// A call that has come takes the place of `old` at once.
    pub(super) fn replaced(
        &mut self,
        now: Instant,
        old: Leg,
        target: Target,
        until: Option<Instant>,
    ) -> Result<(), Error> {
        if self.state != State::Connected || self.handing.is_some() || !self.talks(old) {
            return Err(Error::NoPeer);
        }
        let new = self.new_callee(now, target, "takes the call over")?;
        self.take_place(old, new);
        if let Some(until) = until {
            self.timers.not_after(Timer::MaxCall, until);
        }
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

    fn dial_in_place(&mut self, now: Instant, step: Step) -> Result<Vec<u8>, Error> {
        let pages = step.is_of_pages();
        let ring = step.ring.unwrap_or(if pages { self.limits.ring } else { self.limits.answer });
        let mut ringing = Vec::with_capacity(step.targets.len());
        for target in step.targets {
            let new = self.new_callee(now, target.clone(), "is to take the call over")?;
            self.out.push_back(Output::Dial(Leg::Callee(new), target));
            ringing.push(new);
        }
        self.timers.set(Timer::HandOver, now + ring);
        Ok(ringing)
    }

    /// Whether this event is of a leg that is dialled to take a place; it is done then.
    pub(super) fn is_handing_event(&mut self, now: Instant, n: u8, event: &LegEvent) -> bool {
        if self.handing.as_ref().is_none_or(|handing| !handing.ringing.contains(&n)) {
            return false;
        }
        match event {
            LegEvent::Ringing(early) => self.handing_rings(n, *early),
            LegEvent::Progress(Early::Media) => self.handing_rings(n, Early::Media),
            LegEvent::Trying | LegEvent::Progress(Early::NoMedia) => {}
            LegEvent::Answered => {
                self.tell_attempt(now, n, "answered", Then::Nothing);
                if let Some(handing) = self.handing.take() {
                    self.handed(now, n, handing);
                }
            }
            LegEvent::Rejected(rejection) => {
                self.callees[usize::from(n)].state = CalleeState::Gone;
                if rejection.cause == Cause::Declined {
                    self.declined_everywhere(n);
                }
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

    /// Pages that ring at once are told of once.
    fn handing_rings(&mut self, n: u8, early: Early) {
        if early == Early::Media {
            self.callees[usize::from(n)].early_media = true;
        }
        let ringing = self.handing.iter().flat_map(|handing| &handing.ringing);
        let told = ringing.into_iter().any(|own| *own != n && self.callees[usize::from(*own)].rang);
        self.callees[usize::from(n)].rang = true;
        if !told {
            self.out.push_back(Output::HandOver(HandOver::Rings(Leg::Callee(n), early)));
        }
    }

    /// A user who declines on one page declines on all of them.
    fn declined_everywhere(&mut self, n: u8) {
        let Target::Page { user, .. } = self.callees[usize::from(n)].target.clone() else { return };
        let Some(handing) = &mut self.handing else { return };
        let is_same = |other: &u8| {
            matches!(&self.callees[usize::from(*other)].target,
                Target::Page { user: own, .. } if *own == user)
        };
        let same: Vec<u8> =
            handing.ringing.iter().copied().filter(|own| *own != n && is_same(own)).collect();
        handing.ringing.retain(|own| !same.contains(own));
        for other in same {
            self.cancel(other, Cause::Declined);
        }
    }

    fn handed(&mut self, now: Instant, new: u8, handing: Handing) {
        let Handing { old, old_is_gone, ringing, max_call, .. } = handing;
        for other in ringing.into_iter().filter(|other| *other != new) {
            self.cancel(other, Cause::AnsweredElsewhere);
        }
        self.take_place(old, new);
        self.timers.stop(Timer::HandOver);
        if let Some(most) = max_call {
            self.timers.not_after(Timer::MaxCall, now + most);
        }
        let callee = &self.callees[usize::from(new)];
        if callee.target.kind() == LegKind::Page && !callee.media_ready {
            self.timers.set(Timer::CalleeMedia, now + self.limits.media_setup);
        }
        self.out.push_back(Output::HandOver(HandOver::Done { old, new: Leg::Callee(new) }));
        if !old_is_gone {
            // It asked for this, and says goodbye by itself.
            self.leaving = Some(old);
            self.timers.set(Timer::Leave, now + self.limits.leave);
        }
    }

    /// `new` talks from now on, `old` does so no more.
    fn take_place(&mut self, old: Leg, new: u8) {
        let callee = &mut self.callees[usize::from(new)];
        callee.state = CalleeState::Answered;
        if let Target::Trunk(trunk) = &callee.target {
            // The one that a call began with is not forgotten for one that came later.
            self.record.trunk.get_or_insert_with(|| trunk.clone());
        }
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
        handing.ringing.retain(|other| *other != n);
        if !handing.ringing.is_empty() {
            self.tell_attempt(now, n, &rejection.words(), Then::OthersRing);
            self.handing = Some(handing);
            return;
        }
        let next = may_fail_over(&self.callees[usize::from(n)], &rejection);
        let next = handing.waiting.pop_front().filter(|_| next);
        let then = if next.is_some() { Then::Next } else { Then::Final };
        self.tell_attempt(now, n, &rejection.words(), then);
        if let Some(step) = next
            && let Ok(ringing) = self.dial_in_place(now, step)
        {
            handing.ringing = ringing;
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
        let Some(handing) = &mut self.handing else { return };
        if !handing.waiting.front().is_some_and(Step::is_of_pages) {
            handing.waiting.clear();
        }
        let ringing = handing.ringing.clone();
        for n in &ringing {
            self.cancel(*n, Cause::NoAnswer);
        }
        if let (Some(handing), Some(last)) = (&mut self.handing, ringing.last()) {
            handing.ringing = vec![*last];
            self.handing_failed(now, *last, Rejection::plain(Cause::NoAnswer));
        }
    }

    /// The two legs that hear each other, the caller's side first; `None` before the answer.
    pub fn talking(&self) -> Option<(Leg, Leg)> {
        self.winner.map(|winner| (self.caller_side(), Leg::Callee(winner)))
    }

    /// The leg on the caller's side.
    pub(super) fn caller_side(&self) -> Leg {
        self.in_place_of_caller.map_or(Leg::Caller, Leg::Callee)
    }
}
