//! From the route to an answer: dialling, ringing, early media, refusals and failover.

use std::time::Instant;

use crate::base::Cause;

use super::callee::{Callee, CalleeState, direction, may_fail_over, weight};
use super::timers::Timer;
use super::{
    Call, Decision, Early, Error, Feed, Leg, Output, Progress, Rejection, Route, State, Target, Who,
};

impl Call {
    pub(super) fn routed(&mut self, now: Instant, decision: Decision) -> Result<(), Error> {
        match self.state {
            State::Routing => {}
            State::Ending => return Ok(()),
            _ => return Err(Error::AlreadyRouted),
        }
        self.timers.stop(Timer::Route);
        match decision {
            Decision::Refuse(refusal) => {
                self.record.rule = refusal.rule;
                self.record.trace = refusal.trace;
                self.end(now, refusal.cause, Who::Gateway, refusal.sip, None);
            }
            Decision::Connect(route) => self.dial(now, *route),
        }
        Ok(())
    }

    /// `Routing -> Routed(connect) -> Dialing`.
    fn dial(&mut self, now: Instant, route: Route) {
        self.record.rule = route.rule;
        self.record.trace = route.trace;
        self.record.from = route.from.unwrap_or_else(|| self.record.from.clone());
        self.record.to = route.to.unwrap_or_else(|| self.record.to.clone());
        self.limits.ring = route.ring.unwrap_or(self.limits.ring);
        self.limits.max_call = route.max_call.unwrap_or(self.limits.max_call);
        self.state = State::Dialing;
        let mut left = MAX_TARGETS;
        for mut step in route.targets.into_steps() {
            step.targets.truncate(left);
            left -= step.targets.len();
            if !step.targets.is_empty() {
                self.waiting.push_back(step);
            }
        }
        if self.waiting.is_empty() {
            return self.end(now, Cause::Unreachable, Who::Gateway, None, None);
        }
        self.dial_next(now);
    }

    /// The next step, with the waits of a fresh attempt.
    fn dial_next(&mut self, now: Instant) {
        let Some(step) = self.waiting.pop_front() else { return };
        self.state = State::Dialing;
        self.early_from = None;
        self.ring = step.ring.unwrap_or(self.limits.ring);
        self.timers.stop(Timer::Ring);
        // Only a trunk can be silent: a page that is there rings.
        if self.waiting.is_empty() || step.is_of_pages() {
            self.timers.stop(Timer::FirstResponse);
        } else {
            self.timers.set(Timer::FirstResponse, now + self.limits.first_response);
        }
        for target in step.targets {
            self.dial_target(now, target);
        }
    }

    fn dial_target(&mut self, now: Instant, target: Target) {
        let leg = Leg::Callee(self.callees.len() as u8);
        self.timers.set(Timer::Answer, now + self.limits.answer);
        self.record.direction = direction(self.caller, target.kind());
        if let Target::Trunk(trunk) = &target {
            self.record.trunk = Some(trunk.clone());
        }
        self.record.attempts = self.record.attempts.saturating_add(1);
        self.record.trace.push(format!("attempt {}: {target}", self.callees.len() + 1));
        self.callees.push(Callee {
            target: target.clone(),
            state: CalleeState::Dialed,
            since: now,
            rang: false,
            early_media: false,
            media_ready: false,
        });
        self.out.push_back(Output::Dial(leg, target));
    }

    pub(super) fn progress(&mut self, now: Instant, n: u8, early: Early, sign: Sign) {
        if !matches!(self.state, State::Dialing | State::Early) {
            return;
        }
        match (early, sign) {
            (Early::Media, _) => {
                self.callees[usize::from(n)].early_media = true;
                self.timers.stop(Timer::Ring);
                if self.early_from != Some(n) {
                    self.early_from = Some(n);
                    self.state = State::Early;
                    self.out.push_back(Output::Progress(Progress::EarlyMedia(Leg::Callee(n))));
                    self.feed(Feed::Leg(Leg::Callee(n)));
                }
            }
            (Early::NoMedia, Sign::Rings) if self.state == State::Dialing => {
                if !self.callees[usize::from(n)].rang {
                    self.callees[usize::from(n)].rang = true;
                    self.timers.set(Timer::Ring, now + self.ring);
                }
                if !self.ringing_told {
                    self.ringing_told = true;
                    self.out.push_back(Output::Progress(Progress::Ringing));
                    self.feed(Feed::Ringback);
                }
            }
            (Early::NoMedia, _) => {}
        }
    }

    /// A leg that refused: gone, and perhaps others with it.
    pub(super) fn rejected(&mut self, now: Instant, n: u8, rejection: Rejection) {
        let callee = &mut self.callees[usize::from(n)];
        callee.state = CalleeState::Gone;
        // A user who declines on one page declines on all of them.
        if let (Target::Page { user, .. }, Cause::Declined) = (&callee.target, rejection.cause) {
            let user = user.clone();
            for other in 0..self.callees.len() {
                let same = matches!(&self.callees[other].target,
                    Target::Page { user: other, .. } if *other == user);
                if same && self.callees[other].state == CalleeState::Dialed {
                    self.cancel(other as u8, Cause::Declined);
                }
            }
        }
        self.refused(now, n, rejection);
    }

    /// After a refusal: wait for others that ring, dial the next, or end.
    pub(super) fn refused(&mut self, now: Instant, n: u8, rejection: Rejection) {
        if !matches!(self.state, State::Dialing | State::Early) {
            return;
        }
        let callee = &self.callees[usize::from(n)];
        let next = may_fail_over(callee, &rejection) && !self.waiting.is_empty();
        let others = self.callees.iter().any(|callee| callee.state == CalleeState::Dialed);
        let then = match (others, next) {
            (true, _) => Then::OthersRing,
            (false, true) => Then::Next,
            (false, false) => Then::Final,
        };
        self.tell_attempt(now, n, &rejection.words(), then);
        let better =
            self.best_refusal.as_ref().is_none_or(|best| weight(&rejection) >= weight(best));
        if better {
            self.best_refusal = Some(rejection);
        }
        if others {
            return;
        }
        if next {
            self.dial_next(now);
        } else if let Some(best) = self.best_refusal.take() {
            self.end(now, best.cause, Who::Callee, best.sip, best.q850);
        }
    }

    /// Gives up the targets that are being dialled and dials the next of the hunt.
    pub(super) fn next_in_haste(&mut self, now: Instant, cause: Cause) {
        if self.state != State::Dialing || self.waiting.is_empty() {
            return;
        }
        for n in 0..self.callees.len() {
            if self.callees[n].state == CalleeState::Dialed {
                self.tell_attempt(now, n as u8, "no answer", Then::Next);
                self.cancel(n as u8, cause);
            }
        }
        self.dial_next(now);
    }

    /// What became of an attempt, in the call's trace.
    pub(super) fn tell_attempt(&mut self, now: Instant, n: u8, what: &str, then: Then) {
        let Some(callee) = self.callees.get(usize::from(n)) else { return };
        let after_ms = now.saturating_duration_since(callee.since).as_millis();
        let then = match then {
            Then::Next => ", the next is tried",
            Then::Final => ", final",
            Then::OthersRing => ", others ring",
            Then::Nothing => "",
        };
        self.record.trace.push(format!("attempt {}: {what} after {after_ms} ms{then}", n + 1));
    }
}

/// What an 18x means apart from its sound.
#[derive(Clone, Copy)]
pub(super) enum Sign {
    Rings,
    Speaks,
}

/// What follows an attempt.
#[derive(Clone, Copy)]
pub(super) enum Then {
    Next,
    Final,
    OthersRing,
    Nothing,
}

/// Targets of one call. A leg's number is a `u8`, and nobody's phones are more.
const MAX_TARGETS: usize = 64;
