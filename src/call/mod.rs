//! One call: its legs, its state machine, its record. Knows legs, not protocols.
//!
//! [`Call`] is pure: what happens on a leg comes in as an [`Input`], what has to happen on a leg
//! goes out as an [`Output`]. Its owner (`gateway`, one task per call) carries them to SIP, the
//! page's signalling, media and the store.

mod callee;
mod dialing;
mod exchange;
mod handover;
mod leg;
mod limits;
mod machine;
mod record;
mod route;
#[cfg(test)]
mod tests;
mod timers;

pub use exchange::{End, Error, Feed, HandOver, Input, Kept, Output, Progress, Setup, State};
pub use leg::{Early, Leg, LegEvent, LegKind, Rejection, Retry};
pub use limits::Limits;
pub use machine::Call;
pub use record::{Direction, LegQuality, Quality, Record, Recorded, Who};
pub use route::{Decision, Refusal, Route, Step, Target, Targets};
