//! Values that every domain shares: identifiers, numbers, parties, causes of a call's end,
//! and the wrappers that keep personal data and secrets out of logs.
//!
//! Imports nothing of ours. Everything here is parsed once at the edge and cannot be wrong after.

mod cause;
mod dial_string;
mod digit;
mod digit_pacing;
pub mod document;
mod dtmf_mode;
mod e164;
mod finding;
mod id;
mod network;
mod party;
mod permission;
mod pii;
mod reach;

pub use cause::{Cause, EndCode, EndedBy, SipStatus};
pub use dial_string::{DialString, DialStringError};
pub use digit::{Digit, DigitError};
pub use digit_pacing::DigitPacing;
pub use dtmf_mode::DtmfMode;
pub use e164::{E164, E164Error};
pub use finding::{Finding, Findings, Place, Severity, nearest, suggestion};
pub use id::{CallId, IdError, LegId, RecordingId, RunId, SessionId, TrunkId, UserId};
pub use network::{Network, NetworkError};
pub use party::Party;
pub use permission::{Permission, PermissionError};
pub use pii::{Pii, Secret, mask_numbers};
pub use reach::Reach;

/// A fixed moment of this process, for virtual clocks in tests: every pure test counts from here,
/// so that no pure file reads the clock.
#[cfg(test)]
#[allow(dead_code, reason = "used by the tests of the pure domains")]
pub(crate) fn epoch() -> std::time::Instant {
    static EPOCH: std::sync::LazyLock<std::time::Instant> =
        std::sync::LazyLock::new(std::time::Instant::now);
    *EPOCH
}
