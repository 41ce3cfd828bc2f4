//! The trunk's sound as the tone detector wants it: in order, with what is missing named. A packet
//! that is lost within a tone must not make two digits of it; silence that was not sent does.

use std::time::Instant;

use super::digits::Listener;
use crate::codec::{Codec, Decoder, FRAME, SAMPLE_RATE};
use crate::rtp::{Packet, PayloadType, Seq, SeqExtender, Ssrc, Timestamp};

/// Where the trunk's sound stands.
#[derive(Debug)]
pub(super) struct TrunkSound {
    /// Its own: what another decoded is no longer in the state of a codec that has one.
    decoder: Option<Decoder>,
    stream: Option<Stream>,
    /// The packet after a gap: what is missing may just be late.
    held: Option<HeldPacket>,
    /// For the next one to be held.
    payload: Vec<u8>,
    pcm: Vec<i16>,
}

/// A packet that waits for the one before it.
#[derive(Debug)]
struct HeldPacket {
    at: Instant,
    codec: Codec,
    payload_type: PayloadType,
    seq: Seq,
    timestamp: Timestamp,
    ssrc: Ssrc,
    payload: Vec<u8>,
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
        Self {
            decoder: None,
            stream: None,
            held: None,
            payload: Vec::new(),
            pcm: Vec::with_capacity(8 * FRAME),
        }
    }

    /// A telephone event: its number is not lost.
    pub(super) fn on_event(&mut self, packet: &Packet<'_>) {
        if let Some(stream) = self.stream.as_mut().filter(|stream| stream.ssrc == packet.ssrc) {
            stream.newest = stream.newest.max(stream.extender.extend(packet.seq));
        }
    }

    /// Gives a packet of sound to the listener, and what is missing before it. After a gap it waits for
    /// the next packet, which may be the missing one.
    pub(super) fn on_audio(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        codec: Codec,
        listener: &mut Listener,
    ) {
        if let Some(held) = self.held.take() {
            let steps = packet.seq.since(held.seq);
            if packet.ssrc == held.ssrc && steps == 0 {
                self.held = Some(held);
                return;
            }
            if packet.ssrc == held.ssrc && steps < 0 {
                self.take(now, packet, codec, listener);
                return self.release(held, listener);
            }
            self.release(held, listener);
        }
        if self.follows_a_gap(packet) {
            self.hold(now, packet, codec);
        } else {
            self.take(now, packet, codec, listener);
        }
    }

    /// Whether a packet or a few before it are missing.
    fn follows_a_gap(&self, packet: &Packet<'_>) -> bool {
        self.stream.as_ref().is_some_and(|stream| {
            let steps = packet.seq.since(Seq(stream.newest as u16));
            stream.ssrc == packet.ssrc
                && steps > 1
                && u64::from(steps.unsigned_abs()) < LONGEST_LOSS
        })
    }

    fn hold(&mut self, at: Instant, packet: &Packet<'_>, codec: Codec) {
        let mut payload = std::mem::take(&mut self.payload);
        payload.clear();
        payload.extend_from_slice(packet.payload);
        self.held = Some(HeldPacket {
            at,
            codec,
            payload_type: packet.payload_type,
            seq: packet.seq,
            timestamp: packet.timestamp,
            ssrc: packet.ssrc,
            payload,
        });
    }

    fn release(&mut self, held: HeldPacket, listener: &mut Listener) {
        let packet = Packet {
            marker: false,
            payload_type: held.payload_type,
            seq: held.seq,
            timestamp: held.timestamp,
            ssrc: held.ssrc,
            payload: &held.payload,
        };
        self.take(held.at, &packet, held.codec, listener);
        self.payload = held.payload;
    }

    fn take(&mut self, now: Instant, packet: &Packet<'_>, codec: Codec, listener: &mut Listener) {
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
