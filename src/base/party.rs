//! One end of a call as it is shown to the other: number, name, address.

use serde::{Deserialize, Serialize};

use super::{E164, UserId};

/// Who is at one end of a call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
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

impl Party {
    /// The user part of a `sip:` or `tel:` URI, or the address itself where it is none.
    pub fn user_part(&self) -> &str {
        let rest = self.uri.split_once(':').map_or(self.uri.as_str(), |(_, rest)| rest);
        rest.split(['@', ';', '?']).next().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_part_is_what_was_called() {
        for (uri, user) in [
            ("sip:+4930123@192.0.2.1;user=phone", "+4930123"),
            ("tel:+4930123;phone-context=x", "+4930123"),
            ("sip:600@127.0.0.1:5060", "600"),
            ("600", "600"),
            ("", ""),
        ] {
            let party = Party { uri: uri.to_owned(), ..Party::default() };
            assert_eq!(party.user_part(), user, "{uri}");
        }
    }
}
