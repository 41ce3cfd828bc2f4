//! Contact (RFC 3261 20.10): where further requests go, or a binding of a registration.

use std::fmt;

use super::TypedHeader;
use crate::sip::address::NameAddr;
use crate::sip::grammar::{self, Malformed};

/// One contact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contact {
    /// An address.
    Address(NameAddr),
    /// `*`: all bindings, in a REGISTER that removes them (RFC 3261 10.2.2).
    All,
}

impl Contact {
    /// The `expires` parameter in seconds (RFC 3261 20.10).
    pub fn expires(&self) -> Option<u32> {
        match self {
            Contact::Address(address) => address.params.get("expires").and_then(grammar::number),
            Contact::All => None,
        }
    }
}

impl TypedHeader for Contact {
    const NAME: &'static str = "Contact";

    fn parse(value: &str) -> Result<Contact, Malformed> {
        match grammar::trim(value) {
            "*" => Ok(Contact::All),
            value => NameAddr::parse(value).map(Contact::Address),
        }
    }
}

impl fmt::Display for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Contact::Address(address) => address.fmt(f),
            Contact::All => f.write_str("*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_or_all() {
        assert_eq!(Contact::parse(" * "), Ok(Contact::All));
        let contact =
            Contact::parse("<sip:a@h>;expires=60;+sip.instance=\"<urn:uuid:1>\"").unwrap();
        assert_eq!(contact.expires(), Some(60));
        let text = "<sip:a@h>;expires=60;+sip.instance=\"<urn:uuid:1>\"";
        assert_eq!(contact.to_string(), text);
        assert!(Contact::parse("sip:a@h?x=y").is_err(), "RFC 4475 3.1.2.13");
    }
}
