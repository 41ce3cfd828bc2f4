//! The worker threads: each owns its calls, their sockets, one poll and one heap of deadlines.

mod command;
mod load;
mod parking;
mod run;
mod session;
mod sockets;
#[cfg(test)]
mod tests;

pub(super) use command::{CallKey, Inbox, Message, channel};
pub(super) use load::{LATE_US, Load};
pub(super) use run::{Worker, WorkerConfig};
pub use session::Session;
