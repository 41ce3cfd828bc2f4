//! From the page to a trunk of the same codec, as it comes: every payload goes on unchanged, only
//! source, numbers and timestamps are ours.
//!
//! What the page's network lost stays a gap in the numbers, and its pauses stay in the timestamps.
//! What comes after its successors is not sent any more.

use crate::rtp::{Packet, SeqExtender, Ssrc, Timestamp};

/// A stream that is passed on.
#[derive(Debug, Default)]
pub(super) struct Relay {
    stream: Option<Stream>,
    late: u64,
}

#[derive(Debug)]
struct Stream {
    ssrc: Ssrc,
    extender: SeqExtender,
    newest: u64,
    /// The page's timestamp that stands for `out` on ours.
    anchor: Timestamp,
    out: u32,
    /// Where the last packet began on the page's clock.
    last: Timestamp,
}

/// Where a packet goes on our side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Packets that are missing before it.
    pub(super) lost: u16,
    pub(super) timestamp: u32,
    /// It is the first of a stream, or says itself that it starts a talk spurt.
    pub(super) marker: bool,
}

/// As many lost packets, or a pause of as many seconds, are a new stream.
const LONGEST_LOSS: u64 = 100;
const LONGEST_PAUSE: u32 = 60;

impl Relay {
    /// The place of a packet of a codec of `clock` Hz, while our own media clock shows `now`; `None`
    /// for one that its successors have overtaken.
    pub(super) fn place(&mut self, packet: &Packet<'_>, clock: u32, now: u32) -> Option<Place> {
        if let Some(stream) = self.stream.as_mut().filter(|stream| stream.ssrc == packet.ssrc) {
            let number = stream.extender.extend(packet.seq);
            if number <= stream.newest && stream.newest - number < LONGEST_LOSS {
                self.late += 1;
                return None;
            }
            let passed = packet.timestamp.since(stream.last);
            let lost = number.saturating_sub(stream.newest + 1);
            let sensible = passed >= 0 && passed.unsigned_abs() < LONGEST_PAUSE * clock;
            if number > stream.newest && lost < LONGEST_LOSS && sensible {
                stream.newest = number;
                stream.last = packet.timestamp;
                let since = packet.timestamp.since(stream.anchor).unsigned_abs();
                let timestamp = stream.out.wrapping_add(since);
                return Some(Place { lost: lost as u16, timestamp, marker: packet.marker });
            }
        }
        let mut extender = SeqExtender::new();
        let newest = extender.extend(packet.seq);
        self.stream = Some(Stream {
            ssrc: packet.ssrc,
            extender,
            newest,
            anchor: packet.timestamp,
            out: now,
            last: packet.timestamp,
        });
        Some(Place { lost: 0, timestamp: now, marker: true })
    }

    /// Something else was sent meanwhile: what comes next starts anew.
    pub(super) fn interrupt(&mut self) {
        self.stream = None;
    }

    /// Packets that came after their successors.
    pub(super) fn late(&self) -> u64 {
        self.late
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::{PayloadType, Seq};

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

    #[test]
    fn gaps_and_pauses_stay_and_a_new_source_starts_where_our_clock_is() {
        let mut relay = Relay::default();
        // (ssrc, seq, timestamp, our clock) and (lost, timestamp, marker)
        let at = |lost, timestamp, marker| Some(Place { lost, timestamp, marker });
        let rows = [
            (1, 65_534, u32::MAX, 500, at(0, 500, true)),
            (1, 65_535, 159, 660, at(0, 660, false)),
            (1, 2, 639, 1140, at(2, 1140, false)),
            (1, 1, 479, 1150, None),
            (1, 3, 8639, 9140, at(0, 9140, false)),
            (2, 900, 70, 9300, at(0, 9300, true)),
            (2, 901, 70_000_000, 9460, at(0, 9460, true)),
        ];
        for (ssrc, seq, timestamp, clock, expected) in rows {
            let place = relay.place(&packet(ssrc, seq, timestamp), 8000, clock);
            assert_eq!(place, expected, "{ssrc} {seq}");
        }
        relay.interrupt();
        assert_eq!(relay.place(&packet(2, 902, 70_000_160), 8000, 7), at(0, 7, true));
        assert_eq!(relay.late(), 1);
    }
}
