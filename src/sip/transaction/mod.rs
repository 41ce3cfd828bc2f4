//! Transactions (RFC 3261 section 17, RFC 6026): four machines, one file each, and their timers.
//!
//! A machine holds no message and sends nothing: it is told what arrived and says in one [`Step`]
//! what its owner, the endpoint, has to do with the bytes it keeps.

mod client_invite;
mod client_non_invite;
mod server_invite;
mod server_non_invite;
mod timer;

pub(super) use client_invite::ClientInvite;
pub(super) use client_non_invite::ClientNonInvite;
pub(super) use server_invite::ServerInvite;
pub(super) use server_non_invite::ServerNonInvite;
pub use timer::Timing;
pub(super) use timer::{Backoff, Timer, TimerTable};

/// Whether the transport itself delivers (TCP, TLS, WebSocket) or retransmission must (UDP).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reliability {
    /// Requests and responses are sent again until heard.
    Unreliable,
    /// No retransmission, and no waiting for retransmissions of the other side.
    Reliable,
}

/// What the owner of a transaction does after one input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing: the input was absorbed.
    Nothing,
    /// Send the kept message again: the request of a client, the last response of a server.
    Resend,
    /// Send `100 Trying` (the user has not answered within 200 ms).
    SendTrying,
    /// Give the message to the transaction user.
    Deliver,
    /// Acknowledge the final response and give it to the transaction user.
    AckAndDeliver,
    /// Acknowledge the repeated final response; the user has had it.
    AckAgain,
    /// Send the user's response and keep it for retransmission.
    Respond,
    /// The other side never answered: tell the user; the transaction is over.
    TimedOut,
    /// The transaction is over; forget it.
    Ended,
}

#[cfg(test)]
mod tests;
