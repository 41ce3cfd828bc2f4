//! The worker threads: each owns its calls, their sockets, one poll and one heap of deadlines.

mod command;
mod run;
mod session;
mod sockets;
#[cfg(test)]
mod tests;

pub(super) use command::{CallKey, Inbox, Message, channel};
pub(super) use run::{Load, Worker, WorkerConfig};
pub use session::Session;
