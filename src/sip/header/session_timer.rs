//! Session-Expires and Min-SE (RFC 4028 4, 5): how long a session lives without a refresh.

use std::fmt;

use super::TypedHeader;
use crate::sip::grammar::{self, Malformed};
use crate::sip::params::Params;

/// Who refreshes the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refresher {
    /// The side that sent the request.
    Uac,
    /// The side that answers it.
    Uas,
}

/// The session interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionExpires {
    /// Seconds from one refresh to the end.
    pub seconds: u32,
    /// Who refreshes, where it is said.
    pub refresher: Option<Refresher>,
}

/// The shortest session interval a peer takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MinSe {
    /// Seconds.
    pub seconds: u32,
}

impl TypedHeader for SessionExpires {
    const NAME: &'static str = "Session-Expires";

    fn parse(value: &str) -> Result<SessionExpires, Malformed> {
        let (seconds, params) = seconds(value)?;
        let refresher = match params.get("refresher") {
            Some(who) if who.eq_ignore_ascii_case("uac") => Some(Refresher::Uac),
            Some(who) if who.eq_ignore_ascii_case("uas") => Some(Refresher::Uas),
            Some(_) => return Err(Malformed("the refresher is uac or uas")),
            None => None,
        };
        Ok(SessionExpires { seconds, refresher })
    }
}

impl TypedHeader for MinSe {
    const NAME: &'static str = "Min-SE";

    fn parse(value: &str) -> Result<MinSe, Malformed> {
        seconds(value).map(|(seconds, _)| MinSe { seconds })
    }
}

impl fmt::Display for SessionExpires {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.seconds.fmt(f)?;
        f.write_str(match self.refresher {
            Some(Refresher::Uac) => ";refresher=uac",
            Some(Refresher::Uas) => ";refresher=uas",
            None => "",
        })
    }
}

impl fmt::Display for MinSe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.seconds.fmt(f)
    }
}

fn seconds(value: &str) -> Result<(u32, Params), Malformed> {
    let value = grammar::trim(value);
    let end = value.find(';').unwrap_or(value.len());
    let seconds = grammar::number(grammar::trim(&value[..end]));
    let seconds = seconds.ok_or(Malformed("a session interval is a number of seconds"))?;
    Ok((seconds, Params::parse(&value[end..])?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_and_refreshers() {
        let table = [
            ("1800", 1800, None),
            ("90;refresher=uac", 90, Some(Refresher::Uac)),
            ("90 ; Refresher = UAS", 90, Some(Refresher::Uas)),
        ];
        for (value, seconds, refresher) in table {
            let header = SessionExpires::parse(value).unwrap();
            assert_eq!(header, SessionExpires { seconds, refresher }, "{value}");
            assert_eq!(SessionExpires::parse(&header.to_string()), Ok(header), "{value}");
        }
        for value in ["", "x", "90;refresher=me", "-1"] {
            assert!(SessionExpires::parse(value).is_err(), "{value}");
        }
        assert_eq!(MinSe::parse("90;x=y").unwrap().to_string(), "90");
    }
}
