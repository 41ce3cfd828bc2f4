//! Trunks at run time: their definition with its counters, health and place on the network.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::base::{Network, TrunkId};
use crate::call::Retry;
use crate::dialplan::{Route, Spread};
use crate::dtmf::InfoSupport;
use crate::media::{AddressPolicy, DigitPacing, PrivateAddresses, TrunkCodec, TrunkMedia};
use crate::sip::{Credentials, Destination, Dns, LocateError, Transport, Wanted};
use crate::trunk::{
    self, Busy, Codec, Definition, Failure, Health, Heard, Limits, Order, State, Urgency,
};

/// All trunks of a gateway.
pub(super) struct Trunks(BTreeMap<TrunkId, Arc<Trunk>>);

/// One trunk.
pub(super) struct Trunk {
    pub definition: Definition,
    /// What its media may look like.
    pub media: TrunkMedia,
    limits: Mutex<Limits>,
    health: Mutex<Health>,
}

/// A call's place on a trunk; given back when dropped.
pub(super) struct Channel {
    pub trunk: Arc<Trunk>,
}

impl Trunks {
    pub fn new(definitions: impl IntoIterator<Item = Definition>) -> Trunks {
        let trunks = definitions.into_iter().map(|definition| {
            let trunk = Trunk {
                media: media_of(&definition),
                limits: Mutex::new(Limits::new(definition.channels, definition.cps)),
                health: Mutex::new(Health::Up),
                definition,
            };
            (trunk.definition.id.clone(), Arc::new(trunk))
        });
        Trunks(trunks.collect())
    }

    pub fn get(&self, id: &TrunkId) -> Option<&Arc<Trunk>> {
        self.0.get(id)
    }

    pub fn all(&self) -> impl Iterator<Item = &Arc<Trunk>> {
        self.0.values()
    }

    /// The trunk that speaks from this address.
    pub fn of_source(&self, source: IpAddr) -> Option<&Arc<Trunk>> {
        self.0.values().find(|trunk| trunk.definition.accepts(source))
    }

    /// The networks whose SIP is listened to.
    pub fn networks(&self) -> Vec<Network> {
        self.0
            .values()
            .flat_map(|trunk| {
                let own = trunk.definition.target.address().map(Network::host);
                own.into_iter().chain(trunk.definition.accept_from.iter().copied())
            })
            .collect()
    }

    /// The trunks of a route in the order of trying, those that cannot take a call left out; a line
    /// for each of these.
    pub fn order(&self, route: &Route, urgency: Urgency) -> (Vec<TrunkId>, Vec<String>) {
        let order = match route.spread {
            Spread::Ordered => Order::AsGiven,
            Spread::Balanced => Order::Balanced,
        };
        // Each trunk's counters as they are now; the choice is a function of them.
        let counters: BTreeMap<&TrunkId, (Limits, Health)> = route
            .trunks
            .iter()
            .filter_map(|id| self.get(id).map(|t| (id, (t.limits().clone(), t.health()))))
            .collect();
        let selection = trunk::select(Instant::now(), &route.trunks, order, urgency, |id| {
            counters.get(id).map(|(limits, health)| State { limits, health: *health })
        });
        let passed_over = selection.passed_over.iter().map(ToString::to_string).collect();
        (selection.trunks, passed_over)
    }
}

impl Trunk {
    /// A place for one more call.
    ///
    /// # Errors
    /// The trunk is full; never for an emergency call.
    pub fn take_channel(self: &Arc<Trunk>, urgency: Urgency) -> Result<Channel, Busy> {
        let now = Instant::now();
        let mut limits = self.limits();
        match limits.busy(now) {
            Some(busy) if urgency == Urgency::Normal => Err(busy),
            _ => {
                limits.start(now);
                Ok(Channel { trunk: self.clone() })
            }
        }
    }

    /// Calls on it now.
    pub fn calls(&self) -> u32 {
        self.limits().calls()
    }

    pub fn health(&self) -> Health {
        *self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set_health(&self, health: Health) {
        *self.health.lock().unwrap_or_else(PoisonError::into_inner) = health;
    }

    /// Whether the next trunk is tried after this failure.
    pub fn retries(&self, failure: Failure) -> Retry {
        // Whether something was heard already is the call's to know.
        match self.definition.retry_on.allows(failure, Heard::Nothing) {
            true => Retry::Next,
            false => Retry::Never,
        }
    }

    /// What its challenges are answered with.
    pub fn credentials(&self) -> Option<Credentials> {
        let username = self.definition.username.clone()?;
        let password = self.definition.password.clone()?;
        Some(Credentials { username, password, realm: None })
    }

    /// Every destination of its target, in the order of trying; at least one.
    ///
    /// # Errors
    /// The name has no address, or the DNS does not say in time.
    pub async fn locate(&self, dns: &Dns) -> Result<Vec<Destination>, LocateError> {
        let target = &self.definition.target;
        let transport = match target.written_transport() {
            Some(trunk::Transport::Udp) => Some(Transport::Udp),
            Some(trunk::Transport::Tcp) => Some(Transport::Tcp),
            // Refused by the configuration until it is built.
            Some(trunk::Transport::Tls) => return Err(LocateError::NoSuchName),
            None => None,
        };
        let (host, port) = (target.host().to_owned(), target.port());
        dns.locate(Wanted { host, port, transport }).await
    }

    fn limits(&self) -> MutexGuard<'_, Limits> {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.trunk.limits().end();
    }
}

fn media_of(definition: &Definition) -> TrunkMedia {
    let codecs = definition.codecs.iter().filter_map(|codec| match codec {
        Codec::Pcma => Some(TrunkCodec::Pcma),
        Codec::Pcmu => Some(TrunkCodec::Pcmu),
        // Refused by the configuration until they are built.
        Codec::G722 | Codec::Opus => None,
    });
    let local = definition.target.address().is_some_and(is_private)
        || definition.accept_from.iter().any(|range| is_private(range.address()));
    let loopback = definition.target.address().is_some_and(|a| a.is_loopback());
    let addresses = match (loopback, local) {
        (true, _) => AddressPolicy::Any,
        (false, true) => AddressPolicy::Public(PrivateAddresses::Allowed),
        (false, false) => AddressPolicy::Public(PrivateAddresses::Refused),
    };
    TrunkMedia {
        codecs: codecs.collect(),
        media_from: definition.media_from.clone(),
        addresses,
        pacing: DigitPacing::default(),
        dtmf: definition.dtmf,
        info: InfoSupport::Unknown,
    }
}

/// Whether a trunk at this address is inside one's own network.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_private() || v4.is_loopback() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}
