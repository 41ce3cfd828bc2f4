//! The receiver of telephone events (RFC 4733 2.5.2): packets of the negotiated payload types in,
//! one digit per press out, whatever is lost, repeated, reordered or wrongly stamped.
//!
//! A press is known by its SSRC, clock and timestamp; `press.rs` has the rules. The payload type is
//! not part of it: a re-INVITE may change the number in the middle of a press.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::EventBlock;
use super::press::{Arrival, Clock, Press, Relation, Sender};
use crate::base::Digit;
use crate::dtmf::{DigitEvent, DigitId, EndReason, Output, Phase};
use crate::rtp::Packet;

/// The telephone events of one leg, of all its negotiated types.
#[derive(Debug)]
pub struct Rfc4733Decoder {
    /// Payload type and clock rate in Hz.
    types: Vec<(u8, u32)>,
    streams: Vec<Stream>,
    /// What durations that grow six times too fast mean.
    too_fast: Clock,
    sender: Sender,
    next_id: u64,
    outputs: VecDeque<DigitEvent>,
    counters: DecoderCounters,
}

/// A packet of telephone events as it came.
#[derive(Debug, Clone, Copy)]
pub struct ReceivedEvent<'a> {
    /// RTP payload type.
    pub payload_type: u8,
    /// RTP SSRC.
    pub ssrc: u32,
    /// RTP sequence number.
    pub seq: u16,
    /// RTP timestamp.
    pub timestamp: u32,
    /// RTP marker.
    pub marker: bool,
    /// RTP payload: blocks of four bytes.
    pub payload: &'a [u8],
}

impl<'a> From<&Packet<'a>> for ReceivedEvent<'a> {
    fn from(packet: &Packet<'a>) -> ReceivedEvent<'a> {
        ReceivedEvent {
            payload_type: packet.payload_type.get(),
            ssrc: packet.ssrc.0,
            seq: packet.seq.0,
            timestamp: packet.timestamp.0,
            marker: packet.marker,
            payload: packet.payload,
        }
    }
}

/// What a decoder takes.
#[derive(Debug, Clone, Copy)]
pub enum DecoderInput<'a> {
    /// A packet arrived.
    Packet(ReceivedEvent<'a>),
    /// A packet of sound arrived beside the events.
    Sound {
        /// RTP SSRC.
        ssrc: u32,
        /// RTP sequence number.
        seq: u16,
    },
    /// The time of the last `Output::Timeout` has come.
    Timeout,
}

/// What was seen and not turned into digits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DecoderCounters {
    /// Packets taken.
    pub packets: u64,
    /// Packets refused: not negotiated, or no whole blocks.
    pub refused: u64,
    /// Packets older than one that was taken already, or the same once more.
    pub late: u64,
    /// Blocks of events that are no keys, such as a hook flash (16).
    pub other_events: u64,
}

/// Why a packet is no telephone event; the peer's fault, nothing changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The payload type is not a negotiated event type.
    #[error("payload type {0} is not negotiated for telephone events")]
    NotNegotiated(u8),
    /// The payload is empty or not a whole number of blocks.
    #[error("a telephone event of {0} bytes")]
    Length(usize),
}

impl Rfc4733Decoder {
    /// A decoder that takes `types`: pairs of payload type and clock rate in Hz.
    pub fn new(types: &[(u8, u32)]) -> Rfc4733Decoder {
        let mut decoder = Rfc4733Decoder {
            types: Vec::new(),
            streams: Vec::with_capacity(MAX_STREAMS),
            too_fast: Clock::Fast,
            sender: Sender::Any,
            next_id: 0,
            outputs: VecDeque::with_capacity(MAX_OUTPUTS),
            counters: DecoderCounters::default(),
        };
        decoder.set_types(types);
        decoder
    }

    /// A decoder for a browser's leg. With Opus and an 8 kHz type (all that Firefox offers) a browser
    /// sends a press of 1440 ms in 240 ms: there the duration is right, and the wall clock is not.
    ///
    /// A browser sends sound or an event in every interval, never both. So a press goes on through a
    /// silence of the whole leg, up to a second (the page's machine or its network stalls and then
    /// sends what it owes), and is over soon after sound is back though no end came.
    pub fn of_browser(types: &[(u8, u32)]) -> Rfc4733Decoder {
        Rfc4733Decoder {
            too_fast: Clock::Ahead,
            sender: Sender::Browser,
            ..Rfc4733Decoder::new(types)
        }
    }

    /// What a new offer and answer allow. Presses that are down go on.
    pub fn set_types(&mut self, types: &[(u8, u32)]) {
        self.types = types.iter().copied().filter(|(_, clock_rate)| *clock_rate > 0).collect();
    }

    /// Whether packets of this payload type are for this decoder.
    pub fn takes(&self, payload_type: u8) -> bool {
        self.clock_rate(payload_type).is_some()
    }

    /// What was not turned into digits.
    pub fn counters(&self) -> DecoderCounters {
        self.counters
    }

    /// Takes a packet, or the time.
    ///
    /// # Errors
    /// [`DecodeError`] for a packet that is no telephone event; it is counted and changes nothing.
    pub fn handle_input(
        &mut self,
        now: Instant,
        input: DecoderInput<'_>,
    ) -> Result<(), DecodeError> {
        self.expire(now);
        let packet = match input {
            DecoderInput::Packet(packet) => packet,
            DecoderInput::Sound { ssrc, seq } => {
                self.sound(now, ssrc, seq);
                return Ok(());
            }
            DecoderInput::Timeout => return Ok(()),
        };
        let checked = self.check(&packet);
        let clock_rate = checked.inspect_err(|_| self.counters.refused += 1)?;
        self.counters.packets += 1;
        let index = self.stream(packet.ssrc, clock_rate, packet.seq);
        let stream = &mut self.streams[index];
        if stream.is_late(packet.seq) && !stream.starts_over(now, &packet) {
            self.counters.late += 1;
            return Ok(());
        }
        stream.last_seq = packet.seq;
        stream.last_seen = Some(now);
        let mut timestamp = packet.timestamp;
        for bytes in packet.payload.chunks_exact(4).take(MAX_BLOCKS) {
            let block = EventBlock::from_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
            let arrival = Arrival { now, seq: packet.seq, timestamp, marker: packet.marker, block };
            match Digit::from_event(block.event) {
                Some(digit) => self.block(index, digit, &arrival),
                None => self.counters.other_events += 1,
            }
            // RFC 4733 2.3.1: in one packet each event begins where the one before it ends.
            timestamp = timestamp.wrapping_add(u32::from(block.duration));
        }
        Ok(())
    }

    /// Steps of presses, then the time by which to call again.
    pub fn poll_output(&mut self) -> Output {
        if let Some(event) = self.outputs.pop_front() {
            return Output::Digit(event);
        }
        let down = self.streams.iter().filter_map(Stream::down);
        Output::Timeout(down.map(|press| press.expires_at(self.sender)).min())
    }

    /// Sound that is newer than the newest event: the press that is down is over, by its sender.
    fn sound(&mut self, now: Instant, ssrc: u32, seq: u16) {
        for stream in self.streams.iter_mut().filter(|stream| stream.ssrc == ssrc) {
            let ahead = seq.wrapping_sub(stream.last_seq);
            if ahead != 0
                && ahead < u16::MAX / 2
                && let Some(press) = stream.presses.back_mut().filter(|press| press.is_down())
            {
                press.sound_is_back(now);
            }
        }
    }

    fn check(&self, packet: &ReceivedEvent<'_>) -> Result<u32, DecodeError> {
        let clock_rate = self
            .clock_rate(packet.payload_type)
            .ok_or(DecodeError::NotNegotiated(packet.payload_type))?;
        let length = packet.payload.len();
        if length == 0 || !length.is_multiple_of(4) {
            return Err(DecodeError::Length(length));
        }
        Ok(clock_rate)
    }

    fn clock_rate(&self, payload_type: u8) -> Option<u32> {
        self.types.iter().find(|(pt, _)| *pt == payload_type).map(|(_, clock_rate)| *clock_rate)
    }

    fn stream(&mut self, ssrc: u32, clock_rate: u32, seq: u16) -> usize {
        let known = self.streams.iter().position(|s| s.ssrc == ssrc && s.clock_rate == clock_rate);
        if let Some(index) = known {
            return index;
        }
        if self.streams.len() == MAX_STREAMS {
            // The one heard longest ago makes room; what was down in it is over.
            let oldest = (0..self.streams.len()).min_by_key(|i| self.streams[*i].last_seen);
            let mut stream = self.streams.remove(oldest.unwrap_or(0));
            if let Some(now) = stream.last_seen {
                self.end_down(&mut stream, now, EndReason::TimedOut);
            }
        }
        self.streams.push(Stream {
            ssrc,
            clock_rate,
            clock: Clock::Right,
            last_seq: seq.wrapping_sub(1),
            last_seen: None,
            presses: VecDeque::with_capacity(MAX_PRESSES),
        });
        self.streams.len() - 1
    }

    fn block(&mut self, index: usize, digit: Digit, arrival: &Arrival) {
        let stream = &mut self.streams[index];
        let relation = stream.presses.back().map_or(Relation::Other, |p| p.relation(arrival));
        if relation == Relation::Other && stream.presses.iter().any(|p| p.is_end_copy(arrival)) {
            return;
        }
        match (relation, stream.presses.back_mut()) {
            (Relation::Same | Relation::Segment, Some(press)) => {
                press.carry_on(arrival, relation);
                stream.clock = press.clock();
                let phase = if arrival.block.end {
                    press.release(arrival.now, EndReason::Released);
                    Phase::End(EndReason::Released)
                } else {
                    Phase::Update
                };
                let event = press.event(phase);
                self.emit(event);
            }
            (Relation::Copy, Some(press)) => press.absorb(arrival),
            _ => self.begin(index, digit, arrival),
        }
    }

    fn begin(&mut self, index: usize, digit: Digit, arrival: &Arrival) {
        let id = DigitId(self.next_id);
        self.next_id += 1;
        let stream = &mut self.streams[index];
        let mut ended = None;
        if let Some(down) = stream.presses.back_mut().filter(|p| p.is_down()) {
            down.release(arrival.now, EndReason::NextDigit);
            ended = Some(down.event(Phase::End(EndReason::NextDigit)));
        }
        let clocks = (stream.clock, self.too_fast);
        let mut press = Press::new(id, digit, stream.clock_rate, clocks, arrival);
        let start = press.event(Phase::Start);
        let whole = arrival.block.end.then(|| {
            press.release(arrival.now, EndReason::Released);
            press.event(Phase::End(EndReason::Released))
        });
        if stream.presses.len() == MAX_PRESSES {
            stream.presses.pop_front();
        }
        stream.presses.push_back(press);
        for event in ended.into_iter().chain([start]).chain(whole) {
            self.emit(event);
        }
    }

    fn expire(&mut self, now: Instant) {
        for index in 0..self.streams.len() {
            let due = self.streams[index].down().is_some_and(|p| p.expires_at(self.sender) <= now);
            if due && let Some(press) = self.streams[index].presses.back_mut() {
                press.release(now, EndReason::TimedOut);
                let event = press.event(Phase::End(EndReason::TimedOut));
                self.emit(event);
            }
        }
    }

    fn end_down(&mut self, stream: &mut Stream, now: Instant, reason: EndReason) {
        if let Some(press) = stream.presses.back_mut().filter(|p| p.is_down()) {
            press.release(now, reason);
            let event = press.event(Phase::End(reason));
            self.emit(event);
        }
    }

    fn emit(&mut self, event: DigitEvent) {
        // The owner drains after every input; what is beyond the bound is lost rather than memory.
        if self.outputs.len() < MAX_OUTPUTS {
            self.outputs.push_back(event);
        }
    }
}

/// What came from one SSRC on one clock.
#[derive(Debug)]
struct Stream {
    ssrc: u32,
    clock_rate: u32,
    /// How this sender counts, learnt from its presses.
    clock: Clock,
    last_seq: u16,
    last_seen: Option<Instant>,
    /// The last presses; only the newest can be down.
    presses: VecDeque<Press>,
}

impl Stream {
    fn down(&self) -> Option<&Press> {
        self.presses.back().filter(|p| p.is_down())
    }

    /// The packet is the last one again or was overtaken by it (RFC 3550 A.1, `MAX_MISORDER`).
    fn is_late(&self, seq: u16) -> bool {
        self.last_seq.wrapping_sub(seq) <= MAX_MISORDER
    }

    /// A player of captures goes back in its numbers between two keys: a first packet after a
    /// silence in which nothing can still have been on its way.
    fn starts_over(&self, now: Instant, packet: &ReceivedEvent<'_>) -> bool {
        let silent = self.last_seen.map(|seen| now.saturating_duration_since(seen));
        let ends = packet.payload.get(1).is_some_and(|flags| flags & 0x80 != 0);
        packet.marker && !ends && silent.is_some_and(|silent| silent >= STARTS_OVER_AFTER)
    }
}

/// A leg has one sender, for a moment two (a fork, a transfer).
const MAX_STREAMS: usize = 4;
/// Presses remembered to know their copies.
const MAX_PRESSES: usize = 8;
/// Blocks taken from one packet: a peer that repeats its last events sends two or three.
const MAX_BLOCKS: usize = 16;
/// Three steps for each block of a packet, and some.
const MAX_OUTPUTS: usize = 64;
/// No path overtakes by this much.
const STARTS_OVER_AFTER: Duration = Duration::from_millis(200);
/// RFC 3550 A.1.
const MAX_MISORDER: u16 = 100;
