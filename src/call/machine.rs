//! The state machine of a call.
//!
//! ```text
//! Routing -> Routed(connect) -> Dialing        Dialing -> Rejected(503) -> Dialing(next trunk)
//! Routing -> Routed(refuse) -> Ending          Dialing -> Progress(early) -> Early
//! Dialing | Early -> Answered -> Answering     Answering -> RecordKept -> Connected
//! * -> Ended(caller) -> Ending                 Connected -> Ended(cause) -> Ending
//! Ending -> Answered(late) -> Ending(hang up)  Ending -> last leg gone -> Over
//! ```
//!
//! An input that means nothing in a state (a 180 after the answer, a refusal of a leg that is gone)
//! is ignored: both sides and the network may cross each other at any time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use crate::base::{Cause, SipStatus};
use crate::dtmf::ToneItem;

use super::callee::{Callee, CalleeState, direction};
use super::dialing::{Sign, Then};
use super::handover::Handing;
use super::timers::{Timer, Timers};
use super::{
    Direction, End, Error, Feed, Input, Kept, Leg, LegEvent, LegKind, Limits, Output, Quality,
    Record, Recorded, Rejection, Setup, State, Step, Target, Who,
};

/// One call from its first sign to its record. See the [module](super) for who carries what.
#[derive(Debug)]
pub struct Call {
    pub(super) limits: Limits,
    pub(super) state: State,
    pub(super) caller: LegKind,
    pub(super) caller_present: bool,
    pub(super) callees: Vec<Callee>,
    /// Steps that have not been dialled.
    pub(super) waiting: VecDeque<Step>,
    /// How long the present step rings.
    pub(super) ring: Duration,
    /// The callee that answered first.
    pub(super) winner: Option<u8>,
    /// The callee that the caller hears before the answer.
    pub(super) early_from: Option<u8>,
    pub(super) ringing_told: bool,
    pub(super) best_refusal: Option<Rejection>,
    /// A party that is being replaced.
    pub(super) handing: Option<Handing>,
    /// One that was, and has to say goodbye.
    pub(super) leaving: Option<Leg>,
    /// The callee that talks in the place of the caller.
    pub(super) in_place_of_caller: Option<u8>,
    pub(super) end: Option<End>,
    pub(super) record: Record,
    pub(super) started: Instant,
    pub(super) answered: Option<Instant>,
    pub(super) timers: Timers,
    pub(super) out: VecDeque<Output>,
}

impl Call {
    /// A call at its very beginning; the first outputs are [`Output::Route`] and a timeout.
    pub fn new(now: Instant, setup: Setup, limits: Limits) -> Call {
        let direction = match setup.caller {
            LegKind::Page => Direction::Outbound,
            LegKind::Trunk => Direction::Inbound,
            LegKind::Line => Direction::Internal,
        };
        let started_at =
            Timestamp::from_millisecond(setup.started_at.as_millisecond()).unwrap_or_default();
        let record = Record {
            id: setup.id,
            direction,
            from: setup.from,
            to: setup.to,
            trunk: setup.trunk,
            rule: None,
            started_at,
            answered_at: None,
            ended_at: None,
            duration_ms: 0,
            cause: None,
            sip: None,
            q850: None,
            ended_by: None,
            attempts: 0,
            digits: 0,
            codec: None,
            quality: Quality::default(),
            recording: None,
            trace: Vec::new(),
        };
        let mut timers = Timers::default();
        timers.set(Timer::Route, now + limits.route);
        if setup.caller == LegKind::Page {
            timers.set(Timer::CallerMedia, now + limits.media_setup);
        }
        Call {
            limits,
            state: State::Routing,
            caller: setup.caller,
            caller_present: true,
            callees: Vec::new(),
            waiting: VecDeque::new(),
            ring: limits.ring,
            winner: None,
            early_from: None,
            ringing_told: false,
            best_refusal: None,
            handing: None,
            leaving: None,
            in_place_of_caller: None,
            end: None,
            record,
            started: now,
            answered: None,
            timers,
            out: VecDeque::from([Output::Route]),
        }
    }

    /// Takes one input.
    ///
    /// # Errors
    /// The input changed nothing; the [`Error`] says why. The call goes on.
    pub fn handle_input(&mut self, now: Instant, input: Input) -> Result<(), Error> {
        if self.state == State::Over {
            return Err(Error::Over);
        }
        match input {
            Input::Routed(decision) => self.routed(now, decision),
            Input::Leg(Leg::Caller, event) => self.caller_event(now, event),
            Input::Leg(Leg::Callee(n), event) => self.callee_event(now, n, event),
            Input::RecordKept => {
                if self.state == State::Answering {
                    self.connect();
                }
                Ok(())
            }
            Input::HandOver { old, targets, max_call } => {
                self.hand_over(now, old, targets, max_call)
            }
            Input::Replaced(leg, target, until) => self.replaced(now, leg, target, until),
            Input::End(cause) => {
                self.end(now, cause, Who::Gateway, None, None);
                Ok(())
            }
            Input::Timeout => {
                while let Some(timer) = self.timers.take_expired(now) {
                    self.expired(now, timer);
                }
                Ok(())
            }
        }
    }

    /// The next thing to do; drained until [`Output::Timeout`], which is always last.
    pub fn poll_output(&mut self) -> Output {
        self.out.pop_front().unwrap_or_else(|| Output::Timeout(self.timers.next()))
    }

    /// Where the call is.
    pub fn state(&self) -> State {
        self.state
    }

    /// The record as it stands.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// When it ends at the latest.
    pub fn ends_by(&self) -> Option<Instant> {
        self.timers.at(Timer::MaxCall)
    }

    /// It is recorded, or was.
    pub fn recorded(&mut self, recording: Recorded) {
        self.record.recording = Some(recording);
    }

    // --- the caller's leg -----------------------------------------------------------------

    fn caller_event(&mut self, now: Instant, event: LegEvent) -> Result<(), Error> {
        if matches!(event, LegEvent::Ended(_)) && self.is_leaving(Leg::Caller) {
            return Ok(());
        }
        if !self.caller_present {
            return Ok(());
        }
        match event {
            LegEvent::Ended(cause) => {
                self.caller_present = false;
                let cause = match (cause, self.answered) {
                    (Cause::Hangup, None) => Cause::Cancelled,
                    (cause, _) => cause,
                };
                self.end(now, cause, Who::Caller, None, None);
            }
            LegEvent::MediaReady => {
                self.timers.stop(Timer::CallerMedia);
                self.timers.stop(Timer::CallerLost);
            }
            LegEvent::MediaFailed => self.end(now, Cause::MediaFailed, Who::Gateway, None, None),
            LegEvent::MediaLost => {
                self.timers.begin(Timer::CallerLost, now + self.limits.media_lost);
            }
            LegEvent::Tones(tones) => return self.tones(Leg::Caller, tones),
            LegEvent::DigitHeard => self.count_digits(1),
            LegEvent::Quality(quality) => self.record.quality.caller = Some(quality),
            // The caller's codec is only kept while no callee has said one.
            LegEvent::Codec(codec) => {
                self.record.codec.get_or_insert(codec);
            }
            LegEvent::Trying
            | LegEvent::Ringing(_)
            | LegEvent::Progress(_)
            | LegEvent::Answered
            | LegEvent::Rejected(_) => {}
        }
        Ok(())
    }

    // --- the callees' legs ----------------------------------------------------------------

    fn callee_event(&mut self, now: Instant, n: u8, event: LegEvent) -> Result<(), Error> {
        let leg = Leg::Callee(n);
        if matches!(event, LegEvent::Ended(_)) && self.is_leaving(leg) {
            return Ok(());
        }
        if self.is_handing_event(now, n, &event) {
            return Ok(());
        }
        let in_place_of_caller = self.in_place_of_caller == Some(n);
        let callee = self.callees.get_mut(usize::from(n)).ok_or(Error::UnknownLeg(leg))?;
        match (&callee.state, event) {
            (CalleeState::Gone, _) => {}

            (CalleeState::Cancelled(_), LegEvent::Answered) => {
                // The answer and our CANCEL crossed (RFC 3261 9.1): acknowledge and hang up.
                let end = callee.late_end();
                callee.state = CalleeState::Gone;
                self.out.push_back(Output::HangUp(leg, end));
                self.finish_if_all_gone();
            }
            (CalleeState::Cancelled(_), LegEvent::Rejected(_) | LegEvent::Ended(_)) => {
                callee.state = CalleeState::Gone;
                self.finish_if_all_gone();
            }
            (CalleeState::Cancelled(_), _) => {}

            (CalleeState::Dialed, LegEvent::Trying) => self.responded(n),
            (CalleeState::Dialed, LegEvent::Ringing(early)) => {
                self.responded(n);
                self.progress(now, n, early, Sign::Rings);
            }
            (CalleeState::Dialed, LegEvent::Progress(early)) => {
                self.responded(n);
                self.progress(now, n, early, Sign::Speaks);
            }
            (CalleeState::Dialed, LegEvent::Answered) => self.answered(now, n),
            (CalleeState::Dialed, LegEvent::Rejected(rejection)) => {
                self.rejected(now, n, rejection);
            }
            (CalleeState::Dialed, LegEvent::Ended(cause)) => {
                let cause = if cause == Cause::Hangup { Cause::Declined } else { cause };
                self.rejected(now, n, Rejection::plain(cause));
            }
            (CalleeState::Dialed, LegEvent::MediaFailed) => {
                // Its SDP cannot be used: this leg is given up, others may still answer.
                self.cancel(n, Cause::MediaFailed);
                self.refused(now, n, Rejection::plain(Cause::MediaFailed));
            }

            (CalleeState::Answered, LegEvent::Ended(cause)) => {
                callee.state = CalleeState::Gone;
                let by = if in_place_of_caller { Who::Caller } else { Who::Callee };
                self.end(now, cause, by, None, None);
            }
            (CalleeState::Answered, LegEvent::MediaFailed) => {
                self.end(now, Cause::MediaFailed, Who::Gateway, None, None);
            }
            (CalleeState::Answered, LegEvent::MediaLost) => {
                self.timers.begin(Timer::CalleeLost, now + self.limits.media_lost);
            }

            (_, LegEvent::MediaReady) => {
                callee.media_ready = true;
                if self.winner == Some(n) || in_place_of_caller {
                    self.timers.stop(Timer::CalleeMedia);
                    self.timers.stop(Timer::CalleeLost);
                }
            }
            (_, LegEvent::Tones(tones)) => return self.tones(leg, tones),
            (_, LegEvent::DigitHeard) => self.count_digits(1),
            (_, LegEvent::Codec(codec)) => self.record.codec = Some(codec),
            (_, LegEvent::Quality(quality)) => self.record.quality.callee = Some(quality),
            // MediaLost before the answer is silence; a 1xx, a second answer or a refusal after
            // the answer was overtaken by it.
            _ => {}
        }
        Ok(())
    }

    /// `Dialing -> 1xx -> Dialing`: the target is alive, so nothing is tried after it in haste.
    fn responded(&mut self, n: u8) {
        if usize::from(n) + 1 == self.callees.len() {
            self.timers.stop(Timer::FirstResponse);
        }
    }

    /// `Dialing | Early -> Answered -> Answering`: the first answer wins, the others are cancelled.
    fn answered(&mut self, now: Instant, n: u8) {
        self.tell_attempt(now, n, "answered", Then::Nothing);
        self.winner = Some(n);
        self.answered = Some(now);
        self.state = State::Answering;
        self.waiting.clear();
        for timer in [Timer::FirstResponse, Timer::Ring, Timer::Answer] {
            self.timers.stop(timer);
        }
        let callee = &mut self.callees[usize::from(n)];
        callee.state = CalleeState::Answered;
        if callee.target.kind() == LegKind::Page && !callee.media_ready {
            self.timers.set(Timer::CalleeMedia, now + self.limits.media_setup);
        }
        if let Target::Trunk(trunk) = &callee.target {
            self.record.trunk = Some(trunk.clone());
        }
        self.record.direction = direction(self.caller, callee.target.kind());
        for other in 0..self.callees.len() {
            if self.callees[other].state == CalleeState::Dialed {
                self.cancel(other as u8, Cause::AnsweredElsewhere);
            }
        }
        self.record.answered_at = Some(self.stamp(now));
        self.timers.set(Timer::KeepRecord, now + self.limits.keep_record);
        self.timers.set(Timer::MaxCall, now + self.limits.max_call);
        self.write(Kept::Answer);
    }

    /// `Answering -> RecordKept -> Connected`.
    fn connect(&mut self) {
        let Some(n) = self.winner else { return };
        self.timers.stop(Timer::KeepRecord);
        self.state = State::Connected;
        self.out.push_back(Output::Answer);
        self.out.push_back(Output::Connect(Leg::Callee(n)));
    }

    // --- timers ---------------------------------------------------------------------------

    fn expired(&mut self, now: Instant, timer: Timer) {
        match timer {
            Timer::Route => self.end(now, Cause::Internal, Who::Gateway, None, None),
            Timer::FirstResponse => self.next_in_haste(now, Cause::Unreachable),
            Timer::Ring => {
                let page_hunt = self.early_from.is_none()
                    && self.waiting.front().is_some_and(Step::is_of_pages);
                if page_hunt {
                    self.next_in_haste(now, Cause::NoAnswer);
                } else {
                    self.end(now, Cause::NoAnswer, Who::Gateway, None, None);
                }
            }
            Timer::Answer => self.end(now, Cause::NoAnswer, Who::Gateway, None, None),
            Timer::CallerMedia | Timer::CalleeMedia => {
                self.end(now, Cause::MediaFailed, Who::Gateway, None, None);
            }
            Timer::CallerLost | Timer::CalleeLost => {
                self.end(now, Cause::MediaTimeout, Who::Gateway, None, None);
            }
            Timer::KeepRecord => self.connect(),
            Timer::MaxCall => self.end(now, Cause::MaxDuration, Who::Gateway, None, None),
            Timer::HandOver => self.handing_is_late(now),
            Timer::Leave => self.leave_late(),
            Timer::Ending => {
                for n in 0..self.callees.len() {
                    let callee = &mut self.callees[n];
                    if matches!(callee.state, CalleeState::Cancelled(_)) {
                        let end = callee.late_end();
                        callee.state = CalleeState::Gone;
                        self.out.push_back(Output::HangUp(Leg::Callee(n as u8), end));
                    }
                }
                self.finish_if_all_gone();
            }
        }
    }

    // --- the end --------------------------------------------------------------------------

    /// `* -> … -> Ending`: the one place where a call gets its cause. Later reasons are ignored.
    pub(super) fn end(
        &mut self,
        now: Instant,
        cause: Cause,
        by: Who,
        sip: Option<SipStatus>,
        q850: Option<u8>,
    ) {
        if matches!(self.state, State::Ending | State::Over) {
            return;
        }
        // Before the answer a refusal has a status, its own or the cause's; a call that was given
        // up or hung up has none.
        let sip = match (by, self.answered) {
            (Who::Caller, _) | (_, Some(_)) => sip,
            (Who::Callee | Who::Gateway, None) => sip.or_else(|| Some(cause.sip())),
        };
        let end = End {
            cause,
            by,
            sip,
            q850: q850.unwrap_or_else(|| cause.q850()),
            rule: self.record.rule.clone(),
        };
        self.state = State::Ending;
        self.timers.stop_all();
        self.waiting.clear();
        self.handing = None;
        self.leave_late();
        if self.caller_present {
            self.caller_present = false;
            self.out.push_back(Output::HangUp(Leg::Caller, end.clone()));
        }
        for n in 0..self.callees.len() {
            match self.callees[n].state {
                CalleeState::Dialed => {
                    self.tell_attempt(now, n as u8, "given up", Then::Nothing);
                    self.cancel(n as u8, cause);
                }
                CalleeState::Answered => {
                    self.callees[n].state = CalleeState::Gone;
                    self.out.push_back(Output::HangUp(Leg::Callee(n as u8), end.clone()));
                }
                CalleeState::Cancelled(_) | CalleeState::Gone => {}
            }
        }
        self.record.ended_at = Some(self.stamp(now));
        self.record.duration_ms = self.answered.map_or(0, |at| {
            u64::try_from(now.saturating_duration_since(at).as_millis()).unwrap_or(u64::MAX)
        });
        self.record.cause = Some(cause);
        self.record.sip = end.sip.clone();
        self.record.q850 = Some(end.q850);
        self.record.ended_by = Some(by);
        self.end = Some(end);
        self.write(Kept::End);
        self.timers.set(Timer::Ending, now + self.limits.ending);
        self.finish_if_all_gone();
    }

    /// `Ending -> last leg gone -> Over`.
    fn finish_if_all_gone(&mut self) {
        if self.state != State::Ending
            || self.callees.iter().any(|callee| callee.state != CalleeState::Gone)
        {
            return;
        }
        self.state = State::Over;
        self.timers.stop_all();
        if let Some(end) = self.end.take() {
            self.out.push_back(Output::Ended(end));
        }
    }

    // --- small parts ----------------------------------------------------------------------

    /// Takes back a leg that has not answered. A page is gone with it; a trunk's CANCEL can still
    /// cross an answer, so its leg stays until it says so.
    pub(super) fn cancel(&mut self, n: u8, cause: Cause) {
        let callee = &mut self.callees[usize::from(n)];
        callee.state = match callee.target.kind() {
            LegKind::Page | LegKind::Line => CalleeState::Gone,
            LegKind::Trunk => CalleeState::Cancelled(cause),
        };
        self.out.push_back(Output::Cancel(Leg::Callee(n), cause));
    }

    pub(super) fn feed(&mut self, feed: Feed) {
        if self.caller == LegKind::Page {
            self.out.push_back(Output::Feed(feed));
        }
    }

    /// Digits from one side to the other. Before the answer the other side of the caller is the
    /// callee that is heard, else the one that is being dialled.
    fn tones(&mut self, from: Leg, tones: Vec<ToneItem>) -> Result<(), Error> {
        let live = |n: &u8| {
            matches!(
                self.callees[usize::from(*n)].state,
                CalleeState::Dialed | CalleeState::Answered
            )
        };
        let talking = self.winner.or(self.early_from).or_else(|| {
            let mut dialed = (0..self.callees.len() as u8).filter(live);
            dialed.next().filter(|_| dialed.next().is_none())
        });
        let talking = talking.filter(live).map(Leg::Callee);
        let caller_side = self.caller_side();
        let there = self.caller_present || self.in_place_of_caller.is_some();
        let to = match from {
            from if from == caller_side => talking.ok_or(Error::NoPeer)?,
            callee if talking == Some(callee) && there => caller_side,
            Leg::Caller => return Err(Error::NoPeer),
            Leg::Callee(_) => return Err(Error::NoPeer),
        };
        let digits = tones.iter().filter(|item| matches!(item, ToneItem::Digit { .. })).count();
        self.count_digits(u32::try_from(digits).unwrap_or(u32::MAX));
        self.out.push_back(Output::SendTones(to, tones));
        Ok(())
    }

    fn count_digits(&mut self, count: u32) {
        self.record.digits = self.record.digits.saturating_add(count);
    }

    fn write(&mut self, kept: Kept) {
        self.out.push_back(Output::Write(kept, Box::new(self.record.clone())));
    }

    /// The wall time of a moment: the start's stamp plus the monotonic clock's distance.
    fn stamp(&self, now: Instant) -> Timestamp {
        let since = now.saturating_duration_since(self.started);
        let since_ms = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        self.record
            .started_at
            .checked_add(SignedDuration::from_millis(since_ms))
            .unwrap_or(self.record.started_at)
    }
}
