//! What a [`Pool`](super::Pool) is started with: threads, addresses, ports, codec settings.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
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
    /// Calls a worker carries at most; more are refused, running ones are not touched.
    pub calls_per_worker: usize,
    /// Opus toward browsers.
    pub opus: OpusSettings,
    /// Silence on a connected leg that counts as lost media.
    pub lost_after: Duration,
    /// How often a session reports its statistics.
    pub stats_every: Duration,
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
            // Measured: 93 calls a core for the bare codec loop with FEC; the rest is headroom.
            calls_per_worker: 80,
            opus: OpusSettings { bitrate: 24_000, complexity: 5 },
            lost_after: Duration::from_secs(10),
            stats_every: Duration::from_secs(5),
        }
    }
}
