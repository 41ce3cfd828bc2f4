//! CSeq (RFC 3261 20.16): a number and a method, which order and match transactions.

use std::fmt;

use rsip::Method;

use super::TypedHeader;
use crate::sip::grammar::{self, Malformed};
use crate::sip::method;

/// The command sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CSeq {
    /// 0 to 2^31 - 1.
    pub number: u32,
    /// The request's method.
    pub method: Method,
}

impl CSeq {
    /// Splits the value into its number and the name of a method, known or not.
    pub(in crate::sip) fn split(value: &str) -> Result<(u32, &str), Malformed> {
        let wrong = Malformed("CSeq is a number below 2^31 and a method");
        let (number, method) = grammar::trim(value).split_once([' ', '\t']).ok_or(wrong)?;
        let number = grammar::number(number).filter(|number| *number < 1 << 31).ok_or(wrong)?;
        let method = grammar::trim(method);
        if grammar::is_token(method) { Ok((number, method)) } else { Err(wrong) }
    }
}

impl TypedHeader for CSeq {
    const NAME: &'static str = "CSeq";

    fn parse(value: &str) -> Result<CSeq, Malformed> {
        let (number, name) = CSeq::split(value)?;
        let method = method::parse(name).ok_or(Malformed("the method of CSeq is not known"))?;
        Ok(CSeq { number, method })
    }
}

impl fmt::Display for CSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, method::name(self.method))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_and_a_method() {
        let cseq = CSeq::parse("0009  INVITE").unwrap();
        assert_eq!(cseq, CSeq { number: 9, method: Method::Invite });
        assert_eq!(cseq.to_string(), "9 INVITE");
        assert_eq!(CSeq::parse("1 PRACK").unwrap().to_string(), "1 PRACK");
    }

    #[test]
    fn anything_else_is_refused() {
        let table = [
            "",
            "1",
            "INVITE",
            "1 ",
            "-1 INVITE",
            "2147483648 INVITE",
            "1 INVITE x",
            "1 invite",
            "1 FOO",
        ];
        for text in table {
            assert!(CSeq::parse(text).is_err(), "{text}");
        }
    }
}
