//! What page and gateway tell each other of a call's quality: statistics both ways, warnings, how digits
//! went, and the user's own word.

use serde::{Deserialize, Serialize};

use super::Source;
use crate::base::CallId;

/// `call.stats`, from the page: a summary of its `getStats()`, every 5 s.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct PageStats {
    /// The call.
    pub call: CallId,
    /// The numbers.
    pub stats: StatsSummary,
}

/// What the page's browser has measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct StatsSummary {
    /// Round trip in ms.
    pub rtt: Option<f64>,
    /// Estimated quality, 1 to 4.5 (ITU-T G.107).
    pub mos: Option<f64>,
    /// What it receives.
    pub inbound: LegSummary,
    /// What it sends, as we report it.
    pub outbound: LegSummary,
}

/// One direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LegSummary {
    /// Packets so far.
    pub packets: u64,
    /// Of them lost.
    pub lost: i64,
    /// Lost of the last seconds, 0 to 1.
    pub loss_ratio: f64,
    /// Interarrival jitter in ms (RFC 3550 A.8).
    pub jitter: f64,
}

/// `call.report`: what the user thinks of a call, also after its end.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CallReport {
    /// The call.
    pub call: CallId,
    /// 1 (bad) to 5 (excellent).
    pub rating: u8,
    /// What was wrong.
    #[serde(default)]
    pub problem: Option<Problem>,
    /// In the user's words, at most 500 characters.
    #[serde(default)]
    pub note: Option<String>,
}

/// What was wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the words say it")]
pub enum Problem {
    OneWayAudio,
    Choppy,
    Echo,
    Delay,
    Noise,
    Dropped,
}

/// Something that the page cannot see for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Warning {
    /// Sound of the telephone side is lost before it gets here.
    TrunkHighLoss,
}

/// What was measured of one digit sent on. An absent figure is one that the mode does not have.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Receipt {
    /// How it went out.
    pub mode: Option<Source>,
    /// How it came from the page: `rtp` or `message`.
    pub from: &'static str,
    /// Its measured length at the page's side, in ms.
    pub measured_ms: Option<u32>,
    /// The length sent, in ms.
    pub tone_ms: Option<u32>,
    /// The silence before it, in ms.
    pub gap_ms: Option<u32>,
    /// The RTP clock.
    pub clock: Option<u32>,
    /// The RTP payload type.
    pub payload_type: Option<u8>,
    /// Packets sent, with the copies of the last.
    pub packets: Option<u32>,
    /// Copies of the last.
    pub end_packets: Option<u32>,
    /// The final status of the INFO.
    pub info_status: Option<u16>,
    /// From the first packet in to the first packet out, in ms.
    pub delay_ms: Option<f64>,
}

/// Whether one direction loses too much, with a distance between raising and clearing.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LossWatch {
    received: u64,
    lost: i64,
    raised: bool,
}

impl LossWatch {
    /// Takes the counters so far; gives the loss since the last time, and whether the warning changes.
    pub fn look(&mut self, received: u64, lost: i64) -> (f64, Option<bool>) {
        let (more, gone) = (received.saturating_sub(self.received), lost - self.lost);
        self.received = received;
        self.lost = lost;
        let expected = more as f64 + gone.max(0) as f64;
        let ratio = if expected < LEAST { 0.0 } else { gone.max(0) as f64 / expected };
        let raised = if self.raised { ratio > CLEARED } else { ratio > RAISED };
        let change = (raised != self.raised).then_some(raised);
        self.raised = raised;
        (ratio, change)
    }

    /// The loss above which it warns.
    pub const THRESHOLD: f64 = RAISED;
}

/// Speech is hurt by more than this, even where it is concealed.
const RAISED: f64 = 0.03;
const CLEARED: f64 = 0.01;
/// Fewer packets say nothing.
const LEAST: f64 = 50.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_is_raised_once_and_cleared_once() {
        let mut watch = LossWatch::default();
        assert_eq!(watch.look(250, 0), (0.0, None));
        assert_eq!(watch.look(490, 10), (0.04, Some(true)));
        assert_eq!(watch.look(735, 15), (0.02, None), "between the two it stays");
        assert_eq!(watch.look(985, 15), (0.0, Some(false)));
        assert_eq!(watch.look(990, 35).1, None, "five packets are no sample");
        assert_eq!(watch.look(1230, 33), (0.0, None), "late ones came after all");
    }
}
