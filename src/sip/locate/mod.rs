//! Locating SIP servers (RFC 3263): from a name to every address that answers for it, in order.

mod cache;
mod engine;
mod plan;
mod record;
#[cfg(test)]
mod tests;

pub use engine::{Input, LocateError, Locator, LookUp, Output};
pub use plan::{Reachable, Wanted};
pub use record::{Naptr, Question, Record, Reply, Srv};
