//! Where requests within a dialog go: the first route, or the peer's Contact (RFC 3261 12.2.1.1),
//! located like any other next hop (RFC 3261 8.1.2, RFC 3263), within the bounds of
//! docs/decisions/0024.
//!
//! ```text
//! response that names a host not located yet -> Locate, and it waits with all after it
//! Located -> those that wait, in their order
//! request that names one -> Locate; until then its dialog's requests go where the first one came from
//! ```

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::session::SessionState;
use super::{Endpoint, Output, Path};
use crate::base::Reach;
use crate::sip::Host;
use crate::sip::command::{Destination, LongRequests, Session, TlsPeer, Transport};
use crate::sip::dialog::Hop;
use crate::sip::locate::Wanted;
use crate::sip::make::{Arrived, Facts};

/// What is known of the hosts that peers have named, and what waits to know.
#[derive(Debug, Default)]
pub(super) struct Hops {
    known: HashMap<Wanted, Known>,
    waiting: VecDeque<Waiting>,
    /// Peers that have no stream for requests too long for a datagram, until when that is believed.
    without_stream: HashMap<SocketAddr, Instant>,
}

#[derive(Debug)]
struct Known {
    /// `None` before the first answer; empty where the name has no address.
    found: Option<Vec<Destination>>,
    since: Instant,
    asked: bool,
}

/// A response that waits for its hop, or behind another one of its transaction.
#[derive(Debug)]
struct Waiting {
    transaction: u64,
    wanted: Option<Wanted>,
    arrived: Arrived,
}

impl Endpoint {
    /// Where requests within a dialog go: what route set or Contact name, where this peer may name that;
    /// else where the session's first message went or came from.
    pub(super) fn dialog_path(&self, key: Session, tag: &str) -> Option<Path> {
        let session = self.sessions.get(&key)?;
        let hop = session.fork(tag)?.dialog.next_hop();
        let path = hop.and_then(|hop| self.path_of_hop(session, &hop));
        Some(path.unwrap_or(session.path))
    }

    fn path_of_hop(&self, session: &SessionState, hop: &Hop) -> Option<Path> {
        let first = session.path;
        let mut fitting = self.located(session, hop);
        // Of several that are as good, the one that knows the call.
        fitting.sort_by_key(|own| {
            (own.address != first.remote, own.address.ip() != first.remote.ip())
        });
        fitting.into_iter().find_map(|found| {
            let path = self.path_to(&found)?;
            let same = (path.transport, path.remote.ip()) == (first.transport, first.remote.ip());
            Some(Path { connection: first.connection.filter(|_| same), ..path })
        })
    }

    /// The addresses of a hop that the peer of a session may name.
    fn located(&self, session: &SessionState, hop: &Hop) -> Vec<Destination> {
        let tls = session.destination.tls;
        let transport = hop.transport.unwrap_or(session.path.transport);
        let secure = session.path.transport == Transport::Tls;
        let of_address = |ip: IpAddr| {
            // RFC 3261 19.1.2.
            let usual = if transport == Transport::Tls { 5061 } else { 5060 };
            let address = SocketAddr::new(ip, hop.port.unwrap_or(usual));
            let long_requests = LongRequests::ByUdp;
            vec![Destination { transport, tls, address, long_requests }]
        };
        let found = match &hop.host {
            Host::Ip(ip) => of_address(*ip),
            Host::Name(name) => {
                let known = self.hops.known.get(&wanted(hop, name, session.path));
                known.and_then(|own| own.found.clone()).unwrap_or_default()
            }
        };
        let fits = |own: &Destination| {
            let by_tls = own.transport == Transport::Tls;
            // What began in TLS stays in it, and a peer without a name to prove cannot be reached by it.
            by_tls >= secure
                && (!by_tls || tls != TlsPeer::UNKNOWN)
                && self.may_name(session, own.address.ip())
        };
        found.into_iter().filter(fits).map(|own| Destination { tls, ..own }).collect()
    }

    /// Whether a peer may have us send to this address: its own, one of a trunk, or one that is not
    /// nearer to us than the peer itself is.
    fn may_name(&self, session: &SessionState, address: IpAddr) -> bool {
        let peer = session.path.remote.ip();
        address == peer
            || session.tried.contains(&address)
            || self.is_accepted(address)
            || Reach::of(address).is_some_and(|reach| Some(reach) >= Reach::of(peer))
    }

    /// Whether requests within a session's dialogs may come from here: the peer of its first message,
    /// its next hops, and the other addresses of the same trunk.
    pub(super) fn is_source(&self, key: Session, address: IpAddr) -> bool {
        let Some(session) = self.sessions.get(&key) else { return false };
        let named = |hop: Hop| {
            let found = self.located(session, &hop);
            found.iter().any(|own| own.address.ip() == address)
        };
        session.path.remote.ip() == address
            || self.is_same_peer(session, address)
            || session.forks.iter().filter_map(|fork| fork.dialog.next_hop()).any(named)
    }

    fn is_same_peer(&self, session: &SessionState, address: IpAddr) -> bool {
        let peer = session.path.remote.ip();
        let holds = |networks: &[crate::base::Network], address| {
            networks.iter().any(|network| network.contains(address))
        };
        let called = self.config.peers.get(usize::from(session.destination.tls.0));
        called.is_some_and(|own| holds(own, address))
            || self.config.peers.iter().any(|own| holds(own, peer) && holds(own, address))
    }

    /// Has the hosts located that the dialogs of a session name.
    pub(super) fn look_up_hops(&mut self, now: Instant, key: Session) {
        let Some(session) = self.sessions.get(&key) else { return };
        let path = session.path;
        let hops = session.forks.iter().filter_map(|fork| fork.dialog.next_hop());
        let hops: Vec<Wanted> = hops.filter_map(|hop| name_of(&hop, path)).collect();
        for wanted in hops {
            self.look_up(now, wanted);
        }
    }

    /// Asks where a host is, unless that is known or asked already; whether something is known.
    fn look_up(&mut self, now: Instant, wanted: Wanted) -> bool {
        if let Some(known) = self.hops.known.get_mut(&wanted) {
            let fresh = match known.found.as_deref() {
                Some([]) => NOTHING_HOLDS,
                _ => FOUND_HOLDS,
            };
            if known.asked || now < known.since + fresh {
                return known.found.is_some();
            }
            known.asked = true;
        } else {
            if self.hops.known.len() >= MOST_NAMES {
                let asked = |own: &Known| own.asked;
                let answered = self.hops.known.iter().filter(|(_, own)| !asked(own));
                let oldest = answered.min_by_key(|(_, own)| own.since).map(|(name, _)| name);
                let Some(oldest) = oldest.cloned() else { return true };
                self.hops.known.remove(&oldest);
            }
            let known = Known { found: None, since: now, asked: true };
            self.hops.known.insert(wanted.clone(), known);
        }
        self.outputs.push_back(Output::Locate(wanted.clone()));
        self.hops.known.get(&wanted).is_some_and(|known| known.found.is_some())
    }

    /// Where a host is; none where its name has no address, or nobody says.
    pub(super) fn hop_located(&mut self, now: Instant, wanted: Wanted, found: Vec<Destination>) {
        let before = self.hops.known.remove(&wanted).and_then(|own| own.found);
        // A DNS that is gone takes no dialog with it.
        let found = match before {
            Some(before) if found.is_empty() => before,
            _ => found,
        };
        self.hops.known.insert(wanted, Known { found: Some(found), since: now, asked: false });
        let waiting = std::mem::take(&mut self.hops.waiting);
        let mut held = HashSet::new();
        for own in waiting {
            let is_known = |wanted: &Wanted| {
                self.hops.known.get(wanted).is_none_or(|known| known.found.is_some())
            };
            if held.contains(&own.transaction) || !own.wanted.as_ref().is_none_or(is_known) {
                held.insert(own.transaction);
                self.hops.waiting.push_back(own);
            } else {
                self.client_response(now, own.transaction, own.arrived);
            }
        }
    }

    /// Gives a response back that can be acted on; one whose dialog's next hop is still looked for waits,
    /// and what comes after it: the ACK of a 2xx has to find its way (RFC 3261 13.2.2.4).
    pub(super) fn with_hop(&mut self, now: Instant, id: u64, arrived: Arrived) -> Option<Arrived> {
        let path = self.clients.get(&id)?.path;
        let names = (101..300).contains(&arrived.status);
        let hop = arrived.facts.as_ref().filter(|_| names).and_then(hop_of_response);
        let wanted = hop.and_then(|hop| name_of(&hop, path));
        let known = wanted.clone().is_none_or(|wanted| self.look_up(now, wanted));
        let behind = self.hops.waiting.iter().any(|own| own.transaction == id);
        if (known && !behind) || self.hops.waiting.len() >= MOST_WAITING {
            return Some(arrived);
        }
        self.hops.waiting.push_back(Waiting { transaction: id, wanted, arrived });
        None
    }

    /// No stream was opened for a request too long for a datagram: the next one does not wait for that.
    pub(super) fn has_no_stream(&mut self, now: Instant, peer: SocketAddr) {
        self.hops.without_stream.retain(|_, until| *until > now);
        if self.hops.without_stream.len() < MOST_NAMES {
            self.hops.without_stream.insert(peer, now + NO_STREAM_HOLDS);
        }
    }

    /// Whether a stream may be tried for the sake of a request's length.
    pub(super) fn may_have_stream(&self, now: Instant, peer: SocketAddr) -> bool {
        self.hops.without_stream.get(&peer).is_none_or(|until| *until <= now)
    }
}

/// The next hop of the dialog that a response makes: its routes are ours in reverse (RFC 3261 12.1.2).
fn hop_of_response(facts: &Facts) -> Option<Hop> {
    if facts.to.tag.is_empty() {
        return None;
    }
    match facts.record_routes.last() {
        Some(route) => Hop::of(&route.uri),
        None => Hop::of(facts.contact.as_ref()?),
    }
}

/// What is to be located, where a hop is a name.
fn name_of(hop: &Hop, path: Path) -> Option<Wanted> {
    match &hop.host {
        Host::Name(name) => Some(wanted(hop, name, path)),
        Host::Ip(_) => None,
    }
}

/// A hop that names no transport is asked for by the one in use: datagrams leave the choice to the DNS.
fn wanted(hop: &Hop, name: &str, path: Path) -> Wanted {
    let chosen = path.transport.is_stream() || hop.port.is_some();
    Wanted {
        host: name.trim_end_matches('.').to_ascii_lowercase(),
        port: hop.port,
        transport: hop.transport.or(chosen.then_some(path.transport)),
    }
}

/// The locator knows how long records hold; it is asked again this often.
const FOUND_HOLDS: Duration = Duration::from_secs(60);

/// A name without an address is asked for again.
const NOTHING_HOLDS: Duration = Duration::from_secs(10);

/// Longer than most calls, shorter than an operator's patience with a firewall.
const NO_STREAM_HOLDS: Duration = Duration::from_secs(600);

/// Hosts that are remembered: carriers have a few, and a peer may make up any number.
const MOST_NAMES: usize = 4_096;

/// Responses that wait; more are acted on at once.
const MOST_WAITING: usize = 4_096;
