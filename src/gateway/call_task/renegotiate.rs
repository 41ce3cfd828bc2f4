//! Offers and answers after the first: re-INVITE and UPDATE of the trunk, late offers, and the hold of
//! either side.
//!
//! What the page wants holds in media at once. The trunk is told by re-INVITE; one that is met by the
//! trunk's own (491) goes out again when its time has come, one that is refused changes nothing here.

use super::legs::{Callee, Caller};
use super::machine::CallTask;
use super::trunk_leg::{first_codec, sdp_of};
use crate::base::Cause;
use crate::call::{Input, Leg, LegEvent, State};
use crate::gateway::sip_words;
use crate::media::{self, Hold, Phase};
use crate::signaling::socket::Page;
use crate::signaling::{ErrorCode, Event, HeldBy, Refusal};
use crate::sip::{Answer, Body, Command, OfferIn, Session};

/// Who holds whom, and what the trunk knows of it.
#[derive(Debug, Default)]
pub(super) struct Holding {
    /// What the page wants.
    pub wanted: Hold,
    /// What the trunk was told last, in so far as it took notice.
    told: Hold,
    /// Between two pages: what the callee's page wants.
    pub callee_wants: Hold,
    /// What an offer on its way says.
    offered: Option<Hold>,
    /// What the trunk's SDP says of its side.
    by_trunk: Hold,
    /// SIP sessions whose ACK owes the answer to an offer of ours.
    late: Vec<Session>,
}

impl Holding {
    /// As the page is told.
    pub(super) fn by(&self) -> Option<HeldBy> {
        match (self.wanted, self.by_trunk) {
            (Hold::Off, Hold::Off) => None,
            (Hold::On, Hold::Off) => Some(HeldBy::Local),
            (Hold::Off, Hold::On) => Some(HeldBy::Remote),
            (Hold::On, Hold::On) => Some(HeldBy::Both),
        }
    }

    /// The 200 of this session holds our offer.
    pub(super) fn owes_answer(&mut self, session: Session) {
        self.late.push(session);
    }

    /// Whether an answer is owed, by either side.
    pub(super) fn is_unsettled(&self) -> bool {
        self.offered.is_some() || !self.late.is_empty()
    }
}

impl CallTask {
    /// The page of `leg` holds the far side, or lets it go.
    pub(super) async fn hold(&mut self, leg: Leg, wanted: Hold) -> Result<(), Refusal> {
        if self.is_between_pages() {
            return self.hold_page(leg, wanted).await;
        }
        let talks = self.talking_trunk().is_some() && self.handing.is_none();
        if self.engine.state() != State::Connected || !talks {
            return Err(Refusal::new(ErrorCode::SignalWrongState));
        }
        if self.holding.wanted != wanted {
            self.holding.wanted = wanted;
            self.offer_hold().await;
            self.tell_held();
        }
        Ok(())
    }

    /// Tells the trunk what the page wants, where it does not know.
    pub(super) async fn offer_hold(&mut self) {
        let wanted = self.holding.wanted;
        if self.holding.offered.is_some() || self.holding.told == wanted || self.arriving.is_some()
        {
            return;
        }
        let Some(leg) = self.talking_trunk() else { return };
        let (Some(session), Some(media)) = (self.sip_of(leg), self.media_of_trunk(leg)) else {
            return;
        };
        match media.reoffer_trunk(wanted).await {
            Ok(sdp) => {
                self.holding.offered = Some(wanted);
                tracing::info!(call.id = %self.id, ?wanted, "hold offered");
                let body = Some(Body::sdp(sdp));
                self.gateway.sip(Command::Reinvite { session, body }).await;
            }
            Err(error) => tracing::warn!(call.id = %self.id, %error, "hold not offered"),
        }
    }

    /// What became of a re-INVITE of ours: a hold, or a refresh that the endpoint sent by itself.
    pub(super) async fn reinvite_done(
        &mut self,
        session: Session,
        answer: &Answer,
        offer: OfferIn,
    ) {
        let Some(leg) = self.leg_of_sip(session) else { return };
        if self.is_arriving(session) {
            return self.arrived(answer, offer).await;
        }
        let offered = self.holding.offered.take();
        match answer.status {
            200..=299 => {
                self.hear_allow(leg, &answer.allow);
                let taken = match (offer, sdp_of(answer.body.as_ref())) {
                    (OfferIn::Invite, Some(sdp)) => {
                        self.take_trunk_sdp(leg, sdp, Phase::Final).await
                    }
                    _ => Err(media::Error::BadSdp("a 2xx without an answer".to_owned())),
                };
                if let Err(error) = taken {
                    tracing::warn!(call.id = %self.id, %error, "the answer changes nothing");
                    self.withdraw(leg);
                }
                if let Some(offered) = offered {
                    self.holding.told = offered;
                    tracing::debug!(call.id = %self.id, ?offered, "the trunk knows of the hold");
                }
            }
            // `Reoffer` follows.
            491 => return self.withdraw(leg),
            status => {
                tracing::info!(call.id = %self.id, status, "re-INVITE refused by the trunk");
                self.withdraw(leg);
                if let Some(offered) = offered {
                    // It is held here all the same, without its knowledge.
                    self.holding.told = offered;
                }
            }
        }
        self.offer_hold().await;
    }

    /// What met an offer of the other side's goes out again.
    pub(super) async fn offer_again(&mut self) {
        match self.arriving {
            Some(_) => self.offer_to_arriving().await,
            None => self.offer_hold().await,
        }
    }

    pub(super) fn withdraw(&self, leg: Leg) {
        if let Some(media) = self.media_of_trunk(leg) {
            self.media_command(media.withdraw_trunk_offer());
        }
    }

    /// The ACK of our 200: holds the answer where the 200 held the offer.
    pub(super) async fn acked(&mut self, session: Session, body: Option<Body>) {
        let Some(at) = self.holding.late.iter().position(|own| *own == session) else { return };
        self.holding.late.remove(at);
        let Some(leg) = self.leg_of_sip(session) else { return };
        let taken = match sdp_of(body.as_ref()) {
            Some(sdp) => self.take_trunk_sdp(leg, sdp, Phase::Final).await,
            None => Err(media::Error::BadSdp("the ACK has no answer".to_owned())),
        };
        if let Err(error) = taken {
            // RFC 3261 13.2.1: without an answer there is no session.
            tracing::warn!(call.id = %self.id, %error, "no answer in the ACK");
            self.feed(Input::End(Cause::MediaFailed));
        }
    }

    /// A new offer within the call, or the wish for ours: one that media cannot take leaves all as
    /// it was.
    pub(super) async fn reinvited(&mut self, session: Session, body: Option<Body>) {
        let answer = match &body {
            Some(_) => self.answer_offer(session, sdp_of(body.as_ref())).await,
            None => self.offer_late(session).await,
        };
        let reply = match answer {
            Ok(sdp) => {
                if body.is_none() {
                    self.holding.owes_answer(session);
                }
                Command::Answer { session, headers: Vec::new(), body: Some(Body::sdp(sdp)) }
            }
            Err(error) => {
                tracing::info!(call.id = %self.id, %error, "re-INVITE refused");
                let headers = sip_words::refusal_headers(Cause::MediaFailed, None);
                Command::Reject { session, status: 488, phrase: None, headers }
            }
        };
        self.gateway.sip(reply).await;
    }

    /// The same by UPDATE (RFC 3311).
    pub(super) async fn updated(&mut self, session: Session, body: Body) {
        let reply = match self.answer_offer(session, sdp_of(Some(&body))).await {
            Ok(sdp) => Command::AnswerUpdate { session, body: Body::sdp(sdp) },
            Err(error) => {
                tracing::info!(call.id = %self.id, %error, "UPDATE refused");
                let headers = sip_words::refusal_headers(Cause::MediaFailed, None);
                Command::RejectUpdate { session, status: 488, headers }
            }
        };
        self.gateway.sip(reply).await;
    }

    async fn answer_offer(
        &mut self,
        session: Session,
        sdp: Option<String>,
    ) -> Result<String, media::Error> {
        let nothing = || media::Error::OutOfOrder("no such leg");
        let leg = self.leg_of_sip(session).ok_or_else(nothing)?;
        if !self.is_heard(leg) {
            // An attempt that was given up, or a party that another one is dialled in place of, must not move the media of the next one.
            return Err(nothing());
        }
        let settings = self.trunk_of(leg).ok_or_else(nothing)?.media.clone();
        let sdp = sdp.ok_or_else(|| media::Error::BadSdp("no SDP".to_owned()))?;
        let media = self.media_of_trunk(leg).ok_or_else(nothing)?;
        let answer = media.answer_trunk(sdp, settings).await?;
        if let Some(codec) = first_codec(&answer) {
            self.feed(Input::Leg(leg, LegEvent::Codec(codec.to_owned())));
        }
        Ok(answer)
    }

    /// Our offer for a re-INVITE without one.
    async fn offer_late(&mut self, session: Session) -> Result<String, media::Error> {
        let nothing = || media::Error::OutOfOrder("no such leg");
        let leg = self.leg_of_sip(session).ok_or_else(nothing)?;
        let media = self.media_of_trunk(leg).ok_or_else(nothing)?;
        media.reoffer_trunk(self.holding.wanted).await
    }

    /// The trunk holds, or does so no more.
    pub(super) fn held_by_trunk(&mut self, held: bool) {
        if self.is_between_pages() {
            // Told by the one who asked for it.
            return;
        }
        let by_trunk = if held { Hold::On } else { Hold::Off };
        if self.holding.by_trunk != by_trunk {
            self.holding.by_trunk = by_trunk;
            tracing::info!(call.id = %self.id, held, "hold by the trunk");
            self.tell_held();
        }
    }

    pub(super) fn tell_held(&self) {
        if let Some(page) = self.talking_page() {
            page.event(Event::CallHeld { call: self.id, by: self.holding.by() });
        }
    }

    /// The page that talks, or is to.
    pub(super) fn talking_page(&self) -> Option<Page> {
        match self.stays {
            Some(leg) => self.page_of(leg),
            None => self.page_of(Leg::Caller).or_else(|| self.answered_page()),
        }
    }

    /// The trunk's leg of an answered call.
    pub(super) fn talking_trunk(&self) -> Option<Leg> {
        let leg = match &self.caller {
            _ if self.far.is_some() => self.far?,
            Caller::Trunk(_) => Leg::Caller,
            Caller::Page(_) | Caller::Line(_) => {
                let last = self.callees.iter().rposition(
                    |own| matches!(own, Callee::Trunk(trunk) if trunk.alive && !trunk.given_up),
                )?;
                Leg::Callee(u8::try_from(last).ok()?)
            }
        };
        self.sip_of(leg).map(|_| leg)
    }

    /// Whether the trunk side of the media is this leg's.
    fn is_heard(&self, leg: Leg) -> bool {
        self.talking_trunk() == Some(leg)
    }
}
