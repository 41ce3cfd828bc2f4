//! What is said about a trunk's media: what we offer it, what came of it.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::base::DtmfMode;
use crate::codec::Codec;
use crate::dtmf::InfoSupport;
use crate::sdp::{AddressPolicy, AudioCodec, PrivateAddresses};

/// A codec of the plain RTP leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrunkCodec {
    /// G.711 mu-law, payload type 0.
    Pcmu,
    /// G.711 A-law, payload type 8.
    Pcma,
}

impl TrunkCodec {
    pub(super) fn in_sdp(self) -> AudioCodec {
        match self {
            TrunkCodec::Pcmu => AudioCodec::Pcmu,
            TrunkCodec::Pcma => AudioCodec::Pcma,
        }
    }

    pub(super) fn from_sdp(codec: AudioCodec) -> Option<Self> {
        match codec {
            AudioCodec::Pcmu => Some(TrunkCodec::Pcmu),
            AudioCodec::Pcma => Some(TrunkCodec::Pcma),
            AudioCodec::G722 | AudioCodec::Opus => None,
        }
    }

    pub(super) fn coding(self) -> Codec {
        match self {
            TrunkCodec::Pcmu => Codec::Pcmu,
            TrunkCodec::Pcma => Codec::Pcma,
        }
    }
}

/// A range of addresses, as `192.0.2.0/24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressRange {
    /// First address, or any of the range.
    pub address: IpAddr,
    /// Bits that must be equal.
    pub prefix: u8,
}

impl AddressRange {
    /// The range of one address.
    pub fn single(address: IpAddr) -> Self {
        let prefix = if address.is_ipv4() { 32 } else { 128 };
        Self { address, prefix }
    }

    /// Whether the range holds `address`. Addresses of the other family are never held.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(range), IpAddr::V4(other)) => {
                let shift = 32 - u32::from(self.prefix.min(32));
                u32::from(range).checked_shr(shift).unwrap_or(0)
                    == u32::from(other).checked_shr(shift).unwrap_or(0)
            }
            (IpAddr::V6(range), IpAddr::V6(other)) => {
                let shift = 128 - u32::from(self.prefix.min(128));
                u128::from(range).checked_shr(shift).unwrap_or(0)
                    == u128::from(other).checked_shr(shift).unwrap_or(0)
            }
            _ => false,
        }
    }
}

/// How digits are paced toward a trunk (`docs/dtmf`, sender rules).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DigitPacing {
    /// Shortest tone sent.
    pub min_tone: Duration,
    /// Shortest pause between two tones.
    pub min_gap: Duration,
}

impl Default for DigitPacing {
    fn default() -> Self {
        Self { min_tone: Duration::from_millis(50), min_gap: Duration::from_millis(50) }
    }
}

/// What a trunk's media may look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrunkMedia {
    /// Codecs to offer or accept, best first.
    pub codecs: Vec<TrunkCodec>,
    /// Addresses RTP may come from beside the signalled one (a provider's media farm).
    pub media_from: Vec<AddressRange>,
    /// Which addresses the trunk's SDP may name.
    pub addresses: AddressPolicy,
    /// Pacing of digits toward the trunk.
    pub pacing: DigitPacing,
    /// How digits are to go: the trunk's setting, or the rule's in its place.
    pub dtmf: DtmfMode,
    /// Whether the peer takes SIP INFO, as far as it is known; `Session::peer_info` says more later.
    pub info: InfoSupport,
}

impl Default for TrunkMedia {
    fn default() -> Self {
        Self {
            codecs: vec![TrunkCodec::Pcmu, TrunkCodec::Pcma],
            media_from: Vec::new(),
            addresses: AddressPolicy::Public(PrivateAddresses::Refused),
            pacing: DigitPacing::default(),
            dtmf: DtmfMode::Auto,
            info: InfoSupport::Unknown,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_holds_its_addresses_and_no_others() {
        let cases = [
            ("192.0.2.0", 24, "192.0.2.255", true),
            ("192.0.2.0", 24, "192.0.3.0", false),
            ("192.0.2.7", 32, "192.0.2.7", true),
            ("192.0.2.7", 32, "192.0.2.6", false),
            ("0.0.0.0", 0, "203.0.113.1", true),
            ("2001:db8::", 32, "2001:db8:1::1", true),
            ("2001:db8::", 32, "2001:db9::1", false),
            ("0.0.0.0", 0, "::1", false),
        ];
        for (address, prefix, other, held) in cases {
            let range = AddressRange { address: address.parse().unwrap(), prefix };
            assert_eq!(range.contains(other.parse().unwrap()), held, "{address}/{prefix} {other}");
        }
    }
}
