//! A call's timeline as people read it: how long each digit was and how it went, never which it was.

use std::time::Duration;

use serde::Serialize;

use super::timeline::{Entry, Speaker, Timeline};
use crate::call::State;
use crate::dtmf::{Mode, Receipt};
use crate::media::{DigitWay, LegSide};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct TimelineRow {
    /// Since the call began.
    at_ms: u64,
    #[serde(flatten)]
    what: What,
}

#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(tag = "type")]
enum What {
    #[serde(rename = "dtmf.mode")]
    Mode {
        mode: Option<&'static str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        info_status: Option<u16>,
    },
    #[serde(rename = "dtmf.heard")]
    Heard { leg: &'static str, mode: &'static str, duration_ms: u64 },
    #[serde(rename = "dtmf.sent")]
    Sent(Box<Sent>),
    #[serde(rename = "dtmf.lost")]
    Lost,
    #[serde(rename = "signal")]
    Signal { from: &'static str, to: &'static str, name: &'static str },
    #[serde(rename = "media")]
    Media { leg: &'static str, name: &'static str },
    #[serde(rename = "state")]
    State { state: State },
}

/// A receipt. `null` is a figure that the mode does not have.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
struct Sent {
    source: &'static str,
    measured_ms: Option<u64>,
    mode: &'static str,
    tone_ms: u64,
    gap_ms: u64,
    clock: Option<u32>,
    payload_type: Option<u8>,
    packets: Option<u32>,
    end_packets: Option<u32>,
    info_status: Option<u16>,
    delay_ms: f64,
}

impl TimelineRow {
    /// What it is: `dtmf.mode`, `dtmf.heard`, `dtmf.sent`, `dtmf.lost`, `signal`, `media` or `state`.
    pub fn kind(&self) -> &'static str {
        match self.what {
            What::Mode { .. } => "dtmf.mode",
            What::Heard { .. } => "dtmf.heard",
            What::Sent(_) => "dtmf.sent",
            What::Lost => "dtmf.lost",
            What::Signal { .. } => "signal",
            What::Media { .. } => "media",
            What::State { .. } => "state",
        }
    }
}

impl Timeline {
    /// How digits go to the trunk at the moment; `None` where they go no way, or nothing is known.
    pub fn mode(&self) -> Option<&'static str> {
        let mut newest_first = self.entries().collect::<Vec<_>>().into_iter().rev();
        newest_first.find_map(|(_, entry)| match what(entry) {
            What::Mode { mode, .. } => Some(mode),
            _ => None,
        })?
    }

    /// What happened, oldest first.
    pub fn rows(&self) -> Vec<TimelineRow> {
        let row =
            |(at, entry): &(Duration, Entry)| TimelineRow { at_ms: ms(*at), what: what(entry) };
        self.entries().map(row).collect()
    }
}

fn what(entry: &Entry) -> What {
    match entry {
        Entry::DigitWay(DigitWay::Negotiated(mode)) => {
            What::Mode { mode: mode.map(word), info_status: None }
        }
        Entry::DigitWay(DigitWay::InfoRefused { status, next }) => {
            What::Mode { mode: next.map(word), info_status: Some(*status) }
        }
        Entry::DigitHeard { from, mode, length } => {
            What::Heard { leg: side(*from), mode: word(*mode), duration_ms: ms(*length) }
        }
        Entry::DigitSent(receipt) => What::Sent(Box::new(sent(receipt))),
        Entry::DigitsLost => What::Lost,
        Entry::Signal { from: Speaker::Page, name } => {
            What::Signal { from: "browser", to: "gateway", name }
        }
        Entry::Signal { from: Speaker::Gateway, name } => {
            What::Signal { from: "gateway", to: "browser", name }
        }
        Entry::Media { leg, name } => What::Media { leg: side(*leg), name },
        Entry::State(state) => What::State { state: *state },
    }
}

fn side(side: LegSide) -> &'static str {
    match side {
        LegSide::Browser => "browser",
        LegSide::Trunk => "trunk",
    }
}

fn sent(receipt: &Receipt) -> Sent {
    let rtp = |count: u32| (receipt.clock_rate > 0).then_some(count);
    Sent {
        source: word(receipt.source),
        measured_ms: receipt.source_duration.map(ms),
        mode: word(receipt.mode),
        tone_ms: ms(receipt.tone),
        gap_ms: ms(receipt.gap),
        clock: rtp(receipt.clock_rate),
        payload_type: rtp(0).map(|_| receipt.payload_type),
        packets: rtp(receipt.packets),
        end_packets: rtp(receipt.end_copies),
        info_status: receipt.info_status,
        delay_ms: receipt.delay.as_secs_f64() * 1000.0,
    }
}

/// The mode as the page reads it.
fn word(mode: Mode) -> &'static str {
    match mode {
        Mode::Rfc4733 => "rfc4733",
        Mode::Info => "sip-info",
        Mode::Inband => "inband",
        Mode::Client => "message",
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
impl Timeline {
    /// A mode, a digit that came, one that went and one that was lost.
    pub(crate) fn sample() -> Timeline {
        let ms = Duration::from_millis;
        let receipt = Receipt {
            digit: crate::base::Digit::ALL[5],
            source: Mode::Client,
            source_duration: Some(ms(101)),
            mode: Mode::Rfc4733,
            clock_rate: 8_000,
            payload_type: 101,
            packets: 8,
            end_copies: 3,
            tone: ms(100),
            gap: ms(80),
            info_status: None,
            delay: Duration::from_micros(500),
        };
        let mut timeline = Timeline::default();
        timeline.push(ms(900), Entry::DigitWay(DigitWay::Negotiated(Some(Mode::Rfc4733))));
        let heard = Entry::DigitHeard { from: LegSide::Trunk, mode: Mode::Info, length: ms(120) };
        timeline.push(ms(1500), heard);
        timeline.push(ms(2000), Entry::DigitSent(receipt));
        timeline.push(ms(2100), Entry::DigitsLost);
        timeline
    }
}
