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

use super::loss_control::LossControl;
use super::outbox::{Head, Outbox};
use super::pause::{Pauses, Sending};
use super::trunk_side::Hearing;
use super::uplink::coding;
use super::{Error, OpusSettings, Silence};
use crate::codec::{
    self, Codec, Decoder, Doubler, Encoded, Encoder, FRAME, NoiseDescription, NoiseSource, Rate,
};
use crate::rtp::{Packet, SeqExtender, Ssrc, Timestamp};
use crate::webrtc::Negotiated;

/// The sound on its way to a page.
#[derive(Debug)]
pub(super) struct Downlink {
    payload_type: u8,
    codec: Codec,
    encoder: Encoder,
    /// Without loss, in bit/s.
    bit_rate: u32,
    loss_control: LossControl,
    /// From what is made here at 8 kHz to an encoder of 16.
    doubler: Doubler,
    wide: Vec<i16>,
    /// `None` where every frame is sent.
    pauses: Option<Pauses>,
    /// The first byte of the last packet.
    head: u8,
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
    pace: Pace,
    /// What a pause of the trunk sounds like.
    noise: NoiseSource,
}

/// How much sound may go out: a trunk that sends faster than time goes by is not followed.
#[derive(Debug)]
struct Pace {
    left: Duration,
    at: Instant,
}

impl Pace {
    /// Whether a packet of this length may go on; one of no length may, for it is refused elsewhere.
    fn allows(&mut self, now: Instant, units: Option<u32>, codec: Codec) -> bool {
        // A quarter more than time goes by: clocks that run fast, and what waited in a queue.
        let passed = now.saturating_duration_since(self.at);
        self.at = now;
        self.left = (self.left + passed + passed / 4).min(BURST);
        let length = Duration::from_secs(1) * units.unwrap_or(0) / codec.clock_rate();
        match self.left.checked_sub(length) {
            Some(left) => self.left = left,
            None => return false,
        }
        true
    }
}

/// Sound that may come at once, after a stall of the network.
const BURST: Duration = Duration::from_secs(2);

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
    /// Its clock in Hz.
    clock: u32,
    /// The trunk's timestamp that stands for `out` on ours.
    anchor: Timestamp,
    out: u32,
    /// The trunk's timestamp of the first sample in `fifo`.
    fifo_start: Timestamp,
    fifo: Vec<i16>,
    /// Since when the trunk pauses, by its clock; noise is made here meanwhile.
    pause: Option<Timestamp>,
}

impl Trunk {
    /// A moment of its clock on ours, that of `codec`.
    fn out_of(&self, moment: Timestamp, codec: Codec) -> u32 {
        let passed = moment.since(self.anchor).unsigned_abs();
        let units = u64::from(passed) * u64::from(codec.clock_rate());
        self.out.wrapping_add((units / u64::from(self.clock)) as u32)
    }
}

/// ITU-T G.711: the code of zero.
const PCMU_SILENCE: u8 = 0xFF;
/// The same in A-law.
const PCMA_SILENCE: u8 = 0xD5;
/// A jump of the trunk's timestamps beyond this many seconds is a new stream, not a pause.
const LONGEST_PAUSE: u32 = 60;
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
            bit_rate: opus.bitrate,
            loss_control: LossControl::default(),
            doubler: Doubler::new(),
            wide: Vec::new(),
            pauses: (codec == Codec::Opus && opus.silence == Silence::Suppressed)
                .then(Pauses::default),
            head: 0,
            seq: u64::from(seq & 0x7FFF),
            origin: (now, timestamp),
            end: None,
            source: Source::None,
            marker: true,
            pcm: Vec::with_capacity(8 * Rate::Wide.frame()),
            payload: Vec::with_capacity(1500),
            sent: 0,
            late: 0,
            pace: Pace { left: BURST, at: now },
            noise: NoiseSource::new(),
        })
    }

    /// The rate of the sound from now on. What G.711 is, it stays.
    pub(super) fn set_rate(&mut self, rate: Rate) -> Result<(), Error> {
        if self.encoder.rate() == rate {
            return Ok(());
        }
        if let Some(settings) = self.encoder.opus_settings() {
            let settings = codec::OpusSettings { rate, ..settings };
            self.encoder = Encoder::opus(settings).map_err(|_| Error::Internal)?;
            self.switch();
        }
        Ok(())
    }

    /// The complexity of Opus from now on.
    pub(super) fn set_complexity(&mut self, complexity: u8) {
        // An encoder that refuses keeps what it had.
        let _ = self.encoder.set_complexity(complexity);
    }

    /// Another feed: what comes next starts a talk spurt at the moment it comes.
    pub(super) fn switch(&mut self) {
        self.source = Source::None;
        self.marker = true;
        if let Some(pauses) = &mut self.pauses {
            pauses.restart();
        }
    }

    /// A frame made here (ringback, a line), every tick: of 8 kHz or of the sound's own rate.
    pub(super) fn local_frame(&mut self, now: Instant, frame: &[i16], outbox: &mut Outbox) {
        let timestamp = match self.source {
            Source::Local { next } => next,
            _ => self.timestamp_at(now),
        };
        let next = timestamp.wrapping_add(self.codec.clock_rate() / 50);
        self.source = Source::Local { next };
        let sending = self.sending(frame);
        match Rate::of_frame(frame.len()) {
            Rate::Narrow => self.send_narrow(timestamp, frame, sending, outbox),
            Rate::Wide => self.send_frame(timestamp, frame, sending, outbox),
        }
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
        if !self.pace.allows(now, decoder.codec().duration(packet.payload), decoder.codec()) {
            // What comes after it begins where the clock then is.
            self.late += 1;
            self.switch();
            return;
        }
        let Some((mut trunk, lost)) = self.place(now, packet, decoder.codec()) else {
            self.late += 1;
            return;
        };
        self.marker |= trunk.pause.take().is_some();
        if decoder.codec() == self.codec {
            self.relay(&mut trunk, lost, packet, hearing, outbox);
        } else if decoder.rate() != self.encoder.rate() {
            // Both are set by the bridge before a packet comes.
            debug_assert!(false, "two rates in one bridge");
        } else if decoder.decode(packet.payload, &mut self.pcm).is_ok() {
            if hearing == Hearing::Muted {
                self.pcm.fill(0);
            }
            self.transcode(&mut trunk, lost, packet.timestamp, outbox);
        }
        self.source = Source::Trunk(trunk);
    }

    /// A description of the noise in a pause of the trunk, whose sound is of `codec` (RFC 3389): until
    /// sound comes again, noise like it is made here.
    pub(super) fn on_trunk_noise(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        codec: Codec,
        outbox: &mut Outbox,
    ) {
        let Some(description) = NoiseDescription::parse(packet.payload) else { return };
        self.noise.describe(&description);
        let number = match &mut self.source {
            Source::Trunk(trunk) if trunk.ssrc == packet.ssrc => {
                trunk.pause.is_some().then(|| trunk.extender.extend(packet.seq))
            }
            _ => None,
        };
        if let (Some(number), Source::Trunk(trunk)) = (number, &mut self.source) {
            // The pause goes on; it has a clock already.
            trunk.newest = trunk.newest.max(number);
            return;
        }
        let Some((mut trunk, lost)) = self.place(now, packet, codec) else { return };
        self.pcm.clear();
        self.transcode(&mut trunk, lost, packet.timestamp, outbox);
        if !trunk.fifo.is_empty() {
            // The last bit of sound, filled up to a frame, reaches into the pause.
            trunk.fifo.resize(self.encoder.rate().frame(), 0);
            self.drain(&mut trunk, outbox);
        }
        if packet.timestamp.since(trunk.fifo_start) > 0 {
            trunk.fifo_start = packet.timestamp;
        }
        trunk.pause = Some(packet.timestamp);
        self.source = Source::Trunk(trunk);
    }

    /// 20 ms of a pause of the trunk, if it is in one.
    pub(super) fn noise_tick(&mut self, outbox: &mut Outbox) {
        let Source::Trunk(trunk) = &mut self.source else { return };
        let Some(since) = trunk.pause else { return };
        if trunk.fifo_start.since(since).unsigned_abs() > LONGEST_PAUSE / 2 * trunk.clock {
            return;
        }
        let timestamp = trunk.out_of(trunk.fifo_start, self.codec);
        trunk.fifo_start = trunk.fifo_start.plus(trunk.clock / 50);
        let mut frame = [0; FRAME];
        self.noise.fill(&mut frame);
        let sending = self.pauses.as_mut().map_or(Sending::Coded, Pauses::noise);
        self.send_narrow(timestamp, &frame, sending, outbox);
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
        let course = self.loss_control.on_report(loss, self.bit_rate);
        let before = self.encoder.opus_settings();
        if before.is_some_and(|s| s.expected_loss_percent != course.expected_loss) {
            // An encoder that refuses keeps what it had.
            let _ = self.encoder.set_expected_loss(course.expected_loss);
        }
        if before.is_some_and(|s| s.bit_rate != course.bit_rate) {
            let _ = self.encoder.set_bit_rate(course.bit_rate);
        }
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
    fn place(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        codec: Codec,
    ) -> Option<(Box<Trunk>, u64)> {
        let clock = codec.clock_rate();
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
                let sensible = passed >= 0
                    && passed.unsigned_abs() < LONGEST_PAUSE * clock
                    && trunk.clock == clock;
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
            clock,
            anchor: packet.timestamp,
            out,
            fifo_start: packet.timestamp,
            fifo: Vec::with_capacity(8 * Rate::Wide.frame()),
            pause: None,
        };
        Some((Box::new(trunk), 0))
    }

    fn transcode(&mut self, trunk: &mut Trunk, lost: u64, start: Timestamp, outbox: &mut Outbox) {
        let rate = self.encoder.rate();
        let held = trunk.fifo.len() as u32 * (trunk.clock / 50) / rate.frame() as u32;
        let gap = start.since(trunk.fifo_start.plus(held));
        if gap != 0 || lost > 0 {
            if !trunk.fifo.is_empty() {
                trunk.fifo.resize(rate.frame(), 0);
                self.drain(trunk, outbox);
            }
            if lost > 0 {
                // What is missing, in our frames: at least one, for something is.
                self.seq += u64::from(gap.max(0).unsigned_abs() / (trunk.clock / 50))
                    .clamp(1, LONGEST_LOSS);
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
        let length = self.encoder.rate().frame();
        let mut done = 0;
        for frame in fifo.chunks_exact(length) {
            let timestamp = trunk.out_of(trunk.fifo_start, self.codec);
            let sending = self.sending(frame);
            self.send_frame(timestamp, frame, sending, outbox);
            trunk.fifo_start = trunk.fifo_start.plus(trunk.clock / 50);
            done += length;
        }
        fifo.drain(..done);
        trunk.fifo = fifo;
    }

    /// A frame of 8 kHz, whatever the encoder has.
    fn send_narrow(
        &mut self,
        timestamp: u32,
        frame: &[i16],
        sending: Sending,
        outbox: &mut Outbox,
    ) {
        match self.encoder.rate() {
            Rate::Narrow => self.send_frame(timestamp, frame, sending, outbox),
            Rate::Wide => {
                let mut wide = std::mem::take(&mut self.wide);
                self.doubler.double(frame, &mut wide);
                self.send_frame(timestamp, &wide, sending, outbox);
                self.wide = wide;
            }
        }
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
            Hearing::Muted => match self.codec {
                Codec::Pcma => self.payload.resize(packet.payload.len(), PCMA_SILENCE),
                Codec::Pcmu => self.payload.resize(packet.payload.len(), PCMU_SILENCE),
                // The head of a packet without frames: nothing was sent (RFC 6716 3.2.1).
                _ => self.payload.extend(packet.payload.first()),
            },
        }
        let units = self.codec.duration(packet.payload).unwrap_or(0);
        self.send_payload(timestamp, units, outbox);
    }

    /// What becomes of a frame of sound.
    fn sending(&mut self, frame: &[i16]) -> Sending {
        self.pauses.as_mut().map_or(Sending::Coded, |pauses| pauses.sending(frame))
    }

    fn send_frame(&mut self, timestamp: u32, frame: &[i16], sending: Sending, outbox: &mut Outbox) {
        match sending {
            Sending::Coded => {}
            Sending::Head => {
                self.payload.clear();
                // Its low two bits say how many frames follow: one, of no length.
                self.payload.push(self.head & 0xFC);
                self.send_payload(timestamp, self.codec.clock_rate() / 50, outbox);
                self.marker = true;
                return;
            }
            Sending::Nothing => {
                self.marker = true;
                return;
            }
        }
        match self.encoder.encode(frame, &mut self.payload) {
            Ok(Encoded::Frame) => {
                let units = frame.len() as u32 / self.encoder.rate().factor() as u32
                    * (self.codec.clock_rate() / codec::SAMPLE_RATE);
                self.send_payload(timestamp, units, outbox);
            }
            // Silence that need not be sent, or nothing at all: the next one is a new spurt.
            Ok(Encoded::Nothing) | Err(_) => self.marker = true,
        }
    }

    fn send_payload(&mut self, timestamp: u32, units: u32, outbox: &mut Outbox) {
        let head = Head {
            payload_type: self.payload_type,
            seq: self.seq,
            timestamp,
            marker: std::mem::take(&mut self.marker),
        };
        outbox.send_browser(head, &self.payload);
        self.head = self.payload.first().copied().unwrap_or(0);
        self.seq += 1;
        self.sent += 1;
        self.end = Some(timestamp.wrapping_add(units));
    }

    fn clock(&self, now: Instant) -> u32 {
        let (at, timestamp) = self.origin;
        let passed: Duration = now.saturating_duration_since(at);
        let units = passed.as_micros() * u128::from(self.codec.clock_rate()) / 1_000_000;
        timestamp.wrapping_add(units as u32)
    }
}
