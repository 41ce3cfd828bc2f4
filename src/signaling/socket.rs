//! The WebSocket driver: one task for each page, between its socket and the gateway's channels.
//!
//! Owned by `api`, which mounts [`Server::upgrade`] at `/v1/rtc`. Every queue is bounded: a page that
//! does not read is closed, a gateway that does not read slows its pages.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::SinkExt;
use tokio::sync::{Notify, mpsc};

use super::{
    Admission, Claims, CloseCode, Config, ErrorCode, Event, Input, MAX_FRAME_BYTES, Output,
    Refusal, Reply, Request, RequestId, Session, Ticket,
};
use crate::base::SessionId;

/// What a page does, for the gateway.
#[derive(Debug)]
pub enum FromPage {
    /// A page has said who it is.
    Opened {
        /// Its session.
        session: SessionId,
        /// What its token says.
        claims: Claims,
        /// The way to it.
        page: Page,
    },
    /// The page has a fresh token.
    Renewed {
        /// Its session.
        session: SessionId,
        /// What the token says.
        claims: Claims,
    },
    /// The page asks. [`Request::Ice`] wants no reply, every other exactly one.
    Asked {
        /// Its session.
        session: SessionId,
        /// Names the request in the reply.
        request: RequestId,
        /// What is asked.
        body: Request,
    },
    /// The page is gone; nothing follows for this session.
    Closed {
        /// Its session.
        session: SessionId,
    },
}

/// The gateway's way to one page. Cheap to clone; never blocks.
#[derive(Debug, Clone)]
pub struct Page {
    queue: mpsc::Sender<ToPage>,
    overrun: Arc<Notify>,
}

impl Page {
    /// Answers a request.
    pub fn reply(&self, request: RequestId, outcome: Result<Reply, Refusal>) {
        self.send(ToPage::Reply(request, outcome));
    }

    /// Tells news.
    pub fn event(&self, event: Event) {
        self.send(ToPage::Event(event));
    }

    /// Ends the session.
    pub fn close(&self, code: CloseCode) {
        self.send(ToPage::Close(code));
    }

    fn send(&self, what: ToPage) {
        // A page that is gone needs nothing; one whose queue is full does not read and is closed.
        if let Err(mpsc::error::TrySendError::Full(_)) = self.queue.try_send(what) {
            self.overrun.notify_one();
        }
    }
}

/// What is the same for all pages of a gateway.
#[derive(Debug, Clone)]
pub struct Server(Arc<Shared>);

impl Server {
    /// A server whose pages speak to `gateway`. `allowed_origins` empty = the same origin only.
    pub fn new(
        config: Config,
        allowed_origins: Vec<String>,
        gateway: mpsc::Sender<FromPage>,
    ) -> Server {
        Server(Arc::new(Shared {
            config: Mutex::new(Arc::new(config)),
            allowed_origins,
            gateway,
            strangers: Mutex::new(Strangers {
                admission: Admission::new(STRANGERS_PER_ADDRESS, STRANGERS_IN_ALL),
                leave: HashMap::new(),
            }),
        }))
    }

    /// The handler of `GET /v1/rtc`.
    pub fn upgrade(
        &self,
        upgrade: WebSocketUpgrade,
        headers: &HeaderMap,
        peer: SocketAddr,
    ) -> Response {
        let upgrade = upgrade
            .protocols([SUBPROTOCOL])
            .max_message_size(MAX_FRAME_BYTES)
            .max_frame_size(MAX_FRAME_BYTES)
            .max_write_buffer_size(MAX_WRITE_BYTES);
        if upgrade.selected_protocol().is_none() {
            let words = format!("the WebSocket subprotocol must be {SUBPROTOCOL}\n");
            return (StatusCode::BAD_REQUEST, words).into_response();
        }
        let server = self.clone();
        if !origin_allowed(headers, &self.0.allowed_origins) {
            return upgrade.on_upgrade(async move |mut socket| {
                shut(&mut socket, CloseCode::Forbidden, ErrorCode::AuthOrigin.as_str()).await;
            });
        }
        upgrade.on_upgrade(async move |socket| server.serve(socket, peer.ip()).await)
    }

    fn config(&self) -> Arc<Config> {
        self.0.config.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What pages that come from now on are told that they can count on.
    pub fn set_features(&self, features: Vec<String>) {
        let mut config = self.0.config.lock().unwrap_or_else(PoisonError::into_inner);
        if config.features != features {
            *config = Arc::new(Config { features, ..Config::clone(&config) });
        }
    }

    /// How many connected peers have not said who they are: a gauge.
    pub fn strangers(&self) -> usize {
        self.0.strangers().admission.waiting()
    }

    async fn serve(self, mut socket: WebSocket, address: IpAddr) {
        let evicted = Arc::new(Notify::new());
        let stranger = Stranger::enter(&self.0, address, &evicted);
        let id = session_id();
        let mut driver = Driver {
            session: Session::new(Instant::now(), unix_now().as_secs(), id, self.config()),
            id,
            gateway: self.0.gateway.clone(),
            stranger: Some(stranger),
            page: None,
        };
        if let Some((code, words)) = driver.run(&mut socket, &evicted).await {
            shut(&mut socket, code, &words).await;
        }
        if driver.page.is_some() {
            // The gateway outlives its pages unless it is being stopped, and then nobody listens.
            let _ = self.0.gateway.send(FromPage::Closed { session: id }).await;
        }
    }
}

#[derive(Debug)]
enum ToPage {
    Reply(RequestId, Result<Reply, Refusal>),
    Event(Event),
    Close(CloseCode),
}

struct Driver {
    session: Session,
    id: SessionId,
    gateway: mpsc::Sender<FromPage>,
    stranger: Option<Stranger>,
    page: Option<Page>,
}

impl Driver {
    /// Until the page is gone (`None`) or is to be sent away.
    async fn run(
        &mut self,
        socket: &mut WebSocket,
        evicted: &Notify,
    ) -> Option<(CloseCode, String)> {
        let (to_page, mut queue) = mpsc::channel(TO_PAGE);
        let overrun = Arc::new(Notify::new());
        loop {
            let deadline = match self.drain(socket, &to_page, &overrun).await {
                Step::Wait(deadline) => deadline,
                Step::Close(code, words) => return Some((code, words)),
                Step::Gone => return None,
            };
            // Every branch is cancellation safe: a notification, a channel, a timer, and
            // `WebSocket::recv`, which keeps a half-read frame in the socket.
            tokio::select! {
                message = socket.recv() => match message {
                    Some(Ok(Message::Text(text))) => self.input(Input::Text(&text)),
                    Some(Ok(Message::Binary(_))) => self.input(Input::Binary),
                    Some(Ok(Message::Pong(_) | Message::Ping(_))) => self.input(Input::Pong),
                    Some(Ok(Message::Close(_))) => {
                        // The answer to a close is written with the next flush (RFC 6455 5.5.1).
                        let _ = tokio::time::timeout(CLOSE_WITHIN, socket.flush()).await;
                        return None;
                    }
                    None => return None,
                    // Too long, not UTF-8, not the protocol, or the connection broke.
                    Some(Err(_)) => {
                        return Some((CloseCode::BadMessage, "the frame cannot be read".to_owned()));
                    }
                },
                Some(what) = queue.recv() => match what {
                    ToPage::Reply(request, outcome) => self.input(Input::Reply(request, outcome)),
                    ToPage::Event(event) => self.input(Input::Event(event)),
                    ToPage::Close(code) => self.input(Input::Close(code)),
                },
                () = overrun.notified() => {
                    return Some((CloseCode::Idle, "the page does not read".to_owned()));
                }
                () = evicted.notified(), if self.stranger.is_some() => {
                    return Some((CloseCode::Rate, "too many connections without a hello".to_owned()));
                }
                () = tokio::time::sleep_until(deadline.into()) => self.input(Input::Timeout),
            }
        }
    }

    fn input(&mut self, input: Input<'_>) {
        if let Err(error) = self.session.handle_input(Instant::now(), input) {
            tracing::error!(session.id = %self.id, %error, "gateway answered twice or unasked");
        }
    }

    async fn drain(
        &mut self,
        socket: &mut WebSocket,
        to_page: &mpsc::Sender<ToPage>,
        overrun: &Arc<Notify>,
    ) -> Step {
        let session = self.id;
        loop {
            let delivered = match self.session.poll_output() {
                Output::Send(text) => write(socket, Message::Text(text.into())).await,
                Output::Ping => write(socket, Message::Ping(Default::default())).await,
                Output::Opened(claims) => {
                    self.stranger = None;
                    let page = Page { queue: to_page.clone(), overrun: overrun.clone() };
                    self.page = Some(page.clone());
                    self.gateway.send(FromPage::Opened { session, claims, page }).await.is_ok()
                }
                Output::Renewed(claims) => {
                    self.gateway.send(FromPage::Renewed { session, claims }).await.is_ok()
                }
                Output::Request(request, body) => {
                    self.gateway.send(FromPage::Asked { session, request, body }).await.is_ok()
                }
                Output::Close(code, words) => return Step::Close(code, words),
                Output::Timeout(Some(deadline)) => return Step::Wait(deadline),
                Output::Timeout(None) => return Step::Gone,
            };
            if !delivered {
                return Step::Gone;
            }
        }
    }
}

enum Step {
    Wait(Instant),
    Close(CloseCode, String),
    Gone,
}

#[derive(Debug)]
struct Shared {
    config: Mutex<Arc<Config>>,
    allowed_origins: Vec<String>,
    gateway: mpsc::Sender<FromPage>,
    strangers: Mutex<Strangers>,
}

impl Shared {
    fn strangers(&self) -> std::sync::MutexGuard<'_, Strangers> {
        // Nothing panics while it is held; were it so, the table is still whole.
        self.strangers.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct Strangers {
    admission: Admission,
    leave: HashMap<Ticket, Arc<Notify>>,
}

/// A place among those who have not said who they are; given back when dropped.
struct Stranger {
    shared: Arc<Shared>,
    ticket: Ticket,
}

impl Stranger {
    fn enter(shared: &Arc<Shared>, address: IpAddr, evicted: &Arc<Notify>) -> Stranger {
        let mut strangers = shared.strangers();
        let (ticket, oldest) = strangers.admission.enter(address);
        if let Some(notify) = oldest.and_then(|oldest| strangers.leave.remove(&oldest)) {
            notify.notify_one();
        }
        strangers.leave.insert(ticket, evicted.clone());
        drop(strangers);
        Stranger { shared: shared.clone(), ticket }
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let mut strangers = self.shared.strangers();
        strangers.admission.leave(self.ticket);
        strangers.leave.remove(&self.ticket);
    }
}

/// Whether a page of this origin may connect (RFC 6455 10.2). No `Origin` = no browser, and what is
/// no browser carries no one else's rights: the token alone counts.
fn origin_allowed(headers: &HeaderMap, allowed: &[String]) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let Ok(origin) = origin.to_str() else { return false };
    if !allowed.is_empty() {
        return allowed.iter().any(|a| a.trim_end_matches('/').eq_ignore_ascii_case(origin));
    }
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    matches!((authority, host), (Some(a), Some(h)) if a.eq_ignore_ascii_case(h))
}

async fn write(socket: &mut WebSocket, message: Message) -> bool {
    matches!(tokio::time::timeout(WRITE_WITHIN, socket.send(message)).await, Ok(Ok(())))
}

async fn shut(socket: &mut WebSocket, code: CloseCode, words: &str) {
    // RFC 6455 5.5: a control frame has at most 125 bytes, two of them the code.
    let reason: String = words.chars().filter(char::is_ascii).take(120).collect();
    let frame = CloseFrame { code: code.code(), reason: reason.into() };
    if write(socket, Message::Close(Some(frame))).await {
        // The peer's own close, so that ours is read before the connection is reset (RFC 6455 7.1.1).
        let closed = async { while let Some(Ok(_)) = socket.recv().await {} };
        let _ = tokio::time::timeout(CLOSE_WITHIN, closed).await;
    }
}

fn unix_now() -> Duration {
    // A clock before 1970 is as good as none: every token has expired for it or none has.
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn session_id() -> SessionId {
    let mut random = [0u8; 16];
    // Without entropy there is no DTLS either; the id is a name, not a secret.
    let _ = getrandom::fill(&mut random);
    let unix_ms = u64::try_from(unix_now().as_millis()).unwrap_or_default();
    SessionId::from_parts(unix_ms, u128::from_ne_bytes(random) >> 48)
}

const SUBPROTOCOL: &str = "crosspoint.v1";
/// Messages that wait for a page: some seconds of the liveliest call.
const TO_PAGE: usize = 256;
const MAX_WRITE_BYTES: usize = 1024 * 1024;
const WRITE_WITHIN: Duration = Duration::from_secs(10);
const CLOSE_WITHIN: Duration = Duration::from_secs(1);
const STRANGERS_PER_ADDRESS: usize = 256;
const STRANGERS_IN_ALL: usize = 4096;
