//! A worker's sockets: one for browsers at each address, a pair a call toward its trunk.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};
use socket2::SockRef;

use crate::media::call::Wire;
use crate::media::outbox::TrunkPort;
use crate::media::ports::PortPair;
use crate::media::{Error, Interface, MediaEvent};

/// A socket that browsers reach.
#[derive(Debug)]
pub(super) struct BrowserSocket {
    pub(super) socket: UdpSocket,
    /// Its address as browsers see it: our host candidate.
    pub(super) candidate: SocketAddr,
}

/// Room for a burst: 100 calls, 100 ms, 200 bytes a packet, several times over.
const RECEIVE_BUFFER: usize = 1 << 20;

/// A fixed port is taken once at the start; one that is being given up by a predecessor is waited
/// for this long.
const BIND_TRIES: usize = 5;
const BIND_PAUSE: Duration = Duration::from_millis(50);

impl BrowserSocket {
    /// Binds an interface for the worker of this number.
    pub(super) fn bind(interface: &Interface, worker: usize) -> Result<Self, Error> {
        let mut address = interface.bind;
        if address.port() != 0 {
            let port = usize::from(address.port()) + worker;
            let port =
                u16::try_from(port).map_err(|_| Error::System("no port above 65535".to_owned()))?;
            address.set_port(port);
        }
        let socket = bind(address).map_err(|error| Error::System(format!("{address}: {error}")))?;
        // The default is enough for a few calls; a refusal costs only bursts.
        let _ = SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BUFFER);
        let bound = socket.local_addr().map_err(|error| Error::System(error.to_string()))?;
        let ip = interface.advertise.unwrap_or(bound.ip());
        if ip.is_unspecified() {
            let text = "an interface bound to the wildcard needs an advertised address";
            return Err(Error::System(text.to_owned()));
        }
        Ok(Self { socket, candidate: SocketAddr::new(ip, bound.port()) })
    }
}

fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let mut tries = 1;
    loop {
        match UdpSocket::bind(address) {
            Err(_) if tries < BIND_TRIES => {
                tries += 1;
                std::thread::sleep(BIND_PAUSE);
            }
            bound => return bound,
        }
    }
}

/// The trunk's sockets of one call.
#[derive(Debug)]
pub(super) struct TrunkSockets {
    pub(super) pair: PortPair,
}

impl TrunkSockets {
    pub(super) fn register(
        mut pair: PortPair,
        registry: &Registry,
        rtp: Token,
        rtcp: Token,
    ) -> Result<Self, Error> {
        let system = |error: io::Error| Error::System(error.to_string());
        registry.register(&mut pair.rtp, rtp, Interest::READABLE).map_err(system)?;
        registry.register(&mut pair.rtcp, rtcp, Interest::READABLE).map_err(system)?;
        Ok(Self { pair })
    }

    pub(super) fn deregister(mut self, registry: &Registry) {
        // Closing a socket takes it off the poll in any case.
        let _ = registry.deregister(&mut self.pair.rtp);
        let _ = registry.deregister(&mut self.pair.rtcp);
    }

    pub(super) fn socket(&self, port: TrunkPort) -> &UdpSocket {
        match port {
            TrunkPort::Rtp => &self.pair.rtp,
            TrunkPort::Rtcp => &self.pair.rtcp,
        }
    }
}

/// The way out of one call.
pub(super) struct CallWire<'a> {
    pub(super) browsers: &'a [BrowserSocket],
    pub(super) trunk: Option<&'a TrunkSockets>,
    pub(super) events: &'a tokio::sync::mpsc::Sender<MediaEvent>,
    /// Datagrams the system did not take and events the owner did not read.
    pub(super) dropped: &'a mut u64,
}

impl Wire for CallWire<'_> {
    fn send_browser(&mut self, source: SocketAddr, destination: SocketAddr, contents: &[u8]) {
        let socket = self.browsers.iter().find(|s| s.candidate == source);
        let sent = socket.is_some_and(|s| s.socket.send_to(contents, destination).is_ok());
        *self.dropped += u64::from(!sent);
    }

    fn send_trunk(&mut self, port: TrunkPort, destination: SocketAddr, contents: &[u8]) {
        let sent =
            self.trunk.is_some_and(|t| t.socket(port).send_to(contents, destination).is_ok());
        *self.dropped += u64::from(!sent);
    }

    fn event(&mut self, event: MediaEvent) {
        *self.dropped += u64::from(self.events.try_send(event).is_err());
    }
}
