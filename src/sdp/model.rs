//! A session description as a value (RFC 8866 section 5). What a gateway has no use for (`i=`,
//! `u=`, `e=`, `p=`, `b=`, `k=`, `r=`, `z=`) is read over.

use std::net::IpAddr;

/// A whole description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// `o=`.
    pub origin: Origin,
    /// `s=`.
    pub name: String,
    /// `c=` of the session, for media without their own.
    pub connection: Option<Address>,
    /// `a=` of the session.
    pub attributes: Vec<Attribute>,
    /// `m=` lines in their order.
    pub media: Vec<Media>,
}

/// Who made it, and which version (section 5.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// User name, `-` for none.
    pub username: String,
    /// Names the session together with the user and the address.
    pub session_id: u64,
    /// Grows with every change.
    pub version: u64,
    /// Where it was made.
    pub address: Address,
}

/// An address of `o=` or `c=`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// `IN IP4 ...` or `IN IP6 ...`.
    Ip(IpAddr),
    /// A host name (allowed by section 5.7): never resolved here.
    Name {
        /// `IP4` or `IP6`.
        family: AddressFamily,
        /// The name.
        name: String,
    },
}

/// The address type of a host name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressFamily {
    /// `IP4`.
    Ip4,
    /// `IP6`.
    Ip6,
}

/// One stream (section 5.14).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// `audio`, `video`, `image`...
    pub kind: String,
    /// Where it is received; 0 refuses the stream.
    pub port: u16,
    /// `RTP/AVP`, `RTP/SAVP`...
    pub protocol: String,
    /// Payload types, or names for what is not RTP.
    pub formats: Vec<String>,
    /// Its own `c=`.
    pub connection: Option<Address>,
    /// Its `a=` lines in their order.
    pub attributes: Vec<Attribute>,
}

/// `a=name` or `a=name:value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// Before the colon.
    pub name: String,
    /// After the colon.
    pub value: Option<String>,
}

/// Who sends (RFC 8866 section 6.7), seen from whoever wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Both.
    SendRecv,
    /// Only the writer sends.
    SendOnly,
    /// Only the writer receives.
    RecvOnly,
    /// Nobody.
    Inactive,
}

impl Session {
    /// The address of a stream: its own `c=`, or the session's.
    pub fn connection_of<'a>(&'a self, media: &'a Media) -> Option<&'a Address> {
        media.connection.as_ref().or(self.connection.as_ref())
    }

    /// The direction of a stream: its own, the session's, or both ways (section 6.7).
    pub fn direction_of(&self, media: &Media) -> Direction {
        Direction::among(&media.attributes)
            .or_else(|| Direction::among(&self.attributes))
            .unwrap_or(Direction::SendRecv)
    }
}

impl Media {
    /// The value of the first attribute of a name; `None` when there is none or it has no value.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|a| a.name == name && a.value.is_some())?.value.as_deref()
    }

    /// The values of all attributes of a name.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.attributes.iter().filter(move |a| a.name == name).filter_map(|a| a.value.as_deref())
    }

    /// The `a=rtpmap` of a payload type: encoding name and clock rate (section 6.6).
    pub fn rtpmap(&self, payload_type: u8) -> Option<(&str, u32)> {
        self.values("rtpmap").find_map(|value| {
            let (number, map) = value.split_once(' ')?;
            let (name, rate) = map.trim_start().split_once('/')?;
            let rate = rate.split('/').next()?.trim();
            (number.parse() == Ok(payload_type)).then_some((name, rate.parse().ok()?))
        })
    }

    /// The formats that are payload types, in their order.
    pub fn payload_types(&self) -> impl Iterator<Item = u8> {
        self.formats.iter().filter_map(|f| f.parse().ok()).filter(|pt| *pt < 128)
    }
}

impl Attribute {
    /// `a=name`.
    pub fn flag(name: &str) -> Attribute {
        Attribute { name: name.into(), value: None }
    }

    /// `a=name:value`.
    pub fn with(name: &str, value: impl Into<String>) -> Attribute {
        Attribute { name: name.into(), value: Some(value.into()) }
    }
}

impl Direction {
    /// Its attribute's name.
    pub const fn name(self) -> &'static str {
        match self {
            Direction::SendRecv => "sendrecv",
            Direction::SendOnly => "sendonly",
            Direction::RecvOnly => "recvonly",
            Direction::Inactive => "inactive",
        }
    }

    /// From whether the writer sends and receives.
    pub const fn of(sends: Sends, receives: Receives) -> Direction {
        match (sends, receives) {
            (Sends::Yes, Receives::Yes) => Direction::SendRecv,
            (Sends::Yes, Receives::No) => Direction::SendOnly,
            (Sends::No, Receives::Yes) => Direction::RecvOnly,
            (Sends::No, Receives::No) => Direction::Inactive,
        }
    }

    /// Whether the writer sends.
    pub const fn sends(self) -> Sends {
        match self {
            Direction::SendRecv | Direction::SendOnly => Sends::Yes,
            Direction::RecvOnly | Direction::Inactive => Sends::No,
        }
    }

    /// Whether the writer receives.
    pub const fn receives(self) -> Receives {
        match self {
            Direction::SendRecv | Direction::RecvOnly => Receives::Yes,
            Direction::SendOnly | Direction::Inactive => Receives::No,
        }
    }

    /// What this direction is for the other side: sending and receiving change places.
    #[must_use]
    pub const fn reversed(self) -> Direction {
        match self {
            Direction::SendOnly => Direction::RecvOnly,
            Direction::RecvOnly => Direction::SendOnly,
            same => same,
        }
    }

    /// What both directions allow.
    #[must_use]
    pub const fn and(self, other: Direction) -> Direction {
        let sends = match (self.sends(), other.sends()) {
            (Sends::Yes, Sends::Yes) => Sends::Yes,
            _ => Sends::No,
        };
        let receives = match (self.receives(), other.receives()) {
            (Receives::Yes, Receives::Yes) => Receives::Yes,
            _ => Receives::No,
        };
        Direction::of(sends, receives)
    }

    fn among(attributes: &[Attribute]) -> Option<Direction> {
        attributes.iter().find_map(|a| {
            [Direction::SendRecv, Direction::SendOnly, Direction::RecvOnly, Direction::Inactive]
                .into_iter()
                .find(|d| d.name() == a.name)
        })
    }
}

/// Whether a side sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sends {
    /// It does.
    Yes,
    /// It does not.
    No,
}

/// Whether a side receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receives {
    /// It does.
    Yes,
    /// It does not.
    No,
}
