//! Numbers of RTP's headers that must not mix: payload type, sequence, timestamp, SSRC, NTP time
//! (RFC 3550 sections 4 and 5.1). All arithmetic wraps, on purpose.

use std::time::Duration;

/// A payload type, 0 to 127 (RFC 3550 section 5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PayloadType(u8);

impl PayloadType {
    /// PCMU at 8 kHz (RFC 3551 table 4).
    pub const PCMU: PayloadType = PayloadType(0);
    /// Comfort noise beside codecs of 8 kHz (RFC 3389 4).
    pub const COMFORT_NOISE: PayloadType = PayloadType(13);
    /// PCMA at 8 kHz (RFC 3551 table 4).
    pub const PCMA: PayloadType = PayloadType(8);

    /// The payload type of a number, `None` above 127.
    pub const fn new(value: u8) -> Option<PayloadType> {
        if value < 128 { Some(PayloadType(value)) } else { None }
    }

    /// The low seven bits of a header byte.
    pub const fn from_low_bits(byte: u8) -> PayloadType {
        PayloadType(byte & 0x7f)
    }

    /// The number, 0 to 127.
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// A 16-bit sequence number that wraps (RFC 3550 section 5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Seq(pub u16);

impl Seq {
    /// The number after this one.
    #[must_use]
    pub const fn next(self) -> Seq {
        Seq(self.0.wrapping_add(1))
    }

    /// This number and `n` more.
    #[must_use]
    pub const fn plus(self, n: u16) -> Seq {
        Seq(self.0.wrapping_add(n))
    }

    /// Steps from `earlier` to this one, the shorter way round: negative when this one is older.
    pub const fn since(self, earlier: Seq) -> i16 {
        self.0.wrapping_sub(earlier.0) as i16
    }
}

/// A 32-bit media timestamp that wraps, in units of the payload's clock (RFC 3550 section 5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Timestamp(pub u32);

impl Timestamp {
    /// This timestamp and `units` more.
    #[must_use]
    pub const fn plus(self, units: u32) -> Timestamp {
        Timestamp(self.0.wrapping_add(units))
    }

    /// Units from `earlier` to this one, the shorter way round: negative when this one is older.
    pub const fn since(self, earlier: Timestamp) -> i32 {
        self.0.wrapping_sub(earlier.0) as i32
    }
}

/// A synchronisation source (RFC 3550 section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ssrc(pub u32);

/// 64-bit NTP time: seconds since 1900 and a binary fraction (RFC 3550 section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NtpTime(pub u64);

impl NtpTime {
    /// The NTP time of a wall clock reading since 1970.
    pub fn from_unix(since_1970: Duration) -> NtpTime {
        let seconds = since_1970.as_secs().wrapping_add(UNIX_EPOCH_IN_NTP);
        let fraction = (u64::from(since_1970.subsec_nanos()) << 32) / 1_000_000_000;
        NtpTime(seconds << 32 | fraction)
    }

    /// The middle 32 bits that report blocks carry, in units of 1/65536 s (RFC 3550 section 4).
    pub const fn middle(self) -> u32 {
        (self.0 >> 16) as u32
    }
}

/// Turns wrapping sequence numbers into ones that only grow: the wire number plus 65536 per cycle.
///
/// A number up to half the circle behind the newest is taken as old, one ahead as new.
#[derive(Debug, Clone, Default)]
pub struct SeqExtender {
    newest: Option<u64>,
}

impl SeqExtender {
    /// An extender that has seen nothing.
    pub const fn new() -> SeqExtender {
        SeqExtender { newest: None }
    }

    /// The extended number of `seq`. The first one starts one cycle up, so that older ones that
    /// were overtaken still have a number.
    pub fn extend(&mut self, seq: Seq) -> u64 {
        let Some(newest) = self.newest else {
            let first = CYCLE + u64::from(seq.0);
            self.newest = Some(first);
            return first;
        };
        let steps = seq.since(Seq(newest as u16));
        let extended = newest.saturating_add_signed(i64::from(steps));
        self.newest = Some(newest.max(extended));
        extended
    }

    /// The highest extended number so far.
    pub const fn newest(&self) -> Option<u64> {
        self.newest
    }
}

const CYCLE: u64 = 1 << 16;
/// Seconds from 1900 to 1970, 17 leap years among 70 (RFC 868).
const UNIX_EPOCH_IN_NTP: u64 = 2_208_988_800;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_take_the_shorter_way_round() {
        for (later, earlier, steps) in [(1, 65535, 2), (65535, 1, -2), (7, 7, 0), (300, 100, 200)] {
            assert_eq!(Seq(later).since(Seq(earlier)), steps);
        }
        assert_eq!(Timestamp(5).since(Timestamp(u32::MAX)), 6);
        assert_eq!(Timestamp(u32::MAX).plus(2), Timestamp(1));
    }

    #[test]
    fn extension_counts_cycles_and_keeps_overtaken_packets_behind() {
        let mut extender = SeqExtender::new();
        let extended: Vec<u64> =
            [65534, 65535, 1, 0, 65533].iter().map(|s| extender.extend(Seq(*s))).collect();
        assert_eq!(extended, [131_070, 131_071, 131_073, 131_072, 131_069]);
        assert_eq!(extender.newest(), Some(131_073));
    }

    #[test]
    fn payload_types_are_seven_bits() {
        assert_eq!(PayloadType::new(127).unwrap().get(), 127);
        assert_eq!(PayloadType::new(128), None);
        assert_eq!(PayloadType::from_low_bits(0x80), PayloadType::PCMU);
    }

    #[test]
    fn ntp_time_of_1970_and_its_middle() {
        assert_eq!(NtpTime::from_unix(Duration::ZERO).0 >> 32, 2_208_988_800);
        let half = NtpTime::from_unix(Duration::from_millis(1500));
        assert_eq!(half.middle(), (2_208_988_801u64 << 16) as u32 | 0x8000);
    }
}
