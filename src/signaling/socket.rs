//! The WebSocket driver: one task for each session, between its socket and the gateway's channels.
//!
//! Owned by `api`, which mounts [`Server::upgrade`] at `/v1/rtc`. Every queue is bounded: a page that
//! does not read is closed, a gateway that does not read slows its pages. A session's task outlives
//! its socket for as long as the session is kept; a socket whose `hello` names that session is handed
//! to it, and the task that had taken it ends.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::SinkExt;
use tokio::sync::{Notify, mpsc};

use super::{
    Admission, Claims, CloseCode, Config, ErrorCode, Event, Hello, Input, Kept, Loss,
    MAX_FRAME_BYTES, Output, Refusal, Reply, Request, RequestId, Resumed, Revoked, Session, Ticket,
    TokenId,
};
use crate::base::{CallId, Secret, SessionId};

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
    /// An event that the call's peer connection may carry to the page beside the socket.
    Copy {
        /// Its session.
        session: SessionId,
        /// The call.
        call: CallId,
        /// The event as it stands on the socket.
        text: String,
    },
    /// The page has lost its connection; its session is kept for a while.
    Away {
        /// Its session.
        session: SessionId,
    },
    /// The page is here again.
    Back {
        /// Its session.
        session: SessionId,
        /// What its token says.
        claims: Claims,
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
    /// Its own id for the call of all news, where two calls have become one.
    pub known: Option<CallId>,
}

impl Page {
    /// Answers a request.
    pub fn reply(&self, request: RequestId, outcome: Result<Reply, Refusal>) {
        self.send(ToPage::Reply(request, Box::new(outcome)));
    }

    /// Tells news.
    pub fn event(&self, event: Event) {
        let event = if let Some(call) = self.known { event.of_call(call) } else { event };
        self.send(ToPage::Event(Box::new(event)));
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
            sessions: Mutex::default(),
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
            .max_write_buffer_size(MAX_WRITE_BYTES)
            .read_buffer_size(READ_BYTES)
            .write_buffer_size(WRITE_BYTES);
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

    /// Takes tokens back; the sessions that they opened end.
    pub fn revoke(&self, change: impl FnOnce(&mut Revoked)) {
        let config = self.config();
        change(&mut config.revoked.write().unwrap_or_else(PoisonError::into_inner));
        for page in self.0.sessions().pages.values() {
            page.send(ToPage::TokensRevoked);
        }
    }

    /// How many connected peers have not said who they are: a gauge.
    pub fn strangers(&self) -> usize {
        self.0.strangers().admission.waiting()
    }

    /// How many sessions there are, with and without a socket: a gauge.
    pub fn sessions(&self) -> usize {
        self.0.sessions().kept.len()
    }

    async fn serve(self, socket: WebSocket, address: IpAddr) {
        let evicted = Arc::new(Notify::new());
        let stranger = Stranger::enter(&self.0, address, &evicted);
        let id = session_id();
        let resume = resume_secret();
        let (to_page, queue) = mpsc::channel(TO_PAGE);
        let session =
            Session::new(Instant::now(), unix_now().as_secs(), id, resume.clone(), self.config());
        let mut driver = Driver {
            shared: self.0.clone(),
            session,
            id,
            resume,
            socket: Some(socket),
            stranger: Some(stranger),
            page: Page { queue: to_page, overrun: Arc::new(Notify::new()), known: None },
            opened: false,
            unheard: false,
        };
        // Boxed, so that a session that waits takes no more than it needs.
        let last = Box::pin(driver.run(queue, &evicted)).await;
        if driver.opened {
            self.0.sessions().leave(id);
        }
        if let (Some(mut socket), Some((code, words))) = (driver.socket.take(), last) {
            shut(&mut socket, code, &words).await;
        }
        if driver.opened {
            // The gateway outlives its pages unless it is being stopped, and then nobody listens.
            let _ = self.0.gateway.send(FromPage::Closed { session: id }).await;
        }
    }
}

#[derive(Debug)]
enum ToPage {
    Reply(RequestId, Box<Result<Reply, Refusal>>),
    Event(Box<Event>),
    Close(CloseCode),
    TokensRevoked,
    /// The page is here again, on this socket.
    Socket(Box<(WebSocket, Resumed)>),
}

/// One session and its socket, if there is one.
struct Driver {
    shared: Arc<Shared>,
    session: Session,
    id: SessionId,
    resume: Secret<String>,
    socket: Option<WebSocket>,
    stranger: Option<Stranger>,
    page: Page,
    /// The gateway knows of it.
    opened: bool,
    /// The page has not yet shown that it has got its secret.
    unheard: bool,
}

impl Driver {
    /// Until the session is over; where its socket is to be told why, with the reason.
    async fn run(
        &mut self,
        mut queue: mpsc::Receiver<ToPage>,
        evicted: &Notify,
    ) -> Option<(CloseCode, String)> {
        let overrun = self.page.overrun.clone();
        loop {
            let deadline = match self.drain().await {
                Step::Wait(deadline) => deadline,
                Step::Close(code, words) => return Some((code, words)),
                Step::Gone => return None,
            };
            let socket = self.socket.as_mut();
            let heard = async {
                match socket {
                    Some(socket) => socket.recv().await,
                    None => std::future::pending().await,
                }
            };
            // Every branch is cancellation safe: a notification, a channel, a timer, and
            // `WebSocket::recv`, which keeps a half-read frame in the socket.
            tokio::select! {
                message = heard => self.message(message).await,
                Some(what) = queue.recv() => match what {
                    ToPage::Reply(request, outcome) => self.input(Input::Reply(request, *outcome)),
                    ToPage::Event(event) => self.input(Input::Event(*event)),
                    ToPage::Close(code) => self.input(Input::Close(code)),
                    ToPage::TokensRevoked => self.input(Input::TokensRevoked),
                    ToPage::Socket(back) => self.take_socket(*back),
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

    async fn message(&mut self, message: Option<Result<Message, axum::Error>>) {
        let lost = match message {
            Some(Ok(message)) => {
                let loss = match message {
                    Message::Text(text) => {
                        self.input(Input::Text(&text));
                        None
                    }
                    Message::Binary(_) => {
                        self.input(Input::Binary);
                        None
                    }
                    Message::Pong(_) | Message::Ping(_) => {
                        self.input(Input::Pong);
                        None
                    }
                    Message::Close(frame) => Some(loss_of(frame.as_ref())),
                };
                if loss.is_none() && std::mem::take(&mut self.unheard) {
                    self.shared.sessions().kept.heard(self.id);
                }
                loss
            }
            None => Some(Loss::Network),
            // Too long, not UTF-8, not the protocol, or the connection broke.
            Some(Err(_)) => {
                self.part(CloseCode::BadMessage, "the frame cannot be read".to_owned());
                Some(Loss::Network)
            }
        };
        let Some(loss) = lost else { return };
        if let Some(mut socket) = self.socket.take() {
            // The answer to a close is written with the next flush (RFC 6455 5.5.1).
            let _ = tokio::time::timeout(CLOSE_WITHIN, socket.flush()).await;
        }
        self.input(Input::Lost(loss));
    }

    fn input(&mut self, input: Input<'_>) {
        if let Err(error) = self.session.handle_input(Instant::now(), input) {
            tracing::error!(session.id = %self.id, %error, "gateway answered twice or unasked");
        }
    }

    async fn drain(&mut self) -> Step {
        let session = self.id;
        loop {
            let output = self.session.poll_output();
            let heard = match output {
                Output::Send(text) => {
                    self.write(Message::Text(text.into())).await;
                    true
                }
                Output::Ping => {
                    self.write(Message::Ping(Default::default())).await;
                    true
                }
                Output::Opened(claims) => {
                    self.stranger = None;
                    self.opened = true;
                    self.shared.sessions().enter(session, &claims, &self.resume, &self.page);
                    let page = self.page.clone();
                    self.tell(FromPage::Opened { session, claims, page }).await
                }
                Output::Resume(request, hello, claims) => {
                    if self.hand_over(request, &hello, claims) {
                        return Step::Gone;
                    }
                    self.input(Input::NotKept(request));
                    true
                }
                Output::Copy(call, text) => self.tell(FromPage::Copy { session, call, text }).await,
                Output::Away => {
                    self.shared.sessions().kept.lost(session);
                    self.tell(FromPage::Away { session }).await
                }
                Output::Back(claims) => self.tell(FromPage::Back { session, claims }).await,
                Output::Renewed(claims) => self.tell(FromPage::Renewed { session, claims }).await,
                Output::Request(request, body) => {
                    self.tell(FromPage::Asked { session, request, body }).await
                }
                Output::Drop(code, words) => {
                    self.part(code, words);
                    true
                }
                Output::Close(code, words) => return Step::Close(code, words),
                Output::Timeout(Some(deadline)) => return Step::Wait(deadline),
                Output::Timeout(None) => return Step::Gone,
            };
            if !heard {
                return Step::Gone;
            }
        }
    }

    /// Tells the gateway; `false` where it has stopped.
    async fn tell(&mut self, message: FromPage) -> bool {
        self.shared.gateway.send(message).await.is_ok()
    }

    /// Writes; a socket that takes nothing is lost.
    async fn write(&mut self, message: Message) {
        let Some(socket) = &mut self.socket else { return };
        if !write(socket, message).await {
            self.socket = None;
            self.input(Input::Lost(Loss::Network));
        }
    }

    /// Gives the socket to the session that its page wants back; `false` where it is not to be had.
    fn hand_over(&mut self, request: RequestId, hello: &Hello, claims: Claims) -> bool {
        let (Some(id), Some(shown)) = (hello.session, &hello.resume) else { return false };
        let resume = resume_secret();
        let mut sessions = self.shared.sessions();
        if !sessions.kept.resume(id, &claims.sub, shown.expose(), resume.clone()) {
            return false;
        }
        let Some(page) = sessions.pages.get(&id).cloned() else { return false };
        drop(sessions);
        let Some(socket) = self.socket.take() else { return true };
        let token = TokenId::of(hello.token.expose());
        let resumed = Resumed { request, claims, token, last_seq: hello.last_seq, resume };
        page.send(ToPage::Socket(Box::new((socket, resumed))));
        true
    }

    /// The page is here again; the socket that it had before goes.
    fn take_socket(&mut self, (socket, resumed): (WebSocket, Resumed)) {
        self.part(CloseCode::TakenOver, "the session goes on at another socket".to_owned());
        self.socket = Some(socket);
        self.unheard = true;
        self.input(Input::Resumed(resumed));
    }

    /// Says goodbye to the socket beside the session, which does not wait for it.
    fn part(&mut self, code: CloseCode, words: String) {
        if let Some(mut socket) = self.socket.take() {
            tokio::spawn(async move { shut(&mut socket, code, &words).await });
        }
    }
}

/// What a page's close means: no code or 1000 is goodbye, 1001 is a page that is unloaded, the
/// others are faults.
fn loss_of(frame: Option<&CloseFrame>) -> Loss {
    match frame.map_or(1000, |frame| frame.code) {
        1000 | 1005 => Loss::Goodbye,
        1001 => Loss::Unloaded,
        _ => Loss::Network,
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
    sessions: Mutex<Sessions>,
}

impl Shared {
    fn strangers(&self) -> MutexGuard<'_, Strangers> {
        // Nothing panics while it is held; were it so, the table is still whole.
        self.strangers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        // As above.
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who can come back, and the way to each session's task.
#[derive(Debug, Default)]
struct Sessions {
    kept: Kept,
    pages: HashMap<SessionId, Page>,
}

impl Sessions {
    fn enter(&mut self, id: SessionId, claims: &Claims, resume: &Secret<String>, page: &Page) {
        if let Some(oldest) = self.kept.enter(id, claims.sub.clone(), resume.clone())
            && let Some(page) = self.pages.remove(&oldest)
        {
            tracing::info!(session.id = %oldest, user.id = %claims.sub, "too many sessions");
            page.close(CloseCode::Rate);
        }
        self.pages.insert(id, page.clone());
    }

    fn leave(&mut self, id: SessionId) {
        self.kept.leave(id);
        self.pages.remove(&id);
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

/// What brings a page back to its session: 128 bits.
fn resume_secret() -> Secret<String> {
    let mut random = [0u8; 16];
    // Without entropy a token of the same user is still wanted.
    let _ = getrandom::fill(&mut random);
    Secret::new(URL_SAFE_NO_PAD.encode(random))
}

const SUBPROTOCOL: &str = "crosspoint.v1";
/// Messages that wait for a page: some seconds of the liveliest call.
const TO_PAGE: usize = 256;
const MAX_WRITE_BYTES: usize = 1024 * 1024;
/// Of each socket's own buffers: pages are many, and their messages small.
const READ_BYTES: usize = 4 * 1024;
const WRITE_BYTES: usize = 0;
const WRITE_WITHIN: Duration = Duration::from_secs(10);
const CLOSE_WITHIN: Duration = Duration::from_secs(1);
const STRANGERS_PER_ADDRESS: usize = 256;
const STRANGERS_IN_ALL: usize = 4096;
