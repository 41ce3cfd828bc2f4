//! One end of a call as it is shown to the other: number, name, address.

use serde::{Deserialize, Serialize};

use super::{E164, UserId};

/// Who is at one end of a call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// The user of this gateway, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    /// The number, where it is known in international form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<E164>,
    /// The address as it came or will go out: a SIP URI, a `tel:` URI or an extension.
    #[serde(default)]
    pub uri: String,
    /// The display name, at most 64 characters, no control characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display: Option<String>,
}
