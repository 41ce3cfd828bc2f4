//! Datagrams in. Out they go from the driver itself, which never waits for them.

use std::sync::Arc;

use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::Arrival;

/// Reads datagrams until the driver is gone. When its queue is full they are dropped: that is what
/// retransmission is for.
pub(in crate::sip) async fn receive(socket: Arc<UdpSocket>, driver: mpsc::Sender<Arrival>) {
    let Ok(local) = socket.local_addr() else { return };
    let mut buffer = vec![0; LONGEST_DATAGRAM];
    loop {
        // Cancel safe: one datagram is received whole or not at all.
        match socket.recv_from(&mut buffer).await {
            Ok((length, remote)) => {
                let bytes = buffer[..length].to_vec();
                let arrival = Arrival::Datagram { local, remote, bytes };
                if let Err(mpsc::error::TrySendError::Closed(_)) = driver.try_send(arrival) {
                    return;
                }
            }
            // An ICMP error of an earlier datagram; the next one is none the worse.
            Err(error) => tracing::trace!(%error, "datagram not received"),
        }
        if driver.is_closed() {
            return;
        }
    }
}

const LONGEST_DATAGRAM: usize = 65_535;
