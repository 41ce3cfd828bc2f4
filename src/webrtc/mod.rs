//! WebRTC: one `str0m::Rtc` in RTP mode per peer connection, what we answer to an offer, and
//! which peer a datagram is for.

/// A codec of the page's leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrowserCodec {
    /// Opus, clock 48 kHz (RFC 7587).
    Opus,
    /// G.711 mu-law, clock 8 kHz.
    Pcmu,
    /// G.711 A-law, clock 8 kHz.
    Pcma,
}
