//! What is said about a trunk's media: what we offer it, what came of it.

use std::net::SocketAddr;

use crate::base::{DigitPacing, DtmfMode, Network};
use crate::codec::Codec;
use crate::dtmf::InfoSupport;
use crate::sdp::{AddressPolicy, AudioCodec, ComfortNoise, PrivateAddresses, Protection};

/// A codec of the plain RTP leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrunkCodec {
    /// G.711 mu-law, payload type 0.
    Pcmu,
    /// G.711 A-law, payload type 8.
    Pcma,
    /// G.722 at 64 kbit/s, payload type 9: wideband where the page speaks Opus.
    G722,
    /// Linear PCM of 16 bits, for tests that must see every sample.
    L16,
    /// Opus: passed on as it is where the page speaks it too.
    Opus,
}

impl TrunkCodec {
    pub(super) fn in_sdp(self) -> AudioCodec {
        match self {
            TrunkCodec::Pcmu => AudioCodec::Pcmu,
            TrunkCodec::Pcma => AudioCodec::Pcma,
            TrunkCodec::G722 => AudioCodec::G722,
            TrunkCodec::L16 => AudioCodec::L16,
            TrunkCodec::Opus => AudioCodec::Opus,
        }
    }

    pub(super) fn from_sdp(codec: AudioCodec) -> Self {
        match codec {
            AudioCodec::Pcmu => TrunkCodec::Pcmu,
            AudioCodec::Pcma => TrunkCodec::Pcma,
            AudioCodec::G722 => TrunkCodec::G722,
            AudioCodec::L16 => TrunkCodec::L16,
            AudioCodec::Opus => TrunkCodec::Opus,
        }
    }

    /// Its name as SDP writes it.
    pub fn name(self) -> &'static str {
        self.in_sdp().name()
    }

    pub(super) fn coding(self) -> Codec {
        match self {
            TrunkCodec::Pcmu => Codec::Pcmu,
            TrunkCodec::Pcma => Codec::Pcma,
            TrunkCodec::G722 => Codec::G722,
            TrunkCodec::L16 => Codec::L16,
            TrunkCodec::Opus => Codec::Opus,
        }
    }
}

/// When the page's packets go to the trunk as they come, instead of through the playout buffer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RelayPolicy {
    /// Where both legs speak Opus: who takes Opus has a jitter buffer of its own.
    #[default]
    Opus,
    /// Where both legs speak the same codec: bit for bit, with the page's loss and jitter.
    SameCodec,
    /// Nowhere.
    Never,
}

/// What a trunk's media may look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrunkMedia {
    /// Codecs to offer or accept, best first.
    pub codecs: Vec<TrunkCodec>,
    /// Addresses RTP may come from beside the signalled one (a provider's media farm).
    pub media_from: Vec<Network>,
    /// Which addresses the trunk's SDP may name.
    pub addresses: AddressPolicy,
    /// Pacing of digits toward the trunk.
    pub pacing: DigitPacing,
    /// How digits are to go: the trunk's setting, or the rule's in its place.
    pub dtmf: DtmfMode,
    /// Whether comfort noise is spoken (RFC 3389). Where it is offered, the page's pauses are sent so.
    pub comfort_noise: ComfortNoise,
    /// Whether it is encrypted (SDES).
    pub protection: Protection,
    /// Whether the peer takes SIP INFO, as far as it is known; `Session::peer_info` says more later.
    pub info: InfoSupport,
    /// Whether the page's packets may go to it as they come.
    pub relay: RelayPolicy,
}

impl Default for TrunkMedia {
    fn default() -> Self {
        Self {
            codecs: vec![TrunkCodec::Pcmu, TrunkCodec::Pcma],
            media_from: Vec::new(),
            addresses: AddressPolicy::Public(PrivateAddresses::Refused),
            pacing: DigitPacing::default(),
            dtmf: DtmfMode::Auto,
            comfort_noise: ComfortNoise::Off,
            protection: Protection::None,
            info: InfoSupport::Unknown,
            relay: RelayPolicy::default(),
        }
    }
}

/// What an offer and an answer with a trunk came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrunkAudio {
    /// The codec we send.
    pub codec: TrunkCodec,
    /// Where we send it.
    pub remote: SocketAddr,
    /// Clock rate of telephone events in Hz, where the trunk takes them.
    pub telephone_event: Option<u32>,
}
