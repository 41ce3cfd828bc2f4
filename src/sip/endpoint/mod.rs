//! The SIP endpoint: transactions, dialogs and sessions behind one sans-IO engine (RFC 3261).
//!
//! The driver gives it datagrams, framed messages, commands and the time, and carries out what it
//! asks for. It never waits and holds nothing that the peers can make grow without a bound.

mod called;
mod caller;
mod calling;
mod client;
mod hops;
mod limits;
mod receive;
mod refer;
mod register;
mod reinvite;
mod reliable;
mod server;
mod session;
mod session_timer;
mod update;
mod within;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::base::Network;

use super::Limits;
use super::command::{Challenged, Command, Destination, Session, TlsPeer, Transport};
use super::digest;
use super::event::{Event, Origin};
use super::locate::Wanted;
use super::make::Arrived;
use super::random::Random;
use super::schedule::Schedule;
use super::transaction::Timing;

use client::{ClientKey, ClientTransaction};
use hops::Hops;
use server::{ServerKey, ServerTransaction};
use session::SessionState;

/// What the endpoint is told at its start.
#[derive(Debug, Clone)]
pub struct EndpointConfig {
    /// The base values of all timers.
    pub timing: Timing,
    /// `User-Agent` and `Server`; empty leaves them out.
    pub product: String,
    /// Who may start anything here. Others get no answer and leave no trace.
    pub accept: Vec<Network>,
    /// All addresses of each peer, at the place that its [`TlsPeer`] names: a call with one of them may
    /// go on with another one.
    pub peers: Vec<Vec<Network>>,
    /// Who has to show a password to start a session. From where nobody else is accepted, all have to.
    pub challenged: Vec<Challenged>,
    /// What passwords are asked for in the name of.
    pub realm: String,
    /// Sessions at once; over it, a new INVITE gets 503 with `Retry-After`.
    pub max_sessions: usize,
    /// Transactions at once; over it, new requests outside of dialogs get 503 with `Retry-After`.
    pub max_transactions: usize,
    /// `Content-Type` values of INFO that are taken; others get 415.
    pub info_types: Vec<String>,
    /// How long sessions live without a refresh.
    pub session_timer: SessionTimer,
    /// Limits of one message.
    pub limits: Limits,
}

/// Session timers (RFC 4028).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionTimer {
    /// What an INVITE of ours asks for: 30 minutes, which RFC 4028 4 recommends.
    pub interval: Duration,
    /// The least that is taken from peers: 90 s, the RFC's own limit (5). Less is for tests.
    pub shortest: Duration,
}

impl Default for SessionTimer {
    fn default() -> SessionTimer {
        SessionTimer { interval: Duration::from_secs(1800), shortest: Duration::from_secs(90) }
    }
}

impl Default for EndpointConfig {
    fn default() -> EndpointConfig {
        EndpointConfig {
            timing: Timing::default(),
            product: "crosspoint".to_owned(),
            accept: Vec::new(),
            peers: Vec::new(),
            challenged: Vec::new(),
            realm: "crosspoint".to_owned(),
            // 2,000 calls are the design load of one host; half as many again may be setting up or ending.
            // One that is over and only waits for its transactions (32 s after our INVITE's answer,
            // RFC 6026 8.4) does not count: `max_transactions` bounds those.
            max_sessions: 6_000,
            // 800 calls a second: an INVITE on each side and a BYE stay for 32 s (RFC 3261 17.2).
            max_transactions: 80_000,
            info_types: vec!["application/dtmf-relay".to_owned(), "application/dtmf".to_owned()],
            session_timer: SessionTimer::default(),
            limits: Limits::default(),
        }
    }
}

/// A local address that peers are told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listener {
    /// UDP, TCP or TLS.
    pub transport: Transport,
    /// As bound.
    pub local: SocketAddr,
    /// As written into Via and Contact.
    pub advertised: SocketAddr,
}

/// Names one stream connection between driver and endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

/// From where to where, and by what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Path {
    /// UDP, TCP or TLS.
    pub transport: Transport,
    /// Whom a new stream to `remote` has to be proved by.
    pub tls: TlsPeer,
    /// The listener that a datagram leaves from.
    pub local: SocketAddr,
    /// The peer.
    pub remote: SocketAddr,
    /// The stream to use while it lives; a new one goes to `remote`.
    pub connection: Option<ConnectionId>,
}

/// A message to send.
#[derive(Debug, Clone)]
pub struct Transmit {
    /// How.
    pub path: Path,
    /// What.
    pub bytes: Arc<[u8]>,
}

/// What the endpoint is told.
#[derive(Debug)]
pub enum Input<'a> {
    /// A datagram, or one framed message of a stream.
    Message {
        /// How it came; `connection` names the stream.
        path: Path,
        /// As received.
        bytes: &'a [u8],
    },
    /// A message could not be sent to this peer: no connection, or its queue is full.
    SendFailed(Path),
    /// The owner wants something.
    Command(Command),
    /// The accepted networks, or those of the peers, have changed.
    Accept {
        /// As [`EndpointConfig::accept`].
        accept: Vec<Network>,
        /// As [`EndpointConfig::peers`].
        peers: Vec<Vec<Network>>,
    },
    /// Where a host is that was to be located; empty where that is not known.
    Located(Wanted, Vec<Destination>),
    /// New sessions of peers get 503, or are taken again.
    Admission(Admission),
    /// The moment of the last `Timeout` has come.
    Timeout,
}

/// Whether new sessions of peers are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// As the limits allow.
    Open,
    /// They get 503 with a random `Retry-After`.
    Closed,
}

/// What the endpoint wants.
#[derive(Debug)]
pub enum Output {
    /// Send this.
    Transmit(Transmit),
    /// Tell the owner.
    Event(Event),
    /// Find out where this host is, and say so by `Located`.
    Locate(Wanted),
    /// Nothing more; call again at this moment, if any.
    Timeout(Option<Instant>),
}

/// What is alive: all of it goes back to 0 when every session is over and every timer has run out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Sessions, answered or not, and those that only absorb late messages.
    pub sessions: usize,
    /// Names (Call-ID and our tag) that requests within dialogs are found by.
    pub dialogs: usize,
    /// Requests that we sent, and their timers.
    pub client_transactions: usize,
    /// Requests that we received, and their timers.
    pub server_transactions: usize,
}

impl Counts {
    /// Nothing is alive.
    pub fn is_zero(&self) -> bool {
        *self == Counts::default()
    }
}

/// What the driver did wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A command names a session that the endpoint does not know (any more).
    #[error("no such session")]
    NoSession(Session),
    /// The session is in no state for this command.
    #[error("the session is in no state for this")]
    WrongState(Session),
    /// No listener has the transport and address family of the destination.
    #[error("no listener for {0}")]
    NoListener(SocketAddr),
}

/// Owner of one deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Owner {
    Client(u64),
    Server(u64),
    Session(Session),
}

/// The engine.
#[derive(Debug)]
pub struct Endpoint {
    config: EndpointConfig,
    listeners: Vec<Listener>,
    random: Random,
    admission: Admission,
    last_transaction: u64,
    last_session: u64,
    clients: HashMap<u64, Box<ClientTransaction>>,
    client_keys: HashMap<ClientKey, u64>,
    servers: HashMap<u64, Box<ServerTransaction>>,
    server_keys: HashMap<ServerKey, u64>,
    sessions: HashMap<Session, Box<SessionState>>,
    /// How many of them are over and only wait for their transactions.
    over: usize,
    /// What challenges are made and checked with; made with the first one.
    challenges: Option<digest::Server>,
    /// Call-ID and our tag, which is ours alone.
    dialogs: HashMap<(String, String), Session>,
    /// Call-ID and tag of the caller of each session that a peer has started.
    callers: HashMap<(String, String), Session>,
    schedule: Schedule<Owner>,
    hops: Hops,
    outputs: VecDeque<Output>,
}

impl Endpoint {
    /// An endpoint with these local addresses. The same seed makes the same branches, tags and Call-IDs.
    pub fn new(config: EndpointConfig, listeners: Vec<Listener>, seed: [u8; 32]) -> Endpoint {
        Endpoint {
            config,
            listeners,
            random: Random::new(seed),
            admission: Admission::Open,
            last_transaction: 0,
            last_session: 0,
            clients: HashMap::new(),
            client_keys: HashMap::new(),
            servers: HashMap::new(),
            server_keys: HashMap::new(),
            sessions: HashMap::new(),
            over: 0,
            challenges: None,
            dialogs: HashMap::new(),
            callers: HashMap::new(),
            schedule: Schedule::new(),
            hops: Hops::default(),
            outputs: VecDeque::new(),
        }
    }

    /// Takes one input. An error is the driver's or owner's mistake and changes nothing.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) -> Result<(), Error> {
        match input {
            Input::Message { path, bytes } => self.receive(now, path, bytes),
            Input::SendFailed(path) => self.send_failed(now, path),
            Input::Command(command) => {
                let failed = refused_by_event(&command);
                return self.command(now, command).or_else(|error| match failed {
                    Some(event) => {
                        self.emit(event);
                        Ok(())
                    }
                    None => Err(error),
                });
            }
            Input::Accept { accept, peers } => {
                self.config.accept = accept;
                self.config.peers = peers;
            }
            Input::Located(wanted, found) => self.hop_located(now, wanted, found),
            Input::Admission(admission) => self.admission = admission,
            Input::Timeout => self.run_timers(now),
        }
        Ok(())
    }

    /// The next thing to do; `Timeout` is the last one.
    pub fn poll_output(&mut self) -> Output {
        match self.outputs.pop_front() {
            Some(output) => output,
            None => Output::Timeout(self.schedule.next()),
        }
    }

    /// What is alive.
    pub fn counts(&self) -> Counts {
        Counts {
            sessions: self.sessions.len(),
            dialogs: self.dialogs.len(),
            client_transactions: self.clients.len(),
            server_transactions: self.servers.len(),
        }
    }

    /// Whether streams from this address are taken, and its messages looked at.
    pub(super) fn knows(&self, address: std::net::IpAddr) -> bool {
        self.is_accepted(address)
    }

    /// A key for a session that the owner starts; those of peers have odd numbers.
    pub fn session_key(number: u64) -> Session {
        Session(number * 2)
    }

    fn command(&mut self, now: Instant, command: Command) -> Result<(), Error> {
        match command {
            Command::Invite(invite) => self.invite(now, *invite),
            Command::Progress { session, status, phrase, headers, body } => {
                self.progress(now, session, (status, phrase), headers, body)
            }
            Command::Answer { session, headers, body } => self.answer(now, session, headers, body),
            Command::Reject { session, status, phrase, headers } => {
                self.reject(now, session, (status, phrase), headers)
            }
            Command::Ack { session, body } => self.acknowledge(session, body),
            Command::HangUp { session, reasons } => self.hang_up(now, session, reasons),
            Command::Reinvite { session, body } => self.reinvite(now, session, body),
            Command::Update { session, body } => self.update(now, session, body),
            Command::AnswerUpdate { session, body } => self.answer_update(now, session, body),
            Command::RejectUpdate { session, status, headers } => {
                self.reject_update(now, session, status, headers)
            }
            Command::Refer { session, request, target, referred_by } => {
                self.refer(now, session, request, *target, referred_by)
            }
            Command::AcceptRefer { session } => self.accept_refer(now, session),
            Command::RejectRefer { session, status, headers } => {
                self.reject_refer(now, session, status, headers)
            }
            Command::TellRefer { session, status, phrase } => {
                self.tell_refer(now, session, status, phrase)
            }
            Command::Info { session, request, body } => self.info(now, session, request, body),
            Command::Options(options) => self.options(now, *options),
            Command::Register(register) => self.register(now, *register),
        }
    }

    fn run_timers(&mut self, now: Instant) {
        while let Some((_, owner)) = self.schedule.due(now) {
            match owner {
                Owner::Client(id) => self.client_timeout(now, id),
                Owner::Server(id) => self.server_timeout(now, id),
                Owner::Session(session) => self.session_timeout(now, session),
            }
        }
    }

    fn emit(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn transmit(&mut self, path: Path, bytes: Arc<[u8]>) {
        self.outputs.push_back(Output::Transmit(Transmit { path, bytes }));
    }

    fn next_transaction(&mut self) -> u64 {
        self.last_transaction += 1;
        self.last_transaction
    }

    fn next_session(&mut self) -> Session {
        self.last_session += 1;
        Session(self.last_session * 2 - 1)
    }
}

/// Gives the memory of a load back when it is over: a table that is nearly empty becomes smaller.
fn shrink<K: Eq + std::hash::Hash, V>(table: &mut HashMap<K, V>) {
    if table.capacity() > SMALL_TABLE && table.len() < table.capacity() / 8 {
        table.shrink_to((table.len() * 2).max(SMALL_TABLE / 2));
    }
}

/// Tables of so many entries stay as they are.
const SMALL_TABLE: usize = 1_024;

/// What we speak, as `Supported` says it.
const SUPPORTED: &str = "timer, replaces, norefersub";

/// The event that tells its owner that a command with an outcome could not be carried out at all.
fn refused_by_event(command: &Command) -> Option<Event> {
    let origin = Origin::Local;
    let answer = || Arrived::made_here(origin).answer();
    let outside = |request| Event::RequestDone { request, session: None, answer: answer(), origin };
    match command {
        Command::Invite(invite) => {
            Some(Event::Rejected { session: invite.session, answer: answer(), origin })
        }
        Command::Info { session, request, .. } | Command::Refer { session, request, .. } => {
            let (session, request) = (Some(*session), *request);
            Some(Event::RequestDone { request, session, answer: answer(), origin })
        }
        Command::Options(options) => Some(outside(options.request)),
        Command::Register(register) => Some(outside(register.request)),
        _ => None,
    }
}
