//! A trunk's leg: dialling it, and what its SIP session says in the words of legs.

use std::sync::Arc;

use super::legs::{Callee, CalleeLine, CalleeTrunk, Caller};
use super::machine::CallTask;
use super::transfer::REFER;
use crate::base::{Cause, SipStatus, TrunkId, mask_numbers};
use crate::call::{Early, Input, Leg, LegEvent, Rejection, Retry};
use crate::dialplan::Law;
use crate::dtmf::parse_info;
use crate::gateway::health::News;
use crate::gateway::sip_words;
use crate::gateway::trunks::Trunk;
use crate::media::{self, Phase, RelayPolicy, TrunkCodec, TrunkMedia};
use crate::signaling::{CallState, Event as PageEvent};
use crate::sip::{
    Answer, Body, Command, End, Event, Invite, LocateError, Method, OfferIn, Origin, Session,
};
use crate::trunk::{self, Failure};

impl CallTask {
    /// Sends the INVITE of an attempt on a trunk.
    pub(super) async fn dial_trunk(&mut self, id: &TrunkId) -> Result<Callee, Rejection> {
        let gateway = self.gateway.clone();
        let Some(trunk) = gateway.trunks.get(id) else {
            return Err(Rejection::plain(Cause::TrunkFailed));
        };
        self.forget_digit_way();
        self.park_old_party();
        let replaces = self.handing.as_ref().and_then(|handing| handing.replaces.clone());
        let Some(dial) = &self.dial else { return Err(Rejection::plain(Cause::Internal)) };
        let Some(media) = self.page_media() else {
            // A trunk that calls a trunk: media of two plain legs is not there yet.
            return Err(Rejection::plain(Cause::MediaFailed));
        };
        let channel = trunk.take_channel(dial.urgency).map_err(|busy| {
            tracing::warn!(call.id = %self.id, trunk.id = %id, ?busy, "trunk full");
            without_status(Cause::LimitReached, Retry::Next)
        })?;
        let located = trunk.locate(&gateway.dns).await;
        let located = located.and_then(|found| {
            let mut found = found.into_iter();
            let first = found.next().ok_or(LocateError::NoSuchName)?;
            Ok((first, found.collect()))
        });
        let (destination, alternatives) = located.map_err(|error| {
            tracing::warn!(call.id = %self.id, trunk.id = %id, %error, "trunk not located");
            self.tell_trunk(id, trunk::Input::Failed);
            without_status(Cause::Unreachable, trunk.retries(Failure::Unreachable))
        })?;
        let wish = dial.dtmf.unwrap_or(trunk.definition.dtmf);
        let settings = match dial.codec {
            Some(law) => TrunkMedia {
                dtmf: wish,
                codecs: vec![trunk_codec(law)],
                relay: RelayPolicy::SameCodec,
                ..trunk.media.clone()
            },
            None => TrunkMedia { dtmf: wish, ..trunk.media.clone() },
        };
        let offer = media.trunk_offer(settings).await.map_err(media_rejection)?;
        let session = gateway.sip.new_session();
        let words = sip_words::invite(trunk, dial, gateway.sip_address(&destination));
        let words = words.map_err(|error| {
            tracing::error!(call.id = %self.id, trunk.id = %id, %error, "INVITE not made");
            Rejection::plain(Cause::Internal)
        })?;
        gateway.registry.add_sip(session, self.id);
        // Made here, so that what is said under it is known as this call's from the first octet.
        let call_id = gateway.new_sip_call_id();
        gateway.sip_trace.belongs(&call_id, self.id);
        tracing::info!(call.id = %self.id, trunk.id = %id, "dialling");
        gateway
            .sip(Command::Invite(Box::new(Invite {
                session,
                call_id: Some(call_id),
                target: words.target,
                destination,
                alternatives,
                from: words.from,
                to: words.to,
                asserted_identity: words.asserted_identity,
                headers: words.headers,
                replaces,
                referred_by: None,
                max_forwards: self.caller.max_forwards(),
                body: Some(Body::sdp(offer)),
                credentials: trunk.credentials(),
            })))
            .await;
        Ok(Callee::Trunk(CalleeTrunk {
            sip: session,
            trunk: trunk.clone(),
            channel: Some(channel),
            alive: true,
            given_up: false,
            described: false,
        }))
    }

    /// Something happened on one of the call's SIP sessions.
    pub(super) async fn sip_event(&mut self, event: Event) {
        if self.ended_elsewhere(&event) {
            return;
        }
        match event {
            Event::Provisional { session, answer } => self.provisional(session, &answer).await,
            Event::Answered { session, answer, offer } => {
                self.answered(session, &answer, offer).await;
            }
            Event::NextDestination { failed, .. } => {
                tracing::info!(call.id = %self.id, failed = %failed.address, "next destination");
                self.gateway.dns.unreachable(failed).await;
            }
            Event::Rejected { session, answer, origin } => self.rejected(session, &answer, origin),
            Event::Acked { session, body } => self.acked(session, body).await,
            Event::Cancelled { session, .. } => self.gone(session, Cause::Cancelled),
            Event::Ended { session, end, reasons } => {
                let cause = match (end, sip_words::q850_of(&reasons)) {
                    (End::ByPeer, Some(16 | 31) | None) | (End::ByUs, _) => Cause::Hangup,
                    (End::ByPeer, Some(value)) => Cause::from_q850(value),
                    (End::NoAck | End::NoPrack | End::Lost | End::Expired, _) => Cause::TrunkFailed,
                    (End::NotAnswered, _) => Cause::NoAnswer,
                };
                self.gone(session, cause);
            }
            Event::Reinvite { session, body } => self.reinvited(session, body).await,
            Event::Info { session, body } => self.info(session, &body),
            Event::RequestDone { request: REFER, answer, .. } => {
                self.refer_answered(answer.status);
            }
            Event::ReferProgress { session, status } => self.refer_progress(session, status),
            Event::RequestDone { session: Some(session), request, answer, .. } => {
                self.info_done(session, request, answer.status);
            }
            Event::Update { session, body, .. } => self.updated(session, body).await,
            Event::Refer { session, refer } => self.referred(session, &refer).await,
            Event::ReinviteDone { session, answer, offer, .. } => {
                self.reinvite_done(session, &answer, offer).await;
            }
            Event::Reoffer { .. } => self.offer_again().await,
            Event::UpdateDone { .. }
            | Event::RequestDone { .. }
            | Event::FlowLost { .. }
            | Event::Incoming(_) => {}
        }
    }

    async fn provisional(&mut self, session: Session, answer: &Answer) {
        let Some(leg) = self.leg_of_sip(session) else { return };
        if let Some(Callee::Trunk(trunk)) = self.callee(leg) {
            let id = trunk.trunk.definition.id.clone();
            self.tell_trunk(&id, trunk::Input::Answered(answer.status));
        }
        if !self.is_dialled_last(leg) {
            // An attempt that was given up: its sound must not take the place of the next one's.
            return;
        }
        // Early media that cannot be used is no media; the answer may bring better.
        let mut early = Early::NoMedia;
        self.hear_allow(leg, &answer.allow);
        if let Some(sdp) = sdp_of(answer.body.as_ref())
            && self.take_trunk_sdp(leg, sdp, Phase::Early).await.is_ok()
        {
            early = Early::Media;
        }
        let event = match answer.status {
            180 => LegEvent::Ringing(early),
            181..=199 => LegEvent::Progress(early),
            _ => LegEvent::Trying,
        };
        self.feed(Input::Leg(leg, event));
    }

    async fn answered(&mut self, session: Session, answer: &Answer, offer: OfferIn) {
        let Some(leg) = self.leg_of_sip(session) else { return };
        self.hear_allow(leg, &answer.allow);
        let taken = match (offer, sdp_of(answer.body.as_ref())) {
            (OfferIn::Invite, Some(sdp)) => self.take_trunk_sdp(leg, sdp, Phase::Final).await,
            // A 200 without a body confirms the answer that a 18x brought (RFC 3261 13.2.1).
            (OfferIn::Invite, None) if self.is_described(leg) => Ok(()),
            (OfferIn::Invite, None) => Err(media::Error::BadSdp("the answer has none".to_owned())),
            // We always offer in the INVITE.
            (OfferIn::Response, _) => Err(media::Error::OutOfOrder("an offer in a 2xx")),
        };
        match taken {
            Ok(()) => self.feed(Input::Leg(leg, LegEvent::Answered)),
            Err(error) => {
                tracing::warn!(call.id = %self.id, %error, "the trunk's answer cannot be used");
                let rejection = media_rejection(error);
                let reasons = sip_words::reasons(rejection.cause, rejection.cause.q850());
                self.gateway.sip(Command::HangUp { session, reasons }).await;
                self.feed(Input::Leg(leg, LegEvent::Rejected(rejection)));
            }
        }
    }

    fn rejected(&mut self, session: Session, answer: &Answer, origin: Origin) {
        let Some(leg) = self.leg_of_sip(session) else { return };
        let Leg::Callee(n) = leg else { return };
        let Some(Callee::Trunk(trunk)) = self.callees.get_mut(usize::from(n)) else { return };
        trunk.alive = false;
        trunk.channel = None;
        self.gateway.registry.remove_sip(session);
        let q850 = sip_words::q850_of(&answer.reasons);
        let given_up = trunk.given_up;
        let trunk = trunk.trunk.clone();
        let news = match origin {
            Origin::Peer => Some(trunk::Input::Answered(answer.status)),
            Origin::Timeout | Origin::Transport if !given_up => Some(trunk::Input::Failed),
            Origin::Timeout | Origin::Transport | Origin::Local => None,
        };
        if let Some(news) = news {
            self.tell_trunk(&trunk.definition.id, news);
        }
        let (cause, sip, retry) = match origin {
            Origin::Peer => {
                let cause = Cause::from_sip(answer.status);
                let sip = SipStatus { status: answer.status, reason: answer.phrase.clone() };
                (cause, Some(sip), trunk.retries(Failure::Status(answer.status)))
            }
            Origin::Timeout => (Cause::TrunkFailed, None, trunk.retries(Failure::Timeout)),
            Origin::Transport => (Cause::Unreachable, None, trunk.retries(Failure::Unreachable)),
            Origin::Local => (Cause::LimitReached, None, Retry::Next),
        };
        tracing::info!(
            call.id = %self.id,
            trunk.id = %trunk.definition.id,
            status = answer.status,
            phrase = %mask_numbers(&answer.phrase),
            q850,
            ?origin,
            "refused by the trunk"
        );
        self.feed(Input::Leg(leg, LegEvent::Rejected(Rejection { cause, sip, q850, retry })));
    }

    fn gone(&mut self, session: Session, cause: Cause) {
        let Some(leg) = self.leg_of_sip(session) else {
            return self.hung_up_on_its_way(session);
        };
        match (&mut self.caller, leg) {
            (Caller::Trunk(trunk), Leg::Caller) => trunk.alive = false,
            (_, Leg::Callee(n)) => {
                if let Some(Callee::Trunk(trunk)) = self.callees.get_mut(usize::from(n)) {
                    trunk.alive = false;
                    trunk.channel = None;
                }
            }
            _ => {}
        }
        self.gateway.registry.remove_sip(session);
        self.feed(Input::Leg(leg, LegEvent::Ended(cause)));
    }

    /// Digits in SIP INFO.
    fn info(&mut self, session: Session, body: &Body) {
        let Some(leg) = self.leg_of_sip(session) else { return };
        match parse_info(&body.content_type, &body.bytes) {
            Ok(Some(info)) => self.digit_from_trunk(leg, &info),
            Ok(None) => {}
            Err(error) => tracing::debug!(call.id = %self.id, %error, "INFO not understood"),
        }
    }

    /// Answers a trunk that calls with the media of the page that took the call.
    pub(super) async fn answer_trunk_with(&mut self, n: u8) {
        let Caller::Trunk(trunk) = &self.caller else { return };
        let settings = TrunkMedia { info: trunk.info, ..trunk.channel.trunk.media.clone() };
        let (session, offer) = (trunk.sip, trunk.offer.clone());
        let late = offer.is_none();
        let media = match self.callees.get(usize::from(n)) {
            Some(Callee::Page(page)) => &page.media,
            Some(Callee::Line(CalleeLine { media: Some(media), .. })) => media,
            _ => return,
        };
        let answer = match offer {
            Some(offer) => media.answer_trunk(offer, settings).await,
            None => media.trunk_offer(settings).await,
        };
        let is_page = matches!(self.callees.get(usize::from(n)), Some(Callee::Page(_)));
        // A line connects its leg itself, when it is served.
        let answer = match is_page {
            true => answer.and_then(|sdp| media.connect().map(|()| sdp)),
            false => answer,
        };
        match answer {
            Ok(sdp) => {
                if let Some(codec) = first_codec(&sdp) {
                    self.feed(Input::Leg(Leg::Caller, LegEvent::Codec(codec.to_owned())));
                }
                let body = Some(Body::sdp(sdp));
                if late {
                    self.holding.owes_answer(session);
                }
                self.gateway.sip(Command::Answer { session, headers: Vec::new(), body }).await;
                if let Caller::Trunk(trunk) = &mut self.caller {
                    trunk.answered = true;
                }
                self.serve_line(n);
                if let Some(Callee::Page(page)) = self.callees.get(usize::from(n)) {
                    let codec = self.engine.record().codec.clone();
                    page.page.event(PageEvent::state(self.id, CallState::Active, codec));
                }
            }
            Err(error) => {
                tracing::warn!(call.id = %self.id, %error, "no media for the trunk's offer");
                self.feed(Input::End(Cause::MediaFailed));
            }
        }
    }

    pub(super) async fn take_trunk_sdp(
        &mut self,
        leg: Leg,
        sdp: String,
        phase: Phase,
    ) -> Result<(), media::Error> {
        let Some(media) = self.media_of_trunk(leg) else {
            return Err(media::Error::OutOfOrder("no media session"));
        };
        let audio = media.trunk_answer(sdp, phase).await?;
        if let Leg::Callee(n) = leg
            && let Some(Callee::Trunk(trunk)) = self.callees.get_mut(usize::from(n))
        {
            trunk.described = true;
        }
        self.feed(Input::Leg(leg, LegEvent::Codec(TrunkCodec::name(audio.codec).to_owned())));
        Ok(())
    }

    /// Whether the trunk takes INFO: media plans with it at the SDP that comes with it.
    pub(super) fn hear_allow(&self, leg: Leg, allow: &[Method]) {
        if allow.is_empty() {
            return;
        }
        if let Some(media) = self.media_of_trunk(leg) {
            self.media_command(media.peer_info(sip_words::info_support(allow)));
        }
    }

    /// The media session that holds the trunk side of `leg`.
    pub(super) fn media_of_trunk(&self, leg: Leg) -> Option<&media::Session> {
        if let Some(stays) = self.stays {
            return self.media_of_page(if leg == stays { self.far? } else { stays });
        }
        match (leg, &self.caller) {
            // Between two pages: the session of the other one.
            (Leg::Caller, Caller::Page(_)) => self.callees.iter().find_map(|callee| match callee {
                Callee::Page(page) if page.answered => Some(&page.media),
                _ => None,
            }),
            (Leg::Caller, Caller::Line(_)) => None,
            (Leg::Callee(_), Caller::Page(_) | Caller::Line(_)) => self.page_media(),
            (_, Caller::Trunk(_)) => self.page_media().or_else(|| {
                self.callees.iter().find_map(|callee| match callee {
                    Callee::Line(line) => line.media.as_ref(),
                    _ => None,
                })
            }),
        }
    }

    /// Whether a trunk that was called has said where its media is.
    fn is_described(&self, leg: Leg) -> bool {
        matches!(self.callee(leg), Some(Callee::Trunk(trunk)) if trunk.described)
    }

    fn callee(&self, leg: Leg) -> Option<&Callee> {
        match leg {
            Leg::Callee(n) => self.callees.get(usize::from(n)),
            Leg::Caller => None,
        }
    }

    /// Whether no other attempt was made after this leg's.
    fn is_dialled_last(&self, leg: Leg) -> bool {
        matches!(leg, Leg::Callee(n) if usize::from(n) + 1 == self.callees.len())
    }

    /// What this call has learnt about a trunk. News that find no place are no loss: there are more.
    pub(super) fn tell_trunk(&self, trunk: &TrunkId, input: trunk::Input) {
        let _ = self.gateway.trunk_news.try_send(News { trunk: trunk.clone(), input });
    }

    /// The trunk of a leg.
    pub(super) fn trunk_of(&self, leg: Leg) -> Option<Arc<Trunk>> {
        match (leg, &self.caller) {
            (Leg::Caller, Caller::Trunk(trunk)) => Some(trunk.channel.trunk.clone()),
            (Leg::Callee(n), _) => match self.callees.get(usize::from(n)) {
                Some(Callee::Trunk(trunk)) => Some(trunk.trunk.clone()),
                _ => None,
            },
            _ => None,
        }
    }

    /// The live SIP session of a leg.
    pub(super) fn sip_of(&self, leg: Leg) -> Option<Session> {
        match (leg, &self.caller) {
            (Leg::Caller, Caller::Trunk(trunk)) if trunk.alive => Some(trunk.sip),
            (Leg::Callee(n), _) => match self.callees.get(usize::from(n)) {
                Some(Callee::Trunk(trunk)) if trunk.alive => Some(trunk.sip),
                _ => None,
            },
            _ => None,
        }
    }

    pub(super) fn leg_of_sip(&self, session: Session) -> Option<Leg> {
        if let Caller::Trunk(trunk) = &self.caller
            && trunk.sip == session
        {
            return Some(Leg::Caller);
        }
        self.callees
            .iter()
            .position(|callee| matches!(callee, Callee::Trunk(trunk) if trunk.sip == session))
            .and_then(|n| u8::try_from(n).ok())
            .map(Leg::Callee)
    }
}

pub(super) fn sdp_of(body: Option<&Body>) -> Option<String> {
    let body = body.filter(|body| body.is("application/sdp"))?;
    String::from_utf8(body.bytes.clone()).ok()
}

/// The codec of an SDP of ours: its one format beside telephone events comes first.
pub(super) fn first_codec(sdp: &str) -> Option<&'static str> {
    let formats = sdp.lines().find_map(|line| line.strip_prefix("m=audio "))?;
    match formats.split(' ').nth(2)? {
        "0" => Some("PCMU"),
        "8" => Some("PCMA"),
        "9" => Some("G722"),
        _ => None,
    }
}

pub(super) fn media_rejection(error: media::Error) -> Rejection {
    let cause = match error {
        media::Error::BadSdp(_)
        | media::Error::NoCommonCodec
        | media::Error::BadCandidate(_)
        | media::Error::AddressRefused
        | media::Error::OutOfOrder(_) => Cause::MediaFailed,
        media::Error::Overloaded | media::Error::NoPort => {
            tracing::warn!(%error, "a call is refused: the gateway has no room for its media");
            Cause::LimitReached
        }
        media::Error::Closed | media::Error::System(_) | media::Error::Internal => Cause::Internal,
    };
    Rejection::plain(cause)
}

fn without_status(cause: Cause, retry: Retry) -> Rejection {
    Rejection { cause, sip: None, q850: None, retry }
}

fn trunk_codec(law: Law) -> TrunkCodec {
    match law {
        Law::Pcmu => TrunkCodec::Pcmu,
        Law::Pcma => TrunkCodec::Pcma,
    }
}
