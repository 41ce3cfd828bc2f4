//! The RTP of one call of a telephone: sound and keys out every 20 ms, sound and digits in. Pure.

use std::time::{Duration, Instant};

use rand::rngs::ChaCha12Rng;
use rand::{Rng, SeedableRng};

use super::playout::Playout;
use crate::base::{Digit, DtmfMode};
use crate::codec::{Codec, CodecError, Decoder, Encoder, FRAME};
use crate::dtmf::{
    Arbiter, DecoderInput, EncoderConfig, EncoderInput, EncoderOutput, InbandEncoder, Mode, Output,
    Phase, ReceivedEvent, Rfc4733Decoder, Rfc4733Encoder, ToneItem,
};
use crate::ivr::Network;
use crate::rtp::{Packet, PayloadType, Seq, Ssrc, Timestamp};
use crate::sdp::{AudioCodec, Negotiated};

/// One call's sound.
#[derive(Debug)]
pub(super) struct Stream {
    send: u8,
    receive: u8,
    encoder: Encoder,
    decoder: Decoder,
    mode: DtmfMode,
    events: Option<Rfc4733Encoder>,
    tones: InbandEncoder,
    listener: Rfc4733Decoder,
    arbiter: Arbiter,
    ssrc: Ssrc,
    seq: Seq,
    timestamp: Timestamp,
    marker: bool,
    playout: Playout,
    decoded: Vec<i16>,
    payload: Vec<u8>,
    network: Network,
    random: ChaCha12Rng,
    /// Packets that the network holds back.
    held: Vec<(Instant, Vec<u8>)>,
    /// Packets that were no sound and no digit, and of which payload type the last was.
    foreign: u64,
    foreign_type: u8,
    /// Bytes of the longest packet of sound: of G.711, eighths of a millisecond.
    longest: usize,
    /// Packets of sound, and since when.
    received: u64,
    since: Option<Instant>,
}

impl Stream {
    /// A stream as agreed on.
    ///
    /// # Errors
    /// Not a codec of this telephone.
    pub fn new(
        agreed: &Negotiated,
        mode: DtmfMode,
        network: Network,
        seed: u64,
    ) -> Result<Stream, CodecError> {
        let codec = match agreed.codec.codec {
            AudioCodec::Pcmu => Codec::Pcmu,
            AudioCodec::Pcma => Codec::Pcma,
            _ => return Err(CodecError::Setup),
        };
        let mut random = ChaCha12Rng::seed_from_u64(seed);
        let events = agreed.telephone_event.filter(|event| event.clock_rate == 8000);
        let types: Vec<(u8, u32)> = events.iter().map(|e| (e.receive, e.clock_rate)).collect();
        let shortest = Duration::from_millis(40);
        Ok(Stream {
            send: agreed.codec.send,
            receive: agreed.codec.receive,
            encoder: Encoder::new(codec)?,
            decoder: Decoder::new(codec)?,
            mode,
            events: events.map(|e| Rfc4733Encoder::new(EncoderConfig::new(e.send, e.clock_rate))),
            tones: InbandEncoder::new(shortest, shortest),
            listener: Rfc4733Decoder::new(&types),
            arbiter: Arbiter::new(),
            ssrc: Ssrc(random.next_u32()),
            seq: Seq(random.next_u32() as u16),
            timestamp: Timestamp(random.next_u32()),
            marker: true,
            playout: Playout::default(),
            decoded: Vec::new(),
            payload: Vec::new(),
            network,
            random,
            held: Vec::new(),
            foreign: 0,
            foreign_type: 0,
            longest: 0,
            received: 0,
            since: None,
        })
    }

    /// Presses keys in the call's mode; `false` where the far side takes no telephone events.
    pub fn press(&mut self, now: Instant, items: &[ToneItem]) -> bool {
        let input = EncoderInput::Send { source: Mode::Client, items };
        match (self.mode, &mut self.events) {
            (DtmfMode::Inband, _) => self.tones.handle_input(now, input).is_ok(),
            (_, Some(events)) => events.handle_input(now, input).is_ok(),
            (_, None) => false,
        }
    }

    /// Takes a datagram, through the network's faults.
    pub fn receive(&mut self, now: Instant, datagram: &[u8]) {
        let share = |random: &mut ChaCha12Rng| f64::from(random.next_u32()) / 4_294_967_296.0;
        if self.network.loss > 0.0 && share(&mut self.random) < self.network.loss {
            return;
        }
        if self.network.jitter.is_zero() {
            return self.take(now, datagram);
        }
        let late = self.network.jitter.mul_f64(share(&mut self.random));
        self.held.push((now + late, datagram.to_vec()));
    }

    /// The 20 ms that are over: what was heard.
    pub fn heard(&mut self, now: Instant) -> [i16; FRAME] {
        let held = std::mem::take(&mut self.held);
        for (at, datagram) in held {
            if at <= now {
                self.take(now, &datagram);
            } else {
                self.held.push((at, datagram));
            }
        }
        let _ = self.listener.handle_input(now, DecoderInput::Timeout);
        self.playout.take()
    }

    /// The next 20 ms toward the far side; `pcm` becomes what really went as sound.
    pub fn send(&mut self, now: Instant, pcm: &mut [i16; FRAME], out: &mut Vec<Vec<u8>>) {
        self.timestamp = self.timestamp.plus(FRAME as u32);
        if self.mode == DtmfMode::Inband {
            self.tones.fill(now, pcm);
        }
        let mut on = false;
        let mut packets = Vec::new();
        if let Some(events) = &mut self.events {
            let tick = EncoderInput::Tick { timestamp: self.timestamp.0 };
            let _ = events.handle_input(now, tick);
            loop {
                match events.poll_output() {
                    EncoderOutput::Packet(packet) => packets.push(packet),
                    EncoderOutput::Sent(_) => {}
                    EncoderOutput::Timeout => break,
                }
            }
            on = events.is_on();
        }
        for packet in packets {
            let at = Timestamp(packet.timestamp);
            self.write(packet.payload_type, packet.marker, at, &packet.payload, out);
            self.marker = true;
        }
        if on {
            return;
        }
        let mut payload = std::mem::take(&mut self.payload);
        if self.encoder.encode(pcm.as_slice(), &mut payload).is_ok() {
            let marker = std::mem::take(&mut self.marker);
            self.write(self.send, marker, self.timestamp, &payload, out);
        }
        self.payload = payload;
    }

    /// The digits that the far side pressed since the last call of this.
    pub fn digits(&mut self, now: Instant) -> Vec<Digit> {
        while let Output::Digit(event) = self.listener.poll_output() {
            self.arbiter.handle_input(now, event);
        }
        let mut all = Vec::new();
        while let Output::Digit(event) = self.arbiter.poll_output() {
            if event.phase == Phase::Start {
                all.push(event.digit);
            }
        }
        all
    }

    /// What is odd about what came, for a step that fails.
    pub fn oddity(&self, now: Instant) -> Option<String> {
        if self.longest > USUAL_BYTES {
            let ms = self.longest / 8;
            return Some(format!("sound came in packets of up to {ms} ms, 20 ms are usual"));
        }
        if self.received == 0 && self.foreign > 0 {
            return Some(format!(
                "{} packets came, none of them in the codec agreed on, but of payload type {}",
                self.foreign, self.foreign_type
            ));
        }
        let seconds = now.saturating_duration_since(self.since?).as_secs_f64();
        let rate = self.received as f64 / seconds.max(1.0);
        (rate > USUAL_RATE)
            .then(|| format!("sound came at {rate:.0} packets a second, 50 are usual"))
    }

    fn take(&mut self, now: Instant, datagram: &[u8]) {
        let Ok(packet) = Packet::parse(datagram) else {
            self.foreign += 1;
            return;
        };
        let payload_type = packet.payload_type.get();
        if payload_type == self.receive {
            self.longest = self.longest.max(packet.payload.len());
        }
        if self.listener.takes(payload_type) {
            let event = ReceivedEvent::from(&packet);
            // A malformed event is the far side's fault and changes nothing.
            let _ = self.listener.handle_input(now, DecoderInput::Packet(event));
        } else if payload_type == self.receive
            && self.decoder.decode(packet.payload, &mut self.decoded).is_ok()
        {
            self.received += 1;
            self.since.get_or_insert(now);
            self.playout.put(packet.timestamp.0, &self.decoded);
        } else {
            self.foreign += 1;
            self.foreign_type = payload_type;
        }
    }

    fn write(
        &mut self,
        payload_type: u8,
        marker: bool,
        timestamp: Timestamp,
        payload: &[u8],
        out: &mut Vec<Vec<u8>>,
    ) {
        let packet = Packet {
            marker,
            payload_type: PayloadType::from_low_bits(payload_type),
            seq: self.seq,
            timestamp,
            ssrc: self.ssrc,
            payload,
        };
        self.seq = self.seq.next();
        let mut datagram = Vec::with_capacity(12 + payload.len());
        packet.write(&mut datagram);
        out.push(datagram);
    }
}

/// 100 ms of G.711.
const USUAL_BYTES: usize = 800;
/// Packets a second: twice those of 10 ms each.
const USUAL_RATE: f64 = 200.0;
