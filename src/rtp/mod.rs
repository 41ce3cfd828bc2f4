//! RTP and RTCP: packets, receiver and sender state, quality (RFC 3550).

mod id;
mod packet;
mod quality;
mod receiver;
mod rtcp;
mod sender;
mod srtp;

pub use id::{NtpTime, PayloadType, Seq, SeqExtender, Ssrc, Timestamp};
pub use packet::{MAX_PACKET, Packet, ParseError, is_rtcp};
pub use quality::{CodecQuality, PathQuality, Quality};
pub use receiver::{Received, ReceiverStats};
pub use rtcp::{MAX_RTCP, ReportBlock, RtcpError, RtcpPacket, SenderInfo, parse_rtcp, write_rtcp};
pub use sender::SenderStats;
pub use srtp::{SrtpContext, SrtpError, SrtpSuite};
