//! The worker threads: each owns its calls, their sockets, one poll and one heap of deadlines.

mod command;
mod session;

pub use session::Session;
