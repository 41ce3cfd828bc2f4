//! Starting a gateway from its configuration, draining it, stopping it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::accounts::Accounts;
use super::hep::{self, Hep};
use super::plans::{Keep, PlanVersion, Plans};
use super::probes::Probes;
use super::registry::Registry;
use super::requests::Requests;
use super::ringing::Idle;
use super::sip_trace::SipTrace;
use super::traces::{self, Traces};
use super::trunks::Trunks;
use super::voicemail::{self, Voicemails};
use super::webhooks::Webhooks;
use super::{Events, Inner, health, pages, registrations, sip_events, spawn};
use crate::base::Cause;
use crate::call::State;
use crate::config::{Config, IceServer as ConfiguredIce, LoadedPlan};
use crate::dialplan::{Plan, SHORT_CALL};
use crate::media::{Band, Interface, Pool, PoolConfig};
use crate::recording::Recorder;
use crate::signaling::socket::Server;
use crate::signaling::{self, CloseCode, Event, IceSource, TokenKey};
use crate::sip::{
    self, Dns, DriverConfig, EndpointConfig, Reachable, SessionTimer, Tap, TlsConfig, TlsIdentity,
    TlsServer, Transport,
};
use crate::store::{KeptPlan, Store};
use crate::telemetry::Metrics;
use crate::{media, store, trunk};

/// A running gateway; cheap to clone.
#[derive(Clone)]
pub struct Gateway {
    pub(super) inner: Arc<Inner>,
    pub(super) server: Server,
    tasks: Arc<[JoinHandle<()>]>,
    leaving: Arc<Leaving>,
}

/// The tasks that keep trunks registered, and how they are told to take that back.
struct Leaving {
    leave: watch::Sender<bool>,
    registrations: Mutex<Vec<JoinHandle<()>>>,
}

/// Why a gateway did not start: one line that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A SIP address is taken or not ours.
    #[error("SIP: {0}")]
    Sip(#[from] sip::StartError),
    /// A media port is taken, or a thread could not be started.
    #[error("media: {0}")]
    Media(#[from] media::Error),
    /// Names cannot be looked up.
    #[error("{0}")]
    Dns(#[from] sip::DnsStartError),
    /// The system gives no thread for recordings.
    #[error("recordings: {0}")]
    Recordings(io::Error),
    /// The records cannot be kept.
    #[error("records: {0}")]
    Store(#[from] store::OpenError),
    /// The token key is too short.
    #[error("[auth] token_secret must have at least {} bytes", TokenKey::MIN_BYTES)]
    TokenKey,
    /// The plan's tables could not be made: a fault of the gateway.
    #[error("the dial plan could not be made ready")]
    Plan,
    /// No randomness for a token key.
    #[error("no randomness: {0}")]
    Random(getrandom::Error),
}

impl Gateway {
    /// Starts everything but HTTP, which its owner mounts around [`Gateway::server`].
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running.
    pub async fn start(config: &Config, plan: LoadedPlan) -> Result<Gateway, StartError> {
        let token_key = token_key(config)?;
        let (trunks, flows) = Trunks::new(config.trunks.values().cloned());
        let settings = config.store.settings();
        let store = Arc::new(Store::open(&settings).await?);
        let pool = Pool::start(pool_config(config))?;
        let sip_trace = Arc::new(SipTrace::default());
        let metrics = Arc::new(Metrics::new());
        let (hep, hep_queue) = config.hep.as_ref().map(|_| Hep::new(metrics.clone())).unzip();
        let (traces, traces_queue) =
            config.otlp.as_ref().map(|_| Traces::new(metrics.clone())).unzip();
        let (own, told) = (sip_trace.clone(), hep.clone());
        let tap = Tap::new(move |passed| {
            if let Some(message) = own.passed(Timestamp::now(), passed)
                && let Some(told) = &told
            {
                told.sip(message);
            }
        });
        let driver = sip_config(config, &trunks)?;
        let dns = Dns::start(&config.sip.dns_servers, reachable(&driver.listen))?;
        let driver = DriverConfig { tap: Some(tap), dns: Some(dns.clone()), ..driver };
        let (sip, sip_events) = sip::driver::start(driver).await?;
        let sip_addresses = sip.local_addrs().to_vec();
        let (known, own) = (config.known(), metrics.clone());
        // The number library's tables take tens of ms each.
        let history = (earlier_plans(&store).await, keeper(&store));
        let plans = tokio::task::spawn_blocking(move || Plans::new(plan, known, own, history));
        let plans = plans.await.map_err(|_| StartError::Plan)?;
        let features = features(&plans.in_force().plan);
        let accounts = Accounts::new(metrics.clone());
        recall(&accounts, &store).await;
        let (trunk_news, news) = mpsc::channel(TRUNK_NEWS);
        let (voicemails, messages) = Voicemails::new(config.store.voicemail.clone());
        let inner = Arc::new(Inner {
            plans,
            users: config.users.clone(),
            accounts,
            idle: Arc::default(),
            trunk_news,
            trunks,
            registry: Registry::new(),
            requests: Requests::default(),
            probes: Probes::default(),
            webhooks: Arc::new(Webhooks::new(&config.webhooks)),
            traces,
            hep,
            sip_trace,
            events: Arc::new(Events::new(format!("{:x}", super::unix_now().as_millis()))),
            pool,
            sip,
            dns,
            store,
            metrics,
            voicemails,
            recorder: Recorder::new(&config.recording).map_err(StartError::Recordings)?,
            sip_addresses,
            token_key: token_key.clone(),
            draining: AtomicBool::new(false),
            drain: config.drain.clone(),
        });
        let (to_gateway, from_pages) = mpsc::channel(PAGE_MESSAGES);
        let signaling = signaling::Config {
            key: token_key,
            revoked: Arc::default(),
            ice: config.ice.servers.iter().map(ice_source).collect(),
            features,
            dialling: Arc::new(super::routing::Meaning(Arc::downgrade(&inner))),
        };
        let server = Server::new(signaling, config.http.allowed_origins.clone(), to_gateway);
        let (leave, left) = watch::channel(false);
        let registrations = flows.into_iter().filter_map(|(id, lost)| {
            let trunk = inner.trunks.get(&id)?.clone();
            let run = registrations::run(inner.clone(), trunk, lost, left.clone());
            Some(spawn("registration", run))
        });
        let registrations = registrations.collect();
        let mut tasks = vec![
            spawn("pages", pages::run(inner.clone(), from_pages)),
            spawn("sip events", sip_events::run(inner.clone(), sip_events)),
            spawn("trunk health", health::run(inner.clone(), news)),
            spawn("voicemail", voicemail::run(Arc::downgrade(&inner), messages)),
            spawn(
                "webhooks",
                inner.webhooks.clone().run(inner.events.clone(), inner.metrics.clone()),
            ),
            spawn("plan file", watch_plan(inner.clone(), server.clone())),
        ];
        if let (Some(settings), Some(queue)) = (config.otlp.clone(), traces_queue) {
            let run = traces::run(settings, queue, Arc::downgrade(&inner));
            tasks.push(spawn("traces", run));
        }
        if let (Some(settings), Some(queue)) = (config.hep.clone(), hep_queue) {
            let (trace, metrics) = (inner.sip_trace.clone(), inner.metrics.clone());
            tasks.push(spawn("hep", hep::run(settings, queue, trace, metrics)));
        }
        let tasks = tasks.into();
        let leaving = Arc::new(Leaving { leave, registrations: Mutex::new(registrations) });
        Ok(Gateway { inner, server, tasks, leaving })
    }

    /// The signalling server, for `/v1/rtc`.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Where SIP listens.
    pub fn sip_addr(&self, transport: Transport) -> Option<SocketAddr> {
        self.inner.sip.local_addr(transport)
    }

    /// Takes no new calls, tells pages where to go, and waits for the calls in progress, as long as
    /// `[drain] wait` says. Cancel safe: whoever does not want to wait calls [`Gateway::stop`].
    pub async fn drain(&self) {
        let inner = &self.inner;
        inner.draining.store(true, Ordering::Release);
        let (calls, wait) = (inner.registry.calls().len(), inner.drain.wait);
        tracing::info!(calls, wait_s = wait.as_secs(), "draining");
        // Those in a call hear where to go, and stay until it is over; while one rings, so do all others.
        let rings = inner.registry.calls().iter().any(|call| call.view().state != State::Connected);
        for page in inner.registry.pages() {
            let spread = super::random_u64() % COME_BACK_MS;
            page.page.event(Event::Closing {
                reason: "The gateway is being stopped.".to_owned(),
                reconnect_in_ms: COME_BACK_MS + spread,
                url: inner.drain.url.clone(),
            });
            if !rings && inner.idle.of(&page.claims.sub) != Idle::Talking {
                page.page.close(CloseCode::Draining);
            }
        }
        let mut count = inner.registry.watch_count();
        let ended = count.wait_for(|calls| *calls == 0);
        if tokio::time::timeout(wait, ended).await.is_err() {
            tracing::warn!(calls = inner.registry.calls().len(), "calls did not end in time");
        }
    }

    /// Takes no new calls, ends those in progress with BYE, and stops; returns when every call has
    /// ended and its record is kept, or after `patience`.
    pub async fn stop(&self, patience: Duration) {
        let inner = &self.inner;
        inner.draining.store(true, Ordering::Release);
        let calls = inner.registry.calls();
        let had_calls = !calls.is_empty();
        tracing::info!(calls = calls.len(), "stopping");
        for call in calls {
            call.tell(super::call_task::CallInput::End(Cause::ServerShutdown));
        }
        let mut count = inner.registry.watch_count();
        let ended = count.wait_for(|calls| *calls == 0);
        if tokio::time::timeout(patience, ended).await.is_err() {
            tracing::warn!(calls = inner.registry.calls().len(), "calls did not end in time");
        }
        // The BYEs are on their way; their answers are waited for as long as a peer may need to
        // see one retransmission (RFC 3261 17.1.2.2: T1 = 500 ms).
        let byes = async {
            while inner.sip.counts().client_transactions > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        // Without a call the only requests are OPTIONS, whose answers nobody needs any more.
        if had_calls {
            let _ = tokio::time::timeout(BYE_WAIT, byes).await;
        }
        for page in inner.registry.pages() {
            page.page.close(CloseCode::Draining);
        }
        // A page hears that the gateway is going only if its socket lives until it has read so.
        let pages = async {
            while !inner.registry.pages().is_empty() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let _ = tokio::time::timeout(PAGES_WAIT, pages).await;
        // The calls are over; the ends of their files are on their way.
        let recordings = async {
            while inner.recorder.active() > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        if tokio::time::timeout(RECORDINGS_WAIT, recordings).await.is_err() {
            tracing::warn!(left = inner.recorder.active(), "recordings did not end in time");
        }
        self.leave_registrars().await;
        inner.sip.stop().await;
        if let Some(traces) = &inner.traces {
            traces.sent(TRACES_WAIT).await;
        }
        for task in self.tasks.iter() {
            task.abort();
        }
        inner.store.close(STORE_WAIT).await;
    }
}

/// The plans that were in force before this start, oldest first.
async fn earlier_plans(store: &Store) -> Vec<PlanVersion> {
    let plans = store.plans().await.unwrap_or_else(|error| {
        tracing::warn!(%error, "earlier dial plans cannot be read; versions begin anew");
        Vec::new()
    });
    let version = |plan: KeptPlan| PlanVersion {
        hash: plan.hash,
        loaded_at: plan.loaded_at,
        text: plan.text.into(),
    };
    plans.into_iter().map(version).collect()
}

/// Keeps each plan that comes into force in the database; one that it does not take is lost at the next
/// start.
fn keeper(store: &Arc<Store>) -> Keep {
    let (store, runtime) = (store.clone(), tokio::runtime::Handle::current());
    Box::new(move |version| {
        let store = store.clone();
        let _entered = runtime.enter();
        spawn("plan version", async move {
            let PlanVersion { hash, loaded_at, text } = version;
            let plan = KeptPlan { hash, loaded_at, text: text.as_ref().to_owned() };
            if let Err(error) = store.keep_plan(&plan).await {
                tracing::warn!(%error, "this version of the dial plan is not listed after a restart");
            }
        });
    })
}

/// Caps and the fraud brake go on where they were before a restart, as the records have it.
async fn recall(accounts: &Arc<Accounts>, store: &Store) {
    let wall = Timestamp::now();
    match store.past(wall, SHORT_CALL).await {
        Ok(past) => {
            let accounts = accounts.clone();
            let now = Instant::now();
            let told = tokio::task::spawn_blocking(move || accounts.recall(now, wall, &past));
            if told.await.is_err() {
                tracing::error!("a fault while past calls were read; caps start anew");
            }
        }
        // The caps of now hold; only what was before is not known.
        Err(error) => tracing::warn!(%error, "past calls cannot be read; caps start anew"),
    }
}

impl Gateway {
    /// Takes registrations back, so that trunks send calls elsewhere at once (RFC 3261 10.2.2).
    async fn leave_registrars(&self) {
        self.leaving.leave.send_replace(true);
        let registrations = {
            let mut own = self.leaving.registrations.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *own)
        };
        let aborts: Vec<_> = registrations.iter().map(JoinHandle::abort_handle).collect();
        let all = futures_util::future::join_all(registrations);
        if tokio::time::timeout(REGISTRARS_WAIT, all).await.is_err() {
            aborts.iter().for_each(tokio::task::AbortHandle::abort);
        }
    }
}

/// Takes a plan whose files have changed; looks every second.
async fn watch_plan(gateway: Arc<Inner>, server: Server) {
    loop {
        tokio::time::sleep(PLAN_LOOK).await;
        let looking = gateway.clone();
        let look = tokio::task::spawn_blocking(move || looking.plans.reload_if_changed());
        if look.await.is_err() {
            tracing::error!("a fault while the dial plan was read; the old one stays in force");
        }
        server.set_features(features(&gateway.plans.in_force().plan));
    }
}

/// What pages are told that they can count on.
pub(super) fn features(plan: &Plan) -> Vec<String> {
    let emergency = plan.provides_emergency().then_some("emergency");
    // Both by REFER: whether the trunk takes it is known when it is asked.
    ["transfer", "attended-transfer"].into_iter().chain(emergency).map(str::to_owned).collect()
}

fn token_key(config: &Config) -> Result<TokenKey, StartError> {
    match &config.auth.token_secret {
        Some(secret) => TokenKey::new(secret.expose().as_bytes()).ok_or(StartError::TokenKey),
        None => {
            let mut bytes = [0; 32];
            getrandom::fill(&mut bytes).map_err(StartError::Random)?;
            TokenKey::new(bytes).ok_or(StartError::TokenKey)
        }
    }
}

/// What our listeners reach: datagrams leave from one, streams need none.
fn reachable(listeners: &[(Transport, SocketAddr)]) -> Reachable {
    let udp = listeners.iter().any(|(transport, _)| *transport == Transport::Udp);
    let transports =
        udp.then_some(Transport::Udp).into_iter().chain([Transport::Tcp, Transport::Tls]);
    Reachable {
        transports: transports.collect(),
        ipv4: listeners.iter().any(|(_, address)| address.is_ipv4()),
        ipv6: listeners.iter().any(|(_, address)| address.is_ipv6()),
    }
}

fn sip_config(config: &Config, trunks: &Trunks) -> Result<DriverConfig, StartError> {
    let mut listen = Vec::new();
    for entry in &config.sip.listen {
        let transport = match entry.transport {
            trunk::Transport::Udp => Transport::Udp,
            trunk::Transport::Tcp => Transport::Tcp,
            trunk::Transport::Tls => Transport::Tls,
        };
        listen.push((transport, entry.address));
    }
    let everywhere = listen.iter().any(|(_, address)| address.ip().is_unspecified());
    let advertise = config.sip.address.or_else(|| own_address().filter(|_| everywhere));
    let endpoint = EndpointConfig {
        accept: trunks.networks(),
        peers: trunks.peers(),
        challenged: trunks.challenged(),
        session_timer: SessionTimer {
            interval: config.sip.session_expires,
            shortest: config.sip.session_min,
        },
        ..EndpointConfig::default()
    };
    let server = config.sip.tls.as_ref().map(|own| TlsServer {
        identity: TlsIdentity {
            cert: config.directory.join(&own.cert),
            key: config.directory.join(&own.key),
        },
        client_ca: own.client_ca.as_ref().map(|ca| config.directory.join(ca)),
    });
    let tls = TlsConfig { server, peers: trunks.tls_peers(&config.directory) };
    let connections_per_source = usize::from(config.sip.streams_per_address);
    let usual = DriverConfig::default();
    Ok(DriverConfig { listen, advertise, endpoint, tls, connections_per_source, ..usual })
}

fn pool_config(config: &Config) -> PoolConfig {
    let media = &config.media;
    let port = media.webrtc_port;
    let own = own_address();
    let interfaces = match media.address {
        // Browsers on this machine: Chromium takes loopback, Firefox only the machine's own address.
        Some(address) if address.is_loopback() => {
            let own = own.map(|own| Interface { bind: (own, port).into(), advertise: None });
            let loopback = Interface { bind: (address, port).into(), advertise: None };
            own.into_iter().chain([loopback]).collect()
        }
        Some(address) if is_ours(address) => {
            vec![Interface { bind: (address, port).into(), advertise: None }]
        }
        // 1:1 NAT: bound on the address that packets really come to.
        Some(address) => {
            let bind = own.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
            vec![Interface { bind: (bind, port).into(), advertise: Some(address) }]
        }
        None => {
            let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
            let addresses = own.into_iter().chain([loopback]);
            addresses.map(|a| Interface { bind: (a, port).into(), advertise: None }).collect()
        }
    };
    let (rtp_bind, rtp_advertise) = match media.address {
        Some(address) if is_ours(address) => (address, None),
        advertise => (IpAddr::V4(Ipv4Addr::UNSPECIFIED), advertise.or(own)),
    };
    PoolConfig {
        workers: usize::from(media.workers),
        calls_per_worker: usize::from(media.calls_per_worker),
        opus: media.opus,
        band: if config.trunks.values().any(|trunk| trunk.codecs.iter().any(|c| c.is_wide())) {
            Band::Wide
        } else {
            Band::Narrow
        },
        interfaces,
        ice_lite: media.ice_lite,
        rtp_bind,
        rtp_advertise,
        rtp_ports: media.rtp_ports.first..=media.rtp_ports.last,
        ..PoolConfig::default()
    }
}

/// The address that this machine has toward the world; `None` where it has none but loopback.
fn own_address() -> Option<IpAddr> {
    let probe = || -> io::Result<IpAddr> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        // Nothing is sent: connecting a datagram socket only asks the routing table. The address is
        // of a range reserved for documentation (RFC 5737).
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9))?;
        Ok(socket.local_addr()?.ip())
    };
    probe().ok().filter(|address| !address.is_loopback() && !address.is_unspecified())
}

fn is_ours(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

fn ice_source(server: &ConfiguredIce) -> IceSource {
    IceSource { urls: server.urls.clone(), secret: server.secret.clone() }
}

/// Messages of all pages that wait for the gateway; a page that sends more waits itself.
const PAGE_MESSAGES: usize = 1024;
/// What calls tell about trunks; more than this at once is as good as nothing.
const TRUNK_NEWS: usize = 256;
const PLAN_LOOK: Duration = Duration::from_secs(1);
const BYE_WAIT: Duration = Duration::from_secs(2);
const PAGES_WAIT: Duration = Duration::from_secs(2);
/// A registrar that does not answer forgets us in time.
const REGISTRARS_WAIT: Duration = Duration::from_secs(2);
/// 2 to 4 s: another gateway is not met by all pages at once.
const COME_BACK_MS: u64 = 2000;
/// A disk that takes longer than this is hung.
const RECORDINGS_WAIT: Duration = Duration::from_secs(5);
/// A collector that is away is not waited for.
const TRACES_WAIT: Duration = Duration::from_secs(2);
const STORE_WAIT: Duration = Duration::from_secs(5);
