//! A leg of a bridge that talks to a line, at the rate that both have.

use std::time::Instant;

use super::Bridge;
use crate::codec::{Codec, Rate};
use crate::dtmf::{EncoderInput, Phase};
use crate::media::trunk_side::Hearing;
use crate::media::uplink::Uplink;
use crate::media::{Feed, Hold, Line, Playout};
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

    /// 20 ms: the line hears the leg, the leg hears the line.
    pub(super) fn line_tick(&mut self, now: Instant) {
        let length = self.rate.frame();
        match (&mut self.browser, &mut self.hearing) {
            (Some(browser), _) => browser.uplink.frame(now, &mut self.frame),
            (None, Some(hearing)) => hearing.frame(now, &mut self.frame),
            (None, None) => {
                self.frame.clear();
                self.frame.resize(length, 0);
            }
        }
        let Some(line) = &mut self.line else { return };
        let spoken = &mut self.spoken[..length];
        line.frame(&self.frame, spoken);
        if let Some(browser) = self.browser.as_mut().filter(|browser| browser.is_open()) {
            browser.downlink.local_frame(now, spoken, &mut self.outbox);
        }
        while let Some(event) = line.poll_digit() {
            let input = EncoderInput::Digit(event);
            let trunk = self.trunk.as_mut();
            // A page hears no digits; a trunk that takes none has said so.
            let taken = trunk.is_none_or(|t| t.digits.handle_input(now, input).is_ok());
            self.digits_dropped += u64::from(!taken && event.phase == Phase::Start);
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

/// A line hears a packet of the trunk's sound, of a codec that may be another than that before. A
/// tone that is a digit reaches it as a digit, and no sound.
pub(super) fn hear(
    hearing: &mut Option<Uplink>,
    now: Instant,
    (packet, hearing_of): (&Packet<'_>, Hearing),
    (codec, rate): (Option<Codec>, Rate),
    playout: Playout,
) {
    let Some(codec) = codec else { return };
    if hearing.as_ref().is_none_or(|uplink| uplink.codec() != codec) {
        *hearing = Uplink::of(codec, playout).ok();
    }
    if let Some(uplink) = hearing {
        // The bridge's rate is one that the codec in force has.
        let _ = uplink.set_rate(rate);
        match hearing_of {
            Hearing::Heard => uplink.on_packet(now, packet),
            Hearing::Muted => uplink.on_event_packet(now, packet),
        }
    }
}
