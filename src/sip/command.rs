//! What the owner of the SIP endpoint asks of it.
//!
//! A [`Session`] is one INVITE and the dialogs it makes. The owner picks the key of a session it
//! starts ([`crate::sip::Handle::new_session`]); one that a peer starts comes with
//! [`crate::sip::Event::Incoming`].

use std::net::SocketAddr;

use crate::base::{Network, Secret};

use super::digest;
use super::header::{Reason, ReferTo, ReferredBy, Replaces, TypedHeader};
use super::registration::RegisterAsk;
use super::{NameAddr, Uri};

/// Names one session between owner and endpoint. Never on the wire, never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Session(pub(super) u64);

/// Names one request within or beside a session (INFO, OPTIONS): chosen by the owner, given back in
/// the event that tells how it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestKey(pub u64);

/// How messages travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// Datagrams (RFC 3261 18).
    Udp,
    /// A stream without protection.
    Tcp,
    /// A stream in TLS.
    Tls,
}

impl Transport {
    /// As written into Via.
    pub fn token(self) -> &'static str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
            Transport::Tls => "TLS",
        }
    }

    /// Whether it is a stream, which delivers by itself.
    pub fn is_stream(self) -> bool {
        self != Transport::Udp
    }
}

/// A header that the owner adds to a message: it holds no control bytes, and none of those headers
/// that the endpoint makes itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtraHeader {
    name: String,
    value: String,
}

impl ExtraHeader {
    /// A header by name; `None` where the name is no token or one of the endpoint's own, or where the
    /// value holds control bytes.
    pub fn new(name: &str, value: &str) -> Option<ExtraHeader> {
        let ours = OWN_HEADERS.iter().any(|own| own.eq_ignore_ascii_case(name));
        if ours || name.len() < 2 || !super::grammar::is_token(name) {
            return None;
        }
        let value = super::grammar::trim(value);
        if value.is_empty() || value.chars().any(char::is_control) {
            return None;
        }
        Some(ExtraHeader { name: name.to_owned(), value: value.to_owned() })
    }

    /// A typed header: `Reason`, `Warning`, `Retry-After`.
    pub fn of<H: TypedHeader>(header: &H) -> Option<ExtraHeader> {
        ExtraHeader::new(H::NAME, &header.to_string())
    }

    /// A header that the endpoint makes itself, from words of its own.
    pub(super) fn own(name: &str, value: &str) -> ExtraHeader {
        ExtraHeader { name: name.to_owned(), value: value.to_owned() }
    }

    pub(super) fn parts(&self) -> (&str, &str) {
        (&self.name, &self.value)
    }
}

/// What the endpoint writes itself.
const OWN_HEADERS: [&str; 27] = [
    "Via",
    "Route",
    "Record-Route",
    "Max-Forwards",
    "From",
    "To",
    "Call-ID",
    "CSeq",
    "Contact",
    "Allow",
    "User-Agent",
    "Server",
    "Content-Type",
    "Content-Length",
    "Authorization",
    "Proxy-Authorization",
    "Require",
    "Supported",
    "RSeq",
    "P-Asserted-Identity",
    "Session-Expires",
    "Min-SE",
    "Event",
    "Subscription-State",
    "Refer-To",
    "Referred-By",
    "Replaces",
];

/// Where requests are sent: locating a name (RFC 3263) is done before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Destination {
    /// UDP, TCP or TLS.
    pub transport: Transport,
    /// Whom a peer reached by TLS has to prove to be.
    pub tls: TlsPeer,
    /// Address and port of the next hop.
    pub address: SocketAddr,
    /// Whether a request too long for a datagram may go by TCP to the same address (RFC 3261 18.1.1).
    pub long_requests: LongRequests,
}

/// Names a peer by its place in [`crate::sip::TlsConfig::peers`]: what its certificate must be for,
/// who is believed, what it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TlsPeer(pub u16);

impl TlsPeer {
    /// No peer that we could open a stream to.
    pub const UNKNOWN: TlsPeer = TlsPeer(u16::MAX);
}

/// What happens to a UDP request over 1300 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum LongRequests {
    /// It goes by UDP all the same: the peer is not known to take TCP.
    #[default]
    ByUdp,
    /// It goes by TCP.
    ByTcp,
}

impl Destination {
    /// A next hop that is reached by UDP only.
    pub fn udp(address: SocketAddr) -> Destination {
        Destination {
            transport: Transport::Udp,
            tls: TlsPeer::UNKNOWN,
            address,
            long_requests: LongRequests::ByUdp,
        }
    }

    /// A next hop that is reached by TCP.
    pub fn tcp(address: SocketAddr) -> Destination {
        Destination {
            transport: Transport::Tcp,
            tls: TlsPeer::UNKNOWN,
            address,
            long_requests: LongRequests::ByTcp,
        }
    }

    /// A next hop that is reached by TLS and has to prove to be `tls`.
    pub fn tls(address: SocketAddr, tls: TlsPeer) -> Destination {
        Destination { transport: Transport::Tls, tls, ..Destination::tcp(address) }
    }
}

/// What answers a trunk's challenges.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// As the trunk gave it.
    pub username: String,
    /// As the trunk gave it.
    pub password: Secret<String>,
    /// Challenges of this realm only; of any realm where `None`.
    pub realm: Option<String>,
}

impl Credentials {
    pub(super) fn client(self) -> digest::Client {
        digest::Client::new(&self.username, self.password, self.realm)
    }
}

/// Callers who have to show a password (RFC 3261 22): from these networks, as this user.
#[derive(Debug, Clone)]
pub struct Challenged {
    /// Where they call from.
    pub networks: Vec<Network>,
    /// What they are known by.
    pub username: String,
    /// What they have to know.
    pub password: Secret<String>,
    /// The algorithms that they are offered, the best first (RFC 8760 2.3). Callers that look at the
    /// first challenge only and know nothing but MD5 need MD5 alone.
    pub hashes: Vec<digest::Hash>,
}

/// A body with its `Content-Type`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// For instance `application/sdp`, with parameters if any.
    pub content_type: String,
    /// As on the wire.
    pub bytes: Vec<u8>,
}

impl Body {
    /// An SDP body.
    pub fn sdp(text: impl Into<Vec<u8>>) -> Body {
        Body { content_type: "application/sdp".to_owned(), bytes: text.into() }
    }

    /// Whether it is of this type; parameters and case do not count (RFC 3261 7.3.1, 20.15).
    pub fn is(&self, content_type: &str) -> bool {
        let own = self.content_type.split(';').next().unwrap_or_default();
        own.trim().eq_ignore_ascii_case(content_type)
    }
}

/// Through how many servers a request that begins here may go (RFC 3261 8.1.1.6).
pub const MAX_FORWARDS: u8 = 70;

/// An INVITE to send.
#[derive(Debug, Clone)]
pub struct Invite {
    /// From [`crate::sip::Handle::new_session`].
    pub session: Session,
    /// The Call-ID, unique in all the world; `None` has the endpoint make it.
    pub call_id: Option<String>,
    /// The request URI.
    pub target: Uri,
    /// The next hop. Requests within the session go where the peer says in Contact or Record-Route, in
    /// the bounds of docs/decisions/0024.
    pub destination: Destination,
    /// Where the same request goes next, in this order, when the destination before says nothing, cannot
    /// be reached, or answers 503 (RFC 3263 4.3).
    pub alternatives: Vec<Destination>,
    /// Without tag; the endpoint makes it.
    pub from: NameAddr,
    /// Without tag.
    pub to: NameAddr,
    /// `P-Asserted-Identity` (RFC 3325).
    pub asserted_identity: Option<NameAddr>,
    /// Further headers. Those that the endpoint makes itself are ignored here.
    pub headers: Vec<ExtraHeader>,
    /// The dialog of the callee that this call takes the place of (RFC 3891).
    pub replaces: Option<Replaces>,
    /// Who asked for the call by REFER (RFC 3892).
    pub referred_by: Option<ReferredBy>,
    /// Through how many servers it may go: [`MAX_FORWARDS`], or one less than a call has that goes on
    /// (RFC 3261 16.6, RFC 7332 5).
    pub max_forwards: u8,
    /// The offer; `None` sends an INVITE without one, whose answer goes by [`Command::Ack`].
    pub body: Option<Body>,
    /// Used for challenges that come from `destination` only.
    pub credentials: Option<Credentials>,
}

/// Whom a REFER of ours names.
#[derive(Debug, Clone)]
pub enum ReferTarget {
    /// Somebody new.
    Uri(ReferTo),
    /// The far side of another answered session of ours, which the new call takes the place of
    /// (RFC 3891): its contact and its dialog.
    Session(Session),
}

/// An OPTIONS to send outside of any dialog.
#[derive(Debug, Clone)]
pub struct Options {
    /// Comes back in [`crate::sip::Event::RequestDone`].
    pub request: RequestKey,
    /// The request URI, and To.
    pub target: Uri,
    /// The next hop.
    pub destination: Destination,
    /// Without tag.
    pub from: NameAddr,
    /// Used for challenges that come from `destination` only.
    pub credentials: Option<Credentials>,
}

/// A REGISTER to send (RFC 3261 10.2).
#[derive(Debug, Clone)]
pub struct Register {
    /// Comes back in [`crate::sip::Event::RequestDone`].
    pub request: RequestKey,
    /// The request URI: the registrar's domain.
    pub registrar: Uri,
    /// From and To: whose calls are to come to us.
    pub address: NameAddr,
    /// The next hop.
    pub destination: Destination,
    /// The rest, as [`crate::sip::Registration`] wants it.
    pub ask: RegisterAsk,
    /// Used for challenges that come from `destination` only.
    pub credentials: Option<Credentials>,
}

/// One thing to do.
#[derive(Debug, Clone)]
pub enum Command {
    /// Start a session.
    Invite(Box<Invite>),
    /// Send a provisional response (101-199) to an incoming INVITE.
    Progress {
        /// Which one.
        session: Session,
        /// 101-199: usually 180 or 183.
        status: u16,
        /// The usual phrase where `None`.
        phrase: Option<String>,
        /// Further headers.
        headers: Vec<ExtraHeader>,
        /// Early media: the answer to the offer.
        body: Option<Body>,
    },
    /// Send the 200 to an incoming INVITE or re-INVITE.
    Answer {
        /// Which one.
        session: Session,
        /// Further headers.
        headers: Vec<ExtraHeader>,
        /// The answer, or the offer where the INVITE had none.
        body: Option<Body>,
    },
    /// Refuse an incoming INVITE or re-INVITE.
    Reject {
        /// Which one.
        session: Session,
        /// 300-699.
        status: u16,
        /// The usual phrase where `None`.
        phrase: Option<String>,
        /// `Reason`, `Warning`, `Retry-After` and the like.
        headers: Vec<ExtraHeader>,
    },
    /// Acknowledge a 2xx that carried an offer ([`crate::sip::Event::Answered::offer`]).
    Ack {
        /// Which session.
        session: Session,
        /// The answer.
        body: Option<Body>,
    },
    /// End a session in whatever state it is: CANCEL, BYE, or 603 to an INVITE not yet answered.
    HangUp {
        /// Which one.
        session: Session,
        /// `Reason` headers (RFC 3326) to send.
        reasons: Vec<Reason>,
    },
    /// Send a re-INVITE in an answered session. One that cannot go now (another offer is open) comes
    /// back as 491 in [`crate::sip::Event::ReinviteDone`].
    Reinvite {
        /// Which one.
        session: Session,
        /// The new offer; `None` asks the peer for one.
        body: Option<Body>,
    },
    /// Send UPDATE with an offer in an answered or early session (RFC 3311). One that cannot go now
    /// (another offer is open) comes back as 491 in [`crate::sip::Event::UpdateDone`].
    Update {
        /// Which one.
        session: Session,
        /// The new offer.
        body: Body,
    },
    /// Answer the offer of an UPDATE ([`crate::sip::Event::Update`]).
    AnswerUpdate {
        /// Which session.
        session: Session,
        /// The answer.
        body: Body,
    },
    /// Refuse the offer of an UPDATE; all stays as it was.
    RejectUpdate {
        /// Which session.
        session: Session,
        /// 300-699.
        status: u16,
        /// `Reason`, `Warning` and the like.
        headers: Vec<ExtraHeader>,
    },
    /// Ask the peer of an answered session to call somebody (RFC 3515). Its answer comes as
    /// [`crate::sip::Event::RequestDone`], what becomes of the call as
    /// [`crate::sip::Event::ReferProgress`].
    Refer {
        /// Which session.
        session: Session,
        /// Comes back in [`crate::sip::Event::RequestDone`].
        request: RequestKey,
        /// Who is to be called.
        target: Box<ReferTarget>,
        /// Who wants it.
        referred_by: Option<Box<ReferredBy>>,
    },
    /// Take a REFER ([`crate::sip::Event::Refer`]): 202, and the first NOTIFY.
    AcceptRefer {
        /// Which session.
        session: Session,
    },
    /// Refuse a REFER.
    RejectRefer {
        /// Which session.
        session: Session,
        /// 300-699.
        status: u16,
        /// `Reason`, `Warning` and the like.
        headers: Vec<ExtraHeader>,
    },
    /// Tell the peer what became of the call that its REFER asked for; a final status is the last
    /// word.
    TellRefer {
        /// Which session.
        session: Session,
        /// 100-699.
        status: u16,
        /// The usual phrase where `None`.
        phrase: Option<String>,
    },
    /// Send INFO in an answered (or early) session.
    Info {
        /// Which one.
        session: Session,
        /// Comes back in [`crate::sip::Event::RequestDone`].
        request: RequestKey,
        /// For instance `application/dtmf-relay`.
        body: Body,
    },
    /// Send OPTIONS outside of any dialog: is the peer alive?
    Options(Box<Options>),
    /// Send REGISTER.
    Register(Box<Register>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extra_headers_smuggle_nothing() {
        assert!(ExtraHeader::new("Reason", "Q.850;cause=16").is_some());
        for (name, value) in [
            ("via", "x"),
            ("Subject", "a\r\nVia: x"),
            ("X\u{1}", "a"),
            ("a b", "c"),
            ("v", "SIP/2.0/UDP h"),
            ("Subject", ""),
        ] {
            assert_eq!(ExtraHeader::new(name, value), None, "{name}");
        }
    }
}
