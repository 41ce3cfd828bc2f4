//! The digits on their way to a trunk: the plan of the leg, the sender of each mode, and the change
//! from one to the other without losing or doubling what waits.
//!
//! Before the first answer nothing is known: digits wait for it. While the leg is on hold events and
//! tones wait, since nothing may be sent (RFC 3264 8.4); INFO does not.

use std::collections::VecDeque;
use std::time::Instant;

use super::{DigitWay, LegSide, MediaEvent};
use crate::base::DigitPacing;
use crate::dtmf::{
    DigitQueue, EncoderConfig, EncoderError, EncoderInput, EncoderOutput, EventPacket,
    InbandEncoder, InfoInput, InfoOutput, InfoSender, Mode, OnRefusal, Plan, Rfc4733Encoder, Tone,
};

/// The digits toward one trunk leg.
#[derive(Debug)]
pub(super) struct DigitsOut {
    pacing: DigitPacing,
    /// `None` until the first offer and answer.
    plan: Option<Plan>,
    /// What waits for the first plan.
    early: DigitQueue,
    events: Option<Rfc4733Encoder>,
    info: InfoSender,
    inband: InbandEncoder,
    told: VecDeque<MediaEvent>,
}

/// Why digits were not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotTaken {
    /// The plan has no mode for this leg.
    NoWay,
    /// Hundreds wait.
    Full,
}

/// What an interval of the stream carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interval {
    /// Sound.
    Sound,
    /// A tone was written over the sound.
    Tone,
    /// An event is on: no sound.
    Event,
}

impl DigitsOut {
    pub(super) fn new(pacing: DigitPacing) -> Self {
        Self {
            pacing,
            plan: None,
            early: DigitQueue::new(),
            events: None,
            info: InfoSender::new(OnRefusal::GoOn),
            inband: InbandEncoder::new(pacing.min_tone, pacing.min_gap),
            told: VecDeque::new(),
        }
    }

    /// Takes over what waited for another leg, before what waits here.
    pub(super) fn put_waiting(&mut self, mut waiting: DigitQueue) {
        waiting.take_over(std::mem::take(&mut self.early));
        self.early = waiting;
    }

    /// The leg is gone: what waits in any of its senders is for the next one. What is on stays here.
    pub(super) fn take_waiting(&mut self) -> DigitQueue {
        let mut waiting = std::mem::take(&mut self.early);
        for mode in [Mode::Rfc4733, Mode::Inband, Mode::Info] {
            waiting.take_over(self.take_queue(mode).unwrap_or_default());
        }
        waiting
    }

    /// The plan after an offer and answer, and the negotiated event type: payload type and clock.
    pub(super) fn set_plan(&mut self, now: Instant, plan: Plan, events: Option<(u8, u32)>) {
        let before = self.mode();
        let mut waiting = std::mem::take(&mut self.early);
        match (events, &mut self.events) {
            (Some((payload_type, _)), Some(encoder)) => {
                // Digits that are on go on under the new number; that is never refused.
                let _ = encoder.handle_input(now, EncoderInput::PayloadType(payload_type));
            }
            (Some((payload_type, clock)), none) => {
                let mut config = EncoderConfig::new(payload_type, clock);
                config.min_tone = self.pacing.min_tone;
                config.min_gap = self.pacing.min_gap;
                *none = Some(Rfc4733Encoder::new(config));
            }
            (None, encoder) => {
                if let Some(mut gone) = encoder.take() {
                    waiting = gone.take_queue();
                    self.told.extend(gone.abandon().map(sent));
                }
            }
        }
        if plan.mode() != before {
            if let Some(queue) = before.and_then(|mode| self.take_queue(mode)) {
                waiting = queue;
            }
            self.tell(DigitWay::Negotiated(plan.mode()));
        } else if self.plan.is_none() {
            self.tell(DigitWay::Negotiated(None));
        }
        self.info.set_on_refusal(match plan.fallbacks() {
            [] => OnRefusal::GoOn,
            _ => OnRefusal::HandBack,
        });
        self.plan = Some(plan);
        self.put_queue(waiting);
    }

    /// Takes live digits, requests and cancels.
    pub(super) fn handle_input(
        &mut self,
        now: Instant,
        input: EncoderInput<'_>,
    ) -> Result<(), NotTaken> {
        match input {
            // An end concerns the sender that has the start, which may not be the one in force.
            EncoderInput::Digit(event) if event.phase != crate::dtmf::Phase::Start => {
                let _ = self.early.live(now, event, self.pacing.min_gap);
                self.all_senders(now, input);
                return Ok(());
            }
            EncoderInput::Cancel => {
                self.early.clear();
                self.all_senders(now, input);
                return Ok(());
            }
            _ => {}
        }
        let taken = match (&self.plan, self.mode()) {
            (None, _) => match input {
                EncoderInput::Digit(event) => self.early.live(now, event, self.pacing.min_gap),
                EncoderInput::Send { source, items } => {
                    self.early.append(now, source, items, self.pacing.min_gap)
                }
                _ => Ok(()),
            },
            (Some(_), Some(Mode::Rfc4733)) => match &mut self.events {
                Some(events) => events.handle_input(now, input),
                None => return Err(NotTaken::NoWay),
            },
            (Some(_), Some(Mode::Inband)) => self.inband.handle_input(now, input),
            (Some(_), Some(Mode::Info)) => self.info.handle_input(now, InfoInput::Digits(input)),
            (Some(_), Some(Mode::Client) | None) => return Err(NotTaken::NoWay),
        };
        taken.map_err(|error| match error {
            EncoderError::QueueFull => NotTaken::Full,
        })
    }

    /// The final response to an INFO.
    pub(super) fn info_done(&mut self, now: Instant, request: u64, status: u16) {
        let _ = self.info.handle_input(now, InfoInput::Done { request, status });
        self.drain_info(now);
    }

    /// The time passes, whether the leg may send or not.
    pub(super) fn on_tick(&mut self, now: Instant) {
        let _ = self.info.handle_input(now, InfoInput::Timeout);
        self.drain_info(now);
    }

    /// One interval of the stream to the trunk, which begins at `timestamp`: packets for it go to
    /// `send`, a tone over the sound in `frame`. A function of its own also in an optimised build, so that
    /// what it costs can be counted.
    #[inline(never)]
    pub(super) fn interval(
        &mut self,
        now: Instant,
        timestamp: u32,
        frame: &mut [i16],
        mut send: impl FnMut(EventPacket),
    ) -> Interval {
        match self.speaker() {
            Some(Mode::Rfc4733) => {
                let Some(events) = &mut self.events else { return Interval::Sound };
                let _ = events.handle_input(now, EncoderInput::Tick { timestamp });
                loop {
                    match events.poll_output() {
                        EncoderOutput::Packet(packet) => send(packet),
                        EncoderOutput::Sent(receipt) => self.told.push_back(sent(receipt)),
                        EncoderOutput::Timeout => break,
                    }
                }
                // The copies of an end go out beside the sound that is back.
                if events.is_on() { Interval::Event } else { Interval::Sound }
            }
            Some(Mode::Inband) => {
                let tone = self.inband.fill(now, frame);
                self.told.extend(self.inband.take_receipts().map(sent));
                match tone {
                    Tone::On => Interval::Tone,
                    Tone::Off => Interval::Sound,
                }
            }
            Some(Mode::Info | Mode::Client) | None => Interval::Sound,
        }
    }

    /// Whether an event is on, so that no sound may go out.
    pub(super) fn is_on(&self) -> bool {
        self.events.as_ref().is_some_and(Rfc4733Encoder::is_on)
    }

    /// Whether digits are tones in the sound now.
    pub(super) fn are_tones(&self) -> bool {
        self.speaker() == Some(Mode::Inband)
    }

    /// The next thing for the owner.
    pub(super) fn poll(&mut self) -> Option<MediaEvent> {
        self.told.pop_front()
    }

    /// The mode in force.
    fn mode(&self) -> Option<Mode> {
        self.plan.as_ref().and_then(Plan::mode)
    }

    /// Who has this interval: the mode in force, unless a digit of the one before is not over.
    fn speaker(&self) -> Option<Mode> {
        let mode = self.mode();
        let busy = [
            (Mode::Rfc4733, self.events.as_ref().is_some_and(|events| !events.is_idle())),
            (Mode::Inband, !self.inband.is_idle()),
            (Mode::Info, self.info.is_pending()),
        ];
        let finishing = busy.into_iter().find(|(other, busy)| *busy && Some(*other) != mode);
        finishing.map(|(other, _)| other).or(mode)
    }

    fn drain_info(&mut self, now: Instant) {
        loop {
            match self.info.poll_output() {
                InfoOutput::Request { request, digit, duration } => {
                    self.told.push_back(MediaEvent::InfoWanted { request, digit, duration });
                }
                InfoOutput::Sent(receipt) => self.told.push_back(sent(receipt)),
                InfoOutput::Refused { status } => self.fall_back(now, status),
                InfoOutput::Timeout(_) => return,
            }
        }
    }

    /// INFO does not work here: the digit and all that wait go the next way.
    fn fall_back(&mut self, now: Instant, status: u16) {
        let queue = self.info.take_queue();
        // A plan made since then may have changed the mode already.
        if self.mode() == Some(Mode::Info) {
            let next = self.plan.as_mut().and_then(Plan::fall_back);
            self.tell(DigitWay::InfoRefused { status, next });
        }
        let waiting = self.mode().and_then(|mode| self.take_queue(mode));
        self.put_queue(queue);
        self.put_queue(waiting.unwrap_or_default());
        let _ = self.info.handle_input(now, InfoInput::Timeout);
    }

    fn take_queue(&mut self, mode: Mode) -> Option<DigitQueue> {
        match mode {
            Mode::Rfc4733 => self.events.as_mut().map(Rfc4733Encoder::take_queue),
            Mode::Inband => Some(self.inband.take_queue()),
            Mode::Info => Some(self.info.take_queue()),
            Mode::Client => None,
        }
    }

    /// Gives what waits to the mode in force; without one it cannot go.
    fn put_queue(&mut self, queue: DigitQueue) {
        match (self.mode(), &mut self.events) {
            (Some(Mode::Rfc4733), Some(events)) => events.put_queue(queue),
            (Some(Mode::Inband), _) => self.inband.put_queue(queue),
            (Some(Mode::Info), _) => self.info.put_queue(queue),
            _ if queue.is_empty() => {}
            _ => self.told.push_back(MediaEvent::DigitsUnavailable { to: LegSide::Trunk }),
        }
    }

    fn all_senders(&mut self, now: Instant, input: EncoderInput<'_>) {
        if let Some(events) = &mut self.events {
            let _ = events.handle_input(now, input);
        }
        let _ = self.inband.handle_input(now, input);
        let _ = self.info.handle_input(now, InfoInput::Digits(input));
        self.drain_info(now);
    }

    fn tell(&mut self, way: DigitWay) {
        self.told.push_back(MediaEvent::DigitWay { to: LegSide::Trunk, way });
    }
}

fn sent(receipt: crate::dtmf::Receipt) -> MediaEvent {
    MediaEvent::DigitSent { to: LegSide::Trunk, receipt }
}
