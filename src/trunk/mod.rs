//! Trunks: definition, choice among several, limits, health.
//!
//! Pure: health and limits are engines of their inputs, and the choice is a function of what they say.

mod definition;
mod header_name;
mod limits;
mod monitor;
mod number_format;
mod retry;
mod select;
mod target;

pub use definition::{
    CallerDigest, Codec, ComfortNoise, Definition, Refer, Registering, Srtp, TrunkTls,
};
pub use header_name::{HeaderName, HeaderNameError};
pub use limits::{Busy, Limits};
pub use monitor::{Health, Input, Monitor, Output, Probing};
pub use number_format::NumberFormat;
pub use retry::{Failure, Heard, NO_PROGRESS, RetryOn, RetryOnError};
pub use select::{Order, PassedOver, Selection, State, Urgency, Why, select};
pub use target::{Target, TargetError, Transport};
