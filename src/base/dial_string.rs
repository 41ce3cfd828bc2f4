//! What a user dialled, before any meaning: `[0-9A-D*#+]{1,32}`.
//!
//! Nothing else can be dialled, so nothing can be injected into a SIP URI or a plan.

use std::fmt;
use std::str::FromStr;

/// A dialled value: 1 to 32 characters of `0-9 A-D * # +`.
///
/// Visual separators that people type (`space - . ( ) /`) are dropped while parsing.
/// `Debug` masks all but the last three characters; [`DialString::as_str`] is the value itself.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DialString(String);

impl DialString {
    /// Longest value in characters.
    pub const MAX_LEN: usize = 32;

    /// The value, unmasked.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DialString {
    type Err = DialStringError;

    fn from_str(text: &str) -> Result<DialString, DialStringError> {
        let mut kept = String::new();
        for c in text.chars() {
            match c {
                ' ' | '-' | '.' | '(' | ')' | '/' => {}
                '0'..='9' | 'A'..='D' | '*' | '#' | '+' => {
                    if kept.len() == Self::MAX_LEN {
                        return Err(DialStringError::TooLong);
                    }
                    kept.push(c);
                }
                other => return Err(DialStringError::Illegal(other)),
            }
        }
        if kept.is_empty() {
            return Err(DialStringError::Empty);
        }
        Ok(DialString(kept))
    }
}

/// Why a text is not a [`DialString`]; answered with 484 Address Incomplete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DialStringError {
    /// Nothing was dialled.
    #[error("nothing was dialled")]
    Empty,
    /// More than 32 characters.
    #[error("more than {} characters were dialled", DialString::MAX_LEN)]
    TooLong,
    /// A character outside `0-9 A-D * # +`.
    #[error("{0:?} cannot be dialled (only 0-9, A-D, *, # and +)")]
    Illegal(char),
}

impl fmt::Debug for DialString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DialString({})", super::pii::mask(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_people_type_and_nothing_else() {
        let ok = |s: &str| s.parse::<DialString>().map(|d| d.as_str().to_owned());
        assert_eq!(ok("+49 (30) 123-45/67"), Ok("+49301234567".into()));
        assert_eq!(ok("*97#"), Ok("*97#".into()));
        assert_eq!(ok(""), Err(DialStringError::Empty));
        assert_eq!(ok(" - "), Err(DialStringError::Empty));
        assert_eq!(ok("100&SIP/x"), Err(DialStringError::Illegal('&')));
        assert_eq!(ok("+1@evil"), Err(DialStringError::Illegal('@')));
        assert_eq!(ok("1\r\n2"), Err(DialStringError::Illegal('\r')));
        assert_eq!(ok("١٢"), Err(DialStringError::Illegal('١')));
        assert_eq!(ok(&"1".repeat(33)), Err(DialStringError::TooLong));
    }

    #[test]
    fn debug_masks_to_the_last_three() {
        let d: DialString = "+49301234567".parse().unwrap();
        assert_eq!(format!("{d:?}"), "DialString(*********567)");
    }
}
