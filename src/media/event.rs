//! What a media session tells its owner.

use std::time::Duration;

use super::{LegSide, TrunkCodec};
use crate::base::Digit;
use crate::dtmf::{DigitEvent, Mode, Receipt};
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
    /// A peer connection that was up is lost. It comes back by an ICE restart of either side, or
    /// another one takes its place.
    PeerLost {
        /// Why.
        reason: LostReason,
    },
    /// The peer connection did not come up at all.
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
    /// Send this digit as SIP INFO on the trunk leg's dialog (`dtmf::write_info`) and tell the final
    /// response with `Session::info_done`; 408 or 503 where none can come.
    InfoWanted {
        /// Names the INFO within this session.
        request: u64,
        /// The key.
        digit: Digit,
        /// How long it was.
        duration: Duration,
    },
    /// How digits go out on a leg from now on.
    DigitWay {
        /// Which leg.
        to: LegSide,
        /// How, and why it changed.
        way: DigitWay,
    },
    /// The plan of the leg has no way for digits, or too many wait: those asked for do not go out.
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
    /// The trunk's SDP says that it holds us, or does so no more.
    HeldByTrunk {
        /// Whether it does now.
        held: bool,
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

/// The mode of digits in force on a leg, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DigitWay {
    /// An offer and answer made the plan; `None` where there is no way for digits.
    Negotiated(Option<Mode>),
    /// The peer refused an INFO, or did not answer it.
    InfoRefused {
        /// The final status; 408 where none came.
        status: u16,
        /// How that digit and all others go from now on.
        next: Option<Mode>,
    },
}

/// Counters and measures of one leg.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LegStats {
    /// Packets of sound and digits received.
    pub received: u64,
    /// Packets of sound and digits sent.
    pub sent: u64,
    /// Octets of payload received.
    pub octets: u64,
    /// Octets of payload sent on a trunk's leg; begins anew after 2^32.
    pub sent_octets: u64,
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
    /// Packets that are no RTP, no RTCP, or of a payload type that nobody agreed on.
    pub malformed: u64,
    /// Frames made up because a packet was missing.
    pub concealed: u64,
    /// Frames recovered from the FEC data of the next packet.
    pub recovered: u64,
    /// Packets that came too late to be played.
    pub late: u64,
    /// Playout delay of the jitter buffer in milliseconds.
    pub playout_ms: f32,
    /// Digits that were not taken: more than a leg can have meant, or hundreds waiting.
    pub digits_dropped: u64,
    /// The codec in force, where negotiated.
    pub codec: Option<TrunkCodec>,
}
