//! An international number: `+` and 7 to 15 digits, the first not 0 (ITU-T E.164 section 6).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number in E.164 form. `Debug` masks all but the last three digits.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct E164(String);

super::id::text_schema!(E164, "^\\+[1-9][0-9]{6,14}$");

impl E164 {
    /// The number with its leading `+`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The digits without the `+`.
    pub fn digits(&self) -> &str {
        &self.0[1..]
    }
}

impl FromStr for E164 {
    type Err = E164Error;

    fn from_str(text: &str) -> Result<E164, E164Error> {
        let digits = text.strip_prefix('+').ok_or(E164Error)?;
        let legal = (7..=15).contains(&digits.len())
            && digits.bytes().all(|b| b.is_ascii_digit())
            && !digits.starts_with('0');
        if legal { Ok(E164(text.to_owned())) } else { Err(E164Error) }
    }
}

/// The text is not a number in E.164 form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an international number: + and 7 to 15 digits, the first not 0")]
pub struct E164Error;

impl fmt::Debug for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "E164({})", super::pii::mask(&self.0))
    }
}

impl Serialize for E164 {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for E164 {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<E164, D::Error> {
        let text = String::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plus_and_7_to_15_digits() {
        assert!("+49301234567".parse::<E164>().is_ok());
        for bad in ["49301234567", "+0301234567", "+123456", "+1234567890123456", "+49 30", ""] {
            assert_eq!(bad.parse::<E164>(), Err(E164Error), "{bad}");
        }
    }
}
