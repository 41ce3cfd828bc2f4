//! The demo carrier: a SIP user agent of its own on loopback ports, with lines that echo, speak,
//! sound, ring for ever, are busy and call back. The gateway reaches it as it reaches any trunk.

mod bank;
mod call;
mod config;
mod driver;
mod keypad;
mod line;
mod observed;
mod player;
mod port;
mod program;
mod prompt;
mod stream;
#[cfg(test)]
mod test_phone;
#[cfg(test)]
mod tests;

pub use bank::Fault;
pub use config::{CarrierConfig, Error};
pub use driver::{Carrier, start};
pub use line::Line;
pub use observed::{Observations, ReceivedDigit};
