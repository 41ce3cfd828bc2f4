//! WebRTC: one `str0m::Rtc` in RTP mode per peer connection, what we answer to an offer, and
//! which peer a datagram is for.

mod error;
mod offer;
mod peer;
#[cfg(test)]
mod peer_tests;
#[cfg(test)]
mod test_browser;

pub use error::{Error, LostReason};
pub use offer::{BrowserCodec, EventFormat};
pub use peer::{Input, Negotiated, Output, Peer, PeerConfig, RtpIn, RtpOut};
#[cfg(test)]
pub(crate) use test_browser::TestBrowser;
