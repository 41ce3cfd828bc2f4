//! A leg of a bridge that talks to a line, at the rate that both have.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Bridge;
use crate::codec::{Codec, Rate};
use crate::dtmf::{DigitEvent, DigitId, EncoderInput, EndReason, Mode, Phase, Receipt, ToneItem};
use crate::media::trunk_hearing::TrunkHearing;
use crate::media::trunk_side::Hearing;
use crate::media::{Feed, Hold, LegSide, Line, MediaEvent, Playout};
use crate::rtp::Packet;

impl Bridge {
    /// The leg that is there talks to a line from now on; another one's place is taken.
    pub(in crate::media) fn serve(&mut self, now: Instant, line: Box<dyn Line>) {
        self.feed(Feed::Silence);
        self.line = Some(line);
        // A rate that the codecs do not have is not chosen.
        let _ = self.settle_rate();
        self.connected = true;
        if let Some(browser) = &mut self.browser {
            browser.downlink.switch();
            self.browser_watch.start(now);
        }
        if self.trunk.is_some() {
            self.trunk_watch.start(now);
        }
    }

    /// A step of a digit of the page, which is told when the line has it.
    pub(super) fn line_hears(&mut self, event: DigitEvent) {
        let Some(line) = &mut self.line else { return };
        line.digit(&event);
        self.outbox.event(MediaEvent::Digit { from: LegSide::Browser, event });
        if let Phase::End(_) = event.phase {
            let receipt = Receipt {
                digit: event.digit,
                source: event.mode,
                source_duration: Some(event.duration),
                mode: event.mode,
                clock_rate: 0,
                payload_type: 0,
                packets: 0,
                end_copies: 0,
                tone: event.duration,
                gap: Duration::ZERO,
                info_status: None,
                delay: Duration::ZERO,
            };
            self.outbox.event(MediaEvent::DigitSent { to: LegSide::Trunk, receipt });
        }
    }

    /// 20 ms: the line hears the leg, the leg hears the line.
    pub(super) fn line_tick(&mut self, now: Instant) {
        let length = self.rate.frame();
        let hearing_of = self.hearing_of_trunk(now);
        match (&mut self.browser, &mut self.hearing) {
            (Some(browser), _) => browser.uplink.frame(now, &mut self.frame),
            (None, Some(hearing)) => hearing.frame(now, hearing_of, &mut self.frame),
            (None, None) => {
                self.frame.clear();
                self.frame.resize(length, 0);
            }
        }
        while let Some(event) = self.line_keys.next(now) {
            self.line_hears(event);
        }
        let Some(line) = &mut self.line else { return };
        let spoken = &mut self.spoken[..length];
        line.frame(&self.frame, spoken);
        if let Some(playing) = &self.playing {
            spoken.copy_from_slice(playing.at(self.rate));
        }
        if let Some(browser) = self.browser.as_mut().filter(|browser| browser.is_open()) {
            browser.downlink.local_frame(now, spoken, &mut self.outbox);
        }
        while let Some(event) = line.poll_digit() {
            let input = EncoderInput::Digit(event);
            let Some(trunk) = &mut self.trunk else {
                // A page is told of them, as of a trunk's.
                self.outbox.event(MediaEvent::Digit { from: LegSide::Trunk, event });
                continue;
            };
            // A trunk that takes none has said so.
            let taken = trunk.digits.handle_input(now, input).is_ok();
            self.digits_dropped += u64::from(!taken && event.phase == Phase::Start);
        }
        if let Some(recorder) = &mut self.recorder {
            let (leg, line) = (&self.frame[..], &self.spoken[..length]);
            match self.browser {
                Some(_) => recorder.frame(leg, line),
                None => recorder.frame(line, leg),
            }
        }
        self.frame.clear();
        self.frame.extend_from_slice(&self.spoken[..length]);
        if self.hold == Hold::On {
            self.comfort.fill(&mut self.frame);
        }
        if let Some(trunk) = &mut self.trunk {
            trunk.tick(now, &mut self.frame, &mut self.outbox);
            trunk.tell_digits(&mut self.outbox);
        }
    }
}

/// Keys of a page's messages on their way to a line, at their own pace: steps and when they are due.
#[derive(Debug, Default)]
pub(super) struct LineKeys {
    steps: VecDeque<(Instant, DigitEvent)>,
    free_at: Option<Instant>,
    count: u64,
}

impl LineKeys {
    /// Adds all of them, or says that there is no room.
    pub(super) fn append(&mut self, now: Instant, items: &[ToneItem]) -> bool {
        if self.steps.len() + 2 * items.len() > MOST_STEPS {
            return false;
        }
        let mut at = self.free_at.map_or(now, |free| free.max(now));
        for item in items {
            match *item {
                ToneItem::Pause(pause) => at += pause,
                ToneItem::Digit { digit, duration, gap } => {
                    self.count += 1;
                    let start = DigitEvent {
                        // Those of presses count from 1.
                        id: DigitId(self.count | 1 << 63),
                        digit,
                        mode: Mode::Client,
                        started_at: at,
                        duration: Duration::ZERO,
                        phase: Phase::Start,
                        wrong_clock: false,
                    };
                    let end =
                        DigitEvent { duration, phase: Phase::End(EndReason::Released), ..start };
                    self.steps.extend([(at, start), (at + duration, end)]);
                    at += duration + gap;
                }
            }
        }
        self.free_at = Some(at);
        true
    }

    /// The next step that is due.
    fn next(&mut self, now: Instant) -> Option<DigitEvent> {
        let (_, event) = self.steps.pop_front_if(|(due, _)| *due <= now)?;
        Some(event)
    }

    /// Forgets what waits; a key that is down comes up now.
    pub(super) fn cancel(&mut self, now: Instant) {
        let down = self.steps.front().filter(|(_, event)| event.phase != Phase::Start);
        let down = down.map(|(_, end)| {
            let duration = now.saturating_duration_since(end.started_at);
            (now, DigitEvent { duration, ..*end })
        });
        self.steps.clear();
        self.steps.extend(down);
        self.free_at = None;
    }
}

/// 256 keys, as many as one message has.
const MOST_STEPS: usize = 512;

/// A line hears a packet of the trunk's sound, of a codec that may be another than that before. A
/// tone that is a digit reaches it as a digit, and no sound.
pub(super) fn hear(
    hearing: &mut Option<TrunkHearing>,
    now: Instant,
    (packet, hearing_of): (&Packet<'_>, Hearing),
    (codec, rate): (Option<Codec>, Rate),
    playout: Playout,
) {
    let Some(codec) = codec else { return };
    if hearing.as_ref().is_none_or(|hearing| hearing.codec() != codec) {
        *hearing = TrunkHearing::new(codec, playout).ok();
    }
    if let Some(hearing) = hearing {
        // The bridge's rate is one that the codec in force has.
        let _ = hearing.set_rate(rate);
        hearing.on_audio(now, packet, hearing_of);
    }
}
