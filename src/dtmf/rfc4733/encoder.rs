//! The sender of telephone events (RFC 4733 2.5.1). It starts a digit at the first tick after the
//! key went down and stretches or ends it later.
//!
//! ```text
//! tick          0    20    40    60    80   100   120  ...  180
//! packet       M1     2     3     4    5E    5E    5E        M1
//! duration     20    40    60    80   100   100   100        20 ms
//! timestamp     t     t     t     t     t     t     t        t'
//!              |<------- tone 100 ms ----->|<--- gap 80 ms -->|
//! ```
//!
//! A source that counts, a telephone event from the other leg, is followed and never overtaken: while
//! its packets are late the duration stands still but for one tick an interval, so that the receiver
//! neither misses updates nor is told of more than was pressed.
//!
//! ```text
//! from the page   20 40 60 ............ 80 100E           stalled for 100 ms
//! to the trunk    20 40 60 60' 60' 60' 60' 80 100E        60' = 60 ms and a tick more each time
//! ```
//!
//! Sequence numbers and the SSRC belong to the owner of the RTP stream, who also keeps audio back
//! while [`Rfc4733Encoder::is_on`].

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::EventBlock;
use crate::dtmf::queue::{Job, Length, Waiting};
use crate::dtmf::{DigitEvent, DigitQueue, Mode, Phase, Receipt, ToneItem};

/// How digits go out on one leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncoderConfig {
    /// Payload type of the remote's `telephone-event`.
    pub payload_type: u8,
    /// Its clock rate in Hz.
    pub clock_rate: u32,
    /// Time from tick to tick: the audio's packet interval.
    pub ptime: Duration,
    /// Shortest tone; shorter digits are stretched.
    pub min_tone: Duration,
    /// Shortest silence between two digits.
    pub min_gap: Duration,
    /// Power in -dBm0.
    pub volume: u8,
    /// What a digit whose key is still down is measured by.
    pub pace: Pace,
}

/// What a digit whose key is still down is measured by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// By what its source counts, where it does: the end is never later than the source's.
    Source,
    /// By the stream's clock: for sound, which cannot stand still.
    Clock,
}

impl EncoderConfig {
    /// The usual values: 20 ms, 50 ms tone and gap, -10 dBm0.
    pub fn new(payload_type: u8, clock_rate: u32) -> EncoderConfig {
        EncoderConfig {
            payload_type,
            clock_rate: clock_rate.max(1),
            ptime: Duration::from_millis(20),
            min_tone: Duration::from_millis(50),
            min_gap: Duration::from_millis(50),
            volume: 10,
            pace: Pace::Source,
        }
    }
}

/// What an encoder takes.
#[derive(Debug, Clone, Copy)]
pub enum EncoderInput<'a> {
    /// A step of a live press, as an arbiter gives it.
    Digit(DigitEvent),
    /// Digits of known length, after those already queued. To replace them, cancel first.
    Send {
        /// Who asked.
        source: Mode,
        /// The digits and pauses.
        items: &'a [ToneItem],
    },
    /// Forget what is queued and end the tone that is on.
    Cancel,
    /// A new offer and answer changed the number; the clock stays.
    PayloadType(u8),
    /// The stream's next packet interval begins at this RTP timestamp.
    Tick {
        /// RTP timestamp of the interval's first sample, in the event type's clock.
        timestamp: u32,
    },
}

/// One packet to send now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventPacket {
    /// RTP payload type.
    pub payload_type: u8,
    /// RTP marker: the first packet of an event (RFC 4733 2.2.2).
    pub marker: bool,
    /// RTP timestamp: the start of the event or of its segment.
    pub timestamp: u32,
    /// RTP payload.
    pub payload: [u8; 4],
}

/// What an encoder hands out; drained until `Timeout`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EncoderOutput {
    /// Send this.
    Packet(EventPacket),
    /// A digit is out with all its end copies.
    Sent(Receipt),
    /// Nothing more until the next tick.
    Timeout,
}

/// Why digits are not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncoderError {
    /// 512 digits are waiting; none of the new ones was taken.
    #[error("too many digits are waiting to be sent")]
    QueueFull,
}

/// The telephone events of one outgoing stream.
#[derive(Debug)]
pub struct Rfc4733Encoder {
    config: EncoderConfig,
    queue: DigitQueue,
    tone: Option<Tone>,
    /// The interval that began with the last tick carries a tone, to its end or in part.
    on: bool,
    /// The digit whose end copies are still to go.
    ending: Option<Ending>,
    /// Media time in ticks since the first tick, and the timestamp it stands for.
    position: u64,
    last_timestamp: Option<u32>,
    /// Where the last tone ended, and from where on the next may start.
    ended_at: Option<u64>,
    free_from: u64,
    outputs: VecDeque<EncoderOutput>,
}

impl Rfc4733Encoder {
    /// An encoder with nothing to send.
    pub fn new(config: EncoderConfig) -> Rfc4733Encoder {
        Rfc4733Encoder {
            config,
            queue: DigitQueue::new(),
            tone: None,
            on: false,
            ending: None,
            position: 0,
            last_timestamp: None,
            ended_at: None,
            free_from: 0,
            outputs: VecDeque::with_capacity(16),
        }
    }

    /// A tone is on in the interval that began with the last tick: no audio goes out for it.
    pub fn is_on(&self) -> bool {
        self.on
    }

    /// Nothing is on, queued or still to be repeated.
    pub fn is_idle(&self) -> bool {
        self.tone.is_none() && self.ending.is_none() && self.queue.is_empty()
    }

    /// Takes digits, or the time.
    ///
    /// # Errors
    /// [`EncoderError::QueueFull`] when digits come faster than they can be sent for very long.
    pub fn handle_input(
        &mut self,
        now: Instant,
        input: EncoderInput<'_>,
    ) -> Result<(), EncoderError> {
        match input {
            EncoderInput::Digit(event) => self.live(now, event)?,
            EncoderInput::Send { source, items } => {
                self.queue.append(now, source, items, self.config.min_gap)?;
            }
            EncoderInput::Cancel => self.cancel(),
            EncoderInput::PayloadType(payload_type) => self.config.payload_type = payload_type,
            EncoderInput::Tick { timestamp } => self.tick(now, timestamp),
        }
        Ok(())
    }

    /// Takes out what waits, for another sender. The digit that is on stays.
    pub fn take_queue(&mut self) -> DigitQueue {
        std::mem::take(&mut self.queue)
    }

    /// Takes over what waited elsewhere, behind what waits here.
    pub fn put_queue(&mut self, queue: DigitQueue) {
        self.queue.take_over(queue);
    }

    /// The receipt, as far as it goes, of a digit that is on and cannot be ended any more: the leg
    /// takes no events from now on. Its receiver ends it by itself (RFC 4733 2.5.2.2).
    pub fn abandon(&mut self) -> Option<Receipt> {
        self.on = false;
        if let Some(ending) = self.ending.take() {
            return Some(ending.receipt);
        }
        let tone = self.tone.take()?;
        let sent = tone.sent;
        Some(Receipt { end_copies: 0, ..self.receipt(&tone, self.config.payload_type, sent) })
    }

    /// Packets and receipts, then `Timeout`.
    pub fn poll_output(&mut self) -> EncoderOutput {
        self.outputs.pop_front().unwrap_or(EncoderOutput::Timeout)
    }

    fn live(&mut self, now: Instant, event: DigitEvent) -> Result<(), EncoderError> {
        let on = self.tone.as_mut().map(|tone| &mut tone.job);
        match (event.phase, on) {
            (Phase::End(_), Some(job)) if job.follows(&event) => {
                job.length = Length::Known(event.duration);
                Ok(())
            }
            (Phase::Update, Some(job)) if job.follows(&event) => {
                job.length = Length::held(&event);
                Ok(())
            }
            _ => self.queue.live(now, event, self.config.min_gap),
        }
    }

    fn cancel(&mut self) {
        self.queue.clear();
        if let Some(tone) = &mut self.tone {
            tone.job.length = Length::Cancelled;
        }
    }

    fn tick(&mut self, now: Instant, timestamp: u32) {
        let ptime = self.ticks(self.config.ptime);
        let step = self.last_timestamp.map_or(0, |last| u64::from(timestamp.wrapping_sub(last)));
        // A stream that starts again on another timestamp base is no pause of hours.
        self.position +=
            if step <= u64::from(self.config.clock_rate) * MAX_STEP_S { step } else { ptime };
        self.last_timestamp = Some(timestamp);
        self.on = false;
        if self.tone.is_some() {
            return self.carry_on(ptime);
        }
        if let Some(ending) = &mut self.ending {
            let packet = ending.packet;
            ending.receipt.packets += 1;
            ending.receipt.end_copies += 1;
            self.outputs.push_back(EncoderOutput::Packet(packet));
            if ending.receipt.end_copies >= END_COPIES {
                self.finish();
            }
        }
        while self.position >= self.free_from {
            match self.queue.pop() {
                Some(Waiting::Pause(pause)) => self.free_from = self.position + self.ticks(pause),
                Some(Waiting::Digit(job)) => {
                    self.start(now, timestamp, job);
                    return self.carry_on(ptime);
                }
                None => return,
            }
        }
    }

    fn start(&mut self, now: Instant, timestamp: u32, job: Job) {
        // The gap may be shorter than two intervals: the copies go out before the next event.
        while let Some(ending) = &mut self.ending {
            ending.receipt.packets += 1;
            ending.receipt.end_copies += 1;
            let (packet, copies) = (ending.packet, ending.receipt.end_copies);
            self.outputs.push_back(EncoderOutput::Packet(packet));
            if copies >= END_COPIES {
                self.finish();
            }
        }
        let gap = self.ended_at.map_or(0, |end| self.position.saturating_sub(end));
        self.tone = Some(Tone {
            job,
            start: self.position,
            timestamp,
            earlier: 0,
            sent: 0,
            packets: 0,
            gap: self.time(gap),
            delay: now.saturating_duration_since(job.arrived),
        });
    }

    /// Sends the packet of this interval: an update, or the end.
    fn carry_on(&mut self, ptime: u64) {
        let Some(mut tone) = self.tone.take() else { return };
        self.on = true;
        let covered = self.position - tone.start + ptime;
        let wanted = match tone.job.length {
            Length::Held(_) => MAX_TONE,
            Length::Known(length) => length.clamp(self.config.min_tone, MAX_TONE),
            Length::Cancelled => self.config.min_tone,
        };
        let target = self.ticks(wanted).max(tone.sent).max(1);
        let end = covered >= target;
        let total = if end { target } else { covered.min(self.counted(&tone)) };
        // RFC 4733 2.5.1.3: a segment is full at 0xFFFF; the next one starts there, unmarked, and
        // the last packet of a segment goes out three times too (2.5.1.4).
        while total - tone.earlier > u64::from(u16::MAX) {
            for _ in 0..END_COPIES {
                self.packet(&mut tone, u16::MAX, Edge::Inner);
            }
            tone.earlier += u64::from(u16::MAX);
            tone.timestamp = tone.timestamp.wrapping_add(u32::from(u16::MAX));
        }
        let duration = (total - tone.earlier) as u16;
        let edge = if end { Edge::End } else { Edge::Inner };
        let packet = self.packet(&mut tone, duration, edge);
        tone.sent = total;
        if !end {
            self.tone = Some(tone);
            return;
        }
        let ended_at = tone.start + total;
        self.ended_at = Some(ended_at);
        self.free_from = ended_at + self.ticks(tone.job.gap);
        let receipt = self.receipt(&tone, packet.payload_type, total);
        self.ending = Some(Ending { packet: EventPacket { marker: false, ..packet }, receipt });
    }

    /// How many ticks an update may tell: never so many that the end would have to take some back.
    fn counted(&self, tone: &Tone) -> u64 {
        match (tone.job.length, self.config.pace) {
            (Length::Held(Some(counted)), Pace::Source) => {
                self.ticks(counted.max(self.config.min_tone)).max(tone.sent + 1)
            }
            _ => u64::MAX,
        }
    }

    fn receipt(&self, tone: &Tone, payload_type: u8, total: u64) -> Receipt {
        let source_duration = match tone.job.length {
            Length::Known(length) => Some(length),
            Length::Held(_) | Length::Cancelled => None,
        };
        Receipt {
            digit: tone.job.digit,
            source: tone.job.source,
            source_duration,
            mode: Mode::Rfc4733,
            clock_rate: self.config.clock_rate,
            payload_type,
            packets: tone.packets,
            end_copies: 1,
            tone: self.time(total),
            gap: tone.gap,
            info_status: tone.job.refused,
            delay: tone.delay,
        }
    }

    fn packet(&mut self, tone: &mut Tone, duration: u16, edge: Edge) -> EventPacket {
        let block = EventBlock {
            event: tone.job.digit.event(),
            end: edge == Edge::End,
            volume: self.config.volume,
            duration,
        };
        let packet = EventPacket {
            payload_type: self.config.payload_type,
            marker: tone.packets == 0,
            timestamp: tone.timestamp,
            payload: block.to_bytes(),
        };
        tone.packets += 1;
        self.outputs.push_back(EncoderOutput::Packet(packet));
        packet
    }

    fn finish(&mut self) {
        if let Some(ending) = self.ending.take() {
            self.outputs.push_back(EncoderOutput::Sent(ending.receipt));
        }
    }

    fn ticks(&self, time: Duration) -> u64 {
        let micros = time.as_secs() * 1_000_000 + u64::from(time.subsec_micros());
        micros * u64::from(self.config.clock_rate) / 1_000_000
    }

    fn time(&self, ticks: u64) -> Duration {
        Duration::from_micros(ticks * 1_000_000 / u64::from(self.config.clock_rate))
    }
}

/// The digit that is on. Positions and lengths in ticks.
#[derive(Debug)]
struct Tone {
    job: Job,
    start: u64,
    /// RTP timestamp of the current segment.
    timestamp: u32,
    /// Ticks of the segments before it.
    earlier: u64,
    /// Ticks that the last packet covered.
    sent: u64,
    packets: u32,
    gap: Duration,
    delay: Duration,
}

#[derive(Debug)]
struct Ending {
    packet: EventPacket,
    receipt: Receipt,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Edge {
    Inner,
    End,
}

/// RFC 4733 2.5.1.4: the last packet goes out three times in all.
const END_COPIES: u32 = 3;
/// A key that is never released is let go after this.
const MAX_TONE: Duration = Duration::from_secs(60);
/// Seconds of a timestamp step that are believed.
const MAX_STEP_S: u64 = 10;
