//! SIP messages on the wire (RFC 3261 7 and 25): one scanner of heads, a parser and a writer.

mod check;
#[cfg(test)]
pub(super) mod corpus;
#[cfg(test)]
mod fuzz;
mod octets;
mod parse;
mod refusal;
pub(super) mod scan;
mod write;

pub use check::{Policy, check};
pub use octets::readable;
pub use parse::parse;
pub(super) use parse::refuse;
pub use refusal::{ParseError, Refusal};
pub use scan::Limits;
pub use write::{write, write_into};
