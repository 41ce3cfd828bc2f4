//! The playout buffer of one received stream: packets in as they come, one decision out whenever
//! the bridge needs sound.
//!
//! While somebody talks the delay stays what it is: each packet plays when the one before it
//! ends. `Pausing -> first packet has waited the target delay -> Talking` sets it anew, an
//! underrun lengthens it by what was concealed, and in silence a packet is skipped or a frame of
//! noise put in. What is left over, the drift of two clocks, is for `codec::DriftCorrector`.
//!
//! ```text
//! packet   0     1     2           4      (3 is lost)
//! arrives  |  |     |              |
//! plays         0     1     2    fec(4)   4
//!          <---> target delay
//! ```

use std::time::{Duration, Instant};

use super::delay::DelayEstimator;
use super::slots::{Held, SLOTS, Slots};
use super::{Activity, Config, Content, Counts, Decision, Inserted};
use crate::rtp::{Packet, Seq, SeqExtender, Ssrc, Timestamp};

/// The playout buffer of one stream.
#[derive(Debug)]
pub struct PlayoutBuffer {
    config: Config,
    counts: Counts,
    delay: DelayEstimator,
    slots: Slots,
    stream: Option<Stream>,
    after_jump: Option<(Ssrc, Seq)>,
    /// Zero of the arrival clock.
    origin: Option<Instant>,
}

/// The stream being played. Times are in RTP clock units.
#[derive(Debug)]
struct Stream {
    ssrc: Ssrc,
    extender: SeqExtender,
    newest_timestamp: i64,
    phase: Phase,
    /// The sequence number to play next.
    next: u64,
    /// The timestamp that follows what was played.
    next_timestamp: i64,
    /// Length of the last packet played.
    duration: i64,
    /// Concealed since the last packet because nothing was there.
    stalled: i64,
    /// Delay of the last packet played.
    playing_delay: i64,
    /// Packets played since the last one skipped.
    since_skip: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing was played yet.
    Starting,
    Talking,
    Pausing,
    Event,
}

/// A decision before its payload is borrowed.
enum Plan {
    Decode { seq: u64, duration: i64 },
    Fec { seq: u64, duration: i64 },
    Skip { seq: u64 },
    Conceal { duration: i64 },
    ComfortNoise,
    Event,
    Nothing,
}

impl PlayoutBuffer {
    /// An empty buffer.
    pub fn new(config: Config) -> PlayoutBuffer {
        PlayoutBuffer {
            config,
            counts: Counts::default(),
            delay: DelayEstimator::new(&config),
            slots: Slots::new(),
            stream: None,
            after_jump: None,
            origin: None,
        }
    }

    /// Takes a packet that arrived `now`; the payload is copied.
    pub fn insert(&mut self, now: Instant, packet: &Packet<'_>, content: Content) -> Inserted {
        let arrived = self.units(now);
        let same = self.stream.as_ref().filter(|s| s.ssrc == packet.ssrc);
        let Some(newest) = same.and_then(|s| s.extender.newest()) else {
            return self.start(arrived, packet, content);
        };
        let steps = i64::from(packet.seq.since(Seq(newest as u16)));
        if steps.unsigned_abs() >= SLOTS as u64 {
            if self.after_jump == Some((packet.ssrc, packet.seq)) {
                return self.start(arrived, packet, content);
            }
            self.after_jump = Some((packet.ssrc, packet.seq.next()));
            return Inserted::Jump;
        }
        self.after_jump = None;
        let Some(stream) = &mut self.stream else { return Inserted::Jump };
        let seq = stream.extender.extend(packet.seq);
        let timestamp = stream.extend(packet.timestamp);
        if !matches!(content, Content::Event) {
            // A late one counts above all: it is why the delay must grow.
            let fills = seq >= stream.next && self.slots.get(seq).is_none();
            let missing = if steps > 0 { steps - 1 } else { -i64::from(fills) };
            self.delay.observe(arrived, timestamp, missing);
        }
        if seq < stream.next && stream.phase == Phase::Starting {
            stream.next = seq;
        }
        if seq < stream.next {
            self.counts.late += 1;
            return Inserted::Late;
        }
        if self.slots.get(seq).is_some() {
            self.counts.duplicates += 1;
            return Inserted::Duplicate;
        }
        // Nobody plays: the oldest make room.
        while seq - stream.next >= SLOTS as u64 {
            self.counts.skipped += u64::from(self.slots.get(stream.next).is_some());
            self.slots.free(stream.next);
            stream.next += 1;
        }
        self.slots.put(Held { seq, timestamp, content }, packet.payload);
        Inserted::Kept
    }

    /// Says what to play next; asked whenever the bridge has less than a frame of sound left.
    pub fn pull(&mut self, now: Instant, activity: Activity) -> Decision<'_> {
        let now = self.units(now);
        let frame = self.frame();
        let plan = self.plan(now, activity);
        let wire = |units: i64| u32::try_from(units).unwrap_or(0);
        match plan {
            Plan::Decode { seq, duration } => {
                self.counts.decoded += 1;
                self.slots.free(seq);
                Decision::Decode { payload: self.slots.payload(seq), duration: wire(duration) }
            }
            Plan::Fec { seq, duration } => {
                self.counts.fec += 1;
                Decision::Fec { next: self.slots.payload(seq), duration: wire(duration) }
            }
            Plan::Skip { seq } => {
                self.counts.skipped += 1;
                self.slots.free(seq);
                Decision::Skip { payload: self.slots.payload(seq) }
            }
            Plan::Conceal { duration } => Decision::Conceal { duration: wire(duration) },
            Plan::ComfortNoise => Decision::ComfortNoise { duration: wire(frame) },
            Plan::Event => {
                self.counts.events += 1;
                Decision::Event { duration: wire(frame) }
            }
            Plan::Nothing => Decision::Nothing { duration: wire(frame) },
        }
    }

    /// The delay aimed at.
    pub fn target_delay(&self) -> Duration {
        self.duration(self.delay.target())
    }

    /// The delay of the packet that was played last, against one that met no queue.
    pub fn playing_delay(&self) -> Duration {
        self.duration(self.stream.as_ref().map_or(0, |s| s.playing_delay))
    }

    /// How far the delay is above (positive) or below the one aimed at, in samples of 8 kHz, for
    /// `codec::DriftCorrector::steer`; 0 while nobody talks.
    pub fn excess(&self) -> i32 {
        let Some(stream) = self.stream.as_ref().filter(|s| s.phase == Phase::Talking) else {
            return 0;
        };
        let units = stream.playing_delay - self.delay.target();
        (units * 8000 / i64::from(self.config.clock_rate)) as i32
    }

    /// How often each thing was done.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    fn start(&mut self, arrived: i64, packet: &Packet<'_>, content: Content) -> Inserted {
        self.counts.restarts += u64::from(self.stream.is_some());
        self.after_jump = None;
        self.slots.clear();
        self.delay.restart();
        let mut extender = SeqExtender::new();
        let seq = extender.extend(packet.seq);
        let timestamp = i64::from(packet.timestamp.0);
        self.slots.put(Held { seq, timestamp, content }, packet.payload);
        self.delay.observe(arrived, timestamp, 0);
        self.stream = Some(Stream {
            ssrc: packet.ssrc,
            extender,
            newest_timestamp: timestamp,
            phase: Phase::Starting,
            next: seq,
            next_timestamp: timestamp,
            duration: self.frame(),
            stalled: 0,
            playing_delay: 0,
            since_skip: 0,
        });
        Inserted::Started
    }

    fn plan(&mut self, now: i64, activity: Activity) -> Plan {
        let frame = self.frame();
        let Some(stream) = &mut self.stream else { return Plan::Nothing };
        let newest = stream.extender.newest().unwrap_or(stream.next);
        loop {
            let Some(held) = self.slots.first(stream.next, newest) else {
                return stream.underrun(frame, &mut self.counts);
            };
            let duration = match held.content {
                Content::Event if stream.phase == Phase::Talking && stream.owes(&held, frame) => {
                    return stream.conceal(&held, &mut self.counts);
                }
                Content::Event => {
                    self.slots.free(held.seq);
                    stream.next = held.seq + 1;
                    stream.phase = Phase::Event;
                    stream.stalled = 0;
                    continue;
                }
                Content::Audio { duration } | Content::Silence { duration } => i64::from(duration),
            };
            if stream.phase == Phase::Talking {
                let gap = held.timestamp - stream.next_timestamp;
                let lost = (held.seq - stream.next) as i64;
                let longest = lost * (stream.duration.max(duration) + frame) + frame / 2;
                // More time than the lost packets can have held, or time running backwards: the
                // talker paused, or the stream was set anew.
                if gap > longest || gap < -i64::from(self.config.clock_rate) {
                    stream.phase = Phase::Pausing;
                } else if lost > 0 && stream.owes(&held, frame) {
                    return stream.recover(&held, duration, &mut self.counts);
                }
            }
            let delay = self.delay.delay(now, held.timestamp);
            let excess = delay - self.delay.target();
            if stream.phase != Phase::Talking && excess < -(frame / 2) {
                return stream.wait(&mut self.counts);
            }
            let talking_on = stream.phase == Phase::Talking;
            let quiet = talking_on && activity == Activity::Silence;
            if quiet && excess <= -frame {
                self.counts.stretched += 1;
                return Plan::ComfortNoise;
            }
            let spare = quiet
                && excess >= duration.max(frame)
                && stream.since_skip >= SKIP_PAUSE
                && self.slots.get(held.seq + 1).is_some();
            stream.played(&held, duration, delay);
            if spare || delay > self.delay.most() + frame {
                stream.since_skip = 0;
                return Plan::Skip { seq: held.seq };
            }
            return Plan::Decode { seq: held.seq, duration };
        }
    }

    /// A moment on the arrival clock, in RTP clock units since the first packet.
    fn units(&mut self, now: Instant) -> i64 {
        let origin = *self.origin.get_or_insert(now);
        let micros = now.saturating_duration_since(origin).as_micros() as i64;
        micros * i64::from(self.config.clock_rate) / 1_000_000
    }

    fn duration(&self, units: i64) -> Duration {
        let micros = units.max(0) * 1_000_000 / i64::from(self.config.clock_rate);
        Duration::from_micros(micros as u64)
    }

    /// 20 ms.
    fn frame(&self) -> i64 {
        i64::from(self.config.clock_rate) / 50
    }
}

impl Stream {
    fn extend(&mut self, timestamp: Timestamp) -> i64 {
        let steps = timestamp.since(Timestamp(self.newest_timestamp as u32));
        let extended = self.newest_timestamp + i64::from(steps);
        self.newest_timestamp = self.newest_timestamp.max(extended);
        // A source that set its clock back is followed, or every later packet would be measured
        // against a time that never comes.
        if i64::from(steps) < -(1 << 24) {
            self.newest_timestamp = extended;
        }
        extended
    }

    /// Whether lost sound before `held` still has to be made up.
    fn owes(&self, held: &Held, frame: i64) -> bool {
        held.timestamp - self.next_timestamp - self.stalled > frame / 2
    }

    /// Makes up for a loss before `held`: from its FEC where just one packet is missing.
    fn recover(&mut self, held: &Held, duration: i64, counts: &mut Counts) -> Plan {
        self.settle();
        let owed = held.timestamp - self.next_timestamp;
        if owed <= duration + duration / 2 {
            self.next = held.seq;
            self.next_timestamp = held.timestamp;
            return Plan::Fec { seq: held.seq, duration: owed };
        }
        self.conceal(held, counts)
    }

    fn conceal(&mut self, held: &Held, counts: &mut Counts) -> Plan {
        self.settle();
        counts.concealed += 1;
        let duration = self.duration.min(held.timestamp - self.next_timestamp);
        self.next_timestamp += duration;
        Plan::Conceal { duration }
    }

    /// What was concealed while nothing was there counts for the loss it turned out to be.
    fn settle(&mut self) {
        self.next_timestamp += self.stalled;
        self.stalled = 0;
    }

    fn underrun(&mut self, frame: i64, counts: &mut Counts) -> Plan {
        if self.phase != Phase::Talking {
            return self.wait(counts);
        }
        counts.underruns += 1;
        self.stalled += frame;
        if self.stalled > GIVE_UP_FRAMES * frame {
            // Whatever comes next is a new start: it waits its target delay again.
            self.phase = Phase::Pausing;
            self.stalled = 0;
        }
        Plan::Conceal { duration: frame }
    }

    fn wait(&self, counts: &mut Counts) -> Plan {
        match self.phase {
            Phase::Starting => Plan::Nothing,
            Phase::Event => Plan::Event,
            Phase::Talking | Phase::Pausing => {
                counts.comfort += 1;
                Plan::ComfortNoise
            }
        }
    }

    fn played(&mut self, held: &Held, duration: i64, delay: i64) {
        self.next = held.seq + 1;
        self.next_timestamp = held.timestamp + duration;
        self.duration = duration;
        self.stalled = 0;
        self.playing_delay = delay;
        self.since_skip = self.since_skip.saturating_add(1);
        self.phase = match held.content {
            Content::Silence { .. } => Phase::Pausing,
            Content::Audio { .. } | Content::Event => Phase::Talking,
        };
    }
}

/// Packets played between two that are skipped in silence: a word that begins loses one at most.
const SKIP_PAUSE: u32 = 3;
/// 200 ms without a packet end a talk spurt.
const GIVE_UP_FRAMES: i64 = 10;

#[cfg(test)]
#[path = "buffer_tests.rs"]
mod tests;
