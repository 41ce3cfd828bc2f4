//! One DTMF key: `0`-`9`, `*`, `#`, `A`-`D` (RFC 4733 section 3.2, events 0 to 15).
//!
//! A digit is a secret (a PIN, a card number): `Debug` never shows which key it is. Text for the
//! wire or the page comes from [`Digit::as_char`], on purpose and in view.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One of the sixteen DTMF keys.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digit(u8);

impl Digit {
    /// All sixteen keys in the order of their RFC 4733 event codes.
    pub const ALL: [Digit; 16] = {
        let mut all = [Digit(0); 16];
        let mut code = 0;
        while code < 16 {
            all[code as usize] = Digit(code);
            code += 1;
        }
        all
    };

    /// The key of an RFC 4733 event code, `None` for codes above 15 (16 is flash, not a key).
    pub fn from_event(code: u8) -> Option<Digit> {
        (code < 16).then_some(Digit(code))
    }

    /// The RFC 4733 event code, 0 to 15.
    pub fn event(self) -> u8 {
        self.0
    }

    /// The key of a character; `a`-`d` are taken as `A`-`D`.
    ///
    /// # Errors
    /// [`DigitError`] names the character that is no key.
    pub fn from_char(c: char) -> Result<Digit, DigitError> {
        let upper = c.to_ascii_uppercase();
        KEYS.iter().position(|k| *k as char == upper).map(|i| Digit(i as u8)).ok_or(DigitError(c))
    }

    /// The key as a character: `0`-`9`, `*`, `#`, `A`-`D`.
    pub fn as_char(self) -> char {
        KEYS[self.0 as usize] as char
    }
}

/// A character that is not one of the sixteen keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a DTMF key (0-9, *, #, A-D)")]
pub struct DigitError(pub char);

impl fmt::Debug for Digit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digit(_)")
    }
}

impl Serialize for Digit {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_char(self.as_char())
    }
}

impl<'de> Deserialize<'de> for Digit {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Digit, D::Error> {
        let c = char::deserialize(d)?;
        Digit::from_char(c).map_err(serde::de::Error::custom)
    }
}

const KEYS: &[u8; 16] = b"0123456789*#ABCD";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_codes_follow_rfc_4733_section_3_2() {
        for (c, code) in [('0', 0), ('9', 9), ('*', 10), ('#', 11), ('A', 12), ('d', 15)] {
            assert_eq!(Digit::from_char(c).unwrap().event(), code);
        }
        assert_eq!(Digit::from_event(16), None);
        assert_eq!(Digit::from_char('x'), Err(DigitError('x')));
    }

    #[test]
    fn debug_hides_the_key() {
        assert_eq!(format!("{:?}", Digit::from_char('7').unwrap()), "Digit(_)");
    }
}
