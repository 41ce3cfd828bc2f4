//! A party that wants another one in its place: a trunk's by REFER (RFC 3515), through the dial plan of
//! the page's user, who pays, or by a call that names ours as the one to replace (RFC 3891); a page's in a
//! call with another page ([`super::page_handover`]).
//!
//! ```text
//! REFER -> refused by the plan: 4xx, 6xx              the call goes on
//! REFER -> 202, NOTIFY 100 -> dialled .. NOTIFY 180 .. answered: NOTIFY 200, the party leaves
//!                                                      .. refused: NOTIFY 4xx, the party is heard again
//! INVITE with Replaces -> 200, BYE to the old one
//! ```
//!
//! The old party's media is put aside while the new one is dialled.

use super::legs::{Callee, CalleeTrunk, Caller};
use super::machine::CallTask;
use super::renegotiate::Holding;
use super::trunk_leg::first_codec;
use crate::base::{Cause, Party};
use crate::call::{Early, HandOver, Input, Leg, LegEvent, Rejection, State, Target};
use crate::gateway::accounts::Counted;
use crate::gateway::routing::{self, Asks, Dial, HandOverRoute, NoTransfer};
use crate::gateway::sip_words;
use crate::gateway::trunks::Channel;
use crate::media;
use crate::sip::header::Replaces;
use crate::sip::{Body, Command, Incoming, Refer, Session};
use crate::trunk;

/// A handing over under way.
pub(super) struct Handing {
    /// Who asked for it.
    pub by: AskedBy,
    /// Its leg, which is on the trunk's side of the media as long as nobody else is.
    pub old: Leg,
    /// The dialog that the new call takes the place of at its far side.
    pub replaces: Option<Replaces>,
    /// Whether the old party's media is put aside.
    pub parked: bool,
    /// The new call's place in its user's account: given back where nobody answers.
    pub counted: Option<Counted>,
    /// The page that stayed before, and its far side.
    pub before: (Option<Leg>, Option<Leg>),
    /// How the call was dialled before.
    pub dial: Option<Dial>,
    /// Who calls and who is called, as pages that are rung see it.
    pub shown: Option<(Party, Party)>,
}

/// Who wants another party in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AskedBy {
    /// A trunk's party, by REFER in this session.
    Trunk(Session),
    /// The page of this leg.
    Page(Leg),
}

impl CallTask {
    /// The trunk's party wants somebody else called in its place.
    pub(super) async fn referred(&mut self, session: Session, refer: &Refer) {
        if self.engine.state() == State::Answering {
            // The answer is on its way to the disk: in a moment the call is connected.
            self.refer_waits = Some((session, Box::new(refer.clone())));
            return;
        }
        match self.begin_handing(session, refer) {
            Ok(()) => {
                tracing::info!(call.id = %self.id, "REFER of the trunk taken");
                self.gateway.sip(Command::AcceptRefer { session }).await;
            }
            Err(refused) => {
                let NoTransfer { cause, words, rule, .. } = *refused;
                tracing::info!(call.id = %self.id, ?cause, %words, ?rule, "REFER of the trunk refused");
                // Nothing of the plan goes to an outside party.
                let headers = sip_words::refusal_headers(cause, None);
                let status = match cause {
                    Cause::Internal => 500,
                    cause => cause.sip().status,
                };
                self.gateway.sip(Command::RejectRefer { session, status, headers }).await;
            }
        }
    }

    /// The place of a new party that has not answered, when the call is over.
    pub(super) fn counted_for_new_party(&mut self) -> Option<Counted> {
        self.handing.as_mut().and_then(|handing| handing.counted.take())
    }

    /// The call is connected: what was wanted before is done now.
    pub(super) async fn refer_at_last(&mut self) {
        if let Some((session, refer)) = self.refer_waits.take() {
            self.referred(session, &refer).await;
        }
    }

    fn begin_handing(&mut self, session: Session, refer: &Refer) -> Result<(), Box<NoTransfer>> {
        let leg = self.leg_of_sip(session).filter(|leg| self.talking_trunk() == Some(*leg));
        let leg = leg.ok_or_else(|| NoTransfer::because(Cause::Declined, "it does not talk"))?;
        if self.handing.is_some() || self.transfer.is_some() {
            return Err(NoTransfer::because(Cause::Declined, "a transfer is under way"));
        }
        if self.trunk_of(leg).is_some_and(|own| own.definition.refer == trunk::Refer::Refuse) {
            return Err(NoTransfer::because(Cause::Declined, "`refer` of the trunk refuses it"));
        }
        if refer.replaces.is_some() {
            // The other call's party is a page, too: two pages are not connected to each other.
            return Err(NoTransfer::because(Cause::Declined, "the other call is one of ours"));
        }
        let unreadable = |_| NoTransfer::because(Cause::InvalidNumber, "Replaces is unreadable");
        let replaces = refer.refer_to.replaces().map_err(unreadable)?;
        let trunk = self.trunk_of(leg);
        let user = self.page_user().zip(trunk);
        let (user, trunk) =
            user.ok_or_else(|| NoTransfer::because(Cause::Declined, "no page is in the call"))?;
        let dialled = refer.refer_to.0.uri.user_decoded().unwrap_or_default();
        let dialled = trunk.definition.numbers.read(&dialled);
        let HandOverRoute { targets, dial, counted, max_call } =
            routing::handed_over(&self.gateway, &user, &dialled, Asks::Trunk)?;
        let input = Input::HandOver { old: leg, targets, max_call };
        self.engine
            .handle_input(std::time::Instant::now(), input)
            .map_err(|_| NoTransfer::because(Cause::Declined, "the call is in no state for it"))?;
        let before = self.dial_meanwhile(dial);
        self.handing = Some(Handing {
            by: AskedBy::Trunk(session),
            old: leg,
            replaces,
            parked: false,
            counted,
            before: (self.stays, Some(leg)),
            dial: before,
            shown: None,
        });
        Ok(())
    }

    /// The call is dialled by this while it is handed over; gives how it was before.
    pub(super) fn dial_meanwhile(&mut self, dial: Option<Dial>) -> Option<Dial> {
        let before = self.dial.take();
        self.dial = dial.or_else(|| before.clone());
        before
    }

    /// Before the trunk's place in the media is given to another party.
    pub(super) fn park_old_party(&mut self) {
        let parked =
            self.handing.as_mut().is_some_and(|own| !std::mem::replace(&mut own.parked, true));
        if parked && let Some(media) = self.page_media() {
            self.media_command(media.park_trunk());
        }
    }

    /// How far the machine is with it.
    pub(super) async fn handing_over(&mut self, step: HandOver) {
        match step {
            HandOver::Rings(leg, early) => self.new_party_rings(leg, early).await,
            HandOver::Done { new, .. } => self.new_party_talks(new).await,
            HandOver::Failed(rejection) => self.old_party_stays(&rejection).await,
        }
    }

    async fn new_party_rings(&mut self, _leg: Leg, early: Early) {
        let Some(by) = self.handing.as_ref().map(|own| own.by) else { return };
        let (status, feed) = match early {
            Early::Media => (183, media::Feed::Trunk),
            Early::NoMedia => {
                (180, media::Feed::Ringback { country: self.gateway.ringback_country() })
            }
        };
        if let Some(media) = self.page_media() {
            self.media_command(media.feed_browser(feed));
        }
        self.tell_asker(by, status).await;
    }

    async fn new_party_talks(&mut self, new: Leg) {
        self.join_new_page(new).await;
        self.settle_new_party(new);
        tracing::info!(call.id = %self.id, "handed over");
        if let Some(handing) = self.handing.take() {
            self.more_counted.extend(handing.counted);
            self.tell_asker(handing.by, 200).await;
            if let AskedBy::Page(leg) = handing.by {
                self.page_leaves(leg);
                self.record_on(new);
            }
        }
    }

    /// How the call to the new party stands.
    async fn tell_asker(&mut self, by: AskedBy, status: u16) {
        match by {
            AskedBy::Trunk(session) => {
                let told = Command::TellRefer { session, status, phrase: None };
                self.gateway.sip(told).await;
            }
            AskedBy::Page(leg) => self.tell_page_transfer(leg, status),
        }
    }

    /// The trunk's place in the media is the new party's for good.
    pub(super) fn settle_new_party(&mut self, new: Leg) {
        self.far = Some(new);
        self.holding = Holding::default();
        if let Some(media) = self.page_media() {
            self.media_command(media.connect());
            self.media_command(media.forget_parked_trunk());
        }
        self.tell_held();
    }

    async fn old_party_stays(&mut self, rejection: &Rejection) {
        let Some(handing) = self.handing.take() else { return };
        let status = rejection.sip.clone().unwrap_or_else(|| rejection.cause.sip());
        tracing::info!(call.id = %self.id, status = status.status, "not handed over");
        if handing.parked
            && let Some(media) = self.page_media()
        {
            let restored = media.restore_trunk().await;
            self.media_command(restored.and_then(|()| media.feed_browser(media::Feed::Trunk)));
        }
        (self.stays, self.far) = handing.before;
        self.dial = handing.dial;
        self.tell_asker(handing.by, status.status).await;
    }

    /// A call of the trunk that takes the place of this one's party there (RFC 3891).
    pub(super) async fn taken_over(
        &mut self,
        incoming: &Incoming,
        old: Session,
        channel: Channel,
        offer: Option<String>,
    ) {
        let session = incoming.session;
        match self.take_over(incoming, old, channel, offer).await {
            Ok(sdp) => {
                tracing::info!(call.id = %self.id, "taken over by another call of the trunk");
                let body = Some(Body::sdp(sdp));
                self.gateway.sip(Command::Answer { session, headers: Vec::new(), body }).await;
            }
            Err(cause) => {
                tracing::info!(call.id = %self.id, ?cause, "not taken over");
                self.gateway.registry.remove_sip(session);
                let status = cause.sip();
                let refusal = Command::Reject {
                    session,
                    status: status.status,
                    phrase: Some(status.reason),
                    headers: sip_words::refusal_headers(cause, None),
                };
                self.gateway.sip(refusal).await;
            }
        }
    }

    async fn take_over(
        &mut self,
        incoming: &Incoming,
        old: Session,
        channel: Channel,
        offer: Option<String>,
    ) -> Result<String, Cause> {
        let leg = self.leg_of_sip(old).filter(|leg| self.talking_trunk() == Some(*leg));
        let leg = leg.filter(|_| self.handing.is_none()).ok_or(Cause::Declined)?;
        let same = |own: &std::sync::Arc<crate::gateway::trunks::Trunk>| {
            own.definition.id == channel.trunk.definition.id
        };
        let trunk = self.trunk_of(leg).filter(same).ok_or(Cause::Declined)?;
        let media = self.page_media().ok_or(Cause::Declined)?;
        let info = sip_words::info_support(&incoming.allow);
        let settings = media::TrunkMedia { info, ..trunk.media.clone() };
        self.media_command(media.park_trunk());
        let late = offer.is_none();
        let answer = match offer {
            Some(offer) => media.answer_trunk(offer, settings).await,
            None => media.trunk_offer(settings).await,
        };
        let target = Target::Trunk(trunk.definition.id.clone());
        let input = Input::Replaced(leg, target, None);
        let taken = match answer {
            Ok(sdp) => match self.engine.handle_input(std::time::Instant::now(), input) {
                Ok(()) => Ok(sdp),
                Err(_) => Err(Cause::Declined),
            },
            Err(_) => Err(Cause::MediaFailed),
        };
        let Ok(sdp) = taken else {
            if let Some(media) = self.page_media() {
                let restored = media.restore_trunk().await;
                self.media_command(restored);
            }
            return taken;
        };
        let n = u8::try_from(self.callees.len()).unwrap_or(u8::MAX);
        self.callees.push(Callee::Trunk(CalleeTrunk {
            sip: incoming.session,
            trunk,
            channel: Some(channel),
            alive: true,
            given_up: false,
            described: true,
        }));
        self.settle_new_party(Leg::Callee(n));
        if late {
            self.holding.owes_answer(incoming.session);
        } else if let Some(codec) = first_codec(&sdp) {
            self.feed(Input::Leg(Leg::Callee(n), LegEvent::Codec(codec.to_owned())));
        }
        Ok(sdp)
    }

    /// The media of the page that talks, whichever side called.
    pub(super) fn page_media(&self) -> Option<&media::Session> {
        if let Some(stays) = self.stays {
            return self.media_of_page(stays);
        }
        match &self.caller {
            Caller::Page(_) | Caller::Line(_) => self.media.as_ref(),
            Caller::Trunk(_) => self.callees.iter().find_map(|callee| match callee {
                Callee::Page(page) if page.answered => Some(&page.media),
                _ => None,
            }),
        }
    }
}
