//! What stops a gateway from working where it is installed, or makes its sound one-way: looked for one
//! after the other, each with what to do about it.
//!
//! It looks from outside, as a neighbour of the gateway: at the machine, the files, the database, the DNS,
//! the trunks and the STUN and TURN servers. It changes nothing.

mod certificate;
mod examine;
mod host;
mod network;
mod records;
mod report;
mod stun;
mod trunks;
mod turn;

pub use examine::{Asked, examine};
pub use report::{Line, Report, Verdict};
