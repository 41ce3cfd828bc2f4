//! The internal model of a digit: what every decoder yields and every encoder and consumer takes.
//!
//! All times are durations, never RTP ticks. The leg is not in here: a decoder and an arbiter belong
//! to one leg, and their owner knows which.

use std::time::{Duration, Instant};

use crate::base::Digit;

/// Names one press within its leg. A decoder counts its own presses; the arbiter gives a number
/// that is unique over all modes of the leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DigitId(pub u64);

/// How a digit came or goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mode {
    /// Telephone events in RTP (RFC 4733).
    Rfc4733,
    /// A SIP INFO body.
    Info,
    /// Tones in the audio (ITU-T Q.23).
    Inband,
    /// A JSON message of the page.
    Client,
}

/// Why a press ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// The sender said so.
    Released,
    /// No update came in time (RFC 4733 2.5.2.2); the end is ours.
    TimedOut,
    /// The next press began without an end of this one.
    NextDigit,
}

/// Where in its life a press is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// The key went down. Comes once, first.
    Start,
    /// The key is still down.
    Update,
    /// The key is up. Comes once, last.
    End(EndReason),
}

/// One step in the life of one press.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DigitEvent {
    /// The press; the same in all its steps.
    pub id: DigitId,
    /// The key.
    pub digit: Digit,
    /// How it was heard.
    pub mode: Mode,
    /// When the key went down, as far as the receiver can tell.
    pub started_at: Instant,
    /// How long the key has been down so far; with `End` the whole length.
    pub duration: Duration,
    /// Start, update or end.
    pub phase: Phase,
    /// The sender counts in a clock other than the negotiated one (by about 6); `duration` was
    /// measured by the wall clock.
    pub wrong_clock: bool,
}

/// What a decoder or an arbiter hands out; drained until `Timeout`, which is always last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// A step of a press.
    Digit(DigitEvent),
    /// When to call again at the latest; `None` when only a packet can change anything.
    Timeout(Option<Instant>),
}

/// What was done with one digit that was sent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// The key.
    pub digit: Digit,
    /// How it came in, where it came from the other leg or the page.
    pub source: Mode,
    /// Its length at the source; `None` for one that the source ended by being cancelled.
    pub source_duration: Option<Duration>,
    /// How it went out.
    pub mode: Mode,
    /// Clock rate of the event type used, in Hz; 0 where the mode has none.
    pub clock_rate: u32,
    /// RTP payload type used; 0 where the mode has none.
    pub payload_type: u8,
    /// Packets sent, end copies included.
    pub packets: u32,
    /// How many of those carried the end.
    pub end_copies: u32,
    /// Length of the tone sent.
    pub tone: Duration,
    /// Silence between the end of the digit before and the start of this one; zero for the first.
    pub gap: Duration,
    /// Final status of the INFO (408 where none came in time). In another `mode` than INFO: the
    /// INFO was refused with it and the digit went this way instead.
    pub info_status: Option<u16>,
    /// From the digit's arrival at the encoder to its first packet out.
    pub delay: Duration,
}
