//! A page's leg: ringing it, and what its user asks.

use std::time::Duration;

use super::MediaOf;
use super::PageAsk;
use super::legs::{Callee, CalleePage, Caller};
use super::machine::CallTask;
use super::trunk_leg::media_rejection;
use crate::base::{Cause, SessionId};
use crate::call::{Input, Leg, LegEvent, Rejection};
use crate::media::{self, LegSide};
use crate::signaling::{CallIncoming, ErrorCode, Event, Refusal};

impl CallTask {
    /// Rings a page: a media session of its own, our offer in `call.incoming`.
    pub(super) async fn dial_page(
        &mut self,
        n: u8,
        session: SessionId,
    ) -> Result<Callee, Rejection> {
        let Some(live) = self.gateway.registry.page(session) else {
            return Err(Rejection::plain(Cause::Unreachable));
        };
        let (media, events) = self.gateway.pool.open(self.id).map_err(media_rejection)?;
        self.follow_media(MediaOf::Callee(n), events);
        let offer = media.offer_browser().await.map_err(media_rejection)?;
        let record = self.engine.record();
        live.page.event(Event::CallIncoming(Box::new(CallIncoming {
            call: self.id,
            from: record.from.clone(),
            to: record.to.clone(),
            metadata: Default::default(),
            sdp: offer,
            verified: None,
        })));
        Ok(Callee::Page(CalleePage {
            session,
            user: live.claims.sub,
            page: live.page,
            media,
            answered: false,
            told_end: false,
        }))
    }

    /// What a page asks of its leg.
    pub(super) async fn page_leg_asks(&mut self, leg: Leg, ask: PageAsk) -> Result<(), Refusal> {
        match ask {
            PageAsk::Answer { sdp } => self.page_answers(leg, sdp).await,
            PageAsk::Reject { cause } => {
                let Leg::Callee(n) = leg else {
                    return Err(Refusal::new(ErrorCode::SignalWrongState));
                };
                if let Some(Callee::Page(page)) = self.callees.get_mut(usize::from(n)) {
                    page.told_end = true;
                    page.media.close();
                }
                self.feed(Input::Leg(leg, LegEvent::Rejected(Rejection::plain(cause))));
                Ok(())
            }
            PageAsk::HangUp => {
                self.feed(Input::Leg(leg, LegEvent::Ended(Cause::Hangup)));
                Ok(())
            }
            PageAsk::Candidate(candidate) => {
                if let Some(media) = self.media_of_page(leg)
                    && let Err(error) = media.browser_candidate(candidate)
                {
                    tracing::debug!(call.id = %self.id, %error, "candidate not used");
                }
                Ok(())
            }
            PageAsk::SendTones(tones) => self.engine_tones(leg, tones),
            PageAsk::Press(digit) => {
                self.digits_can_go()?;
                self.with_trunk_media(leg, |m| m.press(LegSide::Trunk, digit))
            }
            PageAsk::Release => self.with_trunk_media(leg, |m| m.release(LegSide::Trunk)),
            PageAsk::CancelTones => self.with_trunk_media(leg, |m| m.cancel_digits(LegSide::Trunk)),
        }
    }

    async fn page_answers(&mut self, leg: Leg, sdp: String) -> Result<(), Refusal> {
        let wrong_state = || Refusal::new(ErrorCode::SignalWrongState);
        let Leg::Callee(n) = leg else { return Err(wrong_state()) };
        let Some(Callee::Page(page)) = self.callees.get_mut(usize::from(n)) else {
            return Err(wrong_state());
        };
        if page.answered || page.told_end {
            return Err(wrong_state());
        }
        page.media.browser_answer(sdp).await.map_err(media_refusal)?;
        page.answered = true;
        let user = page.user.clone();
        self.talking.push(self.gateway.idle.talks(user));
        self.feed(Input::Leg(leg, LegEvent::Answered));
        Ok(())
    }

    fn with_trunk_media(
        &self,
        leg: Leg,
        act: impl FnOnce(&media::Session) -> Result<(), media::Error>,
    ) -> Result<(), Refusal> {
        match self.media_of_page(leg) {
            Some(media) => act(media).map_err(media_refusal),
            None => Err(Refusal::new(ErrorCode::SignalWrongState)),
        }
    }

    /// The media session that holds the page side of `leg`.
    pub(super) fn media_of_page(&self, leg: Leg) -> Option<&media::Session> {
        match (leg, &self.caller) {
            (Leg::Caller, Caller::Page(_)) => self.media.as_ref(),
            (Leg::Caller, Caller::Trunk(_)) => None,
            (Leg::Callee(n), _) => match self.callees.get(usize::from(n)) {
                Some(Callee::Page(page)) => Some(&page.media),
                _ => None,
            },
        }
    }

    /// The page of this leg knows that its part in the call is over.
    pub(super) fn mark_told(&mut self, leg: Leg) {
        match (leg, &mut self.caller) {
            (Leg::Caller, Caller::Page(page)) => page.told_end = true,
            (Leg::Callee(n), _) => {
                if let Some(Callee::Page(page)) = self.callees.get_mut(usize::from(n)) {
                    page.told_end = true;
                    page.media.close();
                }
            }
            (Leg::Caller, Caller::Trunk(_)) => {}
        }
    }
}

/// What a page hears when media cannot do what it asked.
pub(super) fn media_refusal(error: media::Error) -> Refusal {
    let code = match error {
        media::Error::BadSdp(_) | media::Error::BadCandidate(_) | media::Error::AddressRefused => {
            ErrorCode::MediaBadSdp
        }
        media::Error::NoCommonCodec => ErrorCode::MediaNoCodec,
        media::Error::OutOfOrder(_) | media::Error::Closed => ErrorCode::SignalWrongState,
        media::Error::Overloaded | media::Error::NoPort => ErrorCode::ServerOverloaded,
        media::Error::System(_) | media::Error::Internal => ErrorCode::ServerInternal,
    };
    let words = error.to_string();
    let refusal = Refusal::new(code).saying(words);
    match code {
        ErrorCode::ServerOverloaded => refusal.after_ms(BUSY_WAIT.as_millis() as u64),
        _ => refusal,
    }
}

const BUSY_WAIT: Duration = Duration::from_secs(5);
