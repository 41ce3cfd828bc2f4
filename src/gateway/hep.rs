//! What was said, told to a Homer collector as it is said: SIP of every call, and the steps of pages.
//!
//! A message waits a quarter of a second, so that the call is known that it belongs to: its id is the
//! correlation id of everything. Datagrams are lost where nobody listens, and the queue is bounded: a
//! collector costs its own messages and nothing else.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::json;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::sip_trace::{SipMessage, SipTrace, header};
use super::timeline::Speaker;
use crate::base::CallId;
use crate::config;
use crate::sip::Transport;
use crate::telemetry::{Capture, Carried, Kind, Metrics};

/// Where messages are left for the collector; cheap to clone.
#[derive(Clone)]
pub(super) struct Hep {
    queue: mpsc::Sender<Waiting>,
    metrics: Arc<Metrics>,
}

struct Waiting {
    due: Instant,
    said: Said,
}

enum Said {
    Sip(SipMessage),
    Page { call: CallId, from: Speaker, name: &'static str, at: Timestamp },
}

impl Hep {
    /// The queue, and what [`run`] takes from it.
    pub fn new(metrics: Arc<Metrics>) -> (Hep, Queue) {
        let (queue, waiting) = mpsc::channel(QUEUE);
        (Hep { queue, metrics }, Queue(waiting))
    }

    /// A SIP message of a call passed a socket.
    pub fn sip(&self, message: SipMessage) {
        self.leave(Said::Sip(message));
    }

    /// A page and the gateway said something to each other.
    pub fn page(&self, call: CallId, from: Speaker, name: &'static str) {
        self.leave(Said::Page { call, from, name, at: Timestamp::now() });
    }

    fn leave(&self, said: Said) {
        let waiting = Waiting { due: Instant::now() + LINGER, said };
        if self.queue.try_send(waiting).is_err() {
            self.metrics.dropped("hep", 1);
        }
    }
}

/// The other end of the queue.
pub(super) struct Queue(mpsc::Receiver<Waiting>);

/// Tells the collector; ends with the last [`Hep`].
pub(super) async fn run(
    settings: config::Hep,
    mut queue: Queue,
    trace: Arc<SipTrace>,
    metrics: Arc<Metrics>,
) {
    let mut collector = Collector { settings, open: None, looked: None };
    while let Some(Waiting { due, said }) = queue.0.recv().await {
        tokio::time::sleep_until(due.into()).await;
        if !collector.tell(&said, &trace).await {
            metrics.dropped("hep", 1);
        }
    }
}

struct Collector {
    settings: config::Hep,
    open: Option<UdpSocket>,
    /// When its name was looked up, or failed to be.
    looked: Option<Instant>,
}

impl Collector {
    /// Whether it is on its way.
    async fn tell(&mut self, said: &Said, trace: &SipTrace) -> bool {
        let json;
        let (correlation, from, to, at, carried, kind, payload) = match said {
            Said::Sip(own) => {
                let id = header(&own.bytes, &["call-id", "i"]).unwrap_or_default();
                let correlation = trace.call_of(&id).map_or(id, |call| call.to_string());
                let (from, to) =
                    if own.sent { (own.local, own.remote) } else { (own.remote, own.local) };
                let carried = match own.transport {
                    Transport::Udp => Carried::Udp,
                    Transport::Tcp | Transport::Tls => Carried::Tcp,
                };
                (correlation, from, to, own.at, carried, Kind::Sip, &own.bytes[..])
            }
            Said::Page { call, from, name, at } => {
                let (from, to) = match from {
                    Speaker::Page => ("page", "gateway"),
                    Speaker::Gateway => ("gateway", "page"),
                };
                let line = json!({ "call": call, "from": from, "to": to, "type": name });
                json = line.to_string();
                // A page has no address that would mean anything to a collector.
                (call.to_string(), NOWHERE, NOWHERE, *at, Carried::Tcp, Kind::Log, json.as_bytes())
            }
        };
        let at = Duration::try_from(at.duration_since(Timestamp::UNIX_EPOCH)).unwrap_or_default();
        let key = self.settings.password.as_ref().map(|own| own.expose().clone());
        let capture = Capture {
            from,
            to,
            at,
            carried,
            kind,
            node: self.settings.capture_id,
            key: key.as_deref(),
            correlation: &correlation,
            payload,
        };
        let Some(datagram) = capture.datagram() else { return false };
        let Some(socket) = self.socket().await else { return false };
        // The first error may be about what was sent before: nobody was there then (ICMP).
        socket.send(&datagram).await.is_ok() || socket.send(&datagram).await.is_ok()
    }

    /// Connected to the collector; its name is looked up once a minute at most.
    async fn socket(&mut self) -> Option<&UdpSocket> {
        let stale = self.looked.is_none_or(|at| at.elapsed() > LOOK_AGAIN);
        if stale {
            self.looked = Some(Instant::now());
            let opened = async {
                let mut found = tokio::net::lookup_host(&self.settings.collector).await?;
                let address = found.next().ok_or(std::io::ErrorKind::NotFound)?;
                let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
                let socket = UdpSocket::bind(any).await?;
                socket.connect(address).await?;
                Ok::<_, std::io::Error>(socket)
            };
            match opened.await {
                Ok(socket) => self.open = Some(socket),
                Err(error) => {
                    let collector = &self.settings.collector;
                    tracing::warn!(%error, collector, "[hep] collector is not found");
                }
            }
        }
        self.open.as_ref()
    }
}

/// Until a call knows its dialogs.
const LINGER: Duration = Duration::from_millis(250);
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// Seconds of a gateway under load.
const QUEUE: usize = 4096;
const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);
