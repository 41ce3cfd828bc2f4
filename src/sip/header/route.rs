//! Route and Record-Route (RFC 3261 20.34, 20.30): the proxies a dialog's requests pass.

use std::fmt;

use super::TypedHeader;
use crate::sip::address::NameAddr;
use crate::sip::grammar::Malformed;

/// One hop that the request has yet to pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route(pub NameAddr);

/// One proxy that wants to stay in the dialog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordRoute(pub NameAddr);

impl TypedHeader for Route {
    const NAME: &'static str = "Route";

    fn parse(value: &str) -> Result<Route, Malformed> {
        NameAddr::parse(value).map(Route)
    }
}

impl TypedHeader for RecordRoute {
    const NAME: &'static str = "Record-Route";

    fn parse(value: &str) -> Result<RecordRoute, Malformed> {
        NameAddr::parse(value).map(RecordRoute)
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for RecordRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
