//! P-Asserted-Identity (RFC 3325 9.1): who calls, as a trusted neighbour says.

use std::fmt;

use super::TypedHeader;
use crate::sip::address::NameAddr;
use crate::sip::grammar::Malformed;

/// One identity; a message has a sip one, a tel one, or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PAssertedIdentity(pub NameAddr);

impl TypedHeader for PAssertedIdentity {
    const NAME: &'static str = "P-Asserted-Identity";

    fn parse(value: &str) -> Result<PAssertedIdentity, Malformed> {
        NameAddr::parse(value).map(PAssertedIdentity)
    }
}

impl fmt::Display for PAssertedIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
