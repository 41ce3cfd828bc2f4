//! What a [`Pool`](super::Pool) is started with: threads, addresses, ports, codec settings.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

/// A local address that browsers reach: one UDP socket of every worker, one host candidate.
///
/// One socket an address, never one wildcard socket for several: a datagram's local address decides
/// which candidate it belongs to (RFC 8445 7.3.1.3), and a wildcard socket does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interface {
    /// Where to bind. Port 0 takes a free port; otherwise worker `n` takes `port + n`.
    pub bind: SocketAddr,
    /// The address browsers are told, where it is not the bound one (1:1 NAT, wildcard bind).
    pub advertise: Option<IpAddr>,
}

/// How Opus is sent to browsers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpusSettings {
    /// Bits a second. Below about 20,000 no packet carries FEC data.
    pub bitrate: u32,
    /// 0 to 10. 5 is where quality stops paying for its cost on a narrowband call.
    pub complexity: u8,
    /// What a busy worker may bring it down to before it takes no more calls.
    pub least_complexity: u8,
    /// Whether silence is sent to browsers, and asked of them.
    pub silence: Silence,
}

/// Discontinuous transmission (RFC 7587 3.1.3).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Silence {
    /// While nobody talks next to nothing is sent and nothing is coded.
    #[default]
    Suppressed,
    /// Every frame is coded and sent.
    Sent,
}

/// What pages are asked to send and told that they may be sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Band {
    /// Nothing above 4 kHz reaches or leaves the telephone network, so the page need not code it,
    /// and decoding is three times cheaper.
    #[default]
    Narrow,
    /// 8 kHz: some trunk speaks G.722 or Opus.
    Wide,
}

/// The playout buffer toward trunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Playout {
    /// Least and most delay ever aimed at; equal for a buffer that does not adapt.
    pub delay: (Duration, Duration),
    /// What is done about lost packets.
    pub repair: Repair,
}

/// What is done about lost packets. All but [`Repair::Full`] exists to measure what it is worth.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Repair {
    /// In-band FEC of the next packet, concealment, comfort noise.
    #[default]
    Full,
    /// Concealment and comfort noise.
    WithoutFec,
    /// Silence.
    Nothing,
}

impl Default for Playout {
    fn default() -> Self {
        let delay = (Duration::from_millis(20), Duration::from_millis(200));
        Self { delay, repair: Repair::Full }
    }
}

/// Everything the media part needs to know before the first call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolConfig {
    /// Worker threads. 0 takes one a core.
    pub workers: usize,
    /// Addresses offered to browsers, at least one, the best first.
    pub interfaces: Vec<Interface>,
    /// ICE-lite (RFC 8445 2.5): only where the advertised address is reachable by every browser.
    pub ice_lite: bool,
    /// Where the sockets toward trunks are bound.
    pub rtp_bind: IpAddr,
    /// The address trunks are told, where it is not the bound one.
    pub rtp_advertise: Option<IpAddr>,
    /// Ports toward trunks: RTP takes an even one, RTCP the odd one after it. `0..=0` lets the
    /// system choose (tests).
    pub rtp_ports: RangeInclusive<u16>,
    /// Calls a worker carries at most, however little it has to do; more are refused, running ones are
    /// not touched.
    pub calls_per_worker: usize,
    /// Opus toward browsers.
    pub opus: OpusSettings,
    /// The playout buffer toward trunks.
    pub playout: Playout,
    /// The widest band that a trunk has.
    pub band: Band,
    /// Silence on a connected leg that counts as lost media.
    pub lost_after: Duration,
    /// How often a session reports its statistics.
    pub stats_every: Duration,
}

impl PoolConfig {
    /// What is asked of the page's Opus (RFC 7587 6.1).
    pub(super) fn opus_parameters(&self) -> Arc<str> {
        let rate = match self.band {
            Band::Narrow => 8_000,
            Band::Wide => 16_000,
        };
        let silence = match self.opus.silence {
            Silence::Suppressed => ";usedtx=1",
            Silence::Sent => "",
        };
        format!(
            "maxplaybackrate={rate};sprop-maxcapturerate={rate};stereo=0;useinbandfec=1{silence}"
        )
        .into()
    }
}

impl Default for PoolConfig {
    fn default() -> Self {
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Self {
            workers: 0,
            interfaces: vec![Interface { bind: SocketAddr::new(loopback, 0), advertise: None }],
            ice_lite: false,
            rtp_bind: loopback,
            rtp_advertise: None,
            rtp_ports: 0..=0,
            // Its load says earlier when a worker is full; this bounds memory and ports.
            calls_per_worker: 500,
            opus: OpusSettings {
                bitrate: 24_000,
                complexity: 5,
                least_complexity: 0,
                silence: Silence::Suppressed,
            },
            playout: Playout::default(),
            band: Band::Narrow,
            lost_after: Duration::from_secs(10),
            stats_every: Duration::from_secs(5),
        }
    }
}
