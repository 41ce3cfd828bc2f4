//! Lists of names: Allow (RFC 3261 20.5), Require, Supported and Unsupported (20.32, 20.37, 20.40).
//! Each holds the whole list; several header lines are read with `MessageExt::list`.

use std::fmt;

use rsip::Method;

use super::TypedHeader;
use crate::sip::grammar::{self, Malformed};
use crate::sip::method;

/// The methods a peer takes. Those we do not know are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allow(pub Vec<Method>);

impl TypedHeader for Allow {
    const NAME: &'static str = "Allow";

    fn parse(value: &str) -> Result<Allow, Malformed> {
        let names = parse_tokens(value)?;
        Ok(Allow(names.iter().filter_map(|name| method::parse(name)).collect()))
    }
}

impl fmt::Display for Allow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_tokens(f, self.0.iter().map(|method| method::name(*method)))
    }
}

macro_rules! option_tags {
    ($($(#[$doc:meta])* $type:ident = $name:literal,)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $type(pub Vec<String>);

        impl TypedHeader for $type {
            const NAME: &'static str = $name;

            fn parse(value: &str) -> Result<$type, Malformed> {
                parse_tokens(value).map($type)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_tokens(f, self.0.iter().map(String::as_str))
            }
        }
    )*};
}

option_tags! {
    /// The extensions the peer insists on.
    Require = "Require",
    /// The extensions the peer knows.
    Supported = "Supported",
    /// The codings of bodies that are taken (RFC 3261 20.2).
    AcceptEncoding = "Accept-Encoding",
    /// The extensions a 420 refuses.
    Unsupported = "Unsupported",
}

/// The list may be empty, and so may its elements (RFC 4475 3.1.1.1 has `s :` and the like).
fn parse_tokens(value: &str) -> Result<Vec<String>, Malformed> {
    let tokens = grammar::split(value, b',').filter(|token| !token.is_empty());
    tokens
        .map(|token| {
            let token = grammar::is_token(token).then(|| token.to_owned());
            token.ok_or(Malformed("a list of methods or option tags holds tokens"))
        })
        .collect()
}

fn write_tokens<'a>(
    f: &mut fmt::Formatter<'_>,
    tokens: impl Iterator<Item = &'a str>,
) -> fmt::Result {
    for (index, token) in tokens.enumerate() {
        f.write_str(if index == 0 { "" } else { ", " })?;
        f.write_str(token)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_tokens() {
        let allow = Allow::parse("INVITE,ACK , FOO").unwrap();
        assert_eq!(allow.0, [Method::Invite, Method::Ack]);
        assert_eq!(allow.to_string(), "INVITE, ACK");
        assert_eq!(Supported::parse("").unwrap().0, Vec::<String>::new());
        assert_eq!(Require::parse("100rel, timer").unwrap().to_string(), "100rel, timer");
        assert!(Require::parse("a b").is_err());
    }
}
