//! Messages from a byte stream (RFC 3261 18.3): TCP and TLS. Pings between messages are those of
//! RFC 5626 3.5.1.
//!
//! Any division of the bytes into reads gives the same frames. A message that is well framed is
//! handed out however wrong it is inside; only one whose end cannot be known breaks the stream.

use super::codec::scan::{self, Length};
use super::codec::{Limits, ParseError, refuse};

/// Cuts one stream. Feed it with `push`, then take frames until there is none.
#[derive(Debug)]
pub struct Framer {
    limits: Limits,
    buffer: Vec<u8>,
    /// How much of `buffer` was already handed out.
    taken: usize,
    /// How much behind `taken` holds no end of a head.
    searched: usize,
    state: State,
}

/// What stands on a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// One message, head and body, for `parse`.
    Message(Vec<u8>),
    /// The first CRLF between messages: the answer to a ping of ours, or half a ping.
    Pong,
    /// The second CRLF in a row: the peer pings and wants one CRLF back.
    Ping,
    /// The end of a message cannot be known. Answer if the error says so, then close.
    Broken(ParseError),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Between messages; whether the last thing was the first CRLF of a possible ping.
    Between { half_ping: bool },
    /// Within a head.
    Head,
    /// Within a body; the length of the whole message.
    Body(usize),
    /// After `Broken`.
    Closed,
}

impl Framer {
    /// A framer at the start of a stream.
    pub fn new(limits: Limits) -> Framer {
        let state = State::Between { half_ping: false };
        Framer { limits, buffer: Vec::new(), taken: 0, searched: 0, state }
    }

    /// Adds what was read. Take all frames after each read: then no more than one message of the
    /// limit and one read are ever held.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.state == State::Closed {
            return;
        }
        self.buffer.drain(..self.taken);
        self.taken = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next frame; `None` until more is pushed, and for ever after `Broken`.
    pub fn next_frame(&mut self) -> Option<Frame> {
        loop {
            let rest = &self.buffer[self.taken..];
            match self.state {
                State::Closed => return None,
                State::Between { half_ping } => match rest {
                    [] | [b'\r'] => return None,
                    [b'\r', b'\n', ..] => {
                        self.taken += 2;
                        self.state = State::Between { half_ping: !half_ping };
                        return Some(if half_ping { Frame::Ping } else { Frame::Pong });
                    }
                    _ => self.state = State::Head,
                },
                State::Head => match scan::head_end(rest, self.searched) {
                    Some(end) if end <= self.limits.message => match self.message_len(end) {
                        Ok(length) => self.state = State::Body(length),
                        Err((status, detail)) => return Some(self.broken(end, status, detail)),
                    },
                    None if rest.len() < self.limits.message => {
                        self.searched = rest.len();
                        return None;
                    }
                    _ => {
                        let detail = "the headers are larger than a message may be";
                        return Some(self.broken(self.limits.message, 513, detail));
                    }
                },
                State::Body(length) => {
                    let message = rest.get(..length)?.to_vec();
                    self.taken += length;
                    self.searched = 0;
                    self.state = State::Between { half_ping: false };
                    return Some(Frame::Message(message));
                }
            }
        }
    }

    /// Whether nothing of a message is held: the peer may be silent for as long as it likes.
    pub fn is_between_messages(&self) -> bool {
        matches!(self.state, State::Between { .. }) && self.taken == self.buffer.len()
    }

    fn message_len(&self, head_end: usize) -> Result<usize, (u16, &'static str)> {
        let head = &self.buffer[self.taken..self.taken + head_end];
        match scan::content_length(head) {
            Err(malformed) => Err((400, malformed.0)),
            Ok(Length::Missing) => Err((400, "a stream needs Content-Length (RFC 3261 20.14)")),
            Ok(Length::Bytes(body)) => match head_end.checked_add(body) {
                Some(length) if length <= self.limits.message => Ok(length),
                _ => Err((513, "Content-Length is over the limit")),
            },
        }
    }

    fn broken(&mut self, end: usize, status: u16, detail: &'static str) -> Frame {
        let bytes = &self.buffer[self.taken..self.taken + end];
        let error = refuse(bytes, &self.limits, status, detail);
        self.buffer = Vec::new();
        self.taken = 0;
        self.state = State::Closed;
        Frame::Broken(error)
    }
}

#[cfg(test)]
#[path = "framing_tests.rs"]
mod tests;
