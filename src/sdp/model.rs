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
