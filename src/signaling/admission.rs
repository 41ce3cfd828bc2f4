//! How many peers of one address may be connected without having said who they are.
//!
//! A peer that has not yet sent a good `hello` holds a ticket. The number of tickets for each
//! address and in all is bounded; a new peer takes the place of the oldest, so that idle peers never
//! keep a user out. Pure.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

/// The peers that have not said who they are.
#[derive(Debug)]
pub struct Admission {
    per_address: usize,
    in_all: usize,
    next: u64,
    waiting: VecDeque<Ticket>,
    counts: HashMap<IpAddr, usize>,
}

/// One waiting peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket {
    number: u64,
    network: IpAddr,
}

impl Admission {
    /// At most `per_address` waiting peers for each address (IPv6: each /64) and `in_all`.
    pub fn new(per_address: usize, in_all: usize) -> Admission {
        Admission {
            per_address: per_address.max(1),
            in_all: in_all.max(1),
            next: 0,
            waiting: VecDeque::new(),
            counts: HashMap::new(),
        }
    }

    /// Lets a peer wait; the second value is the one that must leave for it.
    pub fn enter(&mut self, address: IpAddr) -> (Ticket, Option<Ticket>) {
        let network = network(address);
        let same = self.counts.get(&network).copied().unwrap_or(0);
        let evicted = if same >= self.per_address {
            self.waiting.iter().find(|t| t.network == network).copied()
        } else if self.waiting.len() >= self.in_all {
            self.waiting.front().copied()
        } else {
            None
        };
        if let Some(ticket) = evicted {
            self.leave(ticket);
        }
        let ticket = Ticket { number: self.next, network };
        self.next += 1;
        self.waiting.push_back(ticket);
        *self.counts.entry(network).or_default() += 1;
        (ticket, evicted)
    }

    /// The peer has said who it is, or is gone. A ticket that left before changes nothing.
    pub fn leave(&mut self, ticket: Ticket) {
        // Tickets are in the order of their numbers.
        let Ok(at) = self.waiting.binary_search_by_key(&ticket.number, |t| t.number) else {
            return;
        };
        self.waiting.remove(at);
        if let Some(count) = self.counts.get_mut(&ticket.network) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&ticket.network);
            }
        }
    }

    /// How many wait now.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

/// IPv4 as it is; IPv6 by its /64, since one host has all of it (RFC 4291 2.5.4).
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) >> 64 << 64).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_oldest_of_an_address_leaves_for_the_newest() {
        let mut admission = Admission::new(2, 100);
        let (first, none) = admission.enter(ip("192.0.2.1"));
        assert_eq!(none, None);
        let (second, _) = admission.enter(ip("192.0.2.1"));
        let (other, none) = admission.enter(ip("192.0.2.2"));
        assert_eq!(none, None);
        let (_, evicted) = admission.enter(ip("192.0.2.1"));
        assert_eq!(evicted, Some(first));
        admission.leave(first);
        assert_eq!(admission.waiting(), 3);
        admission.leave(second);
        assert_eq!(admission.enter(ip("192.0.2.1")).1, None);
        admission.leave(other);
    }

    #[test]
    fn the_oldest_of_all_leaves_when_the_whole_is_full() {
        let mut admission = Admission::new(10, 3);
        let (first, _) = admission.enter(ip("192.0.2.1"));
        admission.enter(ip("192.0.2.2"));
        admission.enter(ip("192.0.2.3"));
        assert_eq!(admission.enter(ip("192.0.2.4")).1, Some(first));
        assert_eq!(admission.waiting(), 3);
    }

    #[test]
    fn a_host_is_one_address_in_ipv6_and_in_mapped_ipv4() {
        let mut admission = Admission::new(1, 10);
        let (first, _) = admission.enter(ip("2001:db8::1"));
        assert_eq!(admission.enter(ip("2001:db8::ffff")).1, Some(first));
        let (v4, _) = admission.enter(ip("192.0.2.9"));
        assert_eq!(admission.enter(ip("::ffff:192.0.2.9")).1, Some(v4));
    }

    #[test]
    fn nothing_is_left_when_all_have_left() {
        let mut admission = Admission::new(4, 16);
        let tickets: Vec<Ticket> =
            (0..40u8).map(|n| admission.enter(IpAddr::from([192, 0, 2, n % 7])).0).collect();
        for ticket in tickets {
            admission.leave(ticket);
        }
        assert_eq!(admission.waiting(), 0);
        assert!(admission.counts.is_empty());
    }
}
