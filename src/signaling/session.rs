//! One page's session: who it is, which calls it has, what it may send, and when it is dead.
//!
//! ```text
//! 0 s          5 s         15 s        30 s
//! |- hello? -- 4401        |           |
//! |                        ping ------ ping   (WebSocket pings; any frame from the page is life)
//! |------------------------------------ 4408 when nothing came since
//! ```
//!
//! Pure: texts from the page, replies and events of the gateway and time come in; texts, requests
//! and at last a close come out. The engine owns numbering (`seq`), idempotence of call ids, scopes
//! and rates. It does not know what a call is beyond its id.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::frame::{FrameError, decode};
use super::messages::{encode_event, encode_reply};
use super::{
    CallStart, Claims, ErrorCode, Event, IceServer, Refusal, Reply, Request, RequestId, Scope,
    TokenError, TokenKey, Welcome, verify,
};
use crate::base::{CallId, DialString, E164, SessionId};

/// What all sessions of a gateway have in common.
#[derive(Debug, Clone)]
pub struct Config {
    /// The key of the client tokens.
    pub key: TokenKey,
    /// Told to the page.
    pub ice_servers: Vec<IceServer>,
    /// Told to the page.
    pub features: Vec<String>,
}

/// One page's session.
#[derive(Debug)]
pub struct Session {
    id: SessionId,
    config: Arc<Config>,
    started: Instant,
    unix_start_s: u64,
    identity: Option<Identity>,
    closed: bool,
    seq: u64,
    calls: VecDeque<PageCall>,
    pending: HashMap<RequestId, Option<CallId>>,
    rate: Rate,
    last_heard: Instant,
    next_ping: Instant,
    out: VecDeque<Output>,
}

/// What comes in.
#[derive(Debug)]
pub enum Input<'a> {
    /// A text from the page.
    Text(&'a str),
    /// A binary message from the page: none is defined.
    Binary,
    /// A pong from the page.
    Pong,
    /// The gateway's answer to a request.
    Reply(RequestId, Result<Reply, Refusal>),
    /// The gateway's news.
    Event(Event),
    /// The gateway wants the session to end.
    Close(CloseCode),
    /// Time has passed.
    Timeout,
}

/// What comes out, drained until [`Output::Timeout`].
#[derive(Debug, PartialEq)]
pub enum Output {
    /// A text for the page.
    Send(String),
    /// A WebSocket ping for the page.
    Ping,
    /// The page has said who it is: the session is open.
    Opened(Claims),
    /// The page has a fresh token.
    Renewed(Claims),
    /// A request for the gateway. [`Request::Ice`] is already answered; every other wants exactly
    /// one [`Input::Reply`].
    Request(RequestId, Request),
    /// The end: nothing follows.
    Close(CloseCode, String),
    /// Nothing more until then; `None` when the session is closed.
    Timeout(Option<Instant>),
}

/// Why a connection is closed (`spec`: 4400 and up are the application's, RFC 6455 7.4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum CloseCode {
    /// Not the protocol.
    BadMessage = 4400,
    /// No token or no good one.
    Unauthorized = 4401,
    /// A good token or a right origin is missing for this.
    Forbidden = 4403,
    /// Nothing came for 30 s.
    Idle = 4408,
    /// The same session came back on another connection.
    TakenOver = 4409,
    /// Too many messages or connections.
    Rate = 4429,
    /// The gateway is being stopped.
    Draining = 4503,
}

impl CloseCode {
    /// The number on the wire.
    pub fn code(self) -> u16 {
        self as u16
    }
}

/// The gateway's misuse of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A reply to a request that does not wait for one.
    #[error("no request {0:?} waits for a reply")]
    NotAsked(RequestId),
}

impl Session {
    /// A session whose connection opened at `now`, which is `unix_now_s` seconds since 1970.
    pub fn new(now: Instant, unix_now_s: u64, id: SessionId, config: Arc<Config>) -> Session {
        Session {
            id,
            config,
            started: now,
            unix_start_s: unix_now_s,
            identity: None,
            closed: false,
            seq: 0,
            calls: VecDeque::new(),
            pending: HashMap::new(),
            rate: Rate { spent: Duration::ZERO, at: now },
            last_heard: now,
            next_ping: now + PING_EVERY,
            out: VecDeque::new(),
        }
    }

    /// The session's id.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Takes one input. A closed session takes all and does nothing.
    ///
    /// # Errors
    /// [`Error`]: the gateway's misuse; the session is as before.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) -> Result<(), Error> {
        if self.closed {
            return Ok(());
        }
        match input {
            Input::Text(text) => self.text(now, text),
            Input::Binary => self.close(CloseCode::BadMessage, "messages are JSON texts"),
            Input::Pong => self.last_heard = now,
            Input::Reply(id, outcome) => self.reply(id, outcome)?,
            Input::Event(event) => self.event(&event),
            Input::Close(code) => self.close(code, "closed by the gateway"),
            Input::Timeout => self.timeout(now),
        }
        Ok(())
    }

    /// The next output; [`Output::Timeout`] is always the last.
    pub fn poll_output(&mut self) -> Output {
        self.out.pop_front().unwrap_or_else(|| Output::Timeout(self.next_deadline()))
    }

    fn text(&mut self, now: Instant, text: &str) {
        self.last_heard = now;
        if !self.rate.take(now) {
            return self.close(CloseCode::Rate, ErrorCode::ProtocolRate.as_str());
        }
        let (id, request) = match decode(text) {
            Ok(parsed) => parsed,
            Err(FrameError::Broken(words)) => return self.close(CloseCode::BadMessage, words),
            Err(FrameError::Refused(..)) if self.identity.is_none() => {
                return self.close(CloseCode::Unauthorized, ErrorCode::AuthRequired.as_str());
            }
            Err(FrameError::Refused(id, refusal)) => return self.answer(id, Err(refusal)),
        };
        let Some(identity) = &self.identity else {
            return match request {
                Request::Hello(hello) => self.hello(now, id, hello.token.expose()),
                _ => self.close(CloseCode::Unauthorized, ErrorCode::AuthRequired.as_str()),
            };
        };
        let claims = identity.claims.clone();
        if let Err(refusal) = self.request(now, id, request, claims) {
            self.answer(id, Err(refusal));
        }
    }

    fn hello(&mut self, now: Instant, id: RequestId, token: &str) {
        match verify(&self.config.key, token, self.unix(now)) {
            Ok(claims) => {
                let welcome = Welcome {
                    kind: "welcome",
                    session: self.id,
                    identity: claims.sub.to_string(),
                    ice_servers: self.config.ice_servers.clone(),
                    expires_at: claims.exp,
                    grace: 0,
                    calls: Vec::new(),
                    features: self.config.features.clone(),
                };
                self.identity = Some(Identity { claims: claims.clone(), told: false });
                self.out.push_back(Output::Opened(claims));
                self.answer(id, Ok(Reply::Welcome(Box::new(welcome))));
            }
            Err(error) => {
                let code = code_of(error);
                self.answer(id, Err(code.into()));
                self.close(CloseCode::Unauthorized, code.as_str());
            }
        }
    }

    fn request(
        &mut self,
        now: Instant,
        id: RequestId,
        request: Request,
        claims: Claims,
    ) -> Result<(), Refusal> {
        match request {
            Request::Ping => self.answer(id, Ok(Reply::Done {})),
            Request::Hello(_) => return Err(ErrorCode::SignalWrongState.into()),
            Request::Token(fresh) => {
                let fresh = verify(&self.config.key, fresh.token.expose(), self.unix(now))
                    .map_err(code_of)?;
                if fresh.sub != claims.sub {
                    return Err(ErrorCode::AuthForbidden.into());
                }
                self.identity = Some(Identity { claims: fresh.clone(), told: false });
                self.out.push_back(Output::Renewed(fresh));
                self.answer(id, Ok(Reply::Done {}));
            }
            Request::CallStart(start) => self.call_start(now, id, start, &claims)?,
            Request::Ice(ice) => {
                // Late candidates of an ended call are no fault of the page.
                if self.call(ice.call)?.phase != Phase::Ended {
                    self.out.push_back(Output::Request(id, Request::Ice(ice)));
                }
                self.answer(id, Ok(Reply::Done {}));
            }
            Request::CallHangup(body) => {
                if self.call(body.call)?.phase == Phase::Ended {
                    self.answer(id, Ok(Reply::Done {}));
                } else {
                    self.ask(id, Request::CallHangup(body), None)?;
                }
            }
            Request::CallAnswer(_) | Request::CallReject(_) => {
                let call = request.call().ok_or(ErrorCode::SignalUnknownCall)?;
                match self.call(call)?.phase {
                    Phase::Incoming => self.ask(id, request, None)?,
                    Phase::Ended => return Err(ErrorCode::CallEnded.into()),
                    Phase::Starting | Phase::Live => {
                        return Err(ErrorCode::SignalWrongState.into());
                    }
                }
            }
            Request::DtmfSend(_)
            | Request::DtmfPress(_)
            | Request::DtmfRelease(_)
            | Request::DtmfCancel(_) => {
                let call = request.call().ok_or(ErrorCode::SignalUnknownCall)?;
                match self.call(call)?.phase {
                    Phase::Ended => return Err(ErrorCode::CallEnded.into()),
                    Phase::Incoming => return Err(ErrorCode::SignalWrongState.into()),
                    Phase::Starting | Phase::Live => self.ask(id, request, None)?,
                }
            }
        }
        Ok(())
    }

    fn call_start(
        &mut self,
        now: Instant,
        id: RequestId,
        mut start: CallStart,
        claims: &Claims,
    ) -> Result<(), Refusal> {
        let dialled = (start.to.clone(), start.from.clone());
        if let Some(known) = self.calls.iter_mut().find(|c| c.id == start.call) {
            if known.dialled.as_ref() != Some(&dialled) {
                return Err(ErrorCode::SignalCallIdTaken.into());
            }
            // The page asks again: the same answer, now or when it is there.
            match &known.outcome {
                Some(outcome) => {
                    let outcome = outcome.clone();
                    self.answer(id, outcome);
                }
                None if known.waiting.len() < MAX_WAITING => known.waiting.push(id),
                None => return Err(ErrorCode::ServerOverloaded.into()),
            }
            return Ok(());
        }
        if claims.exp <= self.unix(now) {
            return Err(ErrorCode::AuthExpired.into());
        }
        if !claims.allows(Scope::CallOut) || !claims.may_dial(start.to.as_str()) {
            return Err(Refusal::new(ErrorCode::AuthForbidden)
                .saying("The token does not allow a call to this number."));
        }
        if start.from.is_none() && !claims.callers.is_empty() {
            start.from = claims.callers.iter().find_map(|number| number.parse::<E164>().ok());
        }
        let from = start.from.as_ref().map_or("", E164::as_str);
        if !claims.may_call_from(from) {
            return Err(ErrorCode::CallCallerId.into());
        }
        if self.live_calls() >= MAX_LIVE_CALLS {
            return Err(ErrorCode::CallLimit.into());
        }
        let call = start.call;
        self.ask(id, Request::CallStart(start), Some(call))?;
        self.remember(PageCall {
            id: call,
            phase: Phase::Starting,
            dialled: Some(dialled),
            waiting: Vec::new(),
            outcome: None,
        });
        Ok(())
    }

    /// Hands a request to the gateway.
    fn ask(
        &mut self,
        id: RequestId,
        request: Request,
        start: Option<CallId>,
    ) -> Result<(), Refusal> {
        if self.pending.contains_key(&id) {
            return Err(Refusal::new(ErrorCode::ProtocolBadMessage)
                .saying("A request of this id still waits for its reply."));
        }
        if self.pending.len() >= MAX_PENDING {
            return Err(ErrorCode::ServerOverloaded.into());
        }
        self.pending.insert(id, start);
        self.out.push_back(Output::Request(id, request));
        Ok(())
    }

    fn reply(&mut self, id: RequestId, outcome: Result<Reply, Refusal>) -> Result<(), Error> {
        let start = self.pending.remove(&id).ok_or(Error::NotAsked(id))?;
        let call = start.and_then(|call| self.calls.iter_mut().find(|c| c.id == call));
        let waiting = call.map(|call| {
            if call.phase == Phase::Starting {
                call.phase = if outcome.is_ok() { Phase::Live } else { Phase::Ended };
            }
            call.outcome = Some(outcome.clone());
            std::mem::take(&mut call.waiting)
        });
        for id in waiting.into_iter().flatten() {
            self.answer(id, outcome.clone());
        }
        self.answer(id, outcome);
        Ok(())
    }

    fn event(&mut self, event: &Event) {
        if self.identity.is_none() {
            return;
        }
        match event {
            Event::CallIncoming(incoming) => self.remember(PageCall {
                id: incoming.call,
                phase: Phase::Incoming,
                dialled: None,
                waiting: Vec::new(),
                outcome: None,
            }),
            Event::CallState { call, state: super::CallState::Active, .. } => {
                self.set_phase(*call, Phase::Live);
            }
            Event::CallEnded { call, .. } | Event::CallCancelled { call, .. } => {
                self.set_phase(*call, Phase::Ended);
            }
            _ => {}
        }
        self.seq += 1;
        self.out.push_back(Output::Send(encode_event(self.seq, event)));
    }

    fn timeout(&mut self, now: Instant) {
        if self.identity.is_none() && now >= self.started + HELLO_WITHIN {
            return self.close(CloseCode::Unauthorized, ErrorCode::AuthRequired.as_str());
        }
        if now >= self.last_heard + DEAD_AFTER {
            return self.close(CloseCode::Idle, "nothing was heard for 30 s");
        }
        if now >= self.next_ping {
            self.next_ping = now + PING_EVERY;
            self.out.push_back(Output::Ping);
        }
        let unix = self.unix(now);
        let idle = self.live_calls() == 0;
        if let Some(identity) = &mut self.identity {
            let expires_at = identity.claims.exp;
            if !identity.told && unix + EXPIRING_S >= expires_at {
                identity.told = true;
                self.event(&Event::TokenExpiring { expires_at });
            }
            if unix >= expires_at && idle {
                self.close(CloseCode::Unauthorized, ErrorCode::AuthExpired.as_str());
            }
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        if self.closed {
            return None;
        }
        let life = self.next_ping.min(self.last_heard + DEAD_AFTER);
        Some(match &self.identity {
            None => life.min(self.started + HELLO_WITHIN),
            Some(identity) => {
                let exp = self.instant(identity.claims.exp);
                if !identity.told {
                    life.min(self.instant(identity.claims.exp.saturating_sub(EXPIRING_S)))
                } else if self.live_calls() == 0 {
                    life.min(exp)
                } else {
                    life
                }
            }
        })
    }

    fn close(&mut self, code: CloseCode, words: &str) {
        self.closed = true;
        self.out.push_back(Output::Close(code, words.to_owned()));
    }

    fn answer(&mut self, id: RequestId, outcome: Result<Reply, Refusal>) {
        self.out.push_back(Output::Send(encode_reply(id, &outcome)));
    }

    fn call(&self, id: CallId) -> Result<&PageCall, Refusal> {
        self.calls
            .iter()
            .find(|c| c.id == id)
            .ok_or_else(|| Refusal::new(ErrorCode::SignalUnknownCall))
    }

    fn set_phase(&mut self, id: CallId, phase: Phase) {
        if let Some(call) = self.calls.iter_mut().find(|c| c.id == id)
            && call.phase != Phase::Ended
        {
            call.phase = phase;
        }
    }

    /// Keeps a call; the oldest ended one is forgotten when there are too many.
    fn remember(&mut self, call: PageCall) {
        if self.calls.iter().any(|known| known.id == call.id) {
            return;
        }
        if self.calls.len() >= MAX_REMEMBERED
            && let Some(at) = self.calls.iter().position(|c| c.phase == Phase::Ended)
        {
            self.calls.remove(at);
        }
        self.calls.push_back(call);
    }

    fn live_calls(&self) -> usize {
        self.calls.iter().filter(|c| c.phase != Phase::Ended).count()
    }

    fn unix(&self, now: Instant) -> u64 {
        self.unix_start_s + now.saturating_duration_since(self.started).as_secs()
    }

    fn instant(&self, unix_s: u64) -> Instant {
        let ahead = unix_s.saturating_sub(self.unix_start_s).min(super::MAX_TTL_S * 24);
        self.started + Duration::from_secs(ahead)
    }
}

#[derive(Debug)]
struct Identity {
    claims: Claims,
    /// Whether the page knows that the token ends soon.
    told: bool,
}

#[derive(Debug)]
struct PageCall {
    id: CallId,
    phase: Phase,
    dialled: Option<(DialString, Option<E164>)>,
    waiting: Vec<RequestId>,
    outcome: Option<Result<Reply, Refusal>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Starting,
    Incoming,
    Live,
    Ended,
}

/// A bucket that holds one second of messages and refills with time.
#[derive(Debug)]
struct Rate {
    spent: Duration,
    at: Instant,
}

impl Rate {
    fn take(&mut self, now: Instant) -> bool {
        self.spent = self.spent.saturating_sub(now.saturating_duration_since(self.at));
        self.at = self.at.max(now);
        self.spent += MESSAGE_COST;
        self.spent <= Duration::from_secs(1)
    }
}

fn code_of(error: TokenError) -> ErrorCode {
    match error {
        TokenError::Invalid => ErrorCode::AuthInvalid,
        TokenError::Expired => ErrorCode::AuthExpired,
    }
}

const HELLO_WITHIN: Duration = Duration::from_secs(5);
const PING_EVERY: Duration = Duration::from_secs(15);
const DEAD_AFTER: Duration = Duration::from_secs(30);
/// 50 messages a second.
const MESSAGE_COST: Duration = Duration::from_millis(20);
/// Enough for a page to fetch a fresh token, and for one retry of it.
const EXPIRING_S: u64 = 60;
const MAX_LIVE_CALLS: usize = 16;
/// Ended calls stay known for retries; with this many a retry finds its call for minutes.
const MAX_REMEMBERED: usize = 64;
const MAX_PENDING: usize = 64;
const MAX_WAITING: usize = 8;

#[cfg(test)]
mod tests;
