//! One press as an RFC 4733 receiver remembers it, and the one question of the receiver: does this
//! block belong to that press?

use std::time::{Duration, Instant};

use super::EventBlock;
use crate::base::Digit;
use crate::dtmf::{DigitEvent, DigitId, EndReason, Mode, Phase};

/// How the sender counts, compared with the negotiated clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clock {
    /// As negotiated.
    Right,
    /// About six ticks where one is due: 48 kHz durations on an 8 kHz type.
    Fast,
    /// One tick where about six are due: 8 kHz durations on a 48 kHz type.
    Slow,
    /// About six ticks where one is due, and the ticks are what is meant: a browser with Opus and an
    /// 8 kHz type counts 120 ms in each packet of 20 ms and stops when the length it was asked for
    /// is reached.
    Ahead,
}

/// What is known of who sends, for when a press without an end is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sender {
    /// Nothing: sound may come beside events or not.
    Any,
    /// A browser: sound or an event in every interval.
    Browser,
}

/// What a block is to a press.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    /// It carries the press on.
    Same,
    /// It carries the press on from a new timestamp (RFC 4733 2.5.1.3, or a sender that moves it).
    Segment,
    /// A copy or a straggler of it: nothing new.
    Copy,
    /// Another press.
    Other,
}

/// One block with what its packet says of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival {
    pub now: Instant,
    pub seq: u16,
    pub timestamp: u32,
    pub marker: bool,
    pub block: EventBlock,
}

#[derive(Debug)]
pub(super) struct Press {
    id: DigitId,
    pub digit: Digit,
    clock_rate: u32,
    clock: Clock,
    /// What durations that grow six times too fast mean.
    too_fast: Clock,
    first_timestamp: u32,
    /// Timestamp of the current segment.
    timestamp: u32,
    /// Ticks of the segments before the current one.
    earlier_ticks: u64,
    /// Duration in the newest block of the current segment.
    ticks: u16,
    first_ticks: u16,
    first_seen: Instant,
    last_seen: Instant,
    first_seq: u16,
    last_seq: u16,
    /// Time between updates.
    interval: Duration,
    /// A packet after the first was marked: markers of this sender say nothing.
    remarked: bool,
    /// The timestamp moves within the press.
    moving: bool,
    /// When sound came after the newest packet.
    sound_at: Option<Instant>,
    up: Option<(Instant, EndReason)>,
}

impl Press {
    pub fn new(
        id: DigitId,
        digit: Digit,
        clock_rate: u32,
        (clock, too_fast): (Clock, Clock),
        arrival: &Arrival,
    ) -> Press {
        Press {
            id,
            digit,
            clock_rate,
            clock,
            too_fast,
            first_timestamp: arrival.timestamp,
            timestamp: arrival.timestamp,
            earlier_ticks: 0,
            ticks: arrival.block.duration,
            first_ticks: arrival.block.duration,
            first_seen: arrival.now,
            last_seen: arrival.now,
            first_seq: arrival.seq,
            last_seq: arrival.seq,
            interval: TYPICAL_INTERVAL,
            remarked: false,
            moving: false,
            sound_at: None,
            up: None,
        }
    }

    pub fn is_down(&self) -> bool {
        self.up.is_none()
    }

    /// When a missing update ends the press (RFC 4733 2.5.2.2): three intervals, at least 100 ms.
    /// Of a browser: a second, or soon after its sound is back.
    pub fn expires_at(&self, sender: Sender) -> Instant {
        match (sender, self.sound_at) {
            (Sender::Any, _) => self.last_seen + (self.interval * 3).max(SHORTEST_TIMEOUT),
            (Sender::Browser, None) => self.last_seen + STALL,
            (Sender::Browser, Some(at)) => (at + OVERTAKEN).min(self.last_seen + STALL),
        }
    }

    /// A packet of sound has come that is newer than the newest of this press.
    pub fn sound_is_back(&mut self, now: Instant) {
        self.sound_at.get_or_insert(now);
    }

    pub fn relation(&self, a: &Arrival) -> Relation {
        if a.block.event != self.digit.event() {
            return Relation::Other;
        }
        match self.up {
            None => self.relation_down(a),
            Some((at, reason)) => self.relation_up(a, at, reason),
        }
    }

    /// Whether the block repeats the end of this press, however many presses came after it.
    pub fn is_end_copy(&self, a: &Arrival) -> bool {
        let Some((at, _)) = self.up else { return false };
        a.block.event == self.digit.event()
            && a.timestamp == self.timestamp
            && a.block.end
            && a.block.duration == self.ticks
            && (a.now.saturating_duration_since(at) <= END_COPIES
                || a.seq.wrapping_sub(self.last_seq) <= COPIES_WITHIN)
    }

    fn relation_down(&self, a: &Arrival) -> Relation {
        if a.timestamp == self.timestamp {
            // A duration that falls while the sequence rises: the end was lost and the timestamp is
            // used again for the next press of the same key.
            if a.block.duration < self.ticks { Relation::Other } else { Relation::Same }
        } else if self.is_earlier_segment(a.timestamp) {
            Relation::Copy
        } else if self.is_continuation(a) || self.is_moved(a) {
            Relation::Segment
        } else {
            Relation::Other
        }
    }

    fn relation_up(&self, a: &Arrival, at: Instant, reason: EndReason) -> Relation {
        let since_up = a.now.saturating_duration_since(at);
        let fresh_marker = self.is_marked_anew(a);
        if self.is_end_copy(a) {
            Relation::Copy
        } else if a.timestamp == self.timestamp {
            let fell = a.block.duration < self.ticks;
            // An end of our own making may be followed by more of the same press; a real one not.
            let late = reason != EndReason::TimedOut && since_up > REUSE_AFTER;
            if fell || fresh_marker || late { Relation::Other } else { Relation::Copy }
        } else if self.is_earlier_segment(a.timestamp) {
            Relation::Copy
        } else if self.is_continuation(a)
            && (self.ticks == u16::MAX || reason == EndReason::TimedOut)
        {
            // Chromium ends a tone whose last step crosses 0xFFFF twice, on two timestamps.
            Relation::Copy
        } else if self.is_moved(a)
            && (self.moving || (a.block.end && a.block.duration == self.ticks))
        {
            Relation::Copy
        } else {
            Relation::Other
        }
    }

    /// A marker that means something: senders that mark every packet say nothing with it.
    fn is_marked_anew(&self, a: &Arrival) -> bool {
        a.marker && !self.remarked
    }

    fn is_earlier_segment(&self, timestamp: u32) -> bool {
        self.first_timestamp != self.timestamp
            && timestamp.wrapping_sub(self.first_timestamp)
                < self.timestamp.wrapping_sub(self.first_timestamp)
    }

    /// The next segment of an event longer than 0xFFFF ticks (RFC 4733 2.5.1.3). Its timestamp is
    /// 0xFFFF later; Chromium takes the time of the packet instead, up to an interval more.
    fn is_continuation(&self, a: &Arrival) -> bool {
        let slack = self.ticks_in(SEGMENT_SLACK);
        let step = u64::from(a.timestamp.wrapping_sub(self.timestamp));
        let full = u64::from(u16::MAX);
        let silent = self.ticks_in(a.now.saturating_duration_since(self.last_seen));
        (full..=full + slack).contains(&step)
            && !self.is_marked_anew(a)
            && u64::from(self.ticks) + silent + slack >= full
    }

    /// The same press on another timestamp, by a sender that lets it run with the packets: the
    /// duration does not fall, and no real next press of the key could come so soon.
    fn is_moved(&self, a: &Arrival) -> bool {
        let step = u64::from(a.timestamp.wrapping_sub(self.timestamp));
        step <= self.ticks_in(MOVE_STEP)
            && a.block.duration >= self.ticks
            && a.now.saturating_duration_since(self.last_seen) <= REUSE_AFTER
            && !self.is_marked_anew(a)
    }

    /// Takes over what a block of this press says.
    pub fn carry_on(&mut self, a: &Arrival, relation: Relation) {
        self.remarked |= a.marker;
        let before = self.total_ticks();
        if relation == Relation::Segment {
            let step = a.timestamp.wrapping_sub(self.timestamp);
            if self.is_continuation(a) {
                self.earlier_ticks += u64::from(step);
            } else {
                self.moving = true;
            }
            self.timestamp = a.timestamp;
        }
        self.ticks = a.block.duration;
        let packets = u32::from(a.seq.wrapping_sub(self.last_seq).max(1));
        let ticks = self.total_ticks().saturating_sub(before);
        let step = self.corrected(ticks) / packets;
        self.interval = step.clamp(SHORTEST_INTERVAL, LONGEST_INTERVAL);
        self.last_seq = a.seq;
        self.last_seen = a.now;
        self.sound_at = None;
        let newest = ticks as f64 / f64::from(self.clock_rate) / f64::from(packets);
        self.compare_clocks(newest);
    }

    /// Remembers a block of a press that is up, so that what follows it is known too.
    pub fn absorb(&mut self, a: &Arrival) {
        self.remarked |= a.marker;
        let ahead = a.timestamp.wrapping_sub(self.timestamp);
        if self.up.is_some() && ahead < u32::MAX / 2 {
            self.timestamp = a.timestamp;
            self.ticks = a.block.duration;
            self.last_seen = a.now;
        }
    }

    pub fn release(&mut self, now: Instant, reason: EndReason) {
        self.up = Some((now, reason));
    }

    pub fn clock(&self) -> Clock {
        self.clock
    }

    pub fn event(&self, phase: Phase) -> DigitEvent {
        let first = self.corrected(u64::from(self.first_ticks));
        DigitEvent {
            id: self.id,
            digit: self.digit,
            mode: Mode::Rfc4733,
            started_at: self.first_seen.checked_sub(first).unwrap_or(self.first_seen),
            duration: self.duration(),
            phase,
            wrong_clock: self.clock != Clock::Right,
        }
    }

    fn duration(&self) -> Duration {
        let wall = self.last_seen.saturating_duration_since(self.first_seen);
        let by_wall = self.moving || matches!(self.clock, Clock::Fast | Clock::Slow);
        if by_wall || self.total_ticks() == 0 {
            self.corrected(u64::from(self.first_ticks)) + wall
        } else {
            self.corrected(self.total_ticks())
        }
    }

    fn total_ticks(&self) -> u64 {
        self.earlier_ticks + u64::from(self.ticks)
    }

    /// Ticks as time, by the clock the sender really uses.
    fn corrected(&self, ticks: u64) -> Duration {
        let (times, per) = match self.clock {
            Clock::Right | Clock::Ahead => (1, 1),
            Clock::Fast => (1, 6),
            Clock::Slow => (6, 1),
        };
        let nanos = u128::from(ticks) * 1_000_000_000 * times;
        Duration::from_nanos((nanos / (u128::from(self.clock_rate) * per)) as u64)
    }

    fn ticks_in(&self, time: Duration) -> u64 {
        (time.as_nanos() * u128::from(self.clock_rate) / 1_000_000_000) as u64
    }

    /// Compares ticks with the wall clock once there is enough of both. `newest` is what the newest
    /// packet counts, in seconds of the negotiated clock.
    fn compare_clocks(&mut self, newest: f64) {
        let wall = self.last_seen.saturating_duration_since(self.first_seen);
        let ticks = self.total_ticks().saturating_sub(u64::from(self.first_ticks));
        if wall < COMPARE_AFTER || ticks == 0 || self.moving {
            return;
        }
        let told = ticks as f64 / f64::from(self.clock_rate);
        let ratio = told / wall.as_secs_f64();
        // A sender or a network that stalls looks the same to the wall clock, but what each packet
        // counts is then still a packet's interval.
        let step = told / f64::from(self.last_seq.wrapping_sub(self.first_seq).max(1));
        if (4.0..9.0).contains(&ratio) && step > LONGEST_STEP {
            self.clock = self.too_fast;
        } else if (1.0 / 9.0..0.25).contains(&ratio)
            && step < SHORTEST_STEP
            && (LEAST_STEP..SHORTEST_STEP).contains(&newest)
        {
            self.clock = Clock::Slow;
        } else if (0.5..2.0).contains(&ratio) {
            self.clock = Clock::Right;
        }
    }
}

/// RFC 4733 2.5.1.2: updates come at the audio's packet interval.
const TYPICAL_INTERVAL: Duration = Duration::from_millis(20);
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);
const LONGEST_INTERVAL: Duration = Duration::from_millis(100);
/// Below this, ordinary jitter would end presses.
const SHORTEST_TIMEOUT: Duration = Duration::from_millis(100);
/// How long a page that sends nothing at all may be stalled: longer than a busy machine keeps a
/// browser's sound waiting, shorter than anybody waits for a key.
const STALL: Duration = Duration::from_secs(1);
/// What is left of a press may be overtaken by sound for so long.
const OVERTAKEN: Duration = Duration::from_millis(60);
/// The same timestamp and key this long after the end are a press of their own: a tone and its gap
/// are never shorter.
const REUSE_AFTER: Duration = Duration::from_millis(60);
/// How long a block that equals an end in everything is its copy.
const END_COPIES: Duration = Duration::from_millis(500);
/// After a stall of its sender a copy may come whenever it likes, but then as one of the next packets,
/// sound between the copies or not: another press of that length would have taken more of them.
const COPIES_WITHIN: u16 = 4;
/// How much later than 0xFFFF ticks the next segment may start.
const SEGMENT_SLACK: Duration = Duration::from_millis(60);
/// How far a moving timestamp may go from one packet to the next received one.
const MOVE_STEP: Duration = Duration::from_millis(60);
/// Of what a packet counts, in seconds: packets are 10 to 40 ms apart, a sixth or six times that is
/// the wrong clock.
/// One that waits for its own source counts next to nothing for a while, then all of it at once.
const LEAST_STEP: f64 = 0.001;
const SHORTEST_STEP: f64 = 0.008;
const LONGEST_STEP: f64 = 0.05;
/// Three updates: less says nothing about a clock.
const COMPARE_AFTER: Duration = Duration::from_millis(55);
