//! Media: legs, the bridge between them, and the worker threads that run both.
//!
//! A caller holds a [`Pool`], opens one [`Session`] a call and reads its [`MediaEvent`]s. Media never
//! sees SIP: it takes and gives SDP bodies, RTP, digits and facts.

mod bridge;
#[cfg(test)]
mod bridge_tests;
mod browser_side;
mod call;
mod config;
mod digits;
mod digits_out;
mod downlink;
mod error;
mod event;
mod leg;
mod line;
mod loss_control;
mod outbox;
mod pause;
mod pool;
mod ports;
mod relay;
mod source_lock;
mod trunk;
mod trunk_crypto;
mod trunk_hearing;
mod trunk_leg;
mod trunk_pause;
mod trunk_side;
mod trunk_sound;
mod uplink;
mod watch;

mod worker;

pub use crate::sdp::Protection;
pub use config::{Band, Interface, OpusSettings, Playout, PoolConfig, Repair, Silence};
pub use error::Error;
pub use event::{DigitWay, LegStats, MediaEvent};
pub use leg::{Feed, Hold, LegSide, Phase};
pub use line::{Line, PipeEnd, Recorder, pipe};
pub use pool::{Gauges, Pool};

pub use trunk::{RelayPolicy, TrunkAudio, TrunkCodec, TrunkMedia};
pub use worker::Session;

pub use crate::base::DtmfMode;
pub use crate::dtmf::{InfoSupport, ToneItem};
pub use crate::sdp::{AddressPolicy, ComfortNoise, PrivateAddresses};
pub use crate::webrtc::{BrowserCodec, LostReason};
