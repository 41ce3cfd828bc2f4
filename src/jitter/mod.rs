//! The playout buffer: reordering, target delay, playout decisions.

mod buffer;
mod decision;
mod delay;
mod slots;

pub use buffer::PlayoutBuffer;
pub use decision::{Activity, Config, Content, Counts, Decision, Inserted};
