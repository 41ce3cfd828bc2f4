//! Identifiers. Those that we or a page make are ULIDs behind a prefix (`call_01J…`); those that
//! people choose (trunks, users) are names.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use ulid::Ulid;

/// A type that is a text of a pattern in the API's description.
macro_rules! text_schema {
    ($name:ty, $pattern:expr) => {
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .pattern(Some($pattern))
                    .into()
            }
        }

        impl utoipa::ToSchema for $name {}
    };
}
pub(super) use text_schema;

macro_rules! ulid_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Ulid);

        impl $name {
            /// From milliseconds since 1970 and 80 random bits; both are the caller's to give.
            pub fn from_parts(unix_ms: u64, random: u128) -> $name {
                $name(Ulid::from_parts(unix_ms, random))
            }

            /// When it was made, in milliseconds since 1970, as its maker said.
            pub fn unix_ms(&self) -> u64 {
                self.0.timestamp_ms()
            }

            /// Its 128 bits, most significant first.
            pub fn octets(self) -> [u8; 16] {
                self.0.to_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<$name, IdError> {
                text.strip_prefix(concat!($prefix, "_"))
                    .filter(|rest| rest.len() == 26)
                    .and_then(|rest| Ulid::from_string(rest).ok())
                    .map($name)
                    .ok_or(IdError { expected: concat!($prefix, "_ and a ULID") })
            }
        }

        text_schema!($name, concat!("^", $prefix, "_[0-9A-HJKMNP-TV-Z]{26}$"));

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<$name, D::Error> {
                let text = String::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

macro_rules! name_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// The name as it is written in files.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<$name, IdError> {
                let legal = (1..=64).contains(&text.len())
                    && text
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
                if legal {
                    Ok($name(text.to_owned()))
                } else {
                    Err(IdError { expected: "1 to 64 of a-z A-Z 0-9 - _ ." })
                }
            }
        }

        text_schema!($name, "^[A-Za-z0-9._-]{1,64}$");

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<$name, D::Error> {
                let text = String::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

ulid_id!(
    /// One call, both legs: `call_` and a ULID. A page makes the id of the call it starts.
    CallId, "call"
);
ulid_id!(
    /// One leg of a call: `leg_` and a ULID.
    LegId, "leg"
);
ulid_id!(
    /// One signalling session of a page: `ses_` and a ULID.
    SessionId, "ses"
);
ulid_id!(
    /// One recording of a call: `rec_` and a ULID.
    RecordingId, "rec"
);
ulid_id!(
    /// One run of tests of voice menus that was reported: `run_` and a ULID.
    RunId, "run"
);
name_id!(
    /// The name of a trunk in the configuration: 1 to 64 of `a-z A-Z 0-9 - _ .`.
    TrunkId
);
name_id!(
    /// The name of a user in the configuration: 1 to 64 of `a-z A-Z 0-9 - _ .`.
    UserId
);

/// A text is not an identifier of the kind asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}")]
pub struct IdError {
    /// What would have been right.
    pub expected: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_round_trip_and_refuse_other_prefixes() {
        let id = CallId::from_parts(1_700_000_000_000, 42);
        assert_eq!(id.to_string().parse::<CallId>(), Ok(id));
        assert!(id.to_string().parse::<LegId>().is_err());
        assert!("call_xyz".parse::<CallId>().is_err());
    }

    #[test]
    fn names_are_short_and_plain() {
        assert_eq!("north".parse::<TrunkId>().unwrap().as_str(), "north");
        for bad in ["", "a b", "a@b", "ä", "a\n"] {
            assert!(bad.parse::<UserId>().is_err(), "{bad:?}");
        }
    }
}
