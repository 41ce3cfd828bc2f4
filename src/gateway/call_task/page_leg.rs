//! A page's leg: ringing it, and what its user asks.

use std::time::Duration;

use super::MediaOf;
use super::PageAsk;
use super::legs::{Callee, CalleePage, Caller};
use super::machine::CallTask;
use super::trunk_leg::media_rejection;
use crate::base::{Cause, SessionId};
use crate::call::{Input, Leg, LegEvent, Rejection};
use crate::gateway::timeline::Speaker;
use crate::media::{self, LegSide};
use crate::signaling::socket::Page;
use crate::signaling::{CallIncoming, ErrorCode, Event, MediaMode, Refusal, Reply, Words};

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
        self.park_old_party();
        let record = self.engine.record();
        let (metadata, verified) = match (self.handing_metadata(), &self.caller) {
            (Some(handed), _) => (handed, None),
            (None, Caller::Trunk(trunk)) => (trunk.metadata.clone(), trunk.verified),
            (None, _) => Default::default(),
        };
        let (from, to) = self.handing_parties().unwrap_or((record.from.clone(), record.to.clone()));
        self.signal(Speaker::Gateway, "call.incoming");
        live.page.event(Event::CallIncoming(Box::new(CallIncoming {
            call: self.id,
            from,
            to,
            metadata,
            sdp: offer,
            verified,
        })));
        Ok(Callee::Page(CalleePage {
            session,
            user: live.claims.sub,
            page: live.page,
            media,
            answered: false,
            warm: false,
            told_end: false,
        }))
    }

    /// What a page asks of its leg.
    pub(super) async fn page_leg_asks(&mut self, leg: Leg, ask: PageAsk) -> Result<Reply, Refusal> {
        let done = match ask {
            PageAsk::Media { mode, sdp } => return self.renew_media(leg, mode, sdp).await,
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
            PageAsk::HangUp if self.is_handing_over(leg) => {
                self.page_leaves(leg);
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
            PageAsk::SendTones(send) => {
                let items = send.items(self.digit_pacing());
                self.engine_tones(leg, items)
            }
            PageAsk::Press(digit) => {
                self.digits_can_go()?;
                self.with_trunk_media(leg, |m| m.press(LegSide::Trunk, digit))
            }
            PageAsk::Release => self.with_trunk_media(leg, |m| m.release(LegSide::Trunk)),
            PageAsk::CancelTones => self.with_trunk_media(leg, |m| m.cancel_digits(LegSide::Trunk)),
            PageAsk::Transfer(to) => return self.transfer(leg, to).await,
            PageAsk::Hold(hold) => self.hold(leg, hold).await,
        };
        done.map(|()| Reply::Done {})
    }

    /// The page's peer connection gets new ICE credentials, or another one takes its place; the rest
    /// of the call does not notice.
    async fn renew_media(
        &mut self,
        leg: Leg,
        mode: MediaMode,
        sdp: String,
    ) -> Result<Reply, Refusal> {
        if mode == MediaMode::Warm {
            return self.warm_up(leg, sdp).await;
        }
        let Some(media) = self.media_of_page(leg) else {
            return Err(Refusal::new(ErrorCode::SignalWrongState));
        };
        let answer = match mode {
            MediaMode::Warm => return Err(Refusal::new(ErrorCode::SignalWrongState)),
            MediaMode::Restart => media.browser_restart(sdp).await,
            MediaMode::NewPeer => media.browser_offer(sdp).await,
        };
        tracing::info!(call.id = %self.id, ?mode, ok = answer.is_ok(), "the page renews its media");
        match (answer, mode) {
            (Ok(sdp), _) => Ok(Reply::Media { sdp }),
            (Err(media::Error::OutOfOrder(words)), MediaMode::Restart) => {
                Err(Refusal::new(ErrorCode::MediaRestart).saying(words))
            }
            (Err(error), _) => Err(media_refusal(error)),
        }
    }

    /// A page that rings brings its peer connection up, so that its user is heard at once.
    async fn warm_up(&mut self, leg: Leg, sdp: String) -> Result<Reply, Refusal> {
        let wrong_state = || Refusal::new(ErrorCode::SignalWrongState);
        let Leg::Callee(n) = leg else { return Err(wrong_state()) };
        let Some(Callee::Page(page)) = self.callees.get_mut(usize::from(n)) else {
            return Err(wrong_state());
        };
        if page.answered || page.warm || page.told_end {
            return Err(wrong_state());
        }
        page.media.browser_answer(sdp).await.map_err(media_refusal)?;
        page.warm = true;
        Ok(Reply::Done {})
    }

    /// The peer connection of a page that was up is lost: where the page can be told, it gets an
    /// offer with new ICE credentials.
    pub(super) async fn offer_restart(&mut self, leg: Leg) {
        let session = match leg {
            Leg::Caller => self.caller.page().map(|page| page.session),
            Leg::Callee(n) => match self.callees.get(usize::from(n)) {
                Some(Callee::Page(page)) => Some(page.session),
                _ => None,
            },
        };
        let live = session.and_then(|session| self.gateway.registry.page(session));
        if live.is_none_or(|live| !live.there) {
            return;
        }
        let Some(media) = self.media_of_page(leg) else { return };
        match media.restart_offer().await {
            Ok(sdp) => {
                if let Some(page) = self.page_of(leg) {
                    page.event(Event::CallMedia { call: self.id, sdp });
                }
            }
            Err(error) => tracing::debug!(call.id = %self.id, %error, "no restart offered"),
        }
    }

    async fn page_answers(&mut self, leg: Leg, sdp: String) -> Result<(), Refusal> {
        let wrong_state = || Refusal::new(ErrorCode::SignalWrongState);
        if self.is_talking(leg)
            && let Some(media) = self.media_of_page(leg)
        {
            return media.browser_answer(sdp).await.map_err(media_refusal);
        }
        let Leg::Callee(n) = leg else { return Err(wrong_state()) };
        let Some(Callee::Page(page)) = self.callees.get_mut(usize::from(n)) else {
            return Err(wrong_state());
        };
        if page.answered || page.told_end {
            return Err(wrong_state());
        }
        if !(page.warm && sdp.is_empty()) {
            page.media.browser_answer(sdp).await.map_err(media_refusal)?;
        }
        page.answered = true;
        let user = page.user.clone();
        self.talking.push(self.gateway.idle.talks(user));
        self.feed(Input::Leg(leg, LegEvent::Answered));
        Ok(())
    }

    /// Whether the page of this leg has placed or taken the call: its answers are to renewals.
    fn is_talking(&self, leg: Leg) -> bool {
        match leg {
            Leg::Caller => true,
            Leg::Callee(n) => matches!(
                self.callees.get(usize::from(n)),
                Some(Callee::Page(page)) if page.answered && !page.told_end
            ),
        }
    }

    /// What the application's server says, to every page that has the call, rung ones among them.
    pub(super) fn tell_pages(&self, data: &Words) {
        let say = |page: &Page| {
            page.event(Event::CallMessage { call: self.id, data: data.clone() });
        };
        if let Caller::Page(page) = &self.caller
            && !page.told_end
        {
            say(&page.page);
        }
        for callee in &self.callees {
            if let Callee::Page(page) = callee
                && !page.told_end
            {
                say(&page.page);
            }
        }
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
            (Leg::Caller, Caller::Trunk(_) | Caller::Line(_)) => None,
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
            (Leg::Caller, Caller::Trunk(_) | Caller::Line(_)) => {}
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
