//! The sockets of one call: RTP on an even port and RTCP on the one above (RFC 3550 section 11).

use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::net::UdpSocket;

/// A pair of ports. Nothing is read from the upper one; it is held so that nobody else gets the
/// gateway's RTCP.
#[derive(Debug)]
pub(super) struct PortPair {
    pub rtp: UdpSocket,
    _rtcp: UdpSocket,
}

impl PortPair {
    /// A pair on `address` that the system chooses.
    ///
    /// # Errors
    /// The system's, when no port is left.
    pub async fn bind(address: IpAddr) -> io::Result<PortPair> {
        let mut last = None;
        for _ in 0..TRIES {
            let rtp = UdpSocket::bind(SocketAddr::new(address, 0)).await?;
            let port = rtp.local_addr()?.port();
            if !port.is_multiple_of(2) {
                continue;
            }
            match UdpSocket::bind(SocketAddr::new(address, port + 1)).await {
                Ok(rtcp) => return Ok(PortPair { rtp, _rtcp: rtcp }),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| io::ErrorKind::AddrInUse.into()))
    }
}

/// Every second port is even; this many misses in a row mean that none is left.
const TRIES: usize = 64;
