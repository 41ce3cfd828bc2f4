//! A page that hands the other page of its call over: the gateway calls the new party, a number or
//! pages, by the rules of the user who asked, who pays for it. The page that stays keeps its peer
//! connection, its call and its id, and hears ringing until somebody answers.
//!
//! ```text
//! alice -- bob    bob: transfer to carol      alice hears ringing .. carol answers: alice -- carol
//!                                             .. nobody does: alice -- bob
//! ```

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::between_pages::join;
use super::handover::{AskedBy, Handing};
use super::legs::Callee;
use super::machine::CallTask;
use super::transfer::refusal;
use crate::base::{Cause, EndedBy, Party, SessionId};
use crate::call::{Input, Leg, LegEvent};
use crate::gateway::routing::{self, Asks, HandOverRoute};
use crate::signaling::{CallState, ErrorCode, Event, Refusal, Reply, TransferStatus};

impl CallTask {
    /// Begins to call somebody in the place of the page that asks.
    pub(super) fn hand_page_over(&mut self, asking: Leg, to: &str) -> Result<Reply, Refusal> {
        let wrong_state = || Refusal::new(ErrorCode::SignalWrongState);
        let (caller, callee) = self.pages_that_talk().ok_or_else(wrong_state)?;
        if self.handing.is_some()
            || self.joining.is_some()
            || (asking != caller && asking != callee)
        {
            return Err(wrong_state());
        }
        let stays = if asking == caller { callee } else { caller };
        let user = self.user_of(asking).ok_or_else(wrong_state)?;
        let in_call: Vec<SessionId> =
            [caller, callee].into_iter().filter_map(|leg| self.session_of(leg)).collect();
        let live = self.session_of(asking).and_then(|own| self.gateway.registry.page(own));
        let most = live.and_then(|live| live.claims.max_call_s).map(Duration::from_secs);
        let asks = Asks::Page { in_call: &in_call, most };
        let HandOverRoute { targets, dial, counted, max_call } =
            routing::handed_over(&self.gateway, &user, to, asks).map_err(|own| refusal(*own))?;
        let input = Input::HandOver { old: asking, targets, max_call };
        self.engine.handle_input(Instant::now(), input).map_err(|_| wrong_state())?;
        tracing::info!(call.id = %self.id, user.id = %user, "a page hands its call over");
        let from = self.user_of(stays).map(|user| Party {
            uri: format!("user:{user}"),
            user: Some(user),
            ..Party::default()
        });
        let called = Party { uri: to.to_owned(), ..Party::default() };
        let before = self.dial_meanwhile(dial);
        self.handing = Some(Handing {
            by: AskedBy::Page(asking),
            old: asking,
            replaces: None,
            parked: false,
            counted,
            before: (self.stays, self.far),
            dial: before,
            shown: from.map(|from| (from, called)),
        });
        self.stays = Some(stays);
        // As a trunk's 202 to a REFER.
        self.tell_page_transfer(asking, 202);
        Ok(Reply::Transfer { status: TransferStatus::Accepted })
    }

    /// Whether the page of this leg waits for somebody to take its place.
    pub(super) fn is_handing_over(&self, leg: Leg) -> bool {
        self.handing.as_ref().is_some_and(|handing| handing.by == AskedBy::Page(leg))
    }

    /// Who calls and who is called, as a page sees it that is to take a place.
    pub(super) fn handing_parties(&self) -> Option<(Party, Party)> {
        self.handing.as_ref().and_then(|handing| handing.shown.clone())
    }

    /// What such a page is told of the one that wants it.
    pub(super) fn handing_metadata(&self) -> Option<BTreeMap<String, String>> {
        let handing = self.handing.as_ref().filter(|handing| handing.shown.is_some())?;
        let user = self.user_of(handing.old)?;
        Some(BTreeMap::from([("transferred_by".to_owned(), format!("user:{user}"))]))
    }

    /// A page that takes a place hears the page that stays, and is heard by it.
    pub(super) async fn join_new_page(&mut self, new: Leg) {
        let Leg::Callee(n) = new else { return };
        let Some(Callee::Page(page)) = self.callees.get(usize::from(n)) else { return };
        let Some(own) = self.page_media() else { return };
        match join(own, &page.media, self.gateway.pool.own_address()).await {
            Ok(codec) => {
                let codec = codec.to_owned();
                page.page.event(Event::state(self.id, CallState::Active, Some(codec.clone())));
                self.feed(Input::Leg(new, LegEvent::Codec(codec)));
            }
            Err(error) => {
                tracing::warn!(call.id = %self.id, %error, "two pages cannot be joined");
                self.feed(Input::End(Cause::MediaFailed));
            }
        }
    }

    /// How the call to the new party stands, for the page that wants it.
    pub(super) fn tell_page_transfer(&self, leg: Leg, sip: u16) {
        let status = match sip {
            ..200 => TransferStatus::Ringing,
            202 => TransferStatus::Accepted,
            200..300 => TransferStatus::Answered,
            _ => TransferStatus::Failed,
        };
        if let Some(page) = self.page_of(leg).filter(|_| !self.has_left(leg)) {
            page.event(Event::CallTransfer { call: self.id, status, sip: Some(sip) });
        }
    }

    /// The page has handed its place over, or does not wait for that: for it the call is over.
    pub(super) fn page_leaves(&mut self, leg: Leg) {
        if !self.has_left(leg)
            && let Some(page) = self.page_of(leg)
        {
            page.event(Event::ended(self.id, Cause::Hangup, EndedBy::Local, None, None));
        }
        if let Some(user) = self.user_of(leg)
            && let Some(at) = self.talking.iter().position(|talking| *talking.user() == user)
        {
            self.talking.swap_remove(at);
        }
        self.mark_told(leg);
        if leg == Leg::Caller {
            self.caller_left = true;
            if let Some(media) = self.media.take() {
                media.close();
            }
        }
        self.feed(Input::Leg(leg, LegEvent::Ended(Cause::Hangup)));
    }

    fn has_left(&self, leg: Leg) -> bool {
        match leg {
            Leg::Caller => self.caller.page().is_none_or(|page| page.told_end),
            Leg::Callee(n) => match self.callees.get(usize::from(n)) {
                Some(Callee::Page(page)) => page.told_end,
                _ => true,
            },
        }
    }

    /// The page's leg that the operator speaks for.
    pub(super) fn operators_leg(&self) -> Leg {
        let of_caller = self.caller.page().is_some().then_some(Leg::Caller);
        let before = || of_caller.or_else(|| self.answered_page_leg()).unwrap_or(Leg::Caller);
        self.stays.unwrap_or_else(before)
    }

    pub(super) fn session_of(&self, leg: Leg) -> Option<SessionId> {
        match leg {
            Leg::Caller => self.caller.page().map(|page| page.session),
            Leg::Callee(n) => match self.callees.get(usize::from(n)) {
                Some(Callee::Page(page)) => Some(page.session),
                _ => None,
            },
        }
    }
}
