//! The driver: one task owns the endpoint, its sockets and its clock.
//!
//! It never waits for a peer: datagrams that cannot be sent at once are dropped, streams have bounded
//! queues, and events that the owner does not take yet are kept in a backlog that closes admission.

mod dns;
mod reach;
mod tap;

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::base::Network;

use super::command::{Command, Session, TlsPeer, Transport};
use super::endpoint::{
    Admission, ConnectionId, Counts, Endpoint, EndpointConfig, Input, Listener, Output, Path,
    Transmit,
};
use super::event::Event;
use super::locate::Wanted;
use super::transport::{
    self, Arrival, Connection, Stream, StreamLimits, Tls, TlsConfig, TlsError, Unsent,
};

pub use dns::{Dns, DnsStartError};
pub use reach::Unreached;
pub use tap::{Passed, Tap};

/// What the driver is told at its start.
#[derive(Debug, Clone)]
pub struct DriverConfig {
    /// Where to listen; port 0 lets the system choose.
    pub listen: Vec<(Transport, SocketAddr)>,
    /// The address that peers are told in Via and Contact in place of the bound one. Needed where an
    /// unspecified address is listened on, or behind a NAT.
    pub advertise: Option<IpAddr>,
    /// The endpoint's own.
    pub endpoint: EndpointConfig,
    /// Streams from one address at once.
    pub connections_per_source: usize,
    /// Streams at once.
    pub max_connections: usize,
    /// For the first message of a stream, and for the rest of a message that has begun.
    pub first_message: Duration,
    /// Longest silence between the messages of a stream.
    pub idle: Duration,
    /// To open a stream, and for one write.
    pub write_deadline: Duration,
    /// Between two pings on a stream that we have opened (RFC 5626 4.4.1).
    pub ping: Duration,
    /// Certificates, keys, authorities.
    pub tls: TlsConfig,
    /// How often the files of `tls` are looked at.
    pub tls_look: Duration,
    /// Who looks at what passes.
    pub tap: Option<Tap>,
    /// Who finds the hosts that peers name; without it none is found.
    pub dns: Option<Dns>,
}

impl Default for DriverConfig {
    fn default() -> DriverConfig {
        DriverConfig {
            listen: Vec::new(),
            advertise: None,
            endpoint: EndpointConfig::default(),
            // A trunk uses one or two, some one a call; only accepted addresses get this far.
            connections_per_source: 64,
            max_connections: 1_024,
            first_message: Duration::from_secs(10),
            // Longer than the OPTIONS and pings that trunks keep their streams open with.
            idle: Duration::from_secs(600),
            write_deadline: Duration::from_secs(5),
            // RFC 5626 4.4.1: 80 to 100 % of 120 s; NATs forget a stream after minutes.
            ping: Duration::from_secs(105),
            tls: TlsConfig::default(),
            tls_look: Duration::from_secs(5),
            tap: None,
            dns: None,
        }
    }
}

/// Why the driver did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Which one.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// `0.0.0.0` or `::` is listened on, and nobody says what peers are to be told.
    #[error("listening on {0} needs `advertise`: peers must be told an address")]
    Unspecified(SocketAddr),
    /// The system gives no randomness.
    #[error("no randomness: {0}")]
    Random(getrandom::Error),
    /// A certificate or key is missing or broken.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// The driver is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the SIP driver has stopped")]
pub struct Stopped;

/// The owner's end. The driver stops when the last one is dropped.
#[derive(Debug, Clone)]
pub struct Handle {
    requests: mpsc::Sender<Ask>,
    counts: watch::Receiver<Counts>,
    addresses: Arc<[(Transport, SocketAddr)]>,
    last_session: Arc<AtomicU64>,
    tls: Arc<Tls>,
}

#[derive(Debug)]
enum Ask {
    Command(Command),
    Accept(Vec<Network>, Vec<Vec<Network>>),
    Stop,
}

impl Handle {
    /// A key for a session that the owner is going to start.
    pub fn new_session(&self) -> Session {
        Endpoint::session_key(self.last_session.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Gives a command. Waits only while the queue of commands is full.
    pub async fn send(&self, command: Command) -> Result<(), Stopped> {
        self.requests.send(Ask::Command(command)).await.map_err(|_| Stopped)
    }

    /// Replaces [`EndpointConfig::accept`] and [`EndpointConfig::peers`]. Sessions that run go on.
    pub async fn accept(
        &self,
        networks: Vec<Network>,
        peers: Vec<Vec<Network>>,
    ) -> Result<(), Stopped> {
        self.requests.send(Ask::Accept(networks, peers)).await.map_err(|_| Stopped)
    }

    /// Where it listens, in the order of the configuration, with the ports that the system chose.
    pub fn local_addrs(&self) -> &[(Transport, SocketAddr)] {
        &self.addresses
    }

    /// The first address of this transport.
    pub fn local_addr(&self, transport: Transport) -> Option<SocketAddr> {
        self.addresses.iter().find(|(own, _)| *own == transport).map(|(_, address)| *address)
    }

    /// Reads certificates, keys and authorities again; streams that are open go on with the old ones.
    /// Waits for the disk: not on a runtime's thread.
    ///
    /// # Errors
    /// Something is wrong with a file; everything stays as it was.
    pub fn reload_tls(&self) -> Result<(), TlsError> {
        self.tls.reload()
    }

    /// What is alive at the moment.
    pub fn counts(&self) -> Counts {
        *self.counts.borrow()
    }

    /// Waits until nothing is alive.
    pub async fn idle(&self) -> Result<(), Stopped> {
        let mut counts = self.counts.clone();
        counts.wait_for(Counts::is_zero).await.map(|_| ()).map_err(|_| Stopped)
    }

    /// Stops the driver at once, whatever is alive.
    pub async fn stop(&self) {
        let _ = self.requests.send(Ask::Stop).await;
        self.requests.closed().await;
    }
}

/// Opens the sockets and starts the driver's task.
pub async fn start(config: DriverConfig) -> Result<(Handle, mpsc::Receiver<Event>), StartError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(StartError::Random)?;
    let (arrivals_in, arrivals) = mpsc::channel(ARRIVALS);
    let mut tasks = JoinSet::new();
    let mut sockets = HashMap::new();
    let mut listeners = Vec::new();
    let tls = Arc::new(Tls::new(config.tls.clone())?);
    for (transport, address) in &config.listen {
        let failed = |source| StartError::Listen { address: *address, source };
        let local = match transport {
            Transport::Udp => {
                let socket = Arc::new(UdpSocket::bind(address).await.map_err(failed)?);
                // The default holds some ninety messages; a refusal costs only bursts.
                let _ = SockRef::from(&*socket).set_recv_buffer_size(RECEIVE_BUFFER);
                let local = socket.local_addr().map_err(failed)?;
                tasks.spawn(transport::receive(socket.clone(), arrivals_in.clone()));
                sockets.insert(local, socket);
                local
            }
            Transport::Tcp | Transport::Tls => {
                if *transport == Transport::Tls && tls.acceptor().is_none() {
                    return Err(TlsError::NoCertificate.into());
                }
                let listener = TcpListener::bind(address).await.map_err(failed)?;
                let local = listener.local_addr().map_err(failed)?;
                tasks.spawn(transport::accept(*transport, listener, arrivals_in.clone()));
                local
            }
        };
        let ip = match config.advertise {
            Some(ip) => ip,
            None if local.ip().is_unspecified() => return Err(StartError::Unspecified(local)),
            None => local.ip(),
        };
        let advertised = SocketAddr::new(ip, local.port());
        listeners.push(Listener { transport: *transport, local, advertised });
    }
    tasks.spawn(watch_tls(tls.clone(), config.tls_look));
    let addresses = listeners.iter().map(|own| (own.transport, own.local)).collect();
    let (requests, asked) = mpsc::channel(REQUESTS);
    let (events, receiver) = mpsc::channel(EVENTS);
    let (counts_in, counts) = watch::channel(Counts::default());
    let driver = Driver {
        endpoint: Endpoint::new(config.endpoint.clone(), listeners, seed),
        config,
        tls: tls.clone(),
        sockets,
        connections: HashMap::new(),
        last_connection: 0,
        arrivals_in,
        tasks,
        events,
        backlog: VecDeque::new(),
        counts: counts_in,
    };
    tokio::spawn(driver.run(arrivals, asked));
    let last_session = Arc::new(AtomicU64::new(0));
    Ok((Handle { requests, counts, addresses, last_session, tls }, receiver))
}

struct Driver {
    config: DriverConfig,
    tls: Arc<Tls>,
    endpoint: Endpoint,
    sockets: HashMap<SocketAddr, Arc<UdpSocket>>,
    connections: HashMap<ConnectionId, Connection>,
    last_connection: u64,
    arrivals_in: mpsc::Sender<Arrival>,
    /// Readers and connections; all end with the driver.
    tasks: JoinSet<()>,
    events: mpsc::Sender<Event>,
    backlog: VecDeque<Event>,
    counts: watch::Sender<Counts>,
}

impl Driver {
    async fn run(mut self, mut arrivals: mpsc::Receiver<Arrival>, mut asked: mpsc::Receiver<Ask>) {
        let mut due = None;
        loop {
            let wake = due.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
            let events = self.events.clone();
            // Cancel safe: every branch only receives or waits; what is received is handled below.
            let input = tokio::select! {
                ask = asked.recv() => match ask {
                    Some(Ask::Stop) | None => return,
                    Some(ask) => Woken::Asked(ask),
                },
                Some(arrival) = arrivals.recv() => Woken::Arrived(arrival),
                () = tokio::time::sleep_until(wake.into()) => Woken::Due,
                Ok(permit) = events.reserve(), if !self.backlog.is_empty() => {
                    if let Some(event) = self.backlog.pop_front() {
                        permit.send(event);
                    }
                    Woken::Due
                }
                Some(_) = self.tasks.join_next(), if !self.tasks.is_empty() => continue,
            };
            let now = Instant::now();
            match input {
                Woken::Asked(ask) => self.asked(now, ask),
                Woken::Arrived(arrival) => self.arrived(now, arrival),
                Woken::Due => {}
            }
            let full = self.backlog.len() > BACKLOG;
            let admission = if full { Admission::Closed } else { Admission::Open };
            self.input(now, Input::Admission(admission));
            self.input(now, Input::Timeout);
            due = self.drain(now);
            let counts = self.endpoint.counts();
            self.counts.send_if_modified(|own| std::mem::replace(own, counts) != counts);
        }
    }

    fn asked(&mut self, now: Instant, ask: Ask) {
        match ask {
            Ask::Command(command) => self.input(now, Input::Command(command)),
            Ask::Accept(accept, peers) => self.input(now, Input::Accept { accept, peers }),
            Ask::Stop => {}
        }
    }

    fn input(&mut self, now: Instant, input: Input<'_>) {
        if let Err(error) = self.endpoint.handle_input(now, input) {
            // The owner and the peer crossed: the session ended while the command was on its way.
            tracing::debug!(%error, "SIP command came too late");
        }
    }

    fn arrived(&mut self, now: Instant, arrival: Arrival) {
        match arrival {
            Arrival::Datagram { local, remote, bytes } => {
                let (transport, tls) = (Transport::Udp, TlsPeer::UNKNOWN);
                let path = Path { transport, tls, local, remote, connection: None };
                self.look(false, path, &bytes);
                self.input(now, Input::Message { path, bytes: &bytes });
            }
            Arrival::Accepted { transport, local, remote, stream } => {
                self.accepted(transport, local, remote, stream);
            }
            Arrival::Message { connection, bytes } => {
                let Some(own) = self.connections.get(&connection) else { return };
                let path = path_of(own, connection);
                self.look(false, path, &bytes);
                self.input(now, Input::Message { path, bytes: &bytes });
            }
            Arrival::Located { wanted, found } => {
                self.input(now, Input::Located(wanted, found));
            }
            Arrival::Closed { connection, unsent } => {
                let Some(own) = self.connections.remove(&connection) else { return };
                self.tell(Event::FlowLost { remote: own.remote });
                if unsent == Unsent::Some {
                    let path = path_of(&own, connection);
                    self.input(now, Input::SendFailed(path));
                }
            }
        }
    }

    /// Takes a stream of an accepted source, within the limits; any other is closed without a word.
    fn accepted(
        &mut self,
        transport: Transport,
        local: SocketAddr,
        remote: SocketAddr,
        stream: TcpStream,
    ) {
        let known = self.endpoint.knows(remote.ip());
        let same = self.connections.values().filter(|own| own.remote.ip() == remote.ip()).count();
        let full = self.connections.len() >= self.config.max_connections;
        if !known || full || same >= self.config.connections_per_source {
            return;
        }
        let limits = self.limits(None);
        if transport == Transport::Tls {
            let Some(acceptor) = self.tls.acceptor() else { return };
            let peer = (transport, self.tls.peer_at(remote.ip()));
            self.open(peer, local, remote, limits, acceptor.accept(stream));
        } else {
            let peer = (transport, TlsPeer::UNKNOWN);
            self.open(peer, local, remote, limits, async { Ok(stream) });
        }
    }

    fn limits(&self, ping: Option<Duration>) -> StreamLimits {
        StreamLimits {
            message: self.config.endpoint.limits,
            // A peer that connects has as long for its handshake as for its first message.
            open: match ping {
                Some(_) => self.config.write_deadline,
                None => self.config.first_message,
            },
            write: self.config.write_deadline,
            first_message: self.config.first_message,
            idle: self.config.idle,
            ping,
        }
    }

    fn open<S: Stream>(
        &mut self,
        peer: (Transport, TlsPeer),
        local: SocketAddr,
        remote: SocketAddr,
        limits: StreamLimits,
        stream: impl Future<Output = std::io::Result<S>> + Send + 'static,
    ) -> ConnectionId {
        self.last_connection += 1;
        let id = ConnectionId(self.last_connection);
        let (connection, messages) = Connection::new(peer, local, remote);
        self.connections.insert(id, connection);
        self.tasks.spawn(transport::connect(
            id,
            remote,
            stream,
            messages,
            self.arrivals_in.clone(),
            limits,
        ));
        id
    }

    fn drain(&mut self, now: Instant) -> Option<Instant> {
        loop {
            match self.endpoint.poll_output() {
                Output::Transmit(transmit) => self.transmit(now, transmit),
                Output::Event(event) => self.tell(event),
                Output::Locate(wanted) => self.locate(wanted),
                Output::Timeout(due) => return due,
            }
        }
    }

    /// Shows a message to who looks on. Strangers' datagrams are not shown: they are no call's.
    fn look(&self, sent: bool, path: Path, bytes: &[u8]) {
        let Some(tap) = &self.config.tap else { return };
        if sent || self.endpoint.knows(path.remote.ip()) {
            let Path { transport, local, remote, .. } = path;
            tap.look(&Passed { sent, transport, local, remote, bytes });
        }
    }

    fn transmit(&mut self, now: Instant, Transmit { path, bytes }: Transmit) {
        self.look(true, path, &bytes);
        match path.transport {
            Transport::Udp => {
                let Some(socket) = self.sockets.get(&path.local) else { return };
                // A full socket buffer drops like a full network does.
                if let Err(error) = socket.try_send_to(&bytes, path.remote) {
                    tracing::debug!(%error, "datagram not sent");
                }
            }
            Transport::Tcp | Transport::Tls => {
                let id = self.connection(path);
                let sent = self.connections.get(&id).map(|own| own.queue.try_send(bytes));
                if !matches!(sent, Some(Ok(()))) {
                    // The peer does not read: it is given up, and its stream with it.
                    self.connections.remove(&id);
                    self.input(now, Input::SendFailed(path));
                }
            }
        }
    }

    /// Asks the DNS; what it says comes like a message does.
    fn locate(&mut self, wanted: Wanted) {
        let (dns, arrivals) = (self.config.dns.clone(), self.arrivals_in.clone());
        self.tasks.spawn(async move {
            let found = match dns {
                Some(dns) => dns.locate(wanted.clone()).await.unwrap_or_default(),
                None => Vec::new(),
            };
            // A driver that is gone needs no address.
            let _ = arrivals.send(Arrival::Located { wanted, found }).await;
        });
    }

    /// The stream that the path names, else one to its peer, else a new one.
    fn connection(&mut self, path: Path) -> ConnectionId {
        if let Some(id) = path.connection.filter(|id| self.connections.contains_key(id)) {
            return id;
        }
        let same = |own: &Connection| {
            own.remote == path.remote
                && (own.transport, own.tls) == (path.transport, path.tls)
                && !own.queue.is_closed()
        };
        if let Some((id, _)) = self.connections.iter().find(|(_, own)| same(own)) {
            return *id;
        }
        let (peer, remote) = ((path.transport, path.tls), path.remote);
        let limits = self.limits(Some(self.config.ping));
        if path.transport == Transport::Tcp {
            return self.open(peer, path.local, remote, limits, plain(remote));
        }
        let connector = self.tls.connector(path.tls);
        self.open(peer, path.local, remote, limits, async move {
            let unknown = || std::io::Error::other("no trunk says whose certificate is right");
            let (connector, name) = connector.ok_or_else(unknown)?;
            connector.connect(name, plain(remote).await?).await
        })
    }

    fn tell(&mut self, event: Event) {
        self.backlog.push_back(event);
        while let Some(event) = self.backlog.pop_front() {
            match self.events.try_send(event) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(event)) => {
                    self.backlog.push_front(event);
                    break;
                }
                Err(mpsc::error::TrySendError::Closed(_)) => return,
            }
        }
    }
}

fn path_of(own: &Connection, id: ConnectionId) -> Path {
    Path {
        transport: own.transport,
        tls: own.tls,
        local: own.local,
        remote: own.remote,
        connection: Some(id),
    }
}

async fn plain(remote: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(remote).await?;
    // Without it small responses wait for the ACK of the last one.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

/// Reads certificates and keys again when their files have changed.
async fn watch_tls(tls: Arc<Tls>, every: Duration) {
    let look = |tls: Arc<Tls>| tokio::task::spawn_blocking(move || tls.written());
    let Ok(mut before) = look(tls.clone()).await else { return };
    if before.is_empty() {
        return;
    }
    loop {
        tokio::time::sleep(every).await;
        let Ok(written) = look(tls.clone()).await else { return };
        if written == before {
            continue;
        }
        before = written;
        let own = tls.clone();
        match tokio::task::spawn_blocking(move || own.reload()).await {
            Ok(Ok(())) => tracing::info!("certificates of SIP were read again"),
            Ok(Err(error)) => {
                tracing::error!(%error, "certificates of SIP were not read again; the old ones serve");
            }
            Err(_) => return,
        }
    }
}

enum Woken {
    Asked(Ask),
    Arrived(Arrival),
    Due,
}

/// Room for what a second of 500 calls brings while the driver is kept from its socket: 4,000 messages
/// of 1 KiB.
const RECEIVE_BUFFER: usize = 4 << 20;

/// Datagrams and messages that wait for the driver; more datagrams are dropped.
const ARRIVALS: usize = 4_096;

/// Commands that wait for the driver; the owner waits with more.
const REQUESTS: usize = 1_024;

/// Events that wait for the owner before the backlog begins.
const EVENTS: usize = 1_024;

/// With a longer backlog new sessions of peers get 503.
const BACKLOG: usize = 256;
