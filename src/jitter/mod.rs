//! The playout buffer: reordering, target delay, playout decisions.

mod buffer;

pub use buffer::{Activity, Config, Content, Counts, Decision, Inserted, PlayoutBuffer};
