//! Places for connections: how many there are, how many of them one address may take, and who makes
//! room where all are taken. A peer that keeps a place and does nothing with it (no request in
//! progress, or an answer that it does not read) makes room first, so that whoever asks is served
//! however many such peers there are. A connection that became a WebSocket has given its place back.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// How many places there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    /// All of them.
    pub(super) connections: usize,
    /// Those that one [`Network`] may take.
    pub(super) per_address: usize,
    /// Those that only peers on the gateway's own machine may take.
    pub(super) own_machine: usize,
}

impl Default for Bounds {
    /// One address in eight cannot crowd out the others, and an office or a proxy behind one address
    /// has room for a thousand requests at once.
    fn default() -> Bounds {
        Bounds { connections: 8192, per_address: 1024, own_machine: 64 }
    }
}

/// What counts as one address: an IPv4 address, a /64 of IPv6 (the least that a subscriber gets).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Network(IpAddr);

impl Network {
    pub(super) fn of(address: IpAddr) -> Network {
        Network(match address.to_canonical() {
            IpAddr::V6(own) if !own.is_loopback() => {
                let [a, b, c, d, ..] = own.segments();
                Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
            }
            IpAddr::V4(own) if own.is_loopback() => Ipv4Addr::LOCALHOST.into(),
            own => own,
        })
    }

    fn is_own_machine(self) -> bool {
        self.0.is_loopback()
    }
}

/// Why there is no place: the name that metrics have for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// All places are taken, and all are in use.
    Everywhere,
    /// The address has all it may have, and uses them.
    Address,
}

impl Full {
    pub(super) fn reason(self) -> &'static str {
        match self {
            Full::Everywhere => "http-full",
            Full::Address => "http-address",
        }
    }
}

/// The places of one listener.
#[derive(Debug, Default)]
pub(super) struct Places {
    bounds: Bounds,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    /// The number of the next connection.
    next: u64,
    all: usize,
    of: HashMap<Network, HashMap<u64, Arc<Standing>>>,
}

/// What a connection does with its place.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// Requests whose answer is not written yet.
    requests: AtomicUsize,
    /// The peer takes no bytes of what is written.
    blocked: AtomicBool,
    /// In the order of connections and their requests: since when it is as it is.
    since: AtomicU64,
    leave: Notify,
}

/// A place that is taken; dropped, it is free.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    network: Network,
    number: u64,
    standing: Arc<Standing>,
    /// Somebody else had to leave for it.
    pub(super) displaced: bool,
}

impl Places {
    pub(super) fn new(bounds: Bounds) -> Arc<Places> {
        Arc::new(Places { bounds, taken: Mutex::default() })
    }

    /// A place for a peer; another's that is of no use to it where there is no other.
    pub(super) fn take(self: &Arc<Places>, peer: IpAddr) -> Result<Place, Full> {
        let network = Network::of(peer);
        let mut taken = self.taken();
        let open = match network.is_own_machine() {
            true => self.bounds.connections,
            false => self.bounds.connections.saturating_sub(self.bounds.own_machine),
        };
        let own = taken.of.get(&network).map_or(0, HashMap::len);
        let displaced = if own >= self.bounds.per_address {
            taken.make_room(Some(network)).then_some(()).ok_or(Full::Address)?;
            true
        } else if taken.all >= open {
            taken.make_room(None).then_some(()).ok_or(Full::Everywhere)?;
            true
        } else {
            false
        };
        let number = taken.next;
        taken.next += 1;
        taken.all += 1;
        let standing = Arc::new(Standing::default());
        standing.since.store(tick(), Ordering::Relaxed);
        taken.of.entry(network).or_default().insert(number, Arc::clone(&standing));
        Ok(Place { places: Arc::clone(self), network, number, standing, displaced })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        // Nothing panics while it is held.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// Sends away who has kept a place for longest without use, of one address or of all.
    fn make_room(&mut self, of: Option<Network>) -> bool {
        let networks = self.of.iter().filter(|(network, _)| of.is_none_or(|own| own == **network));
        let all = networks.flat_map(|(network, own)| own.iter().map(move |own| (*network, own)));
        let idle = all.filter(|(_, (_, standing))| standing.is_idle());
        let longest = idle.min_by_key(|(_, (_, own))| own.since.load(Ordering::Relaxed));
        let Some((network, number)) = longest.map(|(network, (number, _))| (network, *number))
        else {
            return false;
        };
        if let Some(standing) = self.free(network, number) {
            standing.leave.notify_one();
        }
        true
    }

    fn free(&mut self, network: Network, number: u64) -> Option<Arc<Standing>> {
        let own = self.of.get_mut(&network)?;
        let standing = own.remove(&number)?;
        if own.is_empty() {
            self.of.remove(&network);
        }
        self.all -= 1;
        Some(standing)
    }
}

impl Place {
    /// What its connection does.
    pub(super) fn standing(&self) -> Arc<Standing> {
        Arc::clone(&self.standing)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken().free(self.network, self.number);
    }
}

impl Standing {
    /// Done when the place went to somebody else.
    pub(super) async fn left(&self) {
        self.leave.notified().await;
    }

    /// The peer takes bytes, or takes none.
    pub(super) fn set_blocked(&self, blocked: bool) {
        if self.blocked.swap(blocked, Ordering::Relaxed) != blocked {
            self.since.store(tick(), Ordering::Relaxed);
        }
    }

    /// A request came; it is in progress until what is returned is dropped.
    pub(super) fn request(self: &Arc<Standing>) -> InProgress {
        self.requests.fetch_add(1, Ordering::Relaxed);
        InProgress(Arc::clone(self))
    }

    fn is_idle(&self) -> bool {
        self.blocked.load(Ordering::Relaxed) || self.requests.load(Ordering::Relaxed) == 0
    }
}

/// A request in progress.
#[derive(Debug)]
pub(super) struct InProgress(Arc<Standing>);

impl Drop for InProgress {
    fn drop(&mut self) {
        self.0.since.store(tick(), Ordering::Relaxed);
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The order in which things happened; no clock is needed to know who waits for longest.
fn tick() -> u64 {
    static TICKS: AtomicU64 = AtomicU64::new(0);
    TICKS.fetch_add(1, Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn places(connections: usize, per_address: usize, own_machine: usize) -> Arc<Places> {
        Places::new(Bounds { connections, per_address, own_machine })
    }

    #[test]
    fn an_address_has_its_bound_and_others_have_the_rest() {
        let places = places(8, 2, 1);
        for (peer, mate) in [
            ("192.0.2.1", "::ffff:192.0.2.1"),
            ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2"),
            ("127.0.0.1", "127.9.9.9"),
        ] {
            let one = places.take(ip(peer)).unwrap();
            let two = places.take(ip(mate)).unwrap();
            let busy = [one.standing().request(), two.standing().request()];
            assert_eq!(places.take(ip(mate)).unwrap_err(), Full::Address, "{peer}");
            let other = places.take(ip("2001:db8:0:2::1")).unwrap();
            drop((busy, one, other));
            let third = places.take(ip(peer)).unwrap();
            assert!(!third.displaced, "{peer}");
        }
        assert_eq!(places.taken().all, 0);
        assert!(places.taken().of.is_empty(), "nothing is kept of who left");
    }

    #[test]
    fn strangers_leave_some_places_to_the_own_machine() {
        let places = places(4, 4, 2);
        let strangers = ["192.0.2.1", "192.0.2.2"].map(|peer| places.take(ip(peer)).unwrap());
        let busy = strangers.each_ref().map(|own| own.standing().request());
        assert_eq!(places.take(ip("192.0.2.3")).unwrap_err(), Full::Everywhere);
        let local = ["127.0.0.1", "::1"].map(|peer| places.take(ip(peer)).unwrap());
        assert!(local.iter().all(|place| !place.displaced));
        drop(busy);
    }

    #[tokio::test]
    async fn who_keeps_a_place_without_use_for_longest_makes_room() {
        let places = places(8, 3, 0);
        let peer = ip("192.0.2.1");
        let [silent, deaf, busy] = [(); 3].map(|()| places.take(peer).unwrap());
        let requests = [deaf.standing().request(), busy.standing().request()];
        deaf.standing().set_blocked(true);
        let fourth = places.take(peer).unwrap();
        assert!(fourth.displaced);
        silent.standing().left().await;
        let request = fourth.standing().request();
        let fifth = places.take(peer).unwrap();
        deaf.standing().left().await;
        // It reads on: nothing more is known against it, but its place is gone already.
        deaf.standing().set_blocked(false);
        let more = fifth.standing().request();
        assert_eq!(places.take(peer).unwrap_err(), Full::Address, "all are in use");
        drop((silent, deaf));
        assert_eq!(places.taken().all, 3, "who was sent away is not counted twice");
        drop((requests, request, more));
    }
}
