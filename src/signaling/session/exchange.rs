//! What goes into and comes out of a session.

use std::time::Instant;

use crate::base::{CallId, Secret};
use crate::signaling::{Claims, Event, Hello, Refusal, Reply, Request, RequestId, TokenId};

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
    /// The session that a `hello` named is not kept, or the secret is not its own.
    NotKept(RequestId),
    /// The page is here again, on another socket.
    Resumed(Resumed),
    /// Tokens were taken back: the session looks whether its own is among them.
    TokensRevoked,
    /// The socket is lost.
    Lost(Loss),
    /// The gateway wants the session to end.
    Close(CloseCode),
    /// Time has passed.
    Timeout,
}

/// A page that came back, its token and its secret verified.
#[derive(Debug)]
pub struct Resumed {
    /// Its `hello`.
    pub request: RequestId,
    /// What its token says.
    pub claims: Claims,
    /// Which token that is.
    pub token: TokenId,
    /// The last event that it has got; what came after it is sent again. `None`: nothing is.
    pub last_seq: Option<u64>,
    /// The secret for the next time.
    pub resume: Secret<String>,
}

/// How a socket was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// The network, or a fault: the page will try to come back.
    Network,
    /// The page is being unloaded (RFC 6455 7.4.1: 1001): it comes back soon or never.
    Unloaded,
    /// The page has said goodbye.
    Goodbye,
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
    /// The page wants another session back: its `hello`, and what its good token says. To be
    /// answered there, or here with [`Input::NotKept`].
    Resume(RequestId, Box<Hello>, Claims),
    /// The same event as the next [`Output::Send`], where it is about a call that is up: for a way
    /// beside the socket.
    Copy(CallId, String),
    /// The socket is lost; the session is kept.
    Away,
    /// The page is here again.
    Back(Claims),
    /// The end of this connection, not of the session.
    Drop(CloseCode, String),
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
