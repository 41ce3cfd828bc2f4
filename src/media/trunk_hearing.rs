//! The trunk's sound for whoever takes it a frame at a time: a line, a recorder. What is a digit's tone
//! and goes on as a digit is silence in it.

use std::time::Instant;

use super::trunk_side::Hearing;
use super::uplink::Uplink;
use super::{Error, Playout};
use crate::codec::{Codec, Rate};
use crate::dtmf::ToneGuard;
use crate::rtp::Packet;

/// A trunk's sound through its playout buffer.
#[derive(Debug)]
pub(super) struct TrunkHearing {
    uplink: Uplink,
    /// Where tones go on as digits; elsewhere a tone is to be heard.
    guard: Option<Box<ToneGuard>>,
}

impl TrunkHearing {
    pub(super) fn new(codec: Codec, playout: Playout) -> Result<Self, Error> {
        Ok(Self { uplink: Uplink::of(codec, playout)?, guard: None })
    }

    pub(super) fn codec(&self) -> Codec {
        self.uplink.codec()
    }

    /// The rate from now on, one that the codec has.
    pub(super) fn set_rate(&mut self, rate: Rate) -> Result<(), Error> {
        self.uplink.set_rate(rate)
    }

    /// Whether tones go on as digits from now on, and so not as sound.
    pub(super) fn keep_tones_back(&mut self, wanted: bool) {
        if !wanted {
            self.guard = None;
        } else if self.guard.is_none() {
            self.guard = Some(Box::default());
        }
    }

    /// A packet of sound.
    pub(super) fn on_audio(&mut self, now: Instant, packet: &Packet<'_>, hearing: Hearing) {
        match hearing {
            Hearing::Heard => self.uplink.on_packet(now, packet),
            Hearing::Muted => self.uplink.on_event_packet(now, packet),
        }
    }

    /// A telephone event.
    pub(super) fn on_event(&mut self, now: Instant, packet: &Packet<'_>) {
        self.uplink.on_event_packet(now, packet);
    }

    /// A description of a pause's noise.
    pub(super) fn on_noise(&mut self, now: Instant, packet: &Packet<'_>) {
        self.uplink.on_noise(now, packet);
    }

    /// The next 20 ms, over what `frame` held. Once a digit is known, what waited in the buffer until
    /// then is not heard either: it may be the digit's tone.
    pub(super) fn frame(&mut self, now: Instant, hearing: Hearing, frame: &mut Vec<i16>) {
        self.uplink.frame(now, frame);
        if let Some(guard) = &mut self.guard {
            guard.pass(frame);
        }
        if hearing == Hearing::Muted {
            frame.fill(0);
        }
    }
}
