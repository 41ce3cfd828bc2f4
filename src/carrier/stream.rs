//! The RTP of one call of the carrier: one outgoing stream with its numbers, one incoming. Datagrams
//! and ticks in, datagrams and presses out. Pure.
//!
//! There is no playout buffer: an echo sends packets back as they come, and no line listens to speech.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::base::Digit;
use crate::codec::{Codec, CodecError, Decoder, Encoder, FRAME};
use crate::dtmf::{
    Arbiter, DecoderInput, DigitEvent, EncoderConfig, EncoderInput, EncoderOutput, InbandDetector,
    Mode, Output, Phase, ReceivedEvent, Rfc4733Decoder, Rfc4733Encoder, ToneItem,
};
use crate::rtp::{Packet, PayloadType, Seq, Ssrc, Timestamp};

/// What offer and answer made of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Agreed {
    pub codec: Codec,
    /// Payload types of the audio.
    pub send: u8,
    pub receive: u8,
    /// Payload types of telephone events at 8 kHz.
    pub events: Option<EventTypes>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EventTypes {
    pub send: u8,
    pub receive: u8,
}

/// The random beginnings of a stream (RFC 3550 section 5.1).
#[derive(Debug, Clone, Copy)]
pub(super) struct Beginnings {
    pub ssrc: u32,
    pub seq: u16,
    pub timestamp: u32,
}

/// What a stream hands out.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum StreamOutput {
    /// Send this datagram.
    Transmit(Vec<u8>),
    /// A step of a press of the caller, all modes merged.
    Digit(DigitEvent),
}

/// Whether the caller's packets and digits go back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Returns {
    Echoed,
    Kept,
}

/// When tones in the caller's sound are digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ears {
    /// Where no events were agreed on.
    WithoutEvents,
    Always,
}

#[derive(Debug)]
pub(super) struct Stream {
    agreed: Agreed,
    ears: Ears,
    encoder: Encoder,
    decoder: Rfc4733Decoder,
    arbiter: Arbiter,
    events: Rfc4733Encoder,
    /// Digits may be tones.
    tones: Option<(Decoder, InbandDetector)>,
    pcm: Vec<i16>,
    ssrc: Ssrc,
    seq: Seq,
    /// Timestamp of the interval that began with the last tick.
    timestamp: Timestamp,
    /// The next packet starts a talk spurt.
    spurt: bool,
    echo: Echo,
    received: u64,
    payload: Vec<u8>,
    outputs: VecDeque<StreamOutput>,
}

/// How the caller's timestamps become ours.
#[derive(Debug, Clone, Copy)]
enum Echo {
    Unanchored,
    Anchored { ssrc: Ssrc, offset: u32 },
}

impl Stream {
    /// # Errors
    /// [`CodecError`] when the codec cannot be set up.
    pub fn new(agreed: Agreed, beginnings: Beginnings, ears: Ears) -> Result<Stream, CodecError> {
        let types = event_types(&agreed);
        Ok(Stream {
            agreed,
            ears,
            encoder: Encoder::new(agreed.codec)?,
            decoder: Rfc4733Decoder::new(&types),
            arbiter: Arbiter::new(),
            events: Rfc4733Encoder::new(EncoderConfig::new(
                agreed.events.map_or(DEFAULT_EVENT_TYPE, |e| e.send),
                CLOCK_RATE,
            )),
            tones: tones(&agreed, ears)?,
            pcm: Vec::with_capacity(FRAME),
            ssrc: Ssrc(beginnings.ssrc),
            seq: Seq(beginnings.seq),
            timestamp: Timestamp(beginnings.timestamp),
            spurt: true,
            echo: Echo::Unanchored,
            received: 0,
            payload: Vec::with_capacity(FRAME),
            outputs: VecDeque::new(),
        })
    }

    /// A re-INVITE agreed on something else. Numbers of the stream go on.
    ///
    /// # Errors
    /// [`CodecError`] when the codec cannot be set up; the old agreement stays.
    pub fn agree(&mut self, now: Instant, agreed: Agreed) -> Result<(), CodecError> {
        if agreed.codec != self.agreed.codec {
            self.encoder = Encoder::new(agreed.codec)?;
        }
        self.tones = tones(&agreed, self.ears)?;
        self.decoder.set_types(&event_types(&agreed));
        if let Some(events) = agreed.events {
            // Only a full queue refuses, and this queues nothing.
            let _ = self.events.handle_input(now, EncoderInput::PayloadType(events.send));
        }
        self.agreed = agreed;
        Ok(())
    }

    /// Audio packets received so far.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Digits are on the line or waiting: no sound goes out.
    pub fn is_sending_digits(&self) -> bool {
        !self.events.is_idle()
    }

    /// Queues digits of 100 ms with 80 ms gaps; dropped where events were not agreed on.
    pub fn send_digits(&mut self, now: Instant, digits: &[Digit]) {
        if self.agreed.events.is_none() {
            return;
        }
        let items: Vec<ToneItem> = digits
            .iter()
            .map(|digit| ToneItem::Digit { digit: *digit, duration: TONE, gap: GAP })
            .collect();
        let input = EncoderInput::Send { source: Mode::Client, items: &items };
        if self.events.handle_input(now, input).is_err() {
            tracing::debug!("too many digits are waiting; these were dropped");
        }
    }

    /// A press that came outside of RTP (SIP INFO).
    pub fn press(&mut self, now: Instant, event: DigitEvent, returns: Returns) {
        self.arbiter.handle_input(now, event);
        self.take_presses(now, returns);
    }

    /// A datagram came in. What is no RTP of this stream is ignored.
    pub fn receive(&mut self, now: Instant, datagram: &[u8], returns: Returns) {
        let Ok(packet) = Packet::parse(datagram) else { return };
        let payload_type = packet.payload_type.get();
        if self.decoder.takes(payload_type) {
            let received = ReceivedEvent::from(&packet);
            // A malformed event is the caller's fault and changes nothing.
            let _ = self.decoder.handle_input(now, DecoderInput::Packet(received));
            return self.take_presses(now, returns);
        }
        if payload_type != self.agreed.receive || packet.payload.is_empty() {
            return;
        }
        self.received += 1;
        if let Some((decoder, detector)) = &mut self.tones
            && decoder.decode(packet.payload, &mut self.pcm).is_ok()
        {
            detector.handle_input(now, &self.pcm);
            while let Output::Digit(event) = detector.poll_output() {
                self.arbiter.handle_input(now, event);
            }
            self.take_presses(now, returns);
        }
        if returns == Returns::Echoed && !self.events.is_on() {
            let timestamp = self.echo_timestamp(&packet);
            let marker = packet.marker || std::mem::take(&mut self.spurt);
            self.transmit(self.agreed.send, marker, timestamp, packet.payload);
        }
    }

    /// 20 ms are over: `pcm` is what was to be heard in them, `None` when nothing was.
    pub fn tick(&mut self, now: Instant, pcm: Option<&[i16; FRAME]>, returns: Returns) {
        self.timestamp = self.timestamp.plus(FRAME as u32);
        let timestamp = self.timestamp;
        // Ends of presses whose end packets were lost.
        let _ = self.decoder.handle_input(now, DecoderInput::Timeout);
        self.take_presses(now, returns);
        let _ = self.events.handle_input(now, EncoderInput::Tick { timestamp: timestamp.0 });
        while let EncoderOutput::Packet(p) = self.next_event() {
            self.spurt = true;
            self.transmit(p.payload_type, p.marker, Timestamp(p.timestamp), &p.payload);
        }
        let Some(pcm) = pcm.filter(|_| !self.events.is_on()) else { return };
        let mut payload = std::mem::take(&mut self.payload);
        if self.encoder.encode(pcm, &mut payload).is_ok() {
            let marker = std::mem::take(&mut self.spurt);
            self.transmit(self.agreed.send, marker, timestamp, &payload);
        }
        self.payload = payload;
    }

    /// The next thing to do, `None` when there is nothing.
    pub fn poll_output(&mut self) -> Option<StreamOutput> {
        self.outputs.pop_front()
    }

    /// The next packet of the digits that are sent; receipts are of no use here.
    fn next_event(&mut self) -> EncoderOutput {
        loop {
            match self.events.poll_output() {
                EncoderOutput::Sent(_) => {}
                output => return output,
            }
        }
    }

    fn take_presses(&mut self, now: Instant, returns: Returns) {
        while let Output::Digit(event) = self.decoder.poll_output() {
            self.arbiter.handle_input(now, event);
        }
        while let Output::Digit(event) = self.arbiter.poll_output() {
            // The end of a press that began before the line turned into an echo finds no start.
            // A tone goes back as the sound that it is.
            let echoed = returns == Returns::Echoed && event.mode == Mode::Rfc4733;
            let known = echoed && self.agreed.events.is_some();
            if known && self.events.handle_input(now, EncoderInput::Digit(event)).is_err() {
                tracing::debug!("too many digits are waiting; one was not echoed");
            }
            if self.outputs.len() < MAX_OUTPUTS || event.phase != Phase::Update {
                self.outputs.push_back(StreamOutput::Digit(event));
            }
        }
    }

    /// Ours for theirs: the distances between their packets are kept.
    fn echo_timestamp(&mut self, packet: &Packet<'_>) -> Timestamp {
        if let Echo::Anchored { ssrc, offset } = self.echo
            && ssrc == packet.ssrc
        {
            let timestamp = packet.timestamp.plus(offset);
            // A jump of more than a second is a new beginning of the caller's clock.
            if timestamp.since(self.timestamp).unsigned_abs() <= CLOCK_RATE {
                return timestamp;
            }
        }
        let offset = self.timestamp.0.wrapping_sub(packet.timestamp.0);
        self.echo = Echo::Anchored { ssrc: packet.ssrc, offset };
        self.timestamp
    }

    fn transmit(&mut self, payload_type: u8, marker: bool, timestamp: Timestamp, payload: &[u8]) {
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
        self.outputs.push_back(StreamOutput::Transmit(datagram));
    }
}

fn tones(agreed: &Agreed, ears: Ears) -> Result<Option<(Decoder, InbandDetector)>, CodecError> {
    match (agreed.events, ears) {
        (Some(_), Ears::WithoutEvents) => Ok(None),
        _ => Ok(Some((Decoder::new(agreed.codec)?, InbandDetector::new()))),
    }
}

fn event_types(agreed: &Agreed) -> Vec<(u8, u32)> {
    agreed.events.iter().map(|events| (events.receive, CLOCK_RATE)).collect()
}

/// G.711 and its telephone events (RFC 3551, RFC 4733 2.1).
const CLOCK_RATE: u32 = 8000;
/// Never on the wire: without agreed events nothing is queued.
const DEFAULT_EVENT_TYPE: u8 = 101;
const TONE: Duration = Duration::from_millis(100);
const GAP: Duration = Duration::from_millis(80);
/// Drained after every input; updates of presses are the first to go.
const MAX_OUTPUTS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::epoch;
    use crate::codec::{Decoder, level_dbm0};

    const AGREED: Agreed = Agreed {
        codec: Codec::Pcmu,
        send: 0,
        receive: 0,
        events: Some(EventTypes { send: 101, receive: 96 }),
    };

    fn stream() -> Stream {
        Stream::new(
            AGREED,
            Beginnings { ssrc: 7, seq: 65_534, timestamp: u32::MAX - 10 },
            Ears::WithoutEvents,
        )
        .unwrap()
    }

    fn at(ms: u64) -> Instant {
        epoch() + Duration::from_millis(ms)
    }

    fn sent(stream: &mut Stream) -> Vec<(u8, u16, u32, bool, Vec<u8>)> {
        let mut sent = Vec::new();
        while let Some(output) = stream.poll_output() {
            if let StreamOutput::Transmit(datagram) = output {
                let p = Packet::parse(&datagram).unwrap();
                sent.push((
                    p.payload_type.get(),
                    p.seq.0,
                    p.timestamp.0,
                    p.marker,
                    p.payload.to_vec(),
                ));
            }
        }
        sent
    }

    fn audio(seq: u16, timestamp: u32, payload: &[u8]) -> Vec<u8> {
        let packet = Packet {
            marker: false,
            payload_type: PayloadType::PCMU,
            seq: Seq(seq),
            timestamp: Timestamp(timestamp),
            ssrc: Ssrc(99),
            payload,
        };
        let mut datagram = Vec::new();
        packet.write(&mut datagram);
        datagram
    }

    #[test]
    fn frames_are_numbered_and_the_first_is_marked() {
        let mut stream = stream();
        for i in 1..=3 {
            stream.tick(at(i * 20), Some(&[1000; FRAME]), Returns::Kept);
        }
        let sent = sent(&mut stream);
        let numbers: Vec<_> = sent.iter().map(|p| (p.0, p.1, p.2, p.3)).collect();
        assert_eq!(numbers, [(0, 65_534, 149, true), (0, 65_535, 309, false), (0, 0, 469, false)]);
        let mut pcm = Vec::new();
        Decoder::new(Codec::Pcmu).unwrap().decode(&sent[0].4, &mut pcm).unwrap();
        assert!((level_dbm0(&pcm) - level_dbm0(&[1000; FRAME])).abs() < 0.3);
    }

    #[test]
    fn an_echo_keeps_payloads_and_distances() {
        let mut stream = stream();
        stream.tick(at(20), None, Returns::Echoed);
        for (seq, timestamp) in [(5, 50_000), (6, 50_160), (9, 50_640)] {
            stream.receive(at(25), &audio(seq, timestamp, &[seq as u8; 160]), Returns::Echoed);
        }
        stream.receive(at(25), b"no RTP", Returns::Echoed);
        let sent = sent(&mut stream);
        let numbers: Vec<_> = sent.iter().map(|p| (p.1, p.2, p.4[0])).collect();
        assert_eq!(numbers, [(65_534, 149, 5), (65_535, 309, 6), (0, 789, 9)]);
        assert_eq!(stream.received(), 3);
    }

    #[test]
    fn digits_come_back_from_an_echo_and_are_reported() {
        let mut caller = Stream::new(
            Agreed { events: Some(EventTypes { send: 96, receive: 101 }), ..AGREED },
            Beginnings { ssrc: 1, seq: 1, timestamp: 1 },
            Ears::WithoutEvents,
        )
        .unwrap();
        let mut echo = stream();
        caller.send_digits(at(0), &[Digit::ALL[5], Digit::ALL[11]]);
        assert!(caller.is_sending_digits());
        let mut back = Vec::new();
        for ms in (20..1000).step_by(20) {
            caller.tick(at(ms), None, Returns::Kept);
            while let Some(output) = caller.poll_output() {
                match output {
                    StreamOutput::Transmit(p) => echo.receive(at(ms), &p, Returns::Echoed),
                    StreamOutput::Digit(event) => back.push(event),
                }
            }
            echo.tick(at(ms), None, Returns::Echoed);
            while let Some(output) = echo.poll_output() {
                if let StreamOutput::Transmit(p) = output {
                    caller.receive(at(ms), &p, Returns::Kept);
                }
            }
        }
        let ends = back.iter().filter(|e| matches!(e.phase, Phase::End(_)));
        let digits: Vec<_> = ends.map(|e| (e.digit.as_char(), e.duration.as_millis())).collect();
        assert_eq!(digits, [('5', 100), ('#', 100)]);
        assert!(!caller.is_sending_digits());
    }

    #[test]
    fn no_sound_goes_out_while_a_digit_is_on() {
        let mut stream = stream();
        stream.send_digits(at(0), &[Digit::ALL[1]]);
        for i in 1..=10 {
            stream.tick(at(i * 20), Some(&[0; FRAME]), Returns::Kept);
        }
        let types: Vec<u8> = sent(&mut stream).iter().map(|p| p.0).collect();
        // Five packets of the tone; its two end copies go beside sound, in the gap.
        assert_eq!(types, [101, 101, 101, 101, 101, 101, 0, 101, 0, 0, 0, 0]);
    }

    #[test]
    fn a_re_invite_may_change_codec_and_payload_types() {
        let mut stream = stream();
        let events = Some(EventTypes { send: 97, receive: 97 });
        let agreed = Agreed { codec: Codec::Pcma, send: 8, receive: 8, events };
        stream.agree(at(0), agreed).unwrap();
        stream.tick(at(20), Some(&[0; FRAME]), Returns::Kept);
        stream.send_digits(at(20), &[Digit::ALL[1]]);
        stream.tick(at(40), None, Returns::Kept);
        let types: Vec<u8> = sent(&mut stream).iter().map(|p| p.0).collect();
        assert_eq!(types, [8, 97]);
    }
}
