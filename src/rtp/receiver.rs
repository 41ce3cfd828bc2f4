//! What a receiver knows of one source: loss, jitter, reordering (RFC 3550 appendices A.1, A.3,
//! A.8), and the report block it sends about it.
//!
//! Reports go out as RTCP elsewhere; the playout buffer has its own, finer view of delay.

use std::time::{Duration, Instant};

use super::{NtpTime, Packet, ReportBlock, Seq, SeqExtender, Ssrc, Timestamp};

/// Statistics of one received RTP stream.
#[derive(Debug, Clone)]
pub struct ReceiverStats {
    clock_rate: u32,
    source: Option<Source>,
    restarts: u64,
    total_received: u64,
    total_octets: u64,
}

#[derive(Debug, Clone)]
struct Source {
    ssrc: Ssrc,
    extender: SeqExtender,
    first: u64,
    received: u64,
    reordered: u64,
    expected_before: u64,
    received_before: u64,
    /// Interarrival jitter in clock units times 16 (RFC 3550 A.8).
    jitter: f64,
    last_arrival: Instant,
    last_timestamp: Timestamp,
    /// The number that would follow a jump, if a jump was just seen (RFC 3550 A.1 `bad_seq`).
    after_jump: Option<Seq>,
    last_report: Option<(u32, Instant)>,
}

/// How a packet stands in its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// The next one, or one after a gap.
    InOrder,
    /// Older than the newest one: overtaken or a copy.
    Reordered,
    /// A jump too large to be loss; counted once a second packet confirms it.
    Jump,
    /// The first of its source, or the source started again.
    Started,
}

impl ReceiverStats {
    /// Statistics that have seen nothing. `clock_rate` is that of the payload, in Hz.
    pub fn new(clock_rate: u32) -> ReceiverStats {
        ReceiverStats {
            clock_rate: clock_rate.max(1),
            source: None,
            restarts: 0,
            total_received: 0,
            total_octets: 0,
        }
    }

    /// Another clock rate in Hz, of another codec: with a new offer and answer.
    pub fn set_clock_rate(&mut self, clock_rate: u32) {
        self.clock_rate = clock_rate.max(1);
    }

    /// Counts one packet. A new SSRC, or two packets in a row beyond a jump, start over.
    pub fn on_packet(&mut self, now: Instant, packet: &Packet<'_>) -> Received {
        let fresh = match &mut self.source {
            Some(source) if source.ssrc == packet.ssrc => {
                if let Some(received) = source.advance(packet.seq) {
                    if received != Received::Jump {
                        self.total_received += 1;
                        self.total_octets += packet.payload.len() as u64;
                        source.received += 1;
                        source.measure_jitter(now, packet.timestamp, self.clock_rate);
                    }
                    return received;
                }
                true
            }
            Some(_) => true,
            None => false,
        };
        self.restarts += u64::from(fresh);
        self.total_received += 1;
        self.total_octets += packet.payload.len() as u64;
        self.source = Some(Source::start(now, packet));
        Received::Started
    }

    /// Remembers a sender report of the source, for the round trip the other side computes.
    pub fn on_sender_report(&mut self, now: Instant, ssrc: Ssrc, ntp: NtpTime) {
        if let Some(source) = self.source.as_mut().filter(|s| s.ssrc == ssrc) {
            source.last_report = Some((ntp.middle(), now));
        }
    }

    /// The report block for the next RTCP packet and the start of a new interval; `None` before
    /// the first packet.
    pub fn report(&mut self, now: Instant) -> Option<ReportBlock> {
        let source = self.source.as_mut()?;
        let expected = source.expected();
        let expected_interval = expected - source.expected_before;
        let received_interval = source.received - source.received_before;
        source.expected_before = expected;
        source.received_before = source.received;
        let lost_interval = expected_interval.saturating_sub(received_interval);
        // At most 255/256: all of an interval lost with one packet seen cannot be reached.
        let fraction_lost =
            (lost_interval * 256).checked_div(expected_interval).unwrap_or(0).min(255);
        let (last_sr, delay) = match source.last_report {
            Some((middle, at)) => (middle, now.saturating_duration_since(at)),
            None => (0, Duration::ZERO),
        };
        Some(ReportBlock {
            ssrc: source.ssrc,
            fraction_lost: fraction_lost as u8,
            cumulative_lost: source.lost().clamp(-0x80_0000, 0x7f_ffff) as i32,
            // The extender starts one cycle up; the wire starts at cycle 0.
            highest_seq: (source.highest() - (1 << 16)) as u32,
            jitter: (source.jitter / 16.0) as u32,
            last_sr,
            delay_since_last_sr: (delay.as_nanos() * 65536 / 1_000_000_000) as u32,
        })
    }

    /// Packets of all sources since the start.
    pub fn received(&self) -> u64 {
        self.total_received
    }

    /// Their payloads' octets.
    pub fn octets(&self) -> u64 {
        self.total_octets
    }

    /// Packets of the current source that did not come; negative when copies came.
    pub fn lost(&self) -> i64 {
        self.source.as_ref().map_or(0, Source::lost)
    }

    /// Packets of the current source that should have come.
    pub fn expected(&self) -> u64 {
        self.source.as_ref().map_or(0, Source::expected)
    }

    /// Packets of the current source that were overtaken or came twice.
    pub fn reordered(&self) -> u64 {
        self.source.as_ref().map_or(0, |s| s.reordered)
    }

    /// How often the source changed or started again.
    pub fn restarts(&self) -> u64 {
        self.restarts
    }

    /// Interarrival jitter (RFC 3550 A.8).
    pub fn jitter(&self) -> Duration {
        let units = self.source.as_ref().map_or(0.0, |s| s.jitter / 16.0);
        Duration::from_secs_f64(units / f64::from(self.clock_rate))
    }

    /// The source being counted.
    pub fn ssrc(&self) -> Option<Ssrc> {
        self.source.as_ref().map(|s| s.ssrc)
    }
}

impl Source {
    fn start(now: Instant, packet: &Packet<'_>) -> Source {
        let mut extender = SeqExtender::new();
        let first = extender.extend(packet.seq);
        Source {
            ssrc: packet.ssrc,
            extender,
            first,
            received: 1,
            reordered: 0,
            expected_before: 0,
            received_before: 0,
            jitter: 0.0,
            last_arrival: now,
            last_timestamp: packet.timestamp,
            after_jump: None,
            last_report: None,
        }
    }

    /// Takes a sequence number; `None` means the source has started again (RFC 3550 A.1).
    fn advance(&mut self, seq: Seq) -> Option<Received> {
        let highest = self.highest();
        let steps = seq.since(Seq(highest as u16));
        if (1..MAX_DROPOUT).contains(&steps) {
            self.extender.extend(seq);
            self.after_jump = None;
            return Some(Received::InOrder);
        }
        if steps <= 0 && steps > -MAX_MISORDER {
            self.reordered += 1;
            return Some(Received::Reordered);
        }
        if self.after_jump == Some(seq) {
            return None;
        }
        self.after_jump = Some(seq.next());
        Some(Received::Jump)
    }

    fn measure_jitter(&mut self, now: Instant, timestamp: Timestamp, clock_rate: u32) {
        let elapsed = now.saturating_duration_since(self.last_arrival).as_secs_f64();
        let transit =
            elapsed * f64::from(clock_rate) - f64::from(timestamp.since(self.last_timestamp));
        self.jitter += transit.abs() - self.jitter / 16.0;
        self.last_arrival = now;
        self.last_timestamp = timestamp;
    }

    fn highest(&self) -> u64 {
        self.extender.newest().unwrap_or(self.first)
    }

    fn expected(&self) -> u64 {
        self.highest() - self.first + 1
    }

    fn lost(&self) -> i64 {
        self.expected() as i64 - self.received as i64
    }
}

/// RFC 3550 A.1: a step forward of this many or more is not loss.
const MAX_DROPOUT: i16 = 3000;
/// RFC 3550 A.1: a step back of this many or more is not reordering.
const MAX_MISORDER: i16 = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::epoch;
    use crate::rtp::PayloadType;

    fn packet(ssrc: u32, seq: u16, timestamp: u32) -> Packet<'static> {
        Packet {
            marker: false,
            payload_type: PayloadType::PCMU,
            seq: Seq(seq),
            timestamp: Timestamp(timestamp),
            ssrc: Ssrc(ssrc),
            payload: &[],
        }
    }

    fn at(ms: u64) -> Instant {
        epoch() + Duration::from_millis(ms)
    }

    #[test]
    fn loss_reordering_and_restart_follow_rfc_3550_a1() {
        use Received::{InOrder, Jump, Reordered, Started};
        let mut stats = ReceiverStats::new(8000);
        let steps = [
            (1, 65534, Started, 0, 0),
            (1, 65535, InOrder, 0, 0),
            (1, 2, InOrder, 2, 0),
            (1, 0, Reordered, 1, 1),
            (1, 20_000, Jump, 1, 1),
            (1, 3, InOrder, 1, 1),
            (1, 20_000, Jump, 1, 1),
            (1, 20_001, Started, 0, 0),
            (2, 5, Started, 0, 0),
        ];
        for (ssrc, seq, received, lost, reordered) in steps {
            assert_eq!(stats.on_packet(at(0), &packet(ssrc, seq, 0)), received, "seq {seq}");
            assert_eq!((stats.lost(), stats.reordered()), (lost, reordered), "seq {seq}");
        }
        assert_eq!(stats.restarts(), 2);
        assert_eq!(stats.received(), 7);
    }

    #[test]
    fn the_fraction_lost_is_of_the_interval_and_the_total_of_all_rfc_3550_a3() {
        let mut stats = ReceiverStats::new(8000);
        for seq in [0u16, 1, 3, 5, 6, 7] {
            stats.on_packet(at(u64::from(seq) * 20), &packet(9, seq, u32::from(seq) * 160));
        }
        let block = stats.report(at(200)).unwrap();
        assert_eq!((block.fraction_lost, block.cumulative_lost), (64, 2));
        assert_eq!((block.highest_seq, block.jitter), (7, 0));
        for seq in 8u16..12 {
            stats.on_packet(at(u64::from(seq) * 20), &packet(9, seq, u32::from(seq) * 160));
        }
        let block = stats.report(at(400)).unwrap();
        assert_eq!((block.fraction_lost, block.cumulative_lost), (0, 2));
    }

    #[test]
    fn jitter_settles_on_the_mean_deviation_rfc_3550_a8() {
        let mut stats = ReceiverStats::new(8000);
        for n in 0u64..400 {
            let late = if n % 2 == 0 { 0 } else { 10 };
            stats.on_packet(at(n * 20 + late), &packet(9, n as u16, n as u32 * 160));
        }
        let ms = stats.jitter().as_secs_f64() * 1e3;
        assert!((9.5..10.5).contains(&ms), "{ms}");
    }

    #[test]
    fn delay_since_the_last_sender_report_is_in_65536ths() {
        let mut stats = ReceiverStats::new(8000);
        stats.on_packet(at(0), &packet(9, 0, 0));
        stats.on_sender_report(at(100), Ssrc(9), NtpTime(0x1122_3344_5566_7788));
        stats.on_sender_report(at(100), Ssrc(8), NtpTime(0));
        let block = stats.report(at(600)).unwrap();
        assert_eq!((block.last_sr, block.delay_since_last_sr), (0x3344_5566, 32768));
    }
}
