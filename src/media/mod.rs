//! Media: legs, the bridge between them, and the worker threads that run both.
//!
//! A caller holds a [`Pool`], opens one [`Session`] a call and reads its [`MediaEvent`]s. Media never
//! sees SIP: it takes and gives SDP bodies, RTP, digits and facts.

#[allow(dead_code, reason = "the workers that read them follow")]
mod command;
mod config;
mod error;
mod event;
mod pool;
#[allow(dead_code, reason = "the workers that make them follow")]
mod session;
mod trunk;

pub use config::{Interface, OpusSettings, PoolConfig};
pub use error::Error;
pub use event::{LegStats, LostReason, MediaEvent};
pub use pool::{Gauges, Pool};
pub use session::{Feed, LegSide, Phase, Session, ToneItem};
pub use trunk::{AddressRange, DigitPacing, PrivateAddresses, TrunkAudio, TrunkCodec, TrunkMedia};
