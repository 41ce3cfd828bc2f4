//! RTCP (RFC 3550 section 6): sender and receiver reports, source description, goodbye. Others are
//! recognised and stepped over. A compound packet is read whole or refused whole.

use super::{NtpTime, Ssrc, Timestamp};

/// Longest datagram taken as RTCP, in bytes.
pub const MAX_RTCP: usize = 1500;

/// One packet of a compound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RtcpPacket {
    /// What a sender sent and received (section 6.4.1).
    SenderReport {
        /// Who reports.
        ssrc: Ssrc,
        /// What it sent.
        info: SenderInfo,
        /// What it received, at most 31.
        blocks: Vec<ReportBlock>,
    },
    /// What a receiver received (section 6.4.2).
    ReceiverReport {
        /// Who reports.
        ssrc: Ssrc,
        /// What it received, at most 31.
        blocks: Vec<ReportBlock>,
    },
    /// The canonical name of a source (section 6.5); other items are stepped over.
    SourceDescription {
        /// Whose name.
        ssrc: Ssrc,
        /// The name, at most 255 bytes; empty when the packet had none.
        cname: String,
    },
    /// Sources that leave (section 6.6).
    Bye {
        /// Who leaves, at most 31.
        ssrcs: Vec<Ssrc>,
    },
    /// A packet type that is not needed here.
    Other {
        /// Its packet type, 192 to 223.
        packet_type: u8,
    },
}

/// The sender part of a sender report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SenderInfo {
    /// Wall clock when it left.
    pub ntp: NtpTime,
    /// The same moment on the media clock.
    pub timestamp: Timestamp,
    /// Packets sent.
    pub packets: u32,
    /// Payload bytes sent.
    pub octets: u32,
}

/// What one receiver says about one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportBlock {
    /// The source reported on.
    pub ssrc: Ssrc,
    /// Lost of the last interval, in 256ths.
    pub fraction_lost: u8,
    /// Lost since the start, 24 bits, negative when copies came.
    pub cumulative_lost: i32,
    /// Cycles in the upper, newest sequence number in the lower 16 bits.
    pub highest_seq: u32,
    /// Interarrival jitter in clock units.
    pub jitter: u32,
    /// Middle 32 bits of the last sender report's NTP time; 0 when none came.
    pub last_sr: u32,
    /// Since that report came, in 65536ths of a second.
    pub delay_since_last_sr: u32,
}

/// Why a datagram is not RTCP; the sender's fault in every case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RtcpError {
    /// Longer than [`MAX_RTCP`] or empty.
    #[error("no RTCP packet has this length")]
    Length,
    /// Not version 2, or a packet type outside 192 to 223.
    #[error("not an RTCP header")]
    Header,
    /// A packet ends before what it announces.
    #[error("ends inside a packet")]
    TooShort,
}

/// Reads a compound packet (section 6.1); also a single one, as RFC 5506 allows.
///
/// # Errors
/// [`RtcpError`]: nothing of a broken compound is used.
pub fn parse_rtcp(datagram: &[u8]) -> Result<Vec<RtcpPacket>, RtcpError> {
    if datagram.is_empty() || datagram.len() > MAX_RTCP {
        return Err(RtcpError::Length);
    }
    let mut packets = Vec::new();
    let mut rest = datagram;
    while !rest.is_empty() {
        let (head, after) = rest.split_first_chunk::<4>().ok_or(RtcpError::TooShort)?;
        if head[0] >> 6 != 2 || !(192..=223).contains(&head[1]) {
            return Err(RtcpError::Header);
        }
        let length = usize::from(u16::from_be_bytes([head[2], head[3]])) * 4;
        let (body, next) = after.split_at_checked(length).ok_or(RtcpError::TooShort)?;
        packets.push(parse_one(head[1], usize::from(head[0] & 0x1f), body)?);
        rest = next;
    }
    Ok(packets)
}

/// Writes a compound packet over what `out` held. At most 31 blocks and sources a packet and 255
/// bytes of name are written.
pub fn write_rtcp(packets: &[RtcpPacket], out: &mut Vec<u8>) {
    out.clear();
    for packet in packets {
        write_one(packet, out);
    }
}

fn parse_one(packet_type: u8, count: usize, body: &[u8]) -> Result<RtcpPacket, RtcpError> {
    let mut reader = Reader(body);
    Ok(match packet_type {
        SR => {
            let ssrc = Ssrc(reader.u32()?);
            let info = SenderInfo {
                ntp: NtpTime(u64::from(reader.u32()?) << 32 | u64::from(reader.u32()?)),
                timestamp: Timestamp(reader.u32()?),
                packets: reader.u32()?,
                octets: reader.u32()?,
            };
            RtcpPacket::SenderReport { ssrc, info, blocks: reader.blocks(count)? }
        }
        RR => {
            RtcpPacket::ReceiverReport { ssrc: Ssrc(reader.u32()?), blocks: reader.blocks(count)? }
        }
        SDES if count > 0 => {
            let ssrc = Ssrc(reader.u32()?);
            RtcpPacket::SourceDescription { ssrc, cname: reader.cname()? }
        }
        BYE => RtcpPacket::Bye {
            ssrcs: (0..count).map(|_| reader.u32().map(Ssrc)).collect::<Result<_, _>>()?,
        },
        _ => RtcpPacket::Other { packet_type },
    })
}

fn write_one(packet: &RtcpPacket, out: &mut Vec<u8>) {
    let start = out.len();
    let (count, packet_type) = match packet {
        RtcpPacket::SenderReport { blocks, .. } => (blocks.len().min(MAX_COUNT), SR),
        RtcpPacket::ReceiverReport { blocks, .. } => (blocks.len().min(MAX_COUNT), RR),
        RtcpPacket::SourceDescription { .. } => (1, SDES),
        RtcpPacket::Bye { ssrcs } => (ssrcs.len().min(MAX_COUNT), BYE),
        RtcpPacket::Other { .. } => return,
    };
    out.extend_from_slice(&[0x80 | count as u8, packet_type, 0, 0]);
    match packet {
        RtcpPacket::SenderReport { ssrc, info, blocks } => {
            out.extend_from_slice(&ssrc.0.to_be_bytes());
            out.extend_from_slice(&info.ntp.0.to_be_bytes());
            out.extend_from_slice(&info.timestamp.0.to_be_bytes());
            out.extend_from_slice(&info.packets.to_be_bytes());
            out.extend_from_slice(&info.octets.to_be_bytes());
            write_blocks(blocks, out);
        }
        RtcpPacket::ReceiverReport { ssrc, blocks } => {
            out.extend_from_slice(&ssrc.0.to_be_bytes());
            write_blocks(blocks, out);
        }
        RtcpPacket::SourceDescription { ssrc, cname } => {
            let name = &cname.as_bytes()[..cname.len().min(255)];
            out.extend_from_slice(&ssrc.0.to_be_bytes());
            out.extend_from_slice(&[CNAME, name.len() as u8]);
            out.extend_from_slice(name);
            // At least one zero ends the items, then up to the word (section 6.5).
            out.push(0);
            while !(out.len() - start).is_multiple_of(4) {
                out.push(0);
            }
        }
        RtcpPacket::Bye { ssrcs } => {
            for ssrc in ssrcs.iter().take(MAX_COUNT) {
                out.extend_from_slice(&ssrc.0.to_be_bytes());
            }
        }
        RtcpPacket::Other { .. } => {}
    }
    let words = ((out.len() - start) / 4 - 1) as u16;
    out[start + 2..start + 4].copy_from_slice(&words.to_be_bytes());
}

fn write_blocks(blocks: &[ReportBlock], out: &mut Vec<u8>) {
    for block in blocks.iter().take(MAX_COUNT) {
        out.extend_from_slice(&block.ssrc.0.to_be_bytes());
        let lost = block.cumulative_lost.to_be_bytes();
        out.extend_from_slice(&[block.fraction_lost, lost[1], lost[2], lost[3]]);
        out.extend_from_slice(&block.highest_seq.to_be_bytes());
        out.extend_from_slice(&block.jitter.to_be_bytes());
        out.extend_from_slice(&block.last_sr.to_be_bytes());
        out.extend_from_slice(&block.delay_since_last_sr.to_be_bytes());
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn u32(&mut self) -> Result<u32, RtcpError> {
        let (word, rest) = self.0.split_first_chunk::<4>().ok_or(RtcpError::TooShort)?;
        self.0 = rest;
        Ok(u32::from_be_bytes(*word))
    }

    fn blocks(&mut self, count: usize) -> Result<Vec<ReportBlock>, RtcpError> {
        (0..count).map(|_| self.block()).collect()
    }

    fn block(&mut self) -> Result<ReportBlock, RtcpError> {
        let ssrc = Ssrc(self.u32()?);
        let loss = self.u32()?;
        Ok(ReportBlock {
            ssrc,
            fraction_lost: (loss >> 24) as u8,
            // 24 bits with a sign: moved to the top and back.
            cumulative_lost: ((loss << 8) as i32) >> 8,
            highest_seq: self.u32()?,
            jitter: self.u32()?,
            last_sr: self.u32()?,
            delay_since_last_sr: self.u32()?,
        })
    }

    fn cname(&mut self) -> Result<String, RtcpError> {
        while let [item, rest @ ..] = self.0 {
            if *item == 0 {
                break;
            }
            let (length, rest) = rest.split_first().ok_or(RtcpError::TooShort)?;
            let (text, rest) =
                rest.split_at_checked(usize::from(*length)).ok_or(RtcpError::TooShort)?;
            if *item == CNAME {
                return Ok(String::from_utf8_lossy(text).into_owned());
            }
            self.0 = rest;
        }
        Ok(String::new())
    }
}

const SR: u8 = 200;
const RR: u8 = 201;
const SDES: u8 = 202;
const BYE: u8 = 203;
const CNAME: u8 = 1;
/// Report and source counts have five bits.
const MAX_COUNT: usize = 31;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn block(cumulative_lost: i32) -> ReportBlock {
        ReportBlock {
            ssrc: Ssrc(7),
            fraction_lost: 12,
            cumulative_lost,
            highest_seq: 0x0001_0002,
            jitter: 33,
            last_sr: 0xaabb_ccdd,
            delay_since_last_sr: 65536,
        }
    }

    #[test]
    fn a_compound_is_read_back_as_written() {
        let compound = vec![
            RtcpPacket::SenderReport {
                ssrc: Ssrc(1),
                info: SenderInfo {
                    ntp: NtpTime(0x0102_0304_0506_0708),
                    timestamp: Timestamp(160),
                    packets: 5,
                    octets: 800,
                },
                blocks: vec![block(-2)],
            },
            RtcpPacket::ReceiverReport { ssrc: Ssrc(1), blocks: vec![block(0x7f_ffff)] },
            RtcpPacket::SourceDescription { ssrc: Ssrc(1), cname: "crosspoint".into() },
            RtcpPacket::Bye { ssrcs: vec![Ssrc(1), Ssrc(2)] },
        ];
        let mut bytes = Vec::new();
        write_rtcp(&compound, &mut bytes);
        assert_eq!(bytes.len() % 4, 0);
        assert_eq!(parse_rtcp(&bytes), Ok(compound));
    }

    #[test]
    fn a_receiver_report_has_the_bytes_of_rfc_3550_section_6_4_2() {
        let mut bytes = Vec::new();
        let report = RtcpPacket::ReceiverReport { ssrc: Ssrc(0x0102_0304), blocks: vec![] };
        write_rtcp(&[report], &mut bytes);
        assert_eq!(bytes, [0x80, 201, 0, 1, 1, 2, 3, 4]);
    }

    #[test]
    fn broken_compounds_are_refused_whole() {
        let cases: [(&[u8], RtcpError); 6] = [
            (&[], RtcpError::Length),
            (&[0x80, 201], RtcpError::TooShort),
            (&[0x40, 201, 0, 0], RtcpError::Header),
            (&[0x80, 96, 0, 0], RtcpError::Header),
            (&[0x80, 201, 0, 2, 0, 0, 0, 0], RtcpError::TooShort),
            (&[0x81, 201, 0, 1, 0, 0, 0, 1], RtcpError::TooShort),
        ];
        for (bytes, error) in cases {
            assert_eq!(parse_rtcp(bytes), Err(error), "{bytes:?}");
        }
    }

    #[test]
    fn unknown_packet_types_are_stepped_over() {
        let bytes = [0x80, 206, 0, 1, 1, 2, 3, 4, 0x81, 203, 0, 1, 0, 0, 0, 9];
        let packets = parse_rtcp(&bytes).unwrap();
        assert_eq!(packets[0], RtcpPacket::Other { packet_type: 206 });
        assert_eq!(packets[1], RtcpPacket::Bye { ssrcs: vec![Ssrc(9)] });
    }

    proptest! {
        #[test]
        fn parsing_never_panics(
            kind in 198u8..206, count in 0u8..32, words in 0u8..12,
            body in proptest::collection::vec(any::<u8>(), 0..60)
        ) {
            let mut bytes = vec![0x80 | count, kind, 0, words];
            bytes.extend_from_slice(&body);
            let _ = parse_rtcp(&bytes);
            let _ = parse_rtcp(&body);
        }
    }
}
