//! A self-test: a WebRTC client in its own right places real calls through a gateway to the demo's
//! test lines, and measures what comes of them. It is a peer of the gateway, not a part of it: it
//! speaks only what goes over the wire.

mod calls;
mod checks;
mod digits;
mod far;
mod page;
mod peer;
mod report;
mod sound;

pub use calls::Call;
pub use checks::{Options, brief, run};
pub use digits::Cell;
pub use far::{FarDigit, FarSide};
pub use page::{Event, Page, get};
pub use peer::Peer;
pub use report::{Check, Report};
pub use sound::{Heard, Source};
