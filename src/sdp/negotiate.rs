//! Offer and answer of one audio stream on a trunk leg (RFC 3264).

use std::net::{IpAddr, SocketAddr};

use super::{AddressPolicy, AudioCodec, Direction, ParseError, Session};

/// Our side of a leg.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalAudio {
    /// Where we receive, as written into `c=` and `o=`.
    pub address: IpAddr,
    /// Port for RTP; RTCP is one above (RFC 3550 section 11).
    pub port: u16,
    /// What we speak, best first.
    pub codecs: Vec<AudioCodec>,
    /// Whether we offer and take telephone events.
    pub telephone_events: TelephoneEvents,
    /// Milliseconds of sound in a packet.
    pub ptime_ms: u32,
    /// What we want.
    pub direction: Direction,
    /// `o=` session id; the same for the life of a leg.
    pub session_id: u64,
    /// `o=` version; one more with every change.
    pub version: u64,
    /// What their address may be.
    pub policy: AddressPolicy,
}

/// Whether telephone events are spoken (RFC 4733).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TelephoneEvents {
    /// Offered and taken.
    Spoken,
    /// Neither.
    Off,
}

/// What both sides agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Negotiated {
    /// Where our RTP goes. With direction neither sending nor receiving it still holds.
    pub remote: SocketAddr,
    /// Where our RTCP goes: `a=rtcp`, or the port above.
    pub remote_rtcp: SocketAddr,
    /// The audio codec.
    pub codec: NegotiatedCodec,
    /// Telephone events, if both have them at the codec's clock.
    pub telephone_event: Option<TelephoneEvent>,
    /// Milliseconds of sound in the packets we send.
    pub ptime_ms: u32,
    /// Seen from us.
    pub direction: Direction,
}

/// A codec and its payload types by direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NegotiatedCodec {
    /// Which.
    pub codec: AudioCodec,
    /// In packets we send: theirs.
    pub send: u8,
    /// In packets we receive: ours.
    pub receive: u8,
}

/// Telephone events and their payload types by direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TelephoneEvent {
    /// In packets we send: theirs.
    pub send: u8,
    /// In packets we receive: ours.
    pub receive: u8,
    /// Clock of durations and timestamps in Hz.
    pub clock_rate: u32,
}

/// Why no agreement came about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The text is no description: 400.
    #[error(transparent)]
    Syntax(#[from] ParseError),
    /// No stream of theirs is plain RTP audio: 488.
    #[error("no audio stream over RTP/AVP")]
    NoAudio,
    /// No codec in common: 488.
    #[error("no audio codec in common")]
    NoCodec,
    /// An address we must not send to: 488.
    #[error("a media address that is not allowed")]
    Address,
    /// An answer that does not fit our offer: the peer broke RFC 3264.
    #[error("the answer does not fit the offer")]
    Mismatch,
}

/// Our offer.
pub fn offer(local: &LocalAudio) -> Session {
    let _ = local;
    unimplemented!("lands with the next slice")
}

/// Our answer to their offer, and what it agrees on.
///
/// # Errors
/// [`Refusal`] says why there is none.
pub fn answer(local: &LocalAudio, remote: &Session) -> Result<(Session, Negotiated), Refusal> {
    let _ = (local, remote);
    Err(Refusal::NoAudio)
}

/// What their answer to our [`offer`] agrees on.
///
/// # Errors
/// [`Refusal`] says why nothing.
pub fn accept(local: &LocalAudio, remote: &Session) -> Result<Negotiated, Refusal> {
    let _ = (local, remote);
    Err(Refusal::NoAudio)
}
