//! The ports of a call's sound.

use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::net::UdpSocket;

/// RTP on an even port; RTCP's is held so that nobody else gets what is sent to it.
pub(super) struct Sockets {
    pub rtp: UdpSocket,
    _rtcp: UdpSocket,
    pub port: u16,
}

impl Sockets {
    /// Two ports of this address.
    pub async fn bind(address: IpAddr) -> io::Result<Sockets> {
        for _ in 0..64 {
            let rtp = UdpSocket::bind(SocketAddr::new(address, 0)).await?;
            let port = rtp.local_addr()?.port();
            if port.is_multiple_of(2)
                && let Ok(rtcp) = UdpSocket::bind(SocketAddr::new(address, port + 1)).await
            {
                return Ok(Sockets { rtp, _rtcp: rtcp, port });
            }
        }
        Err(io::ErrorKind::AddrInUse.into())
    }

    /// Sends; what cannot be sent is the network's loss.
    pub async fn send(&self, packet: &[u8], to: SocketAddr) {
        if let Err(error) = self.rtp.send_to(packet, to).await {
            tracing::trace!(%error, "a packet of the test's telephone was not sent");
        }
    }
}
