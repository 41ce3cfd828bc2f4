//! The payload types in which we receive, once agreed on: within a session a number keeps its meaning
//! and a codec its number, whoever offers (RFC 3264 section 8.3.2).

use super::negotiate::NOISE_TYPE;
use super::{AudioCodec, Negotiated};

/// The numbers of one session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Numbers {
    codecs: Vec<(AudioCodec, u8)>,
    events: Vec<(u32, u8)>,
    noise: Option<u8>,
}

impl Numbers {
    /// Keeps what was agreed.
    pub fn keep(&mut self, agreed: &Negotiated) {
        self.codecs.retain(|(codec, _)| *codec != agreed.codec.codec);
        self.codecs.push((agreed.codec.codec, agreed.codec.receive));
        if let Some(event) = agreed.telephone_event {
            self.events.retain(|(clock, _)| *clock != event.clock_rate);
            self.events.push((event.clock_rate, event.receive));
        }
        self.noise = agreed.comfort_noise.map(|noise| noise.receive);
    }

    pub(super) fn codec(&self, wanted: AudioCodec) -> u8 {
        let kept = self.codecs.iter().find(|(codec, _)| *codec == wanted);
        kept.map_or_else(|| self.free(wanted.payload_type()), |(_, number)| *number)
    }

    /// Of telephone events at this clock.
    pub(super) fn event(&self, wanted: u32) -> u8 {
        let usual = if wanted == 8000 { EVENT_8000 } else { EVENT_48000 };
        let kept = self.events.iter().find(|(clock, _)| *clock == wanted);
        kept.map_or_else(|| self.free(usual), |(_, number)| *number)
    }

    /// Of comfort noise.
    pub(super) fn noise(&self) -> u8 {
        self.noise.unwrap_or(NOISE_TYPE)
    }

    /// Whether comfort noise is agreed on.
    pub(super) fn has_noise(&self) -> bool {
        self.noise.is_some()
    }

    /// The usual number, or another dynamic one where the peer has given it another meaning.
    fn free(&self, usual: u8) -> u8 {
        let codecs = self.codecs.iter().map(|(_, number)| *number);
        let used: Vec<u8> =
            codecs.chain(self.events.iter().map(|(_, number)| *number)).chain(self.noise).collect();
        if !used.contains(&usual) {
            return usual;
        }
        // The usual numbers of all others are above these.
        (96..=100).find(|number| !used.contains(number)).unwrap_or(usual)
    }
}

/// What almost everybody uses for telephone events.
const EVENT_8000: u8 = 101;
const EVENT_48000: u8 = 110;
