//! Values that every domain shares: identifiers, numbers, parties, causes of a call's end,
//! and the wrappers that keep personal data and secrets out of logs.
//!
//! Imports nothing of ours. Everything here is parsed once at the edge and cannot be wrong after.

mod cause;
mod dial_string;
mod digit;
mod e164;
mod id;
mod party;
mod pii;

pub use cause::{Cause, EndCode, EndedBy, SipStatus};
pub use dial_string::{DialString, DialStringError};
pub use digit::{Digit, DigitError};
pub use e164::{E164, E164Error};
pub use id::{CallId, IdError, LegId, SessionId, TrunkId, UserId};
pub use party::Party;
pub use pii::{Pii, Secret};
