//! From the trunk, or from here, to the browser: one source, one row of sequence numbers and one
//! media clock for the whole life of a peer, whatever feeds it.
//!
//! There is no playout buffer: a packet is transcoded as it arrives. What the network lost stays a
//! gap in the sequence numbers and what it delayed stays in the timestamps, since the browser has
//! the better jitter buffer. A telephone event of the trunk leaves no gap: it is not sent on.
//!
//! ```text
//! feed       ringback ----------> trunk ---------------(lost)-------->
//! seq        1   2   3   4   5    6M  7   8   9  [10]  11  12
//! timestamp  0  960 ...           follows the wall clock, then the trunk's timestamps
//! ```

use std::time::{Duration, Instant};

use super::outbox::{Head, Outbox};
use super::trunk_side::Hearing;
use super::uplink::coding;
use super::{Error, OpusSettings};
use crate::codec::{self, Codec, Decoder, Encoded, Encoder, FRAME};
use crate::rtp::{Packet, SeqExtender, Ssrc, Timestamp};
use crate::webrtc::Negotiated;

/// The sound on its way to a page.
#[derive(Debug)]
pub(super) struct Downlink {
    payload_type: u8,
    codec: Codec,
    encoder: Encoder,
    seq: u64,
    /// A moment and what the media clock showed then.
    origin: (Instant, u32),
    /// Where the last packet ended on the media clock.
    end: Option<u32>,
    source: Source,
    /// The next packet starts a talk spurt.
    marker: bool,
    pcm: Vec<i16>,
    payload: Vec<u8>,
    sent: u64,
    late: u64,
}

/// Where the sound comes from now.
#[derive(Debug)]
enum Source {
    None,
    /// Made here, a frame a tick; the next one starts at this timestamp.
    Local {
        next: u32,
    },
    Trunk(Box<Trunk>),
}

#[derive(Debug)]
struct Trunk {
    ssrc: Ssrc,
    extender: SeqExtender,
    newest: u64,
    /// The trunk's timestamp that stands for `out` on ours.
    anchor: Timestamp,
    out: u32,
    /// The trunk's timestamp of the first sample in `fifo`.
    fifo_start: Timestamp,
    fifo: Vec<i16>,
}

/// ITU-T G.711: the code of zero.
const PCMU_SILENCE: u8 = 0xFF;
/// The same in A-law.
const PCMA_SILENCE: u8 = 0xD5;
/// A jump of the trunk's timestamps beyond this is a new stream, not a pause.
const LONGEST_PAUSE: u32 = 60 * codec::SAMPLE_RATE;
/// As many lost packets are a new stream, not loss.
const LONGEST_LOSS: u64 = 100;

impl Downlink {
    /// `seq` is the first sequence number (below 32,768, so that SRTP's count starts right) and
    /// `timestamp` where the media clock stands now.
    pub(super) fn new(
        now: Instant,
        negotiated: &Negotiated,
        opus: OpusSettings,
        seq: u16,
        timestamp: u32,
    ) -> Result<Self, Error> {
        let codec = coding(negotiated.codec);
        let encoder = match codec {
            Codec::Opus => Encoder::opus(codec::OpusSettings {
                bit_rate: opus.bitrate,
                complexity: opus.complexity,
                ..codec::OpusSettings::default()
            }),
            other => Encoder::new(other),
        };
        Ok(Self {
            payload_type: negotiated.payload_type,
            codec,
            encoder: encoder.map_err(|_| Error::Internal)?,
            seq: u64::from(seq & 0x7FFF),
            origin: (now, timestamp),
            end: None,
            source: Source::None,
            marker: true,
            pcm: Vec::with_capacity(8 * FRAME),
            payload: Vec::with_capacity(1500),
            sent: 0,
            late: 0,
        })
    }

    /// Another feed: what comes next starts a talk spurt at the moment it comes.
    pub(super) fn switch(&mut self) {
        self.source = Source::None;
        self.marker = true;
    }

    /// A frame made here (ringback), every tick.
    pub(super) fn local_frame(&mut self, now: Instant, frame: &[i16], outbox: &mut Outbox) {
        let timestamp = match self.source {
            Source::Local { next } => next,
            _ => self.timestamp_at(now),
        };
        self.source = Source::Local { next: timestamp.wrapping_add(self.units(frame.len())) };
        self.send_frame(timestamp, frame, outbox);
    }

    /// A packet of the trunk's sound.
    pub(super) fn on_trunk_audio(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        decoder: &mut Decoder,
        hearing: Hearing,
        outbox: &mut Outbox,
    ) {
        let Some((mut trunk, lost)) = self.place(now, packet) else {
            self.late += 1;
            return;
        };
        if decoder.codec() == self.codec {
            self.relay(&mut trunk, lost, packet, hearing, outbox);
        } else if decoder.decode(packet.payload, &mut self.pcm).is_ok() {
            if hearing == Hearing::Muted {
                self.pcm.fill(0);
            }
            self.transcode(&mut trunk, lost, packet.timestamp, outbox);
        }
        self.source = Source::Trunk(trunk);
    }

    /// A telephone event of the trunk: heard by others, not missing here.
    pub(super) fn on_trunk_event(&mut self, packet: &Packet<'_>) {
        if let Source::Trunk(trunk) = &mut self.source
            && trunk.ssrc == packet.ssrc
        {
            let number = trunk.extender.extend(packet.seq);
            // Of those lost before it nobody knows what they were; audio after it says the time.
            trunk.newest = trunk.newest.max(number);
            self.marker = true;
        }
    }

    /// What the page reports lost: FEC is paid for only then.
    pub(super) fn on_reception(&mut self, loss: f32) {
        let percent = (loss * 100.0).round().clamp(0.0, 100.0) as u8;
        // An encoder that refuses keeps what it had.
        let _ = self.encoder.set_expected_loss(percent);
    }

    /// Where the media clock stands: a packet that starts now has this timestamp.
    pub(super) fn timestamp_at(&self, now: Instant) -> u32 {
        let clock = self.clock(now);
        match self.end {
            // Never before the end of what was sent.
            Some(end) if (clock.wrapping_sub(end) as i32) < 0 => end,
            _ => clock,
        }
    }

    /// Sends what is no sound (an event) in the same row of numbers.
    pub(super) fn send_event(
        &mut self,
        payload_type: u8,
        timestamp: u32,
        marker: bool,
        payload: &[u8],
        outbox: &mut Outbox,
    ) {
        outbox.send_browser(Head { payload_type, seq: self.seq, timestamp, marker }, payload);
        self.seq += 1;
        self.sent += 1;
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// Packets of the trunk that came after their successors.
    pub(super) fn late(&self) -> u64 {
        self.late
    }

    /// Finds a packet's place: the stream's state and how many packets are missing before it.
    /// `None` for one that its successors have overtaken.
    fn place(&mut self, now: Instant, packet: &Packet<'_>) -> Option<(Box<Trunk>, u64)> {
        if let Source::Trunk(mut trunk) = std::mem::replace(&mut self.source, Source::None) {
            let number = trunk.extender.extend(packet.seq);
            if trunk.ssrc == packet.ssrc && number <= trunk.newest {
                let overtaken = trunk.newest - number < LONGEST_LOSS;
                if overtaken {
                    self.source = Source::Trunk(trunk);
                    return None;
                }
            } else if trunk.ssrc == packet.ssrc {
                let lost = number - trunk.newest - 1;
                let passed = packet.timestamp.since(trunk.fifo_start);
                let sensible = passed >= 0 && passed.unsigned_abs() < LONGEST_PAUSE;
                if lost < LONGEST_LOSS && sensible {
                    trunk.newest = number;
                    return Some((trunk, lost));
                }
            }
            self.marker = true;
        }
        let mut extender = SeqExtender::new();
        let newest = extender.extend(packet.seq);
        let out = self.timestamp_at(now);
        let trunk = Trunk {
            ssrc: packet.ssrc,
            extender,
            newest,
            anchor: packet.timestamp,
            out,
            fifo_start: packet.timestamp,
            fifo: Vec::with_capacity(8 * FRAME),
        };
        Some((Box::new(trunk), 0))
    }

    fn transcode(&mut self, trunk: &mut Trunk, lost: u64, start: Timestamp, outbox: &mut Outbox) {
        let expected = trunk.fifo_start.plus(trunk.fifo.len() as u32);
        let gap = start.since(expected);
        if gap != 0 || lost > 0 {
            if !trunk.fifo.is_empty() {
                trunk.fifo.resize(FRAME, 0);
                self.drain(trunk, outbox);
            }
            if lost > 0 {
                // What is missing, in our frames: at least one, for something is.
                self.seq +=
                    u64::from(gap.max(0).unsigned_abs() / FRAME as u32).clamp(1, LONGEST_LOSS);
            } else {
                self.marker = true;
            }
            trunk.fifo_start = start;
        }
        trunk.fifo.extend_from_slice(&self.pcm);
        self.drain(trunk, outbox);
    }

    /// Sends all whole frames of a trunk's sound.
    fn drain(&mut self, trunk: &mut Trunk, outbox: &mut Outbox) {
        let mut fifo = std::mem::take(&mut trunk.fifo);
        let mut done = 0;
        for frame in fifo.chunks_exact(FRAME) {
            let passed = trunk.fifo_start.since(trunk.anchor).unsigned_abs();
            let timestamp = trunk.out.wrapping_add(passed.wrapping_mul(self.per_sample()));
            self.send_frame(timestamp, frame, outbox);
            trunk.fifo_start = trunk.fifo_start.plus(FRAME as u32);
            done += FRAME;
        }
        fifo.drain(..done);
        trunk.fifo = fifo;
    }

    fn relay(
        &mut self,
        trunk: &mut Trunk,
        lost: u64,
        packet: &Packet<'_>,
        hearing: Hearing,
        outbox: &mut Outbox,
    ) {
        let passed = packet.timestamp.since(trunk.anchor).unsigned_abs();
        let timestamp = trunk.out.wrapping_add(passed);
        self.marker |= packet.marker;
        self.seq += lost;
        trunk.fifo_start = packet.timestamp;
        self.payload.clear();
        match hearing {
            Hearing::Heard => self.payload.extend_from_slice(packet.payload),
            Hearing::Muted => {
                let silence = if self.codec == Codec::Pcma { PCMA_SILENCE } else { PCMU_SILENCE };
                self.payload.resize(packet.payload.len(), silence);
            }
        }
        self.send_payload(timestamp, packet.payload.len(), outbox);
    }

    fn send_frame(&mut self, timestamp: u32, frame: &[i16], outbox: &mut Outbox) {
        match self.encoder.encode(frame, &mut self.payload) {
            Ok(Encoded::Frame) => self.send_payload(timestamp, frame.len(), outbox),
            // Silence that need not be sent, or nothing at all: the next one is a new spurt.
            Ok(Encoded::Nothing) | Err(_) => self.marker = true,
        }
    }

    fn send_payload(&mut self, timestamp: u32, samples: usize, outbox: &mut Outbox) {
        let head = Head {
            payload_type: self.payload_type,
            seq: self.seq,
            timestamp,
            marker: std::mem::take(&mut self.marker),
        };
        outbox.send_browser(head, &self.payload);
        self.seq += 1;
        self.sent += 1;
        self.end = Some(timestamp.wrapping_add(self.units(samples)));
    }

    fn clock(&self, now: Instant) -> u32 {
        let (at, timestamp) = self.origin;
        let passed: Duration = now.saturating_duration_since(at);
        let units = passed.as_micros() * u128::from(self.codec.clock_rate()) / 1_000_000;
        timestamp.wrapping_add(units as u32)
    }

    fn per_sample(&self) -> u32 {
        self.codec.clock_rate() / codec::SAMPLE_RATE
    }

    fn units(&self, samples: usize) -> u32 {
        samples as u32 * self.per_sample()
    }
}
