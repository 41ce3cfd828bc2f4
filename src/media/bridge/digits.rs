//! The digits of a bridge: those that its owner sends, presses and reports, those that come in on a leg
//! and go on to the other.

use std::time::{Duration, Instant};

use super::Bridge;
use crate::base::Digit;
use crate::base::DigitPacing;
use crate::dtmf::{
    DigitEvent, DigitId, EncoderInput, EndReason, InfoSupport, Mode, Phase, ToneItem,
};
use crate::media::{LegSide, MediaEvent};

impl Bridge {
    /// Digits of known length toward a leg: all of them or, said in an event, none.
    pub(in crate::media) fn send_digits(&mut self, now: Instant, to: LegSide, items: &[ToneItem]) {
        let input = EncoderInput::Send { source: Mode::Client, items };
        let taken = match to {
            LegSide::Trunk if self.talks_to_line() => self.line_keys.append(now, items),
            LegSide::Trunk => self.feed_trunk(now, input),
            LegSide::Browser => {
                let encoder = self.browser.as_mut().and_then(|b| b.digits.as_mut());
                encoder.is_some_and(|encoder| encoder.handle_input(now, input).is_ok())
            }
        };
        if !taken {
            self.digits_dropped += items.len() as u64;
            self.outbox.event(MediaEvent::DigitsUnavailable { to });
        }
        self.tell_digits();
    }

    /// Whether the page talks to a line in the place of a trunk.
    fn talks_to_line(&self) -> bool {
        self.line.is_some() && self.trunk.is_none()
    }

    /// Forgets the digits that wait toward a leg and ends the one that is on.
    pub(in crate::media) fn cancel_digits(&mut self, now: Instant, to: LegSide) {
        match to {
            LegSide::Trunk => {
                self.line_keys.cancel(now);
                self.feed_trunk(now, EncoderInput::Cancel);
            }
            LegSide::Browser => {
                if let Some(encoder) = self.browser.as_mut().and_then(|b| b.digits.as_mut()) {
                    let _ = encoder.handle_input(now, EncoderInput::Cancel);
                }
            }
        }
    }

    /// What the `Allow` of the trunk's peer says: for the plan of the next offer and answer.
    pub(in crate::media) fn peer_info(&mut self, info: InfoSupport) {
        if let Some(trunk) = &mut self.trunk {
            trunk.set_info(info);
        }
    }

    /// The final response to an INFO that was asked for.
    pub(in crate::media) fn info_done(&mut self, now: Instant, request: u64, status: u16) {
        if let Some(trunk) = &mut self.trunk {
            trunk.digits.info_done(now, request, status);
        }
        self.tell_digits();
    }

    /// A key of the page goes down (its JSON): a digit of the page's leg like any other.
    pub(in crate::media) fn press(&mut self, now: Instant, to: LegSide, digit: Digit) {
        if to == LegSide::Browser {
            self.outbox.event(MediaEvent::DigitsUnavailable { to });
            return;
        }
        self.release(now, to);
        self.presses += 1;
        let event = DigitEvent {
            id: DigitId(self.presses),
            digit,
            mode: Mode::Client,
            started_at: now,
            duration: Duration::ZERO,
            phase: Phase::Start,
            wrong_clock: false,
        };
        self.pressed = Some(event);
        self.report_digit(now, LegSide::Browser, event);
    }

    /// The key comes up.
    pub(in crate::media) fn release(&mut self, now: Instant, to: LegSide) {
        let press = if to == LegSide::Trunk { self.pressed.take() } else { None };
        if let Some(press) = press {
            let event = DigitEvent {
                duration: now.saturating_duration_since(press.started_at),
                phase: Phase::End(EndReason::Released),
                ..press
            };
            self.report_digit(now, LegSide::Browser, event);
        }
    }

    /// A digit of a leg that came another way than as RTP.
    pub(in crate::media) fn report_digit(
        &mut self,
        now: Instant,
        from: LegSide,
        event: DigitEvent,
    ) {
        match from {
            LegSide::Browser => {
                let Some(browser) = &mut self.browser else { return };
                browser.listener.report(now, event);
            }
            LegSide::Trunk => {
                let Some(trunk) = &mut self.trunk else { return };
                trunk.listener.report(now, event);
            }
        }
        self.carry_digits(now);
    }

    /// Digits go from each leg's listener to the owner, and those of the page to the trunk.
    pub(super) fn carry_digits(&mut self, now: Instant) {
        while let Some(event) = self.browser.as_mut().and_then(|b| b.listener.poll()) {
            self.record_digit(LegSide::Browser, &event);
            if self.line.is_some() {
                self.line_hears(event);
                continue;
            }
            let input = EncoderInput::Digit(event);
            let taken = self.feed_trunk(now, input);
            if !taken && event.phase == Phase::Start {
                self.digits_dropped += 1;
                self.outbox.event(MediaEvent::DigitsUnavailable { to: LegSide::Trunk });
            }
            self.outbox.event(MediaEvent::Digit { from: LegSide::Browser, event });
        }
        while let Some(event) = self.trunk.as_mut().and_then(|t| t.listener.poll()) {
            self.record_digit(LegSide::Trunk, &event);
            if let Some(line) = &mut self.line {
                line.digit(&event);
            }
            self.outbox.event(MediaEvent::Digit { from: LegSide::Trunk, event });
        }
        self.tell_digits();
    }

    /// Hands digits to the trunk, or keeps them for the trunk that is dialled next; says whether they
    /// were taken.
    fn feed_trunk(&mut self, now: Instant, input: EncoderInput<'_>) -> bool {
        if let Some(trunk) = &mut self.trunk {
            return trunk.digits.handle_input(now, input).is_ok();
        }
        if self.connected {
            return false;
        }
        let gap = DigitPacing::default().min_gap;
        match input {
            EncoderInput::Digit(event) => self.waiting.live(now, event, gap).is_ok(),
            EncoderInput::Send { source, items } => {
                self.waiting.append(now, source, items, gap).is_ok()
            }
            EncoderInput::Cancel => {
                self.waiting.clear();
                true
            }
            EncoderInput::PayloadType(_) | EncoderInput::Tick { .. } => true,
        }
    }

    pub(super) fn tell_digits(&mut self) {
        if let Some(trunk) = &mut self.trunk {
            trunk.tell_digits(&mut self.outbox);
        }
    }
}
