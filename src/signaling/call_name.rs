//! The name that a page has for its call: its own where the call was joined with another one.

use super::Event;
use crate::base::CallId;

impl Event {
    /// The same under another call's id.
    pub(super) fn of_call(mut self, known: CallId) -> Event {
        match &mut self {
            Event::CallIncoming(incoming) => incoming.call = known,
            Event::CallState { call, .. }
            | Event::CallMedia { call, .. }
            | Event::CallHeld { call, .. }
            | Event::CallTransfer { call, .. }
            | Event::CallMessage { call, .. }
            | Event::CallCancelled { call, .. }
            | Event::CallEnded { call, .. }
            | Event::Ice { call, .. }
            | Event::Dtmf { call, .. }
            | Event::DtmfSent { call, .. }
            | Event::CallStats { call, .. }
            | Event::CallWarning { call, .. }
            | Event::DtmfMode { call, .. } => *call = known,
            Event::VoicemailWaiting { .. }
            | Event::TokenExpiring { .. }
            | Event::Closing { .. } => {}
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signaling::CallState;

    #[test]
    fn news_of_a_joined_call_come_under_the_name_that_the_page_has_for_it() {
        let (own, known) = (CallId::from_parts(1, 1), CallId::from_parts(1, 2));
        let told = Event::state(own, CallState::Active, None).of_call(known);
        assert_eq!(told, Event::state(known, CallState::Active, None));
    }
}
