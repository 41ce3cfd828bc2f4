//! One page's session: who it is, which calls it has, what it may send, and when it is dead.
//!
//! ```text
//! 0 s          5 s         15 s        30 s
//! |- hello? -- 4401        |           |
//! |                        ping ------ ping   (WebSocket pings; any frame from the page is life)
//! |------------------------------------ 4408 when nothing came since
//!
//! open -> socket lost -> away 60 s (20 s where the page says that it is being unloaded) -> over
//!                        away -> resumed -> open: what was missed is sent again
//! ```
//!
//! Pure: texts from the page, replies and events of the gateway and time come in; texts, requests
//! and at last a close come out. The engine owns numbering (`seq`), idempotence of call ids, scopes
//! and rates, and what is kept while the page is away. Who may come back, [`super::Kept`] knows.

mod calls;
mod exchange;
mod log;
mod requests;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use self::calls::Calls;
use self::log::EventLog;
use super::encode::{encode_event, encode_reply};
use super::frame::{FrameError, decode};
use super::{
    Claims, ErrorCode, Event, Hello, IceSource, Refusal, Reply, Request, RequestId, Revoked, Scope,
    TokenError, TokenId, TokenKey, Welcome, verify,
};
use crate::base::{CallId, Secret, SessionId, UserId};

pub use exchange::{CloseCode, Error, Input, Loss, Output, Resumed};

/// What all sessions of a gateway have in common.
#[derive(Debug, Clone)]
pub struct Config {
    /// The key of the client tokens.
    pub key: TokenKey,
    /// Tokens that were taken back.
    pub revoked: Arc<RwLock<Revoked>>,
    /// Told to the page, with credentials of its own.
    pub ice: Vec<IceSource>,
    /// Told to the page.
    pub features: Vec<String>,
    /// What dialled values mean.
    pub dialling: Arc<dyn Dialling>,
}

/// What the dial plan knows of dialled values, for what a token says of them.
pub trait Dialling: std::fmt::Debug + Send + Sync {
    /// What `user` means by `dialled`: a number in E.164, or the digits of a code.
    fn meant(&self, user: &UserId, dialled: &str) -> String;

    /// Whether `user` calls for help by it.
    fn is_emergency(&self, user: &UserId, dialled: &str) -> bool;

    /// The code of a line that gives back what it hears.
    fn echo(&self) -> Option<String> {
        None
    }
}

/// Values mean themselves, and none is an emergency: where there is no dial plan.
#[derive(Debug, Clone, Copy)]
pub struct AsDialled;

impl Dialling for AsDialled {
    fn meant(&self, _user: &UserId, dialled: &str) -> String {
        dialled.chars().filter(|c| !matches!(c, ' ' | '-' | '.' | '(' | ')' | '/')).collect()
    }

    fn is_emergency(&self, _user: &UserId, _dialled: &str) -> bool {
        false
    }
}

/// One page's session.
#[derive(Debug)]
pub struct Session {
    id: SessionId,
    config: Arc<Config>,
    started: Instant,
    unix_start_s: u64,
    identity: Option<Identity>,
    line: Line,
    /// How many sockets were lost, so that replies to a lost one find nobody.
    epoch: u64,
    resume: Secret<String>,
    log: EventLog,
    calls: Calls,
    pending: HashMap<RequestId, Option<CallId>>,
    rate: Rate,
    /// Of `call.message`.
    words: Rate,
    last_heard: Instant,
    next_ping: Instant,
    out: VecDeque<Output>,
}

impl Session {
    /// A session whose connection opened at `now`, which is `unix_now_s` seconds since 1970, and
    /// which `resume` brings back.
    pub fn new(
        now: Instant,
        unix_now_s: u64,
        id: SessionId,
        resume: Secret<String>,
        config: Arc<Config>,
    ) -> Session {
        Session {
            id,
            config,
            started: now,
            unix_start_s: unix_now_s,
            identity: None,
            line: Line::Open,
            epoch: 0,
            resume,
            log: EventLog::default(),
            calls: Calls::default(),
            pending: HashMap::new(),
            rate: Rate { spent: Duration::ZERO, at: now },
            words: Rate { spent: Duration::ZERO, at: now },
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
        match input {
            _ if self.line == Line::Closed => {}
            Input::Reply(id, outcome) => self.reply(id, outcome)?,
            Input::Event(event) => self.event(now, &event),
            Input::Close(code) => self.close(code, "closed by the gateway"),
            Input::Timeout => self.timeout(now),
            Input::Resumed(resumed) => self.resumed(now, resumed),
            Input::TokensRevoked => {
                let identity = self.identity.as_ref();
                if identity.is_some_and(|own| self.revoked(own.token, &own.claims)) {
                    self.close(CloseCode::Unauthorized, ErrorCode::AuthRevoked.as_str());
                }
            }
            // What was on its way on a lost socket.
            _ if self.line != Line::Open => {}
            Input::Text(text) => self.text(now, text),
            Input::Binary => self.drop_line(now, CloseCode::BadMessage, "messages are JSON texts"),
            Input::Pong => self.last_heard = now,
            Input::NotKept(request) => {
                self.answer(request, Err(ErrorCode::SignalStaleSession.into()));
            }
            Input::Lost(loss) => self.lost(now, loss),
        }
        Ok(())
    }

    /// The next output; [`Output::Timeout`] is always the last.
    pub fn poll_output(&mut self) -> Output {
        self.out.pop_front().unwrap_or_else(|| Output::Timeout(self.next_deadline()))
    }

    fn text(&mut self, now: Instant, text: &str) {
        self.last_heard = now;
        if !self.rate.take(now, MESSAGE_COST) {
            return self.drop_line(now, CloseCode::Rate, ErrorCode::ProtocolRate.as_str());
        }
        let (id, request) = match decode(text) {
            Ok(parsed) => parsed,
            Err(FrameError::Broken(words)) => {
                return self.drop_line(now, CloseCode::BadMessage, words);
            }
            Err(FrameError::Refused(..)) if self.identity.is_none() => {
                return self.close(CloseCode::Unauthorized, ErrorCode::AuthRequired.as_str());
            }
            Err(FrameError::Refused(id, refusal)) => return self.answer(id, Err(refusal)),
        };
        let Some(identity) = &self.identity else {
            return match request {
                Request::Hello(hello) => self.hello(now, id, hello),
                _ => self.close(CloseCode::Unauthorized, ErrorCode::AuthRequired.as_str()),
            };
        };
        let claims = identity.claims.clone();
        if let Err(refusal) = self.request(now, id, request, claims) {
            self.answer(id, Err(refusal));
        }
    }

    fn hello(&mut self, now: Instant, id: RequestId, hello: Hello) {
        match self.check_token(now, hello.token.expose()) {
            Ok((claims, _)) if hello.session.is_some() && hello.resume.is_some() => {
                self.out.push_back(Output::Resume(id, Box::new(hello), claims));
            }
            Ok((claims, token)) => {
                self.identity = Some(Identity { claims: claims.clone(), token, told: false });
                self.out.push_back(Output::Opened(claims));
                self.welcome(now, id, self.log.next());
            }
            Err(code) => {
                self.answer(id, Err(code.into()));
                self.close(CloseCode::Unauthorized, code.as_str());
            }
        }
    }

    /// What a token says that is good now.
    fn check_token(&self, now: Instant, token: &str) -> Result<(Claims, TokenId), ErrorCode> {
        let claims = verify(&self.config.key, token, self.unix(now)).map_err(code_of)?;
        let id = TokenId::of(token);
        if self.revoked(id, &claims) { Err(ErrorCode::AuthRevoked) } else { Ok((claims, id)) }
    }

    fn revoked(&self, id: TokenId, claims: &Claims) -> bool {
        // Nothing panics while it is held; were it so, the table is still whole.
        self.config.revoked.read().unwrap_or_else(PoisonError::into_inner).has(id, claims)
    }

    /// `first`: the number of the first event that follows the welcome.
    fn welcome(&mut self, now: Instant, id: RequestId, first: u64) {
        let Some(identity) = &self.identity else { return };
        let (user, unix) = (&identity.claims.sub, self.unix(now));
        let welcome = Welcome {
            kind: "welcome",
            session: self.id,
            resume: self.resume.expose().clone(),
            identity: identity.claims.sub.to_string(),
            ice_servers: self.config.ice.iter().map(|ice| ice.for_page(user, unix)).collect(),
            expires_at: identity.claims.exp,
            grace: LOST_GRACE.as_millis() as u64,
            calls: self.calls.views(first),
            features: self.features(&identity.claims),
            echo: self
                .config
                .dialling
                .echo()
                .filter(|line| self.may_dial(&identity.claims, line).is_ok()),
        };
        self.answer(id, Ok(Reply::Welcome(Box::new(welcome))));
    }

    /// What this page can count on: help only where its token lets it dial whatever it likes.
    fn features(&self, claims: &Claims) -> Vec<String> {
        let free = claims.allows(Scope::CallOut) && claims.destinations.is_empty();
        let all = self.config.features.iter().filter(|name| free || *name != EMERGENCY);
        all.cloned().collect()
    }

    fn resumed(&mut self, now: Instant, resumed: Resumed) {
        let Resumed { request, claims, token, last_seq, resume } = resumed;
        if self.line == Line::Open {
            // Another socket takes the place of the present one.
            self.epoch += 1;
            self.calls.forget_waiting();
        }
        self.line = Line::Open;
        self.resume = resume;
        self.last_heard = now;
        self.next_ping = now + PING_EVERY;
        self.rate = Rate { spent: Duration::ZERO, at: now };
        self.identity = Some(Identity { claims: claims.clone(), token, told: false });
        self.out.push_back(Output::Back(claims));
        let first = last_seq.map_or(self.log.next(), |seq| self.log.first_after(seq));
        self.welcome(now, request, first);
        self.out.extend(self.log.from(first).map(|text| Output::Send(text.to_owned())));
        // Its pong shows that the page has the new secret.
        self.out.push_back(Output::Ping);
    }

    fn lost(&mut self, now: Instant, loss: Loss) {
        let grace = match loss {
            Loss::Network => LOST_GRACE,
            Loss::Unloaded => UNLOADED_GRACE,
            Loss::Goodbye => Duration::ZERO,
        };
        if self.identity.is_none() || grace.is_zero() {
            self.line = Line::Closed;
            return;
        }
        self.line = Line::Away { until: now + grace };
        self.epoch += 1;
        self.calls.forget_waiting();
        self.out.push_back(Output::Away);
    }

    /// Ends the connection for what came on it; the page may come back and do better.
    fn drop_line(&mut self, now: Instant, code: CloseCode, words: &str) {
        if self.identity.is_none() {
            return self.close(code, words);
        }
        self.out.push_back(Output::Drop(code, words.to_owned()));
        self.lost(now, Loss::Network);
    }

    fn event(&mut self, now: Instant, event: &Event) {
        if self.identity.is_none() {
            return;
        }
        let seq = self.log.next();
        let unix_ms = self.unix_start_s * 1000
            + now.saturating_duration_since(self.started).as_millis() as u64;
        self.calls.note(event, seq, unix_ms);
        let text = encode_event(seq, event);
        self.log.push(text.clone());
        if let Some(call) = self.calls.copied(event) {
            self.out.push_back(Output::Copy(call, text.clone()));
        }
        if self.line == Line::Open {
            self.out.push_back(Output::Send(text));
        }
    }

    fn timeout(&mut self, now: Instant) {
        if let Line::Away { until } = self.line {
            if now >= until {
                self.line = Line::Closed;
            }
            return;
        }
        if self.identity.is_none() && now >= self.started + HELLO_WITHIN {
            return self.close(CloseCode::Unauthorized, ErrorCode::AuthRequired.as_str());
        }
        if now >= self.last_heard + DEAD_AFTER {
            return self.drop_line(now, CloseCode::Idle, "nothing was heard for 30 s");
        }
        if now >= self.next_ping {
            self.next_ping = now + PING_EVERY;
            self.out.push_back(Output::Ping);
        }
        let unix = self.unix(now);
        let idle = self.calls.live() == 0;
        if let Some(identity) = &mut self.identity {
            let expires_at = identity.claims.exp;
            if !identity.told && unix + EXPIRING_S >= expires_at {
                identity.told = true;
                self.event(now, &Event::TokenExpiring { expires_at });
            }
            if unix >= expires_at && idle {
                self.close(CloseCode::Unauthorized, ErrorCode::AuthExpired.as_str());
            }
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        match self.line {
            Line::Open => {}
            Line::Away { until } => return Some(until),
            Line::Closed => return None,
        }
        let life = self.next_ping.min(self.last_heard + DEAD_AFTER);
        Some(match &self.identity {
            None => life.min(self.started + HELLO_WITHIN),
            Some(identity) => {
                let exp = self.instant(identity.claims.exp);
                if !identity.told {
                    life.min(self.instant(identity.claims.exp.saturating_sub(EXPIRING_S)))
                } else if self.calls.live() == 0 {
                    life.min(exp)
                } else {
                    life
                }
            }
        })
    }

    fn close(&mut self, code: CloseCode, words: &str) {
        self.line = Line::Closed;
        self.out.push_back(Output::Close(code, words.to_owned()));
    }

    fn answer(&mut self, id: RequestId, outcome: Result<Reply, Refusal>) {
        self.out.push_back(Output::Send(encode_reply(id, &outcome)));
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
    token: TokenId,
    /// Whether the page knows that the token ends soon.
    told: bool,
}

/// Whether there is a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Open,
    Away { until: Instant },
    Closed,
}

/// A bucket that holds one second of messages and refills with time.
#[derive(Debug)]
struct Rate {
    spent: Duration,
    at: Instant,
}

impl Rate {
    fn take(&mut self, now: Instant, cost: Duration) -> bool {
        self.spent = self.spent.saturating_sub(now.saturating_duration_since(self.at));
        self.at = self.at.max(now);
        let spent = self.spent + cost;
        let fits = spent <= Duration::from_secs(1);
        if fits {
            self.spent = spent;
        }
        fits
    }
}

fn code_of(error: TokenError) -> ErrorCode {
    match error {
        TokenError::Invalid => ErrorCode::AuthInvalid,
        TokenError::Expired => ErrorCode::AuthExpired,
        TokenError::Revoked => ErrorCode::AuthRevoked,
    }
}

/// The feature of plans that reach help.
const EMERGENCY: &str = "emergency";
const HELLO_WITHIN: Duration = Duration::from_secs(5);
const PING_EVERY: Duration = Duration::from_secs(15);
const DEAD_AFTER: Duration = Duration::from_secs(30);
/// 50 messages a second.
const MESSAGE_COST: Duration = Duration::from_millis(20);
/// 5 a second to the application's server: each is an event of the gateway.
const WORDS_COST: Duration = Duration::from_millis(200);
/// Enough for a page to fetch a fresh token, and for one retry of it.
const EXPIRING_S: u64 = 60;
/// A page whose socket is lost comes back within this time, or its calls end.
const LOST_GRACE: Duration = Duration::from_secs(60);
/// A page that is loaded again needs seconds; one that was closed should not hold its calls for long.
const UNLOADED_GRACE: Duration = Duration::from_secs(20);

#[cfg(test)]
mod resume_tests;
#[cfg(test)]
mod scope_tests;
#[cfg(test)]
mod tests;
