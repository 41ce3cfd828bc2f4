//! Diversion (RFC 5806) and History-Info (RFC 7044): whose call it was before it came here.

use std::fmt;

use super::TypedHeader;
use crate::sip::address::NameAddr;
use crate::sip::grammar::Malformed;

/// One diversion; the newest stands first (RFC 5806 4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diversion(pub NameAddr);

/// One entry of the history; indexes grow with time (RFC 7044 5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryInfo(pub NameAddr);

impl Diversion {
    /// Why: `no-answer`, `user-busy`, `unconditional` and the like.
    pub fn reason(&self) -> Option<String> {
        self.0.params.unquoted("reason").map(|reason| reason.into_owned())
    }
}

impl HistoryInfo {
    /// Its place in the tree of retargetings: `1`, `1.1`, `1.1.1` and so on.
    pub fn index(&self) -> Option<&str> {
        self.0.params.get("index")
    }
}

impl TypedHeader for Diversion {
    const NAME: &'static str = "Diversion";

    fn parse(value: &str) -> Result<Diversion, Malformed> {
        NameAddr::parse(value).map(Diversion)
    }
}

impl TypedHeader for HistoryInfo {
    const NAME: &'static str = "History-Info";

    fn parse(value: &str) -> Result<HistoryInfo, Malformed> {
        NameAddr::parse(value).map(HistoryInfo)
    }
}

impl fmt::Display for Diversion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for HistoryInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_called_first() {
        let diversion =
            Diversion::parse("<sip:+4930111@h>;reason=no-answer;counter=1;privacy=off").unwrap();
        assert_eq!(diversion.0.uri.user(), Some("+4930111"));
        assert_eq!(diversion.reason().as_deref(), Some("no-answer"));
        let history =
            HistoryInfo::parse("<sip:+4930111@h?Reason=SIP%3Bcause%3D302>;index=1.1;mp=1").unwrap();
        assert_eq!(history.index(), Some("1.1"));
    }
}
