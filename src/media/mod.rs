//! Media: legs, the bridge between them, and the worker threads that run both.
//!
//! A caller holds a [`Pool`], opens one [`Session`] a call and reads its [`MediaEvent`]s. Media never
//! sees SIP: it takes and gives SDP bodies, RTP, digits and facts.

mod config;
mod error;
mod event;
mod leg;
mod pool;
mod trunk;
#[allow(dead_code, reason = "the threads follow")]
mod worker;

pub use config::{Interface, OpusSettings, PoolConfig};
pub use error::Error;
pub use event::{LegStats, MediaEvent};
pub use leg::{Feed, LegSide, Phase, ToneItem};
pub use pool::{Gauges, Pool};

pub use trunk::{AddressRange, DigitPacing, PrivateAddresses, TrunkAudio, TrunkCodec, TrunkMedia};
pub use worker::Session;

pub use crate::webrtc::{BrowserCodec, LostReason};
