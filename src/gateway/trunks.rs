//! Trunks at run time: their definition with its counters, health and place on the network.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::mpsc;

use crate::base::{Network, TrunkId};
use crate::call::Retry;
use crate::dialplan::{Route, Spread};
use crate::dtmf::InfoSupport;
use crate::media::{
    AddressPolicy, ComfortNoise, PrivateAddresses, Protection, RelayPolicy, TrunkCodec, TrunkMedia,
};
use crate::sip::digest::Hash;
use crate::sip::{
    Challenged, Credentials, Destination, Dns, Incoming, LINE, LocateError, NotRegistered,
    TlsIdentity, TlsPeer, TlsPeerConfig, Transport, Wanted,
};
use crate::trunk::{
    self, Busy, CallerDigest, Codec, Definition, Failure, Health, Heard, Limits, Order, State,
    Urgency,
};

/// All trunks of a gateway.
pub(super) struct Trunks(BTreeMap<TrunkId, Arc<Trunk>>);

/// One trunk.
pub(super) struct Trunk {
    pub definition: Definition,
    /// What its media may look like.
    pub media: TrunkMedia,
    /// Its place among the peers of TLS.
    tls: TlsPeer,
    limits: Mutex<Limits>,
    health: Mutex<Health>,
    /// Where it registers: how that stands.
    registration: Option<Mutex<Registering>>,
    /// Told when its connection is gone.
    flow_lost: mpsc::Sender<()>,
}

/// How the registration of a trunk stands.
struct Registering {
    state: Result<Registered, NotRegistered>,
    /// The `line` of our Contact.
    line: String,
}

/// A registration that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Registered {
    /// The registrar, over whose flow calls go out and come in.
    pub destination: Destination,
    /// Until when it holds without a refresh.
    pub until: Instant,
}

/// Where the task of each registering trunk hears that its connection is gone.
pub(super) type Flows = Vec<(TrunkId, mpsc::Receiver<()>)>;

/// A call's place on a trunk; given back when all of its holders have dropped it.
#[derive(Clone)]
pub(super) struct Channel {
    pub trunk: Arc<Trunk>,
    _place: Arc<Place>,
}

struct Place(Arc<Trunk>);

impl std::fmt::Debug for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Channel({})", self.trunk.definition.id)
    }
}

impl Trunks {
    /// All trunks; with each that registers, where its task hears of lost connections.
    pub fn new(definitions: impl IntoIterator<Item = Definition>) -> (Trunks, Flows) {
        let mut flows = Vec::new();
        let trunks = definitions.into_iter().enumerate().map(|(n, definition)| {
            let keys_in_the_clear = definition.target.transport() != trunk::Transport::Tls;
            if definition.srtp != trunk::Srtp::Off && keys_in_the_clear {
                tracing::warn!(
                    trunk.id = %definition.id,
                    "the keys of `srtp` travel in SIP, and this trunk has no TLS: whoever reads the \
                     signalling can decrypt the media"
                );
            }
            if !definition.takes_calls() {
                tracing::warn!(
                    trunk.id = %definition.id,
                    "no call can come from this trunk: its target is a name, and `accept_from` names no address"
                );
            }
            let (flow_lost, lost) = mpsc::channel(1);
            let registers = definition.register == trunk::Registering::Register;
            if registers {
                flows.push((definition.id.clone(), lost));
            }
            let trunk = Trunk {
                registration: registers.then(|| {
                    let (state, line) = (Err(NotRegistered::NotYet), String::new());
                    Mutex::new(Registering { state, line })
                }),
                flow_lost,
                media: media_of(&definition),
                tls: u16::try_from(n).map_or(TlsPeer::UNKNOWN, TlsPeer),
                limits: Mutex::new(Limits::new(definition.channels, definition.cps)),
                health: Mutex::new(Health::Up),
                definition,
            };
            (trunk.definition.id.clone(), Arc::new(trunk))
        });
        (Trunks(trunks.collect()), flows)
    }

    pub fn get(&self, id: &TrunkId) -> Option<&Arc<Trunk>> {
        self.0.get(id)
    }

    pub fn all(&self) -> impl Iterator<Item = &Arc<Trunk>> {
        self.0.values()
    }

    /// The trunk that a call comes from: by its address, among several there by the user whose
    /// password was shown, by the `line` that was registered, or by the port of its target.
    pub fn of_incoming(&self, incoming: &Incoming) -> Option<&Arc<Trunk>> {
        let source = incoming.source.ip();
        let speaks = |trunk: &&Arc<Trunk>| {
            let registrar = trunk.registered().map(|own| own.destination.address.ip());
            trunk.definition.accepts(source) || registrar == Some(source)
        };
        let user = incoming.user.as_deref();
        let known = |trunk: &&Arc<Trunk>| {
            trunk.definition.caller_username.as_deref() == user
                || (user.is_none() && !trunk.definition.challenges())
        };
        let line = incoming.target.param(LINE);
        let here = || self.0.values().filter(speaks).filter(known);
        let is_target = |trunk: &&Arc<Trunk>| {
            let target = &trunk.definition.target;
            target.address() == Some(source) && target.port() == Some(incoming.source.port())
        };
        here()
            .find(|trunk| line.is_some_and(|line| trunk.is_line(line)))
            .or_else(|| here().find(is_target))
            .or_else(|| here().next())
    }

    /// A stream to this address is gone.
    pub fn flow_lost(&self, remote: SocketAddr) {
        for trunk in self.0.values() {
            if trunk.registered().is_some_and(|own| own.destination.address == remote) {
                // One that waits already says the same.
                let _ = trunk.flow_lost.try_send(());
            }
        }
    }

    /// The networks whose SIP is listened to.
    pub fn networks(&self) -> Vec<Network> {
        self.0
            .values()
            .filter(|trunk| !trunk.definition.challenges())
            .flat_map(|trunk| {
                let registrar = trunk.registered().map(|own| own.destination.address.ip());
                trunk.own_networks().into_iter().chain(registrar.map(Network::host))
            })
            .collect()
    }

    /// All addresses of each trunk, at the place that it knows.
    pub fn peers(&self) -> Vec<Vec<Network>> {
        let mut trunks: Vec<&Arc<Trunk>> = self.0.values().collect();
        trunks.sort_by_key(|trunk| trunk.tls);
        let networks = |trunk: &Arc<Trunk>| {
            let registrar = trunk.registered().map(|own| own.destination.address.ip());
            trunk.own_networks().into_iter().chain(registrar.map(Network::host)).collect()
        };
        trunks.into_iter().map(networks).collect()
    }

    /// The peers of TLS, each at the place that its trunk knows.
    pub fn tls_peers(&self, directory: &Path) -> Vec<TlsPeerConfig> {
        let mut trunks: Vec<&Arc<Trunk>> = self.0.values().collect();
        trunks.sort_by_key(|trunk| trunk.tls);
        let peer = |trunk: &Arc<Trunk>| {
            let tls = &trunk.definition.tls;
            let target = || trunk.definition.target.host().to_owned();
            let identity = tls.identity.as_ref().map(|(cert, key)| TlsIdentity {
                cert: directory.join(cert),
                key: directory.join(key),
            });
            TlsPeerConfig {
                name: tls.name.clone().unwrap_or_else(target),
                ca: tls.ca.as_ref().map(|ca| directory.join(ca)),
                identity,
                networks: trunk.own_networks(),
            }
        };
        trunks.into_iter().map(peer).collect()
    }

    /// Who has to show a password.
    pub fn challenged(&self) -> Vec<Challenged> {
        let challenged = self.0.values().filter_map(|trunk| {
            let username = trunk.definition.caller_username.clone()?;
            let password = trunk.definition.caller_password.clone()?;
            let hashes = match trunk.definition.caller_digest {
                CallerDigest::Any => vec![Hash::Sha256, Hash::Md5],
                CallerDigest::Sha256 => vec![Hash::Sha256],
                CallerDigest::Md5 => vec![Hash::Md5],
            };
            Some(Challenged { networks: trunk.own_networks(), username, password, hashes })
        });
        challenged.collect()
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
                Ok(Channel { trunk: self.clone(), _place: Arc::new(Place(self.clone())) })
            }
        }
    }

    /// Calls on it now.
    pub fn calls(&self) -> u32 {
        self.limits().calls()
    }

    fn own_networks(&self) -> Vec<Network> {
        let own = self.definition.target.address().map(Network::host);
        let ranges = self.definition.accept_from.iter();
        own.into_iter().chain(ranges.copied()).collect()
    }

    /// How its registration stands; `None` where it does not register.
    pub fn registration(&self) -> Option<Result<Registered, NotRegistered>> {
        self.registering().map(|own| own.state)
    }

    fn registered(&self) -> Option<Registered> {
        self.registering().and_then(|own| own.state.ok())
    }

    /// Takes what its registration has come to; returns the registrar before.
    pub fn set_registered(&self, state: Result<Registered, NotRegistered>) -> Option<IpAddr> {
        let mut own = self.registering()?;
        let before = std::mem::replace(&mut own.state, state);
        before.ok().map(|before| before.destination.address.ip())
    }

    /// What requests to our Contact carry.
    pub fn set_line(&self, line: &str) {
        if let Some(mut own) = self.registering() {
            line.clone_into(&mut own.line);
        }
    }

    /// Whether a request to this `line` is for the registration of this trunk.
    pub fn is_line(&self, line: &str) -> bool {
        self.registering().is_some_and(|own| own.line == line)
    }

    fn registering(&self) -> Option<MutexGuard<'_, Registering>> {
        let own = self.registration.as_ref()?;
        Some(own.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether it is sent calls: the breaker is closed, and it is registered where it has to be.
    pub fn health(&self) -> Health {
        if matches!(self.registration(), Some(Err(_))) {
            return Health::Down;
        }
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
        let username = self.definition.auth_username.clone().unwrap_or(username);
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
            Some(trunk::Transport::Tls) => Some(Transport::Tls),
            None => None,
        };
        let (host, port) = (target.host().to_owned(), target.port());
        let mut found = dns.locate(Wanted { host, port, transport }).await?;
        found.iter_mut().for_each(|own| own.tls = self.tls);
        // Where it is registered it is reached over the same flow (RFC 5626).
        if let Some(registered) = self.registered()
            && let Some(at) = found.iter().position(|own| *own == registered.destination)
        {
            found[..=at].rotate_right(1);
        }
        Ok(found)
    }

    fn limits(&self) -> MutexGuard<'_, Limits> {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.limits().end();
    }
}

fn media_of(definition: &Definition) -> TrunkMedia {
    let codecs = definition.codecs.iter().map(|codec| match codec {
        Codec::Pcma => TrunkCodec::Pcma,
        Codec::Pcmu => TrunkCodec::Pcmu,
        Codec::G722 => TrunkCodec::G722,
        Codec::Opus => TrunkCodec::Opus,
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
        pacing: definition.digits,
        dtmf: definition.dtmf,
        comfort_noise: match definition.comfort_noise {
            trunk::ComfortNoise::Off => ComfortNoise::Off,
            trunk::ComfortNoise::Accept => ComfortNoise::Accepted,
            trunk::ComfortNoise::Offer => ComfortNoise::Offered,
        },
        protection: match definition.srtp {
            trunk::Srtp::Off => Protection::None,
            trunk::Srtp::Sdes => Protection::Optional,
            trunk::Srtp::SdesRequired => Protection::Required,
        },
        info: InfoSupport::Unknown,
        relay: RelayPolicy::default(),
    }
}

/// Whether a trunk at this address is inside one's own network.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_private() || v4.is_loopback() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}
