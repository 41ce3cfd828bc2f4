//! Typed headers, one file per family. A value is parsed from, and written as, the text of one
//! header (or of one element of a list).

mod auth;
mod contact;
mod cseq;
mod diversion;
mod identity;
pub(super) mod name;
mod options;
mod reason;
mod refer;
mod reliable;
mod retry_after;
mod route;
mod session_timer;
mod subscription;
mod via;
mod warning;

use std::fmt::Display;

pub use auth::{AuthParams, Authorization, ProxyAuthenticate, ProxyAuthorization, WwwAuthenticate};
pub use contact::Contact;
pub use cseq::CSeq;
pub use diversion::{Diversion, HistoryInfo};
pub use identity::PAssertedIdentity;
pub use options::{AcceptEncoding, Allow, Require, Supported, Unsupported};
pub use reason::Reason;
pub use refer::{ReferTo, ReferredBy, Replaces};
pub use reliable::{RAck, RSeq};
pub use retry_after::RetryAfter;
pub use route::{RecordRoute, Route};
pub use session_timer::{MinSe, Refresher, SessionExpires};
pub use subscription::{EventPackage, SubscriptionState};
pub use via::Via;
pub use warning::Warning;

use super::grammar::Malformed;

/// A header with a type of its own. `Display` writes its value.
pub trait TypedHeader: Display + Sized {
    /// Its full name.
    const NAME: &'static str;

    /// Parses its value, or one element when the header is a list.
    fn parse(value: &str) -> Result<Self, Malformed>;
}
