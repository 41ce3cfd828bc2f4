//! What a media session tells its owner.

use std::time::Duration;

use super::{LegSide, TrunkCodec};
use crate::dtmf::{DigitEvent, Receipt};
use crate::webrtc::{BrowserCodec, LostReason};

/// One thing that happened to a call's media.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum MediaEvent {
    /// ICE and DTLS are up: sound can flow to and from the page.
    PeerConnected {
        /// From the first offer or answer to now.
        after: Duration,
        /// What the page's leg speaks.
        codec: BrowserCodec,
    },
    /// The peer connection is lost and will not come back by itself.
    PeerFailed {
        /// Why.
        reason: LostReason,
    },
    /// The first packet of sound came in on a leg.
    MediaStarted {
        /// Which leg.
        leg: LegSide,
    },
    /// A step of a digit that a leg sends, whatever way it came.
    Digit {
        /// The leg it comes from.
        from: LegSide,
        /// The step.
        event: DigitEvent,
    },
    /// A digit is out on a leg, with all its end copies.
    DigitSent {
        /// The leg it went to.
        to: LegSide,
        /// How it went.
        receipt: Receipt,
    },
    /// The leg takes no telephone events, or too many wait: none of the digits asked for goes out.
    DigitsUnavailable {
        /// The leg they were for.
        to: LegSide,
    },
    /// A connected leg has been silent for `PoolConfig::lost_after`.
    MediaLost {
        /// Which leg.
        leg: LegSide,
    },
    /// Sound came back on a leg that was reported lost.
    MediaResumed {
        /// Which leg.
        leg: LegSide,
    },
    /// Numbers of the legs, every `PoolConfig::stats_every` and once at the end.
    Stats {
        /// The page's leg.
        browser: LegStats,
        /// The trunk's leg.
        trunk: LegStats,
    },
    /// The session is over; nothing follows. `internal` after a caught defect.
    Closed {
        /// What ended it, where it was not the owner.
        error: Option<super::Error>,
    },
}

/// Counters and measures of one leg.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LegStats {
    /// Packets of sound and digits received.
    pub received: u64,
    /// Packets of sound and digits sent.
    pub sent: u64,
    /// Packets the sender counted that never came (RFC 3550 A.3).
    pub lost: i64,
    /// Interarrival jitter in milliseconds (RFC 3550 A.8).
    pub jitter_ms: f32,
    /// Round trip in milliseconds from RTCP, where known.
    pub round_trip_ms: Option<f32>,
    /// Fraction of ours that the far side reports lost, 0 to 1, where known.
    pub remote_loss: Option<f32>,
    /// Packets from addresses that are not the leg's own: counted, never followed.
    pub foreign: u64,
    /// Frames made up because a packet was missing.
    pub concealed: u64,
    /// Frames recovered from the FEC data of the next packet.
    pub recovered: u64,
    /// Packets that came too late to be played.
    pub late: u64,
    /// Playout delay of the jitter buffer in milliseconds.
    pub playout_ms: f32,
    /// The codec in force, where negotiated.
    pub codec: Option<TrunkCodec>,
}
