//! Two endpoints, a virtual clock and a seeded network between them: for tests of whole calls.

use std::time::{Duration, Instant};

use rand::rngs::ChaCha12Rng;
use rand::{Rng, SeedableRng};

use super::command::{
    Body, Command, Credentials, Destination, ExtraHeader, Invite, LongRequests, Session, TlsPeer,
    Transport,
};
use super::endpoint::{Endpoint, EndpointConfig, Input, Listener, Output, Path};
use super::event::Event;
use super::locate::Wanted;
use super::{NameAddr, Uri};
use crate::base::epoch;

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// The caller, 192.0.2.1.
    A,
    /// The called, 192.0.2.2.
    B,
}

/// What the network does to a message, in percent.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Faults {
    pub(super) loss: u32,
    pub(super) duplication: u32,
    /// Messages arrive up to so many milliseconds late, each on its own: they overtake each other.
    pub(super) jitter_ms: u32,
}

struct Flying {
    due: Instant,
    to: Side,
    path: Path,
    bytes: Vec<u8>,
}

/// The world of one test.
pub(super) struct Network {
    pub(super) now: Instant,
    pub(super) a: Endpoint,
    pub(super) b: Endpoint,
    pub(super) faults: Faults,
    pub(super) events: Vec<(Side, Event)>,
    /// First lines of all messages, as sent: `A INVITE`, `B 180`, with lost ones too.
    pub(super) sent: Vec<String>,
    /// Where to, in the order of `texts`.
    pub(super) to: Vec<std::net::SocketAddr>,
    /// Texts as sent.
    pub(super) texts: Vec<String>,
    /// The next messages of these names are lost: `A ACK`.
    pub(super) lose: Vec<&'static str>,
    /// What the sides want to have located.
    pub(super) wanted: Vec<(Side, Wanted)>,
    random: ChaCha12Rng,
    transport: Transport,
    flying: Vec<Flying>,
    last_session: u64,
}

impl Network {
    pub(super) fn new(seed: u64) -> Network {
        Network::with(seed, Transport::Udp, EndpointConfig::default())
    }

    pub(super) fn with(seed: u64, transport: Transport, config: EndpointConfig) -> Network {
        let endpoint = |side: Side, salt: u8| {
            let address = address(side);
            let local = Listener { transport, local: address, advertised: address };
            let accept = vec!["192.0.2.0/24".parse().unwrap()];
            let config = EndpointConfig { accept, ..config.clone() };
            let mut bytes = [salt; 32];
            bytes[..8].copy_from_slice(&seed.to_be_bytes());
            Endpoint::new(config, vec![local], bytes)
        };
        Network {
            now: epoch(),
            a: endpoint(Side::A, 1),
            b: endpoint(Side::B, 2),
            faults: Faults::default(),
            events: Vec::new(),
            sent: Vec::new(),
            to: Vec::new(),
            texts: Vec::new(),
            lose: Vec::new(),
            wanted: Vec::new(),
            random: ChaCha12Rng::seed_from_u64(seed),
            transport,
            flying: Vec::new(),
            last_session: 0,
        }
    }

    /// A call from A to B with an offer.
    pub(super) fn call(&mut self) -> Session {
        self.call_with(Some(Body::sdp("offer")), None)
    }

    pub(super) fn call_with(
        &mut self,
        body: Option<Body>,
        credentials: Option<Credentials>,
    ) -> Session {
        let invite = self.invite(body, credentials);
        let session = invite.session;
        self.command(Side::A, Command::Invite(Box::new(invite)));
        session
    }

    /// A call from A to each of these in turn.
    pub(super) fn call_by(&mut self, destinations: &[&str]) -> Session {
        let mut invite = self.invite(Some(Body::sdp("offer")), None);
        let first = invite.destination;
        let at = |text: &&str| Destination { address: text.parse().unwrap(), ..first };
        let mut destinations = destinations.iter().map(at);
        invite.destination = destinations.next().unwrap();
        invite.alternatives = destinations.collect();
        let session = invite.session;
        self.command(Side::A, Command::Invite(Box::new(invite)));
        session
    }

    /// A call from A whose INVITE requires an extension.
    pub(super) fn call_requiring(&mut self, tag: &str) -> Session {
        let invite = self.invite(Some(Body::sdp("offer")), None);
        self.require(invite, tag)
    }

    /// The same without an offer.
    pub(super) fn call_without_offer_requiring(&mut self, tag: &str) -> Session {
        let invite = self.invite(None, None);
        self.require(invite, tag)
    }

    fn require(&mut self, mut invite: Invite, tag: &str) -> Session {
        invite.headers.push(ExtraHeader::own("Require", tag));
        let session = invite.session;
        self.command(Side::A, Command::Invite(Box::new(invite)));
        session
    }

    /// An INVITE of A, to be changed and sent.
    pub(super) fn made_invite(&mut self, body: Option<Body>) -> Invite {
        self.invite(body, None)
    }

    fn invite(&mut self, body: Option<Body>, credentials: Option<Credentials>) -> Invite {
        self.last_session += 1;
        let session = Endpoint::session_key(self.last_session);
        let address = |text: &str| NameAddr::new(Uri::parse(text).unwrap());
        let destination = Destination {
            tls: TlsPeer::UNKNOWN,
            transport: self.transport,
            address: self::address(Side::B),
            long_requests: LongRequests::ByUdp,
        };
        Invite {
            call_id: None,
            session,
            alternatives: Vec::new(),
            target: Uri::parse("sip:+4930123@192.0.2.2").unwrap(),
            destination,
            from: address("sip:alice@example.org"),
            to: address("sip:+4930123@example.net"),
            asserted_identity: None,
            replaces: None,
            referred_by: None,
            max_forwards: super::command::MAX_FORWARDS,
            headers: ExtraHeader::new("Subject", "a call").into_iter().collect(),
            body,
            credentials,
        }
    }

    /// Gives a command; whether the endpoint could carry it out is told.
    pub(super) fn command(&mut self, side: Side, command: Command) -> bool {
        let now = self.now;
        let done = self.endpoint(side).handle_input(now, Input::Command(command)).is_ok();
        self.drain(side);
        done
    }

    /// Answers all that a side wants to have located.
    pub(super) fn located(&mut self, side: Side, found: &[&str]) {
        let found = |_: &Wanted| {
            found.iter().map(|text| Destination::udp(text.parse().unwrap())).collect::<Vec<_>>()
        };
        let asked: Vec<_> = self.wanted.extract_if(.., |(own, _)| *own == side).collect();
        for (_, wanted) in asked {
            let (now, found) = (self.now, found(&wanted));
            let input = Input::Located(wanted, found);
            self.endpoint(side).handle_input(now, input).unwrap();
            self.drain(side);
        }
    }

    /// Puts a message of a third party on the wire, from `source` to a side.
    pub(super) fn inject(&mut self, to: Side, source: &str, bytes: &[u8]) {
        let path = Path {
            tls: TlsPeer::UNKNOWN,
            transport: self.transport,
            local: address(to),
            remote: source.parse().unwrap(),
            connection: None,
        };
        let now = self.now;
        let input = Input::Message { path, bytes };
        self.endpoint(to).handle_input(now, input).unwrap();
        self.drain(to);
    }

    /// Lets time pass and messages fly.
    pub(super) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.next().filter(|due| *due <= end) {
            self.step(due);
        }
        self.now = end;
    }

    pub(super) fn run_ms(&mut self, ms: u64) {
        self.run(Duration::from_millis(ms));
    }

    /// Runs until nothing flies and no timer is left; `None` where that takes longer than an hour.
    pub(super) fn run_out(&mut self) -> Option<Duration> {
        let start = self.now;
        while let Some(due) = self.next() {
            if due > start + Duration::from_secs(3600) {
                return None;
            }
            self.step(due);
        }
        Some(self.now - start)
    }

    /// Nothing is alive on either side.
    pub(super) fn is_empty(&self) -> bool {
        self.a.counts().is_zero() && self.b.counts().is_zero()
    }

    /// The session that B was called with last.
    pub(super) fn called(&self) -> Session {
        let incoming = self.events.iter().rev().find_map(|(_, event)| match event {
            Event::Incoming(incoming) => Some(incoming.session),
            _ => None,
        });
        incoming.expect("B was called")
    }

    /// Takes the events so far, by side.
    pub(super) fn take(&mut self, side: Side) -> Vec<Event> {
        let (own, rest) = std::mem::take(&mut self.events).into_iter().partition(|e| e.0 == side);
        self.events = rest;
        let own: Vec<(Side, Event)> = own;
        own.into_iter().map(|(_, event)| event).collect()
    }

    /// How many messages of this name have been sent.
    pub(super) fn count(&self, name: &str) -> usize {
        self.sent.iter().filter(|own| *own == name).count()
    }

    pub(super) fn random_below(&mut self, bound: u32) -> u32 {
        self.random.next_u32() % bound
    }

    fn endpoint(&mut self, side: Side) -> &mut Endpoint {
        match side {
            Side::A => &mut self.a,
            Side::B => &mut self.b,
        }
    }

    fn drain(&mut self, side: Side) {
        loop {
            match self.endpoint(side).poll_output() {
                Output::Transmit(transmit) => self.fly(side, transmit.path, &transmit.bytes),
                Output::Event(event) => self.events.push((side, event)),
                Output::Locate(wanted) => self.wanted.push((side, wanted)),
                Output::Timeout(_) => return,
            }
        }
    }

    fn fly(&mut self, from: Side, path: Path, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let word = text.strip_prefix("SIP/2.0 ").unwrap_or(&text);
        let name = format!("{from:?} {}", word.split(' ').next().unwrap_or_default());
        self.sent.push(name.clone());
        self.to.push(path.remote);
        self.texts.push(text);
        if let Some(index) = self.lose.iter().position(|own| *own == name) {
            self.lose.remove(index);
            return;
        }
        let Some(to) = [Side::A, Side::B].into_iter().find(|s| address(*s) == path.remote) else {
            return;
        };
        if self.random_below(100) < self.faults.loss {
            return;
        }
        let copies = 1 + u32::from(self.random_below(100) < self.faults.duplication);
        for _ in 0..copies {
            let late = self.random_below(self.faults.jitter_ms + 1);
            let due = self.now + Duration::from_millis(u64::from(10 + late));
            let path = Path { local: address(to), remote: address(from), ..path };
            self.flying.push(Flying { due, to, path, bytes: bytes.to_vec() });
        }
    }

    fn next(&mut self) -> Option<Instant> {
        let mut next = self.flying.iter().map(|flying| flying.due).min();
        for side in [Side::A, Side::B] {
            if let Output::Timeout(Some(due)) = self.endpoint(side).poll_output() {
                next = Some(next.map_or(due, |next| next.min(due)));
            }
        }
        next
    }

    fn step(&mut self, due: Instant) {
        self.now = self.now.max(due);
        let now = self.now;
        if let Some(index) = self.flying.iter().position(|flying| flying.due <= now) {
            let Flying { to, path, bytes, .. } = self.flying.remove(index);
            let input = Input::Message { path, bytes: &bytes };
            self.endpoint(to).handle_input(now, input).unwrap();
            return self.drain(to);
        }
        for side in [Side::A, Side::B] {
            self.endpoint(side).handle_input(now, Input::Timeout).unwrap();
            self.drain(side);
        }
    }
}

pub(super) fn address(side: Side) -> std::net::SocketAddr {
    let host = match side {
        Side::A => 1,
        Side::B => 2,
    };
    std::net::SocketAddr::from(([192, 0, 2, host], 5060))
}
