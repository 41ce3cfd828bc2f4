//! What a page asks of a call that is on: hold it, or hand it over; and what it hears of that.

use serde::{Deserialize, Serialize};

use crate::base::{CallId, DialString};

/// `call.hold` and `call.unhold`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct CallHold {
    /// The call.
    pub call: CallId,
}

/// `call.transfer`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallTransfer {
    /// The call whose far side is handed over.
    pub call: CallId,
    /// To whom.
    pub to: TransferTo,
}

/// To whom a call is handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransferTo {
    /// A number, as it would be dialled: blind.
    Number(DialString),
    /// The far side of another call of the same page: attended.
    Call(CallId),
}

/// Who holds a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeldBy {
    /// The page.
    Local,
    /// The far side.
    Remote,
    /// Each holds the other.
    Both,
}

/// How far a transfer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TransferStatus {
    /// The plan allows it, or the far side has taken it.
    Accepted,
    /// The new party rings.
    Ringing,
    /// The new party has answered: this call ends.
    Answered,
    /// It came to nothing: this call goes on.
    Failed,
}
