//! The procedure of RFC 3263 section 4 as a function of what the cache knows: it either says what is
//! still to be asked, or every destination in the order of trying.
//!
//! ```text
//! IP address            -> that address; port and transport as written, else 5060 and UDP
//! name:port             -> A and AAAA
//! name;transport=t      -> SRV of t            -> A and AAAA of each host
//! name                  -> NAPTR -> SRV of each -> A and AAAA of each host
//!                          without NAPTR: SRV of every transport we have
//! nothing found by SRV  -> A and AAAA of the name, default port
//! ```

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::cache::{Cache, Known};
use super::engine::LocateError;
use super::record::{Naptr, Question, Record, Srv};
use crate::sip::command::{Destination, LongRequests, TlsPeer, Transport};
use crate::sip::random::Random;

/// What is to be located.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// A name or an IP address, without brackets.
    pub host: String,
    /// Where one is written.
    pub port: Option<u16>,
    /// Where one is written.
    pub transport: Option<Transport>,
}

/// What we can reach at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reachable {
    /// Our transports, best first: used where neither URI nor NAPTR choose.
    pub transports: Vec<Transport>,
    /// Whether IPv4 goes out.
    pub ipv4: bool,
    /// Whether IPv6 goes out.
    pub ipv6: bool,
}

/// How far a look-up has come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// These are to be asked first.
    Ask(Vec<Question>),
    /// All destinations, or why there are none.
    Done(Result<Vec<Destination>, LocateError>),
}

/// Whether more may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// There is time.
    Some,
    /// The time is over: old answers serve, and what is not known does not exist.
    None,
}

/// One look at the cache.
pub(super) struct Plan<'a> {
    pub(super) cache: &'a Cache,
    pub(super) reachable: &'a Reachable,
    pub(super) random: &'a mut Random,
    pub(super) now: Instant,
    /// When the look-up began.
    pub(super) since: Instant,
    pub(super) patience: Patience,
    missing: Vec<Question>,
    failed: bool,
}

impl<'a> Plan<'a> {
    pub(super) fn new(
        cache: &'a Cache,
        reachable: &'a Reachable,
        random: &'a mut Random,
        (now, since): (Instant, Instant),
        patience: Patience,
    ) -> Plan<'a> {
        let (missing, failed) = (Vec::new(), false);
        Plan { cache, reachable, random, now, since, patience, missing, failed }
    }

    /// Runs the procedure as far as the cache allows.
    pub(super) fn step(mut self, wanted: &Wanted) -> Step {
        let name = wanted.host.trim_end_matches('.').to_ascii_lowercase();
        let first = self.reachable.transports.first().copied().unwrap_or(Transport::Udp);
        let transport = wanted.transport.unwrap_or(first);
        if let Ok(ip) = name.parse::<IpAddr>() {
            let port = wanted.port.unwrap_or_else(|| default_port(transport));
            let mut found = destination(transport, SocketAddr::new(ip, port));
            // Nobody says that it takes no streams (RFC 3261 18.1.1).
            if wanted.transport.is_none() {
                found.long_requests = LongRequests::ByTcp;
            }
            return Step::Done(Ok(vec![found]));
        }
        let found = match (wanted.port, wanted.transport) {
            (Some(port), _) => self.hosts(&name, port, transport),
            (None, Some(_)) => self.services(&[(transport, service(transport, &name))]),
            (None, None) => {
                let services = self.chosen_services(&name);
                self.services(&services)
            }
        };
        // RFC 3263 4.2: no SRV record at all, so the name is that of the host.
        let found = match found {
            found if !found.is_empty() || wanted.port.is_some() || !self.missing.is_empty() => {
                found
            }
            _ => self.hosts(&name, default_port(transport), transport),
        };
        if !self.missing.is_empty() {
            return Step::Ask(self.missing);
        }
        let mut unique: Vec<Destination> = Vec::new();
        for destination in found {
            if !unique.contains(&destination) && unique.len() < MOST_DESTINATIONS {
                unique.push(destination);
            }
        }
        Step::Done(match (unique.is_empty(), self.failed) {
            (false, _) => Ok(long_requests(unique)),
            (true, true) => Err(LocateError::NoAnswer),
            (true, false) => Err(LocateError::NoSuchName),
        })
    }

    /// The names of SRV records to ask for, best first (RFC 3263 4.1).
    fn chosen_services(&mut self, name: &str) -> Vec<(Transport, String)> {
        let mut records: Vec<Naptr> = Vec::new();
        for record in self.ask(Question::Naptr(name.to_owned())) {
            if let Record::Naptr(naptr) = record {
                records.push(naptr);
            }
        }
        if !self.missing.is_empty() {
            return Vec::new();
        }
        records.sort_by_key(|naptr| (naptr.order, naptr.preference));
        let known = records.into_iter().filter_map(|naptr| {
            let transport = transport_of(&naptr.service)?;
            let usable = naptr.flags.eq_ignore_ascii_case("s") && !naptr.replacement.is_empty();
            (usable && self.reachable.transports.contains(&transport))
                .then(|| (transport, naptr.replacement.to_ascii_lowercase()))
        });
        let chosen: Vec<_> = known.take(MOST_SERVICES).collect();
        if !chosen.is_empty() {
            return chosen;
        }
        self.reachable.transports.iter().map(|own| (*own, service(*own, name))).collect()
    }

    fn services(&mut self, services: &[(Transport, String)]) -> Vec<Destination> {
        // All are asked for before any host is: one round trip in place of several.
        let answers: Vec<(Transport, Vec<Srv>)> =
            services.iter().map(|(transport, name)| (*transport, self.srv(name))).collect();
        if !self.missing.is_empty() {
            return Vec::new();
        }
        let mut found = Vec::new();
        for (transport, records) in answers {
            for host in self.by_weight(records) {
                found.extend(self.hosts(&host.target, host.port, transport));
            }
        }
        found
    }

    fn srv(&mut self, name: &str) -> Vec<Srv> {
        let records = self.ask(Question::Srv(name.to_owned())).into_iter();
        let records = records.filter_map(|record| match record {
            Record::Srv(srv) if !srv.target.is_empty() && srv.port != 0 => Some(srv),
            _ => None,
        });
        records.take(MOST_HOSTS).collect()
    }

    /// RFC 2782: by priority; among equals drawn by weight, those of weight 0 with the least chance.
    fn by_weight(&mut self, mut records: Vec<Srv>) -> Vec<Srv> {
        records.sort_by(|a, b| {
            (a.priority, a.weight, &a.target, a.port)
                .cmp(&(b.priority, b.weight, &b.target, b.port))
        });
        let mut ordered = Vec::with_capacity(records.len());
        while let Some(priority) = records.first().map(|first| first.priority) {
            let same = records.iter().take_while(|own| own.priority == priority);
            let sum: u32 = same.map(|own| u32::from(own.weight)).sum();
            let drawn = self.random.up_to(sum);
            let mut running = 0;
            let index = records.iter().position(|own| {
                running += u32::from(own.weight);
                running >= drawn
            });
            ordered.push(records.remove(index.unwrap_or(0)));
        }
        ordered
    }

    /// IPv4 before IPv6: a broken IPv6 path is found only by a timeout, a broken IPv4 path is rare.
    fn hosts(&mut self, name: &str, port: u16, transport: Transport) -> Vec<Destination> {
        let name = name.to_ascii_lowercase();
        let mut records = Vec::new();
        if self.reachable.ipv4 {
            records.extend(self.ask(Question::A(name.clone())));
        }
        if self.reachable.ipv6 {
            records.extend(self.ask(Question::Aaaa(name)));
        }
        let addresses = records.into_iter().filter_map(|record| match record {
            Record::Address(ip) => Some(destination(transport, SocketAddr::new(ip, port))),
            _ => None,
        });
        addresses.collect()
    }

    fn ask(&mut self, question: Question) -> Vec<Record> {
        let known = match self.cache.get(&question, self.now, self.since) {
            Known::Unasked if self.patience == Patience::None => {
                self.cache.last_known(&question, self.now)
            }
            known => known,
        };
        match known {
            Known::Records(records) => records.to_vec(),
            Known::Failed => {
                self.failed = true;
                Vec::new()
            }
            Known::Unasked => {
                if !self.missing.contains(&question) {
                    self.missing.push(question);
                }
                Vec::new()
            }
        }
    }
}

fn destination(transport: Transport, address: SocketAddr) -> Destination {
    match transport {
        Transport::Udp => Destination::udp(address),
        Transport::Tcp => Destination::tcp(address),
        Transport::Tls => Destination::tls(address, TlsPeer::UNKNOWN),
    }
}

/// A host that is published for UDP and TCP takes long requests by TCP (RFC 3261 18.1.1).
fn long_requests(mut found: Vec<Destination>) -> Vec<Destination> {
    let by_tcp: Vec<SocketAddr> =
        found.iter().filter(|own| own.transport == Transport::Tcp).map(|own| own.address).collect();
    for own in &mut found {
        if by_tcp.contains(&own.address) {
            own.long_requests = LongRequests::ByTcp;
        }
    }
    found
}

/// RFC 3263 4.1.
fn transport_of(service: &str) -> Option<Transport> {
    let is = |word: &str| service.eq_ignore_ascii_case(word);
    match () {
        () if is("SIP+D2U") => Some(Transport::Udp),
        () if is("SIP+D2T") => Some(Transport::Tcp),
        () if is("SIPS+D2T") => Some(Transport::Tls),
        () => None,
    }
}

/// RFC 3263 4.1: the name of the SRV records where no NAPTR names them.
fn service(transport: Transport, name: &str) -> String {
    match transport {
        Transport::Udp => format!("_sip._udp.{name}"),
        Transport::Tcp => format!("_sip._tcp.{name}"),
        Transport::Tls => format!("_sips._tcp.{name}"),
    }
}

fn default_port(transport: Transport) -> u16 {
    match transport {
        Transport::Udp | Transport::Tcp => 5060,
        Transport::Tls => 5061,
    }
}

/// NAPTR records that are followed.
const MOST_SERVICES: usize = 4;

/// SRV records of one service that are followed.
const MOST_HOSTS: usize = 16;

/// Destinations of one name: a call does not live long enough for more.
const MOST_DESTINATIONS: usize = 16;
