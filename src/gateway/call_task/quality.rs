//! A leg's quality from what its media counted: the E-model's score, for the record, the page and the
//! metrics.

use std::time::Duration;

use crate::base::CallId;
use crate::call::LegQuality;
use crate::media::{LegSide, LegStats};
use crate::rtp::{CodecQuality, PathQuality, Quality};
use crate::signaling::{Event, LegReport};

/// The quality of what arrives on a leg.
pub(super) fn of_leg(side: LegSide, stats: &LegStats) -> LegQuality {
    let expected = (stats.received as f32 + stats.lost.max(0) as f32).max(1.0);
    let lost = stats.lost.max(0) as f32 / expected;
    let concealed = (stats.concealed as f32 / expected).min(1.0);
    // Toward the trunk only what was not recovered is heard; toward the page its browser decides, and
    // what the trunk's network lost is the best guess.
    let heard = if side == LegSide::Browser { concealed } else { lost };
    let packet_ms = 20.0;
    let delay_ms = packet_ms + stats.playout_ms + stats.round_trip_ms.unwrap_or(0.0) / 2.0;
    let codec = match side {
        LegSide::Browser => CodecQuality::OPUS_NARROWBAND,
        LegSide::Trunk => CodecQuality::G711,
    };
    let path = PathQuality {
        one_way_delay: Duration::from_secs_f32(delay_ms.max(0.0) / 1000.0),
        loss: f64::from(heard),
        burst_ratio: 1.0,
    };
    let estimate = Quality::estimate(codec, path);
    LegQuality {
        mos: hundredths(estimate.mos as f32),
        loss_percent: hundredths(100.0 * lost),
        jitter_ms: hundredths(stats.jitter_ms),
        rating: hundredths(estimate.r as f32),
        concealed_percent: hundredths(100.0 * concealed),
        buffer_ms: hundredths(stats.playout_ms),
        round_trip_ms: stats.round_trip_ms.map(hundredths),
        one_way_delay_ms: hundredths(delay_ms),
        remote_loss_percent: stats.remote_loss.map(|loss| hundredths(100.0 * loss)),
    }
}

/// What a page is told of both legs.
pub(super) fn event(
    call: CallId,
    page: (&LegQuality, &LegStats),
    trunk: (&LegQuality, &LegStats),
) -> Event {
    Event::CallStats { call, page: Box::new(report(page)), trunk: Box::new(report(trunk)) }
}

fn report((leg, counts): (&LegQuality, &LegStats)) -> LegReport {
    LegReport {
        packets: counts.received,
        lost: counts.lost,
        octets: counts.octets,
        sent_packets: counts.sent,
        sent_octets: counts.sent_octets,
        mos: leg.mos,
        rating: leg.rating,
        loss_percent: leg.loss_percent,
        concealed_percent: leg.concealed_percent,
        jitter_ms: leg.jitter_ms,
        buffer_ms: leg.buffer_ms,
        round_trip_ms: leg.round_trip_ms,
        one_way_delay_ms: leg.one_way_delay_ms,
        remote_loss_percent: leg.remote_loss_percent,
    }
}

fn hundredths(value: f32) -> f32 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recovered_loss_is_not_heard_and_delay_counts_the_buffer() {
        let stats = LegStats {
            received: 950,
            lost: 50,
            recovered: 45,
            concealed: 5,
            jitter_ms: 12.345,
            playout_ms: 60.0,
            round_trip_ms: Some(80.0),
            ..LegStats::default()
        };
        let page = of_leg(LegSide::Browser, &stats);
        assert_eq!((page.loss_percent, page.concealed_percent), (5.0, 0.5));
        assert_eq!((page.one_way_delay_ms, page.jitter_ms), (120.0, 12.35));
        let trunk = of_leg(LegSide::Trunk, &stats);
        assert!(page.mos > trunk.mos, "{} and {}", page.mos, trunk.mos);
        let silent = of_leg(LegSide::Trunk, &LegStats::default());
        assert!(silent.mos > 4.3 && silent.rating > 90.0, "{silent:?}");
    }
}
