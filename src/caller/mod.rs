//! The telephones that scenarios call with: one that speaks SIP and RTP, one that is a page. Peers of
//! the gateway, not parts of it: they speak only what goes over the wire. Calls without a wire are
//! `ivr::Loopback`'s.

mod folder;
mod offered;
mod pace;
mod page;
mod playout;
mod run;
mod sockets;
mod stop;
mod stream;
mod trunk;

pub use folder::Disk;
pub use page::Pages;
pub use playout::LATER;
pub use run::{Options, Progress, run};
pub use stop::Stop;
pub use trunk::{Phones, StartError};
