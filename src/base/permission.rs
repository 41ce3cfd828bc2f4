//! What a key of the HTTP API may do: the words are the same in the configuration, in the API's
//! description and in its answers.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

macro_rules! permissions {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        /// One thing that a key may do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Permission {
            $($(#[$doc])* $name,)*
        }

        impl Permission {
            /// All of them.
            pub const ALL: &'static [Permission] = &[$(Permission::$name,)*];

            /// As it is written: `calls:read`.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Permission::$name => $word,)*
                }
            }
        }
    };
}

permissions! {
    /// Live calls, their timelines and signalling, events.
    CallsRead = "calls:read",
    /// Starting, ending and changing calls.
    CallsWrite = "calls:write",
    /// Records of calls.
    RecordsRead = "records:read",
    /// Recordings of calls: listing and hearing them.
    RecordingsRead = "recordings:read",
    /// Recording calls or not, deleting recordings.
    RecordingsWrite = "recordings:write",
    /// Trunks, users, the dial plan, webhooks.
    ConfigRead = "config:read",
    /// Changing the dial plan, testing trunks, letting go of the fraud brake, sending webhooks again.
    ConfigWrite = "config:write",
    /// Runs of tests of voice menus.
    IvrRead = "ivr:read",
    /// Reporting a run.
    IvrWrite = "ivr:write",
    /// Making and taking back client tokens.
    TokensWrite = "tokens:write",
    /// The metrics.
    MetricsRead = "metrics:read",
}

impl FromStr for Permission {
    type Err = PermissionError;

    fn from_str(text: &str) -> Result<Permission, PermissionError> {
        let known = Permission::ALL.iter().find(|known| known.as_str() == text);
        known.copied().ok_or(PermissionError)
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Permission {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.as_str())
    }
}

/// A word that is no permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "permissions are calls:read, calls:write, records:read, recordings:read, recordings:write, \
     config:read, config:write, ivr:read, ivr:write, tokens:write and metrics:read"
)]
pub struct PermissionError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_and_their_list_agree() {
        for permission in Permission::ALL {
            assert_eq!(permission.as_str().parse(), Ok(*permission));
            assert!(PermissionError.to_string().contains(permission.as_str()), "{permission}");
        }
        assert_eq!("all".parse::<Permission>(), Err(PermissionError));
    }
}
