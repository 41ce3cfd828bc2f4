//! Retry-After (RFC 3261 20.33): when a refused call may be tried again.

use std::fmt;

use super::TypedHeader;
use crate::sip::grammar::{self, Malformed};

/// How long to wait. Comment and `duration` are read over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryAfter {
    /// Seconds.
    pub seconds: u32,
}

impl TypedHeader for RetryAfter {
    const NAME: &'static str = "Retry-After";

    fn parse(value: &str) -> Result<RetryAfter, Malformed> {
        let value = grammar::trim(value);
        let end = value.find([' ', '\t', ';', '(']).unwrap_or(value.len());
        let seconds = grammar::number(&value[..end]);
        Ok(RetryAfter { seconds: seconds.ok_or(Malformed("Retry-After starts with seconds"))? })
    }
}

impl fmt::Display for RetryAfter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.seconds.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_with_or_without_more() {
        for value in ["120", " 120 (I'm in a meeting)", "120;duration=3600"] {
            assert_eq!(RetryAfter::parse(value), Ok(RetryAfter { seconds: 120 }), "{value}");
        }
        for value in ["", "-5", "soon"] {
            assert!(RetryAfter::parse(value).is_err(), "{value}");
        }
    }
}
