//! From the browser to the trunk: playout buffer, decoding at 8 kHz, and a frame of 20 ms whenever
//! the trunk's clock wants one.

use std::time::Instant;

use super::{Error, Playout, Repair};
use crate::codec::{self, Codec, Decoder, DriftCorrector, Rate};
use crate::jitter::{Activity, Config, Content, Counts, Decision, PlayoutBuffer};
use crate::rtp::{Packet, PayloadType, Seq, Ssrc, Timestamp};
use crate::webrtc::{BrowserCodec, Negotiated, RtpIn};

/// The sound of a page on its way to the trunk.
#[derive(Debug)]
pub(super) struct Uplink {
    codec: Codec,
    repair: Repair,
    buffer: PlayoutBuffer,
    decoder: Decoder,
    /// Between the page's clock and ours.
    drift: DriftCorrector,
    /// Decoded and not yet taken.
    pcm: Vec<i16>,
    decoded: Vec<i16>,
    activity: Activity,
}

/// Sound below this is a pause: the noise of a quiet room through a headset's microphone.
const SILENCE_DBM0: f64 = -45.0;
/// Decisions a frame may take: more than the frames of 2.5 ms in it.
const MAX_DECISIONS: usize = 16;

impl Uplink {
    pub(super) fn new(negotiated: &Negotiated, playout: Playout) -> Result<Self, Error> {
        Self::of(coding(negotiated.codec), playout)
    }

    /// The same for sound of a codec, wherever it comes from.
    pub(super) fn of(codec: Codec, playout: Playout) -> Result<Self, Error> {
        let (min_delay, max_delay) = playout.delay;
        let usual = Config::new(codec.clock_rate());
        let start_delay = usual.start_delay.clamp(min_delay, max_delay);
        let copies = codec == Codec::Opus;
        let config = Config { min_delay, start_delay, max_delay, copies, ..usual };
        Ok(Self {
            codec,
            repair: playout.repair,
            buffer: PlayoutBuffer::new(config),
            decoder: Decoder::new(codec).map_err(|_| Error::Internal)?,
            drift: DriftCorrector::new(),
            pcm: Vec::with_capacity(8 * Rate::Wide.frame()),
            decoded: Vec::with_capacity(8 * Rate::Wide.frame()),
            activity: Activity::Silence,
        })
    }

    /// What the page speaks.
    pub(super) fn codec(&self) -> Codec {
        self.codec
    }

    /// The rate of the sound from now on, one that the codec has.
    pub(super) fn set_rate(&mut self, rate: Rate) -> Result<(), Error> {
        if self.decoder.rate() != rate {
            self.decoder = Decoder::at(self.codec, rate).map_err(|_| Error::Internal)?;
            self.drift = DriftCorrector::at(rate);
            self.pcm.clear();
        }
        Ok(())
    }

    /// Takes a packet of sound.
    pub(super) fn on_audio(&mut self, now: Instant, packet: &RtpIn) {
        self.on_packet(now, &packet_of(packet));
    }

    /// Takes a packet of sound.
    pub(super) fn on_packet(&mut self, now: Instant, packet: &Packet<'_>) {
        let Some(duration) = self.codec.duration(packet.payload) else { return };
        let quiet = self.codec == Codec::Opus && codec::is_discontinuous(packet.payload);
        let content =
            if quiet { Content::Silence { duration } } else { Content::Audio { duration } };
        self.buffer.insert(now, packet, content);
    }

    /// Takes a description of a pause's noise: silence is no loss.
    pub(super) fn on_noise(&mut self, now: Instant, packet: &Packet<'_>) {
        let duration = self.codec.clock_rate() / 50;
        self.buffer.insert(now, packet, Content::Silence { duration });
    }

    /// Takes a telephone event: its sequence number is not lost.
    pub(super) fn on_event(&mut self, now: Instant, packet: &RtpIn) {
        self.on_event_packet(now, &packet_of(packet));
    }

    /// Takes a telephone event: its sequence number is not lost.
    pub(super) fn on_event_packet(&mut self, now: Instant, packet: &Packet<'_>) {
        self.buffer.insert(now, packet, Content::Event);
    }

    /// The next 20 ms of sound, over what `frame` held.
    pub(super) fn frame(&mut self, now: Instant, frame: &mut Vec<i16>) {
        let factor = self.decoder.rate().factor();
        self.drift.steer(self.buffer.excess() * factor as i32);
        let needed = self.drift.needed();
        for _ in 0..MAX_DECISIONS {
            if self.pcm.len() >= needed {
                break;
            }
            self.decide(now);
        }
        self.pcm.resize(self.pcm.len().max(needed), 0);
        self.drift.process(&self.pcm[..needed], frame);
        self.pcm.drain(..needed);
        let loud = codec::level_dbm0(frame) > SILENCE_DBM0;
        self.activity = if loud { Activity::Speech } else { Activity::Silence };
    }

    pub(super) fn counts(&self) -> Counts {
        self.buffer.counts()
    }

    pub(super) fn playout_ms(&self) -> f32 {
        self.buffer.target_delay().as_secs_f32() * 1000.0
    }

    fn decide(&mut self, now: Instant) {
        let rate = self.decoder.rate();
        let samples = |duration: u32| {
            let narrow = duration / (self.codec.clock_rate() / codec::SAMPLE_RATE);
            narrow.min(MAX_SAMPLES) as usize * rate.factor()
        };
        let decision = self.buffer.pull(now, self.activity);
        match decision {
            Decision::Decode { payload, duration } => {
                if self.decoder.decode(payload, &mut self.decoded).is_err() {
                    self.decoder.conceal(samples(duration), &mut self.decoded);
                }
            }
            Decision::Fec { duration, .. } | Decision::Conceal { duration }
                if self.repair == Repair::Nothing =>
            {
                self.decoded.clear();
                self.decoded.resize(samples(duration), 0);
            }
            Decision::Fec { next, duration } => {
                let lost = samples(duration);
                let used = self.repair == Repair::Full
                    && self.decoder.decode_fec(next, lost, &mut self.decoded).is_ok();
                if !used {
                    self.decoder.conceal(lost, &mut self.decoded);
                }
            }
            Decision::Conceal { duration } => {
                self.decoder.conceal(samples(duration), &mut self.decoded);
            }
            Decision::ComfortNoise { duration } => {
                self.decoder.comfort_noise(samples(duration), &mut self.decoded);
            }
            Decision::Event { duration } | Decision::Nothing { duration } => {
                self.decoded.clear();
                self.decoded.resize(samples(duration), 0);
            }
            Decision::Skip { payload } => {
                // Only the decoder's state matters; a payload it refuses changes none.
                let _ = self.decoder.decode(payload, &mut self.decoded);
                return;
            }
        }
        self.pcm.extend_from_slice(&self.decoded);
    }
}

/// The codec that decodes what a page sends.
pub(super) fn coding(codec: BrowserCodec) -> Codec {
    match codec {
        BrowserCodec::Opus => Codec::Opus,
        BrowserCodec::Pcmu => Codec::Pcmu,
        BrowserCodec::Pcma => Codec::Pcma,
    }
}

pub(super) fn packet_of(packet: &RtpIn) -> Packet<'_> {
    Packet {
        marker: packet.marker,
        payload_type: PayloadType::from_low_bits(packet.payload_type),
        seq: Seq(packet.seq),
        timestamp: Timestamp(packet.timestamp),
        ssrc: Ssrc(packet.ssrc),
        payload: &packet.payload,
    }
}

/// 120 ms at 8 kHz, the longest packet of any codec here.
const MAX_SAMPLES: u32 = 960;
