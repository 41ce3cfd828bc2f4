//! What a sender knows of its own stream, for sender reports, and the round trip from the blocks
//! that come back (RFC 3550 sections 6.4.1 and 6.4.2).

use std::time::{Duration, Instant};

use super::{NtpTime, ReportBlock, SenderInfo, Ssrc, Timestamp};

/// Counters of one sent RTP stream.
#[derive(Debug, Clone)]
pub struct SenderStats {
    ssrc: Ssrc,
    clock_rate: u32,
    packets: u32,
    octets: u32,
    last: Option<(Instant, Timestamp)>,
    reports: [Option<SentReport>; REMEMBERED],
    newest: usize,
    round_trip: Option<Duration>,
    fraction_lost: u8,
}

#[derive(Debug, Clone, Copy)]
struct SentReport {
    middle: u32,
    at: Instant,
}

impl SenderStats {
    /// Counters at zero of a stream with this source and clock rate in Hz.
    pub fn new(ssrc: Ssrc, clock_rate: u32) -> SenderStats {
        SenderStats {
            ssrc,
            clock_rate: clock_rate.max(1),
            packets: 0,
            octets: 0,
            last: None,
            reports: [None; REMEMBERED],
            newest: 0,
            round_trip: None,
            fraction_lost: 0,
        }
    }

    /// Another clock rate in Hz, of another codec: before the first packet, or with a new offer and
    /// answer.
    pub fn set_clock_rate(&mut self, clock_rate: u32) {
        self.clock_rate = clock_rate.max(1);
    }

    /// The source of the stream.
    pub fn ssrc(&self) -> Ssrc {
        self.ssrc
    }

    /// Counts one sent packet; `payload_octets` without header and padding.
    pub fn on_packet(&mut self, now: Instant, timestamp: Timestamp, payload_octets: usize) {
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(payload_octets as u32);
        self.last = Some((now, timestamp));
    }

    /// Octets of payload sent so far; begins anew after 2^32, as on the wire.
    pub fn octets(&self) -> u32 {
        self.octets
    }

    /// The sender part of a report sent `now`, when the wall clock shows `ntp`; `None` before the
    /// first packet. The media timestamp is carried forward to `now` (RFC 3550 section 6.4.1).
    pub fn report(&mut self, now: Instant, ntp: NtpTime) -> Option<SenderInfo> {
        let (at, timestamp) = self.last?;
        self.newest = (self.newest + 1) % REMEMBERED;
        self.reports[self.newest] = Some(SentReport { middle: ntp.middle(), at: now });
        let since = now.saturating_duration_since(at);
        let units = since.as_nanos() * u128::from(self.clock_rate) / 1_000_000_000;
        Some(SenderInfo {
            ntp,
            timestamp: timestamp.plus(units as u32),
            packets: self.packets,
            octets: self.octets,
        })
    }

    /// Takes a block about this stream; one about another stream changes nothing. Returns the
    /// round trip where the block allows one.
    ///
    /// Measured on our own monotonic clock by remembering when each report left, so a wall clock
    /// that is set in between does no harm.
    pub fn on_report_block(&mut self, now: Instant, block: &ReportBlock) -> Option<Duration> {
        if block.ssrc != self.ssrc {
            return None;
        }
        self.fraction_lost = block.fraction_lost;
        if block.last_sr == 0 {
            return None;
        }
        let sent = self.reports.iter().flatten().find(|r| r.middle == block.last_sr)?;
        let held = Duration::from_nanos(
            u64::from(block.delay_since_last_sr).saturating_mul(1_000_000_000) / 65536,
        );
        let round_trip = now.saturating_duration_since(sent.at).saturating_sub(held);
        self.round_trip = Some(round_trip);
        Some(round_trip)
    }

    /// The newest round trip, if one was measured.
    pub fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// The share the other side lost in its last interval, 0 to 255 of 256.
    pub fn fraction_lost(&self) -> u8 {
        self.fraction_lost
    }

    /// Packets sent, modulo 2^32.
    pub fn packets(&self) -> u32 {
        self.packets
    }
}

/// Reports whose echo is still recognised: at one in 5 s, 20 s of round trip and holding.
const REMEMBERED: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::epoch;

    #[test]
    fn the_report_carries_the_timestamp_forward_to_now() {
        let mut stats = SenderStats::new(Ssrc(1), 8000);
        assert_eq!(stats.report(epoch(), NtpTime(0)), None);
        stats.on_packet(epoch(), Timestamp(u32::MAX), 160);
        stats.on_packet(epoch(), Timestamp(u32::MAX), 160);
        let info = stats.report(epoch() + Duration::from_millis(10), NtpTime(7)).unwrap();
        assert_eq!((info.timestamp, info.packets, info.octets), (Timestamp(79), 2, 320));
    }

    #[test]
    fn the_round_trip_is_time_away_less_time_held() {
        let mut stats = SenderStats::new(Ssrc(1), 8000);
        stats.on_packet(epoch(), Timestamp(0), 160);
        let ntp = NtpTime(0x0000_0001_8000_0000);
        stats.report(epoch(), ntp);
        let mut block = ReportBlock {
            ssrc: Ssrc(1),
            fraction_lost: 26,
            cumulative_lost: 3,
            highest_seq: 5,
            jitter: 0,
            last_sr: ntp.middle(),
            delay_since_last_sr: 65536 / 2,
        };
        let now = epoch() + Duration::from_millis(580);
        assert_eq!(stats.on_report_block(now, &block), Some(Duration::from_millis(80)));
        assert_eq!(stats.fraction_lost(), 26);
        block.last_sr = 99;
        assert_eq!(stats.on_report_block(now, &block), None, "a report we never sent");
        block.ssrc = Ssrc(2);
        block.fraction_lost = 200;
        assert_eq!(stats.on_report_block(now, &block), None);
        assert_eq!(stats.fraction_lost(), 26);
    }
}
