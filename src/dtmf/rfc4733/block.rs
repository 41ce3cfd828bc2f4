//! The four bytes of one telephone event (RFC 4733 2.3).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! |     event     |E|R| volume    |          duration             |
//! ```

/// One telephone event as it stands in a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventBlock {
    /// Event code; 0 to 15 are the keys.
    pub event: u8,
    /// The E bit: the duration is the whole one.
    pub end: bool,
    /// Power in -dBm0, 0 to 63.
    pub volume: u8,
    /// Length so far in ticks of the type's clock, counted from the packet's timestamp.
    pub duration: u16,
}

impl EventBlock {
    /// Reads one block; the R bit is ignored (RFC 4733 2.3.3).
    pub fn from_bytes(bytes: [u8; 4]) -> EventBlock {
        EventBlock {
            event: bytes[0],
            end: bytes[1] & 0x80 != 0,
            volume: bytes[1] & 0x3f,
            duration: u16::from_be_bytes([bytes[2], bytes[3]]),
        }
    }

    /// Writes the block with R = 0.
    pub fn to_bytes(self) -> [u8; 4] {
        let [high, low] = self.duration.to_be_bytes();
        let end = if self.end { 0x80 } else { 0 };
        [self.event, end | (self.volume & 0x3f), high, low]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_round_trip_and_the_reserved_bit_is_ignored() {
        let block = EventBlock { event: 11, end: true, volume: 10, duration: 0x1234 };
        assert_eq!(block.to_bytes(), [11, 0x8a, 0x12, 0x34]);
        assert_eq!(EventBlock::from_bytes([11, 0xca, 0x12, 0x34]), block);
    }
}
