//! Sockets: datagrams and stream connections, one reader and one writer each. They frame and queue;
//! what a message means is the endpoint's.

mod tcp;
mod tls;
mod udp;

pub(super) use tcp::{Connection, Stream, StreamLimits, accept, connect};
pub(super) use tls::Tls;
pub use tls::{TlsConfig, TlsError, TlsIdentity, TlsPeerConfig, TlsServer};
pub(super) use udp::receive;

use std::net::SocketAddr;

use tokio::net::TcpStream;

use super::command::{Destination, Transport};
use super::endpoint::ConnectionId;
use super::locate::Wanted;

/// What the sockets tell the driver.
#[derive(Debug)]
pub(super) enum Arrival {
    /// A datagram.
    Datagram { local: SocketAddr, remote: SocketAddr, bytes: Vec<u8> },
    /// A peer connects.
    Accepted { transport: Transport, local: SocketAddr, remote: SocketAddr, stream: TcpStream },
    /// One framed message of a stream.
    Message { connection: ConnectionId, bytes: Vec<u8> },
    /// Where a host is; empty where that is not known.
    Located { wanted: Wanted, found: Vec<Destination> },
    /// A stream has ended, or never began.
    Closed { connection: ConnectionId, unsent: Unsent },
}

/// Whether a stream ended with messages of ours that the peer cannot have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unsent {
    /// All were written, or there were none.
    Nothing,
    /// It could not be opened or written.
    Some,
}
