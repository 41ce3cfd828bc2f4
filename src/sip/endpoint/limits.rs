//! Who may start something here, how much of it, and which of our addresses peers are told of.

use std::net::IpAddr;

use super::{Admission, Endpoint, Listener, Path};
use crate::sip::codec::Policy;
use crate::sip::command::{Destination, Transport};
use crate::sip::{Host, Method};

impl Endpoint {
    /// Whether requests from this address are looked at outside of dialogs.
    pub(super) fn is_accepted(&self, address: IpAddr) -> bool {
        self.config.accept.iter().any(|network| network.contains(address))
            || self.may_be_challenged(address)
    }

    /// Whether a new request outside of dialogs is one too many.
    pub(super) fn is_full(&self) -> bool {
        self.clients.len() + self.servers.len() >= self.config.max_transactions
    }

    /// Sessions that are not over.
    pub(super) fn live_sessions(&self) -> usize {
        self.sessions.len() - self.over
    }

    /// Whether a new session of a peer is one too many.
    pub(super) fn is_closed(&self) -> bool {
        self.admission == Admission::Closed || self.live_sessions() >= self.config.max_sessions
    }

    /// What this user agent takes.
    pub(super) fn policy() -> Policy {
        Policy {
            methods: vec![
                Method::Invite,
                Method::Ack,
                Method::Cancel,
                Method::Bye,
                Method::Options,
                Method::Info,
                Method::PRack,
                Method::Update,
                Method::Refer,
                Method::Notify,
            ],
            extensions: [super::reliable::TAG, super::session_timer::TAG, "replaces", "norefersub"]
                .map(str::to_owned)
                .to_vec(),
        }
    }

    /// The path to a destination; `None` where no listener has its transport and address family.
    pub(super) fn path_to(&self, destination: &Destination) -> Option<Path> {
        let Destination { transport, tls, address, .. } = *destination;
        let fits = |own: &&Listener| own.local.is_ipv4() == address.is_ipv4();
        let own = self.listeners.iter().filter(fits).find(|own| own.transport == transport);
        // A stream can be opened without listening; a datagram leaves from a listener.
        let any = || self.listeners.iter().find(fits).filter(|_| transport.is_stream());
        let local = own.or_else(any)?.local;
        Some(Path { transport, tls, local, remote: address, connection: None })
    }

    /// The Via of a request on this path.
    pub(super) fn via(&self, path: &Path, branch: &str) -> String {
        let address = self.advertised(path);
        let mut via = crate::sip::header::Via::new(
            path.transport.token(),
            Host::Ip(address.ip()),
            Some(address.port()),
            branch,
        );
        // RFC 3581: so that the response finds the way back through a NAT.
        via.params.set_flag("rport");
        via.to_string()
    }

    /// The Contact of a message on this path.
    pub(super) fn contact(&self, path: &Path) -> String {
        let address = self.advertised(path);
        let listens = self.listeners.iter().any(|own| own.transport == path.transport);
        match path.transport {
            Transport::Tcp if listens => format!("<sip:{address};transport=tcp>"),
            Transport::Tls if listens => format!("<sip:{address};transport=tls>"),
            Transport::Udp | Transport::Tcp | Transport::Tls => format!("<sip:{address}>"),
        }
    }

    fn advertised(&self, path: &Path) -> std::net::SocketAddr {
        let same = |own: &&Listener| own.transport == path.transport && own.local == path.local;
        let alike = |own: &&Listener| {
            own.transport == path.transport && own.local.is_ipv4() == path.remote.is_ipv4()
        };
        let found = self.listeners.iter().find(same);
        let found = found.or_else(|| self.listeners.iter().find(alike));
        found.or(self.listeners.first()).map_or(path.local, |own| own.advertised)
    }
}
