//! The settings themselves, with their defaults and the reason of each.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use super::observe::{Hep, Otlp};
use crate::base::{Network, Permission, Secret, TrunkId, UserId};
use crate::dialplan::{Known, Region};
use crate::media::{OpusSettings, PoolConfig};
use crate::recording;
use crate::store;
use crate::trunk::{Definition, Target, Transport};

/// Everything that can be configured.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// What names of files are relative to: where the configuration is.
    pub directory: PathBuf,
    /// The plan's file, relative to the configuration.
    pub dialplan: String,
    /// `[http]`
    pub http: Http,
    /// `[api_key.NAME]`
    pub api_keys: BTreeMap<String, ApiKey>,
    /// `[webhook.NAME]`
    pub webhooks: BTreeMap<String, Webhook>,
    /// `[sip]`
    pub sip: Sip,
    /// `[media]`
    pub media: Media,
    /// `[store]`
    pub store: Store,
    /// `[recording]`
    pub recording: recording::Settings,
    /// `[drain]`
    pub drain: Drain,
    /// `[auth]`
    pub auth: Auth,
    /// `[ice]`
    pub ice: Ice,
    /// `[otlp]`
    pub otlp: Option<Otlp>,
    /// `[hep]`
    pub hep: Option<Hep>,
    /// `[user.NAME]`
    pub users: BTreeMap<UserId, User>,
    /// `[trunk.NAME]`
    pub trunks: BTreeMap<TrunkId, Definition>,
}

impl Config {
    /// What the demonstration runs with: everything on loopback, one trunk `carrier` to the
    /// embedded carrier, one user `web`, records in `database`.
    pub fn demo(carrier: SocketAddr, database: &Path, token_secret: Secret<String>) -> Config {
        let id: TrunkId = "carrier".parse().expect("a plain word is a name");
        let user: UserId = "web".parse().expect("a plain word is a name");
        let target: Target =
            format!("sip:{carrier}").parse().expect("a socket address is a host and a port");
        let mut trunk = Definition::new(id.clone(), target);
        trunk.accept_from = vec![Network::host(carrier.ip())];
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Config {
            directory: PathBuf::new(),
            dialplan: "dialplans/demo.toml".to_owned(),
            http: Http::default(),
            api_keys: BTreeMap::new(),
            webhooks: BTreeMap::new(),
            sip: Sip {
                listen: vec![
                    Listen { transport: Transport::Udp, address: SocketAddr::new(loopback, 0) },
                    Listen { transport: Transport::Tcp, address: SocketAddr::new(loopback, 0) },
                ],
                address: Some(loopback),
                ..Sip::silent()
            },
            media: Media { webrtc_port: 0, address: Some(loopback), ..Media::default() },
            store: Store {
                url: StoreUrl::Sqlite(database.display().to_string()),
                voicemail: database.with_file_name("voicemail"),
                spool: None,
            },
            recording: recording::Settings {
                folder: database.with_file_name("recordings"),
                ..recording::Settings::default()
            },
            // Whoever tries it wants it to be gone when it is told to.
            drain: Drain { wait: Duration::ZERO, url: None },
            auth: Auth { token_secret: Some(token_secret) },
            ice: Ice::default(),
            otlp: None,
            hep: None,
            // A person who tries every line in a minute; nothing here costs money.
            users: BTreeMap::from([(
                user,
                User {
                    max_concurrent: 4,
                    max_per_minute: 60,
                    max_per_hour: 1_000,
                    max_per_day: 10_000,
                    ..User::default()
                },
            )]),
            trunks: BTreeMap::from([(id, trunk)]),
        }
    }

    /// The trunks and users that a plan is checked against.
    pub fn known(&self) -> Known {
        Known {
            trunks: Some(self.trunks.keys().cloned().collect()),
            users: Some(self.users.iter().map(|(id, user)| (id.clone(), user.country)).collect()),
            webhooks: Some(self.webhooks.keys().cloned().collect()),
        }
    }
}

/// `[http]`: pages, signalling, API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// Loopback: whoever opens it to the world does so on purpose.
    pub listen: SocketAddr,
    /// Origins of pages besides our own; empty is the same origin only.
    pub allowed_origins: Vec<String>,
    /// The certificate of HTTPS and of the signalling socket; without one both are in the clear.
    pub tls: Option<HttpTls>,
    /// Where the certificate comes from when it is not in files.
    pub acme: Option<Acme>,
    /// Who may administer and read metrics.
    pub admin: AdminAccess,
    /// Where the operator's key is, made at the first start; relative to the working directory.
    pub operator_key_file: String,
}

/// `[http] tls`: PEM files, relative to the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpTls {
    /// Our certificate, then those that lead to its root.
    pub cert: String,
    /// Its private key.
    pub key: String,
}

/// `[http] acme`: a certificate that is got and renewed by itself (RFC 8555).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acme {
    /// The name that it is for; it has to lead to port 443 of this machine.
    pub domain: String,
    /// An e-mail address for the authority's news.
    pub contact: String,
    /// Where account and certificate are kept; relative to the working directory.
    pub folder: PathBuf,
    /// The authority's directory; `None` is Let's Encrypt.
    pub directory: Option<String>,
    /// The authority that the directory's own certificate is believed by, relative to the configuration;
    /// those of the system without.
    pub ca: Option<String>,
}

/// Who may administer and read metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdminAccess {
    /// Programs on this machine; its browsers after a login with a key.
    Loopback,
    /// Whoever shows a key, from anywhere: only over TLS, the gateway's own or a proxy's.
    Key,
}

impl AdminAccess {
    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            AdminAccess::Loopback => "loopback",
            AdminAccess::Key => "key",
        }
    }
}

/// `[api_key.NAME]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// What a program sends as `Authorization: Bearer`.
    pub key: Secret<String>,
    /// What it may do.
    pub permissions: Vec<Permission>,
}

impl Default for Http {
    fn default() -> Http {
        let listen = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
        Http {
            listen,
            allowed_origins: Vec::new(),
            tls: None,
            acme: None,
            // Whoever opens administration to the network says so.
            admin: AdminAccess::Loopback,
            operator_key_file: "operator.key".to_owned(),
        }
    }
}

/// `[webhook.NAME]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Where it goes.
    pub url: String,
    /// What it is signed with: `whsec_` and base64, or any text.
    pub secret: Secret<String>,
    /// What is sent: `call.ended`, or `call.*`; everything where it is empty.
    pub events: Vec<String>,
    /// Whether it may go to this machine or into a private network.
    pub allow_private: bool,
}

/// `[sip]`: the side of the trunks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sip {
    /// Where it listens; port 0 lets the system choose.
    pub listen: Vec<Listen>,
    /// What Contact and Via advertise; `None` is the socket's own.
    pub address: Option<IpAddr>,
    /// The certificate of `tls:` listeners.
    pub tls: Option<SipTls>,
    /// Which DNS servers know the trunks; empty asks the system's.
    pub dns_servers: Vec<SocketAddr>,
    /// After how long without a refresh a session is over, as we ask for (RFC 4028): 90 s to 24 h.
    pub session_expires: Duration,
    /// The least that peers may ask for: 90 s to 24 h.
    pub session_min: Duration,
    /// Streams (TCP, TLS) from one address of a trunk at once: 1 to 1024.
    pub streams_per_address: u16,
}

impl Default for Sip {
    fn default() -> Sip {
        // RFC 3261 18.2.1: every element listens on UDP and TCP, on 5060.
        let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 5060);
        let listen = |transport| Listen { transport, address };
        let listen = vec![listen(Transport::Udp), listen(Transport::Tcp)];
        Sip { listen, ..Sip::silent() }
    }
}

impl Sip {
    /// Listens nowhere.
    pub(super) fn silent() -> Sip {
        let timer = crate::sip::SessionTimer::default();
        Sip {
            listen: Vec::new(),
            address: None,
            tls: None,
            dns_servers: Vec::new(),
            session_expires: timer.interval,
            session_min: timer.shortest,
            // A session border controller opens one a call at most; this is room for a cluster behind NAT.
            streams_per_address: 64,
        }
    }
}

/// `[sip.tls]`: PEM files, relative to the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SipTls {
    /// Our certificate, then those that lead to its root.
    pub cert: String,
    /// Its private key.
    pub key: String,
    /// The authority whose certificate every trunk has to show that connects to us; none has to
    /// without.
    pub client_ca: Option<String>,
}

/// One socket of SIP: `udp:0.0.0.0:5060`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen {
    /// What is spoken on it.
    pub transport: Transport,
    /// Where.
    pub address: SocketAddr,
}

impl FromStr for Listen {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Listen, SettingError> {
        let (word, address) = text.split_once(':').ok_or(SettingError(LISTEN))?;
        let transport = Transport::WORDS.iter().find(|(known, _)| *known == word);
        match (transport, address.parse()) {
            (Some((_, transport)), Ok(address)) => Ok(Listen { transport: *transport, address }),
            _ => Err(SettingError(LISTEN)),
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.transport.word(), self.address)
    }
}

/// `[media]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// Worker threads; 0 is one per core.
    pub workers: u16,
    /// Calls that a worker carries at most, 1 to 10,000: a bound of memory and ports. Its load says
    /// earlier that it is full.
    pub calls_per_worker: u16,
    /// The first worker's UDP port for browsers, one more for each further worker; 0 lets the
    /// system choose each.
    pub webrtc_port: u16,
    /// Ports for RTP of trunks.
    pub rtp_ports: PortRange,
    /// What SDP and candidates advertise; `None` is the socket's own.
    pub address: Option<IpAddr>,
    /// ICE-lite (RFC 8445 2.5): where every browser reaches the address, half of the checks are saved.
    pub ice_lite: bool,
    /// How Opus is sent to browsers.
    pub opus: OpusSettings,
}

impl Default for Media {
    fn default() -> Media {
        Media {
            workers: 0,
            // More than a core of today carries with transcoding (docs/performance.md).
            calls_per_worker: 500,
            webrtc_port: 40_000,
            rtp_ports: PortRange::default(),
            address: None,
            // Full ICE connects behind firewalls, too.
            ice_lite: false,
            opus: PoolConfig::default().opus,
        }
    }
}

/// A range of ports, both ends included: `20000-29999`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRange {
    /// The first, even (RFC 3550 11: RTP on even ports).
    pub first: u16,
    /// The last.
    pub last: u16,
}

impl Default for PortRange {
    fn default() -> PortRange {
        // Below the ports that Linux gives to outgoing connections (32768 and up).
        PortRange { first: 20_000, last: 29_999 }
    }
}

impl FromStr for PortRange {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<PortRange, SettingError> {
        let (first, last) = text.split_once('-').ok_or(SettingError(PORTS))?;
        match (first.parse::<u16>(), last.parse::<u16>()) {
            (Ok(first), Ok(last)) if first >= 1024 && first % 2 == 0 && last > first => {
                Ok(PortRange { first, last })
            }
            _ => Err(SettingError(PORTS)),
        }
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

/// `[store]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// Where records go.
    pub url: StoreUrl,
    /// The folder of messages that callers leave.
    pub voicemail: PathBuf,
    /// The folder of the spool; `None`: beside the SQLite file, or `crosspoint.spool` in the working
    /// directory.
    pub spool: Option<PathBuf>,
}

impl Store {
    /// As the store of records takes it.
    pub fn settings(&self) -> store::Settings {
        store::Settings { url: self.url.expose(), spool: self.spool.clone() }
    }
}

impl Default for Store {
    fn default() -> Store {
        // A file beside the process: records from the first call on, without a server.
        let url = StoreUrl::Sqlite("crosspoint.db".to_owned());
        Store { url, voicemail: PathBuf::from("voicemail"), spool: None }
    }
}

/// A database.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// A file, `sqlite:PATH`.
    Sqlite(String),
    /// A server, `postgres://…`; the whole URL, which may hold a password.
    Postgres(Secret<String>),
}

impl StoreUrl {
    /// The URL with whatever secret is in it.
    pub fn expose(&self) -> String {
        match self {
            StoreUrl::Sqlite(path) => format!("sqlite:{path}"),
            StoreUrl::Postgres(url) => url.expose().clone(),
        }
    }
}

impl FromStr for StoreUrl {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<StoreUrl, SettingError> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if !path.is_empty() {
                return Ok(StoreUrl::Sqlite(path.to_owned()));
            }
        } else if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(StoreUrl::Postgres(Secret::new(text.to_owned())));
        }
        Err(SettingError("expected sqlite:FILE or postgres://USER:PASSWORD@HOST/DATABASE"))
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreUrl::Sqlite(path) => write!(f, "sqlite:{path}"),
            StoreUrl::Postgres(_) => f.write_str("postgres:[secret]"),
        }
    }
}

/// `[drain]`: what happens between SIGTERM and the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drain {
    /// How long calls in progress may go on.
    pub wait: Duration,
    /// Where pages go meanwhile: the signalling address of another gateway.
    pub url: Option<String>,
}

impl Default for Drain {
    fn default() -> Drain {
        // Within the 30 s that the systemd unit gives; a service with longer calls says more in both.
        Drain { wait: Duration::from_secs(20), url: None }
    }
}

/// `[auth]`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Auth {
    /// The key that client tokens are signed with; `None` has one made at start, and then no token
    /// outlives the process.
    pub token_secret: Option<Secret<String>>,
}

/// `[ice]`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ice {
    /// STUN and TURN servers that pages are told.
    pub servers: Vec<IceServer>,
}

/// A STUN or TURN server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IceServer {
    /// `stun:`, `turn:` and `turns:` URLs.
    pub urls: Vec<String>,
    /// What ephemeral credentials are made from.
    pub secret: Option<Secret<String>>,
}

/// `[user.NAME]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The country whose dialling habits and emergency numbers the user has; `None` is the plan's.
    pub country: Option<Region>,
    /// Calls at once.
    pub max_concurrent: u32,
    /// New calls a minute.
    pub max_per_minute: u32,
    /// New calls an hour.
    pub max_per_hour: u32,
    /// New calls a day.
    pub max_per_day: u32,
}

impl Default for User {
    fn default() -> User {
        // What a person needs; a stolen token is not worth much more.
        User {
            country: None,
            max_concurrent: 2,
            max_per_minute: 10,
            max_per_hour: 60,
            max_per_day: 100,
        }
    }
}

/// A text is no value of its setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SettingError(pub(super) &'static str);

const LISTEN: &str = "expected udp:ADDRESS:PORT, tcp:ADDRESS:PORT or tls:ADDRESS:PORT";
const PORTS: &str = "expected FIRST-LAST, from 1024 on, the first an even port";
