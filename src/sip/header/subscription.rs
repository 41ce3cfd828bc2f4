//! Event and Subscription-State (RFC 6665 8.2.1, 8.2.3): what NOTIFY is about, and whether more
//! follows. The only package spoken here is `refer` (RFC 3515 3).

use std::fmt;

use super::TypedHeader;
use crate::sip::grammar::{self, Malformed};
use crate::sip::params::Params;

/// The package and, where several subscriptions share a dialog, the one meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPackage {
    /// `refer`, and whatever else peers send.
    pub package: String,
    /// The CSeq number of the REFER (RFC 3515 2.4.6).
    pub id: Option<u32>,
}

/// The state of a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubscriptionState {
    /// More will follow, for so many seconds.
    Active(u32),
    /// Nothing follows; why, in the words of RFC 6665 4.1.3.
    Terminated(String),
}

impl TypedHeader for EventPackage {
    const NAME: &'static str = "Event";

    fn parse(value: &str) -> Result<EventPackage, Malformed> {
        let (package, params) = head_and_params(value)?;
        let id = params.get("id").and_then(grammar::number);
        Ok(EventPackage { package, id })
    }
}

impl TypedHeader for SubscriptionState {
    const NAME: &'static str = "Subscription-State";

    fn parse(value: &str) -> Result<SubscriptionState, Malformed> {
        let (state, params) = head_and_params(value)?;
        if state.eq_ignore_ascii_case("terminated") {
            let reason = params.get("reason").unwrap_or_default().to_owned();
            return Ok(SubscriptionState::Terminated(reason));
        }
        let seconds = params.get("expires").and_then(grammar::number).unwrap_or_default();
        Ok(SubscriptionState::Active(seconds))
    }
}

impl fmt::Display for EventPackage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.package)?;
        self.id.map_or(Ok(()), |id| write!(f, ";id={id}"))
    }
}

impl fmt::Display for SubscriptionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SubscriptionState::Active(seconds) => write!(f, "active;expires={seconds}"),
            SubscriptionState::Terminated(reason) if reason.is_empty() => f.write_str("terminated"),
            SubscriptionState::Terminated(reason) => write!(f, "terminated;reason={reason}"),
        }
    }
}

fn head_and_params(value: &str) -> Result<(String, Params), Malformed> {
    let value = grammar::trim(value);
    let end = value.find(';').unwrap_or(value.len());
    let head = grammar::trim(&value[..end]);
    if !grammar::is_token(head) {
        return Err(Malformed("the value starts with a token"));
    }
    Ok((head.to_owned(), Params::parse(&value[end..])?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_and_states() {
        let event = EventPackage::parse("refer;id=93809824").unwrap();
        assert_eq!((event.package.as_str(), event.id), ("refer", Some(93_809_824)));
        assert_eq!(event.to_string(), "refer;id=93809824");
        assert_eq!(EventPackage::parse("refer").unwrap().id, None);
        let table = [
            ("active;expires=60", SubscriptionState::Active(60)),
            ("pending", SubscriptionState::Active(0)),
            ("terminated;reason=noresource", SubscriptionState::Terminated("noresource".into())),
        ];
        for (value, state) in table {
            assert_eq!(SubscriptionState::parse(value), Ok(state), "{value}");
        }
        assert!(EventPackage::parse("").is_err());
        assert!(SubscriptionState::parse("a b").is_err());
    }
}
