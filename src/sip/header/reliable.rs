//! RSeq and RAck (RFC 3262 7.1, 7.2): the numbers of reliable provisional responses.

use std::fmt;

use rsip::Method;

use super::{CSeq, TypedHeader};
use crate::sip::grammar::{self, Malformed};

/// The number of a reliable provisional response, 1 to 2^32 - 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RSeq(pub u32);

/// Which response a PRACK acknowledges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RAck {
    /// The response's RSeq.
    pub response: u32,
    /// The number of the response's CSeq.
    pub number: u32,
    /// The method of the response's CSeq.
    pub method: Method,
}

impl TypedHeader for RSeq {
    const NAME: &'static str = "RSeq";

    fn parse(value: &str) -> Result<RSeq, Malformed> {
        let number = grammar::number(grammar::trim(value)).filter(|number| *number > 0);
        number.map(RSeq).ok_or(Malformed("RSeq is a number of 1 to 2^32 - 1"))
    }
}

impl TypedHeader for RAck {
    const NAME: &'static str = "RAck";

    fn parse(value: &str) -> Result<RAck, Malformed> {
        let wrong = Malformed("RAck is two numbers and a method");
        let (response, cseq) = grammar::trim(value).split_once([' ', '\t']).ok_or(wrong)?;
        let CSeq { number, method } = CSeq::parse(cseq)?;
        Ok(RAck { response: grammar::number(response).ok_or(wrong)?, number, method })
    }
}

impl fmt::Display for RSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for RAck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cseq = CSeq { number: self.number, method: self.method };
        write!(f, "{} {cseq}", self.response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_reliable_responses() {
        assert_eq!(RSeq::parse(" 988789 "), Ok(RSeq(988_789)));
        for wrong in ["0", "", "-1", "4294967296"] {
            assert!(RSeq::parse(wrong).is_err(), "{wrong}");
        }
        let rack = RAck::parse("776656  1 INVITE").unwrap();
        assert_eq!(rack, RAck { response: 776_656, number: 1, method: Method::Invite });
        assert_eq!(rack.to_string(), "776656 1 INVITE");
        for wrong in ["1 INVITE", "1 1", "x 1 INVITE"] {
            assert!(RAck::parse(wrong).is_err(), "{wrong}");
        }
    }
}
