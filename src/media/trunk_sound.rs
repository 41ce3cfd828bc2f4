//! The trunk's sound as the tone detector wants it: in order, with what is missing named. A packet
//! that is lost within a tone must not make two digits of it; silence that was not sent does.

use std::time::Instant;

use super::digits::Listener;
use crate::codec::{Codec, Decoder, FRAME, SAMPLE_RATE};
use crate::rtp::{Packet, SeqExtender, Ssrc, Timestamp};

/// Where the trunk's sound stands.
#[derive(Debug)]
pub(super) struct TrunkSound {
    /// Its own: what another decoded is no longer in the state of a codec that has one.
    decoder: Option<Decoder>,
    stream: Option<Stream>,
    pcm: Vec<i16>,
}

#[derive(Debug)]
struct Stream {
    ssrc: Ssrc,
    extender: SeqExtender,
    newest: u64,
    /// Where the sound ended that was heard last.
    end: Timestamp,
}

impl TrunkSound {
    pub(super) fn new() -> Self {
        Self { decoder: None, stream: None, pcm: Vec::with_capacity(8 * FRAME) }
    }

    /// A telephone event: its number is not lost.
    pub(super) fn on_event(&mut self, packet: &Packet<'_>) {
        if let Some(stream) = self.stream.as_mut().filter(|stream| stream.ssrc == packet.ssrc) {
            stream.newest = stream.newest.max(stream.extender.extend(packet.seq));
        }
    }

    /// Gives a packet of sound to the listener, and what is missing before it.
    pub(super) fn on_audio(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        codec: Codec,
        listener: &mut Listener,
    ) {
        let missing = match self.place(packet, codec) {
            Place::Old => return,
            Place::New => Missing::Silence(LONGEST_SILENCE),
            Place::Next(missing) => missing,
        };
        match missing {
            Missing::Nothing => {}
            Missing::Lost(samples) => {
                listener.lost(samples);
            }
            Missing::Silence(samples) => {
                self.pcm.clear();
                self.pcm.resize(samples, 0);
                listener.hear(now, &self.pcm);
            }
        }
        if self.decoder.as_ref().is_none_or(|decoder| decoder.codec() != codec) {
            self.decoder = Decoder::new(codec).ok();
        }
        let Some(decoder) = &mut self.decoder else { return };
        if decoder.decode(packet.payload, &mut self.pcm).is_ok() {
            if let Some(stream) = &mut self.stream {
                let units = codec.duration(packet.payload).unwrap_or(0);
                stream.end = packet.timestamp.plus(units);
            }
            listener.hear(now, &self.pcm);
        }
    }

    fn place(&mut self, packet: &Packet<'_>, codec: Codec) -> Place {
        let per_sample = codec.clock_rate() / SAMPLE_RATE;
        if let Some(stream) = self.stream.as_mut().filter(|stream| stream.ssrc == packet.ssrc) {
            let number = stream.extender.extend(packet.seq);
            if number <= stream.newest && stream.newest - number < LONGEST_LOSS {
                return Place::Old;
            }
            let lost = number.saturating_sub(stream.newest + 1);
            let gap = packet.timestamp.since(stream.end);
            if number > stream.newest && lost < LONGEST_LOSS {
                stream.newest = number;
                let samples = (gap.max(0).unsigned_abs() / per_sample) as usize;
                return Place::Next(match (lost, samples) {
                    (_, 0) => Missing::Nothing,
                    (0, samples) => Missing::Silence(samples.min(LONGEST_SILENCE)),
                    (_, samples) if samples <= MOST_LOST => Missing::Lost(samples),
                    (_, samples) => Missing::Silence(samples.min(LONGEST_SILENCE)),
                });
            }
        }
        let mut extender = SeqExtender::new();
        let newest = extender.extend(packet.seq);
        self.stream = Some(Stream { ssrc: packet.ssrc, extender, newest, end: packet.timestamp });
        Place::New
    }
}

/// Where a packet stands in its stream.
enum Place {
    /// Its successors were heard already, or it was.
    Old,
    /// The first of a stream.
    New,
    Next(Missing),
}

/// What is between the sound that was heard and a packet.
enum Missing {
    Nothing,
    Lost(usize),
    /// The sender had nothing to send, or too much is lost to guess.
    Silence(usize),
}

/// Lost packets beyond this are a new stream.
const LONGEST_LOSS: u64 = 100;
/// 200 ms: a tone that goes on after more is another press.
const MOST_LOST: usize = 10 * FRAME;
/// 60 ms of silence end any tone.
const LONGEST_SILENCE: usize = 3 * FRAME;
