//! DNS as locating sees it: questions asked, records received. Parsing and sockets are the driver's.

use std::net::IpAddr;
use std::time::Duration;

/// One question. Names are lower case, without the last dot.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Question {
    /// Which services the domain has (RFC 3403).
    Naptr(String),
    /// Which hosts give a service (RFC 2782).
    Srv(String),
    /// The IPv4 addresses of a host.
    A(String),
    /// The IPv6 addresses of a host.
    Aaaa(String),
}

/// One record of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// RFC 3403.
    Naptr(Naptr),
    /// RFC 2782.
    Srv(Srv),
    /// A or AAAA.
    Address(IpAddr),
}

/// A service of a domain (RFC 3403 4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Naptr {
    /// Lower first; always obeyed.
    pub order: u16,
    /// Lower first, among those of one order.
    pub preference: u16,
    /// `s` where the replacement is a name of SRV records.
    pub flags: String,
    /// `SIP+D2U`, `SIP+D2T`, `SIPS+D2T`.
    pub service: String,
    /// Where to ask next.
    pub replacement: String,
}

/// A host of a service (RFC 2782).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Srv {
    /// Lower first.
    pub priority: u16,
    /// Share of the calls among those of one priority.
    pub weight: u16,
    /// Where the host listens.
    pub port: u16,
    /// The host; empty says that there is no such service.
    pub target: String,
}

/// What became of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// An answer, which may hold that there is no such record.
    Records {
        /// The records of the type asked for, aliases followed.
        records: Vec<Record>,
        /// How long it holds.
        ttl: Duration,
    },
    /// No answer: no server, a server that fails, or nonsense.
    Failed,
}
