//! One RTP packet (RFC 3550 section 5.1): parsed without a copy, written into a buffer that is
//! used again. CSRCs, a header extension and padding are read over; none is ever written.

use super::{PayloadType, Seq, Ssrc, Timestamp};

/// Longest datagram taken as RTP, in bytes.
pub const MAX_PACKET: usize = 1500;

/// An RTP packet, its payload borrowed from the datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The marker: first packet of a talk spurt, or of an event (RFC 3551 section 4.1).
    pub marker: bool,
    /// What the payload is.
    pub payload_type: PayloadType,
    /// Order on the wire.
    pub seq: Seq,
    /// Moment of the first sample, in units of the payload's clock.
    pub timestamp: Timestamp,
    /// Who sent it.
    pub ssrc: Ssrc,
    /// The payload without padding; may be empty.
    pub payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads a datagram.
    ///
    /// # Errors
    /// [`ParseError`] says which rule of RFC 3550 section 5.1 is broken.
    pub fn parse(datagram: &'a [u8]) -> Result<Packet<'a>, ParseError> {
        if datagram.len() > MAX_PACKET {
            return Err(ParseError::TooLong);
        }
        let (fixed, rest) = datagram.split_first_chunk::<12>().ok_or(ParseError::TooShort)?;
        if fixed[0] >> 6 != VERSION {
            return Err(ParseError::Version);
        }
        if is_rtcp(datagram) {
            return Err(ParseError::Rtcp);
        }
        let csrcs = usize::from(fixed[0] & 0x0f) * 4;
        let mut payload = rest.get(csrcs..).ok_or(ParseError::TooShort)?;
        if fixed[0] & EXTENSION != 0 {
            let (head, body) = payload.split_first_chunk::<4>().ok_or(ParseError::TooShort)?;
            let words = usize::from(u16::from_be_bytes([head[2], head[3]]));
            payload = body.get(words * 4..).ok_or(ParseError::TooShort)?;
        }
        if fixed[0] & PADDING != 0 {
            let count = usize::from(*payload.last().ok_or(ParseError::Padding)?);
            if count == 0 || count > payload.len() {
                return Err(ParseError::Padding);
            }
            payload = &payload[..payload.len() - count];
        }
        Ok(Packet {
            marker: fixed[1] & MARKER != 0,
            payload_type: PayloadType::from_low_bits(fixed[1]),
            seq: Seq(u16::from_be_bytes([fixed[2], fixed[3]])),
            timestamp: Timestamp(u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]])),
            ssrc: Ssrc(u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]])),
            payload,
        })
    }

    /// Writes the packet over what `out` held.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.clear();
        out.push(VERSION << 6);
        out.push(if self.marker { MARKER } else { 0 } | self.payload_type.get());
        out.extend_from_slice(&self.seq.0.to_be_bytes());
        out.extend_from_slice(&self.timestamp.0.to_be_bytes());
        out.extend_from_slice(&self.ssrc.0.to_be_bytes());
        out.extend_from_slice(self.payload);
    }
}

/// Whether a datagram of a socket that carries both is RTCP: its second byte is 192 to 223
/// (RFC 5761 section 4).
pub fn is_rtcp(datagram: &[u8]) -> bool {
    datagram.len() >= 2 && datagram[0] >> 6 == VERSION && (192..=223).contains(&datagram[1])
}

/// Why a datagram is not an RTP packet; the sender's fault in every case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Longer than [`MAX_PACKET`].
    #[error("longer than 1500 bytes")]
    TooLong,
    /// Ends inside the header its first bytes announce.
    #[error("ends inside the header")]
    TooShort,
    /// Not version 2.
    #[error("not RTP version 2")]
    Version,
    /// An RTCP packet.
    #[error("an RTCP packet")]
    Rtcp,
    /// More padding than payload, or none where some is announced.
    #[error("padding count does not fit")]
    Padding,
}

const VERSION: u8 = 2;
const PADDING: u8 = 0x20;
const EXTENSION: u8 = 0x10;
const MARKER: u8 = 0x80;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn datagram(first: u8, second: u8, rest: &[u8]) -> Vec<u8> {
        let mut bytes = vec![first, second, 0x12, 0x34, 0, 0, 0, 160, 0xde, 0xad, 0xbe, 0xef];
        bytes.extend_from_slice(rest);
        bytes
    }

    #[test]
    fn payload_follows_csrcs_extension_and_padding() {
        let cases: [(&str, u8, &[u8], &[u8]); 5] = [
            ("plain", 0x80, &[1, 2, 3], &[1, 2, 3]),
            ("one CSRC", 0x81, &[9, 9, 9, 9, 1, 2], &[1, 2]),
            ("extension of one word", 0x90, &[0xbe, 0xde, 0, 1, 7, 7, 7, 7, 1], &[1]),
            ("padding of two", 0xa0, &[1, 2, 0, 2], &[1, 2]),
            ("nothing but padding", 0xa0, &[0, 2], &[]),
        ];
        for (name, first, rest, payload) in cases {
            let bytes = datagram(first, 0x80, rest);
            let packet = Packet::parse(&bytes).unwrap();
            assert_eq!(packet.payload, payload, "{name}");
            assert!(packet.marker);
            assert_eq!((packet.seq, packet.timestamp), (Seq(0x1234), Timestamp(160)));
            assert_eq!(packet.ssrc, Ssrc(0xdead_beef));
        }
    }

    #[test]
    fn broken_packets_are_refused_with_their_rule() {
        let cases = [
            (vec![0x80; 11], ParseError::TooShort),
            (vec![0x80; 1501], ParseError::TooLong),
            (datagram(0x40, 0, &[]), ParseError::Version),
            (datagram(0x80, 200, &[]), ParseError::Rtcp),
            (datagram(0x8f, 0, &[0; 8]), ParseError::TooShort),
            (datagram(0x90, 0, &[0, 0, 0, 9, 0]), ParseError::TooShort),
            (datagram(0xa0, 0, &[]), ParseError::Padding),
            (datagram(0xa0, 0, &[1, 0]), ParseError::Padding),
            (datagram(0xa0, 0, &[1, 9]), ParseError::Padding),
        ];
        for (bytes, error) in cases {
            assert_eq!(Packet::parse(&bytes), Err(error));
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_what_is_written_parses_back(
            bytes in proptest::collection::vec(any::<u8>(), 0..80)
        ) {
            if let Ok(packet) = Packet::parse(&bytes) {
                let mut written = Vec::new();
                packet.write(&mut written);
                prop_assert_eq!(Packet::parse(&written), Ok(packet));
            }
        }
    }
}
