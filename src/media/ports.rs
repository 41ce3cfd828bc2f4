//! UDP ports of the RTP legs: pairs of an even port for RTP and the odd one after it for RTCP
//! (RFC 3550 11), taken from a range in turn so that a port rests before it is used again.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use mio::net::UdpSocket;

use super::Error;

/// The ports of all workers.
#[derive(Debug, Clone)]
pub(super) struct Ports {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    bind: IpAddr,
    /// First even port and the number of pairs; `None` lets the system choose.
    range: Option<(u16, u16)>,
    taken: Mutex<Taken>,
    in_use: AtomicUsize,
}

#[derive(Debug, Default)]
struct Taken {
    next: u16,
    pairs: HashSet<u16>,
}

/// Two bound sockets; dropping it frees both ports.
#[derive(Debug)]
pub(super) struct PortPair {
    pub(super) rtp: UdpSocket,
    pub(super) rtcp: UdpSocket,
    /// Where RTP is received.
    pub(super) address: SocketAddr,
    pair: Option<u16>,
    shared: Arc<Shared>,
}

/// Pairs tried where the system chooses: half of its ports are odd, and a few neighbours are taken.
const SYSTEM_TRIES: usize = 200;

impl Ports {
    pub(super) fn new(bind: IpAddr, range: &RangeInclusive<u16>) -> Result<Self, Error> {
        let range = match (*range.start(), *range.end()) {
            (0, 0) => None,
            (start, end) => {
                let first = start.next_multiple_of(2);
                let pairs = (end.saturating_add(1).saturating_sub(first)) / 2;
                if first == 0 || pairs == 0 {
                    return Err(Error::NoPort);
                }
                Some((first, pairs))
            }
        };
        let shared = Shared {
            bind,
            range,
            taken: Mutex::new(Taken::default()),
            in_use: AtomicUsize::new(0),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// An address at which every pair is reached from this machine.
    pub(super) fn own_address(&self) -> IpAddr {
        match self.shared.bind {
            IpAddr::V4(any) if any.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(any) if any.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            own => own,
        }
    }

    /// Binds the next free pair.
    pub(super) fn open(&self) -> Result<PortPair, Error> {
        match self.shared.range {
            None => (0..SYSTEM_TRIES).find_map(|_| self.bind(0, None)).ok_or(Error::NoPort),
            Some((first, pairs)) => {
                (0..pairs).find_map(|_| self.next(first, pairs)).ok_or(Error::NoPort)
            }
        }
    }

    /// Ports bound now.
    pub(super) fn in_use(&self) -> usize {
        self.shared.in_use.load(Ordering::Relaxed)
    }

    fn next(&self, first: u16, pairs: u16) -> Option<PortPair> {
        let pair = {
            let mut taken = self.shared.taken.lock().unwrap_or_else(PoisonError::into_inner);
            let pair = taken.next % pairs;
            taken.next = (pair + 1) % pairs;
            taken.pairs.insert(pair).then_some(pair)?
        };
        let bound = self.bind(first + 2 * pair, Some(pair));
        if bound.is_none() {
            // Somebody else's: it stays free on our side and is passed over.
            self.shared.release(Some(pair));
        }
        bound
    }

    fn bind(&self, port: u16, pair: Option<u16>) -> Option<PortPair> {
        let rtp = UdpSocket::bind(SocketAddr::new(self.shared.bind, port)).ok()?;
        let address = rtp.local_addr().ok().filter(|a| a.port() % 2 == 0)?;
        let rtcp = UdpSocket::bind(SocketAddr::new(self.shared.bind, address.port() + 1)).ok()?;
        self.shared.in_use.fetch_add(2, Ordering::Relaxed);
        Some(PortPair { rtp, rtcp, address, pair, shared: Arc::clone(&self.shared) })
    }
}

impl Shared {
    fn release(&self, pair: Option<u16>) {
        if let Some(pair) = pair {
            self.taken.lock().unwrap_or_else(PoisonError::into_inner).pairs.remove(&pair);
        }
    }
}

impl Drop for PortPair {
    fn drop(&mut self) {
        self.shared.release(self.pair);
        self.shared.in_use.fetch_sub(2, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn pairs_are_even_and_odd_and_come_back() {
        let ports = Ports::new(LOOPBACK, &(0..=0)).unwrap();
        let pair = ports.open().unwrap();
        assert_eq!(pair.address.port() % 2, 0);
        assert_eq!(pair.rtcp.local_addr().unwrap().port(), pair.address.port() + 1);
        assert_eq!(ports.in_use(), 2);
        drop(pair);
        assert_eq!(ports.in_use(), 0);
    }

    /// A range that the system has free at the moment, found by binding it.
    fn free_range() -> (u16, u16) {
        let any = Ports::new(LOOPBACK, &(0..=0)).unwrap();
        let start = any.open().unwrap().address.port();
        (start, start.saturating_add(7))
    }

    #[test]
    fn a_range_is_used_in_turn_and_refuses_when_it_is_full() {
        let (start, end) = free_range();
        let ports = Ports::new(LOOPBACK, &(start..=end)).unwrap();
        let first = ports.open().unwrap();
        let port = first.address.port();
        drop(first);
        let mut held = vec![ports.open().unwrap()];
        assert_ne!(held[0].address.port(), port, "a port rests before it is used again");
        while let Ok(pair) = ports.open() {
            assert!((start..=end).contains(&pair.address.port()));
            held.push(pair);
            assert!(held.len() <= 4);
        }
        assert_eq!(ports.open().map(|_| ()), Err(Error::NoPort));
        assert_eq!(ports.in_use(), 2 * held.len());
        held.clear();
        assert!(ports.open().is_ok() && ports.in_use() == 0);
    }

    #[test]
    fn a_range_without_a_pair_is_refused() {
        assert_eq!(Ports::new(LOOPBACK, &(4001..=4001)).map(|_| ()), Err(Error::NoPort));
        assert!(Ports::new(LOOPBACK, &(4000..=4001)).is_ok());
    }
}
