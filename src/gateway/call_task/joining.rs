//! Two calls of one page become one (an attended transfer) where one of them is with another page: nobody
//! else can be asked by REFER. The far side of one call is taken out of it and brought into the other; for
//! the page that asked, both are over.
//!
//! ```text
//! alice -- bob, alice -- phone     alice: transfer     bob -- phone
//!
//! the call of two pages                            the other call
//!   transfer -> Give ------------------------------> gives its far side, and is over
//!   Given <----------------------------------------
//!   a phone: re-INVITE to the page that stays -> 2xx, they talk .. refused: the call is over
//!   a page: its media is joined with that of the page that stays; it knows the call by the id of before
//! ```

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};

use super::legs::{Callee, CalleePage, CalleeTrunk, Caller};
use super::machine::CallTask;
use super::media_side::Followed;
use super::renegotiate::Holding;
use super::trunk_leg::sdp_of;
use super::{CallInput, MediaOf};
use crate::base::{CallId, Cause, EndedBy, SessionId, UserId};
use crate::call::{Input, Leg, LegEvent, State, Target};
use crate::gateway::accounts::Counted;
use crate::gateway::trunks::{Channel, Trunk};
use crate::gateway::{Inner, sip_words, spawn};
use crate::media::{self, Phase, TrunkMedia};
use crate::signaling::socket::Page;
use crate::signaling::{ErrorCode, Event, Refusal, Reply, TransferStatus};
use crate::sip::{self, Answer, Body, Command, OfferIn, Session};

/// What one call gives to another.
pub(in crate::gateway) struct Given {
    joiner: Joiner,
    /// Places in its user's account, until the call that it comes into ends.
    counted: Vec<Counted>,
    /// When the call that it leaves would have ended at the latest.
    until: Option<Instant>,
}

enum Joiner {
    Trunk {
        sip: Session,
        trunk: Arc<Trunk>,
        channel: Option<Channel>,
        settings: Box<TrunkMedia>,
    },
    Page {
        session: SessionId,
        user: UserId,
        page: Page,
        media: media::Session,
        route: Option<Followed>,
    },
}

/// Whom the asking page is told by, and of which of its calls.
#[derive(Debug, Clone)]
pub(in crate::gateway) struct Told(pub Page, pub CallId);

/// The far side of another call is awaited.
pub(super) struct Joining {
    asking: Leg,
    told: Told,
    /// A phone that hung up on its way here.
    hung_up: Option<Session>,
}

/// A phone that was brought here has been asked to speak to the page that stays.
pub(super) struct Arriving {
    leg: Leg,
    session: Session,
    settings: Box<TrunkMedia>,
}

impl std::fmt::Debug for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.joiner {
            Joiner::Trunk { .. } => "Given(phone)",
            Joiner::Page { .. } => "Given(page)",
        })
    }
}

impl Told {
    fn of(&self, sip: u16) {
        let status = match sip {
            202 => TransferStatus::Accepted,
            200..300 => TransferStatus::Answered,
            _ => TransferStatus::Failed,
        };
        self.0.event(Event::CallTransfer { call: self.1, status, sip: Some(sip) });
    }
}

impl Given {
    fn target(&self) -> Target {
        match &self.joiner {
            Joiner::Trunk { trunk, .. } => Target::Trunk(trunk.definition.id.clone()),
            Joiner::Page { session, user, .. } => {
                Target::Page { session: *session, user: user.clone() }
            }
        }
    }

    /// There is no call any more for it to come into.
    pub(super) async fn send_away(self, gateway: &Inner, call: CallId) {
        match self.joiner {
            Joiner::Trunk { sip, .. } => {
                let reasons = sip_words::reasons(Cause::Hangup, Cause::Hangup.q850());
                gateway.sip(Command::HangUp { session: sip, reasons }).await;
            }
            Joiner::Page { page, media, .. } => {
                media.close();
                page.event(Event::ended(call, Cause::Hangup, EndedBy::Remote, None, None));
            }
        }
    }
}

impl CallTask {
    /// Begins to join the far side of another call with the page that does not ask, in a call of two pages.
    pub(super) fn join_call(
        &mut self,
        asking: Leg,
        other: CallId,
        told: Told,
    ) -> Result<Reply, Refusal> {
        let wrong_state = || Refusal::new(ErrorCode::SignalWrongState);
        let (caller, callee) = self.pages_that_talk().ok_or_else(wrong_state)?;
        let session = self.session_of(asking).ok_or_else(wrong_state)?;
        let busy = self.handing.is_some() || self.joining.is_some();
        if busy || (asking != caller && asking != callee) {
            return Err(wrong_state());
        }
        let live = self.connected_call(other).ok_or_else(wrong_state)?;
        let (reply, given) = oneshot::channel();
        live.tell(CallInput::Give { asking: session, to: self.id, reply });
        let (inbox, gateway, id) = (self.inbox.clone(), self.gateway.clone(), self.id);
        spawn("party of another call", async move {
            // A call that is over by now gives nothing.
            let given = given.await.unwrap_or_else(|_| Err(wrong_state()));
            let sent = inbox.send(CallInput::Given(given)).await;
            if let Err(mpsc::error::SendError(CallInput::Given(Ok(given)))) = sent {
                given.send_away(&gateway, id).await;
            }
        });
        tracing::info!(call.id = %self.id, %other, "two calls are to become one");
        told.of(202);
        self.joining = Some(Joining { asking, told, hung_up: None });
        Ok(Reply::Transfer { status: TransferStatus::Accepted })
    }

    /// The same, asked in the other one of the two calls.
    pub(super) fn join_into(&mut self, asking: Leg, other: CallId) -> Result<Reply, Refusal> {
        let wrong_state = || Refusal::new(ErrorCode::SignalWrongState);
        let session = self.session_of(asking).ok_or_else(wrong_state)?;
        let page = self.page_of(asking).ok_or_else(wrong_state)?;
        let live = self.connected_call(other).ok_or_else(wrong_state)?;
        let told = Told(page, self.id);
        live.tell(CallInput::Join { asking: session, other: self.id, told });
        Ok(Reply::Transfer { status: TransferStatus::Accepted })
    }

    /// A page of this call has asked so in another call of its.
    pub(super) fn join_asked(&mut self, asking: SessionId, other: CallId, told: Told) {
        let outcome = match self.leg_of_page(asking) {
            Some(leg) => self.join_call(leg, other, told.clone()),
            None => Err(Refusal::new(ErrorCode::SignalUnknownCall)),
        };
        if let Err(refusal) = outcome {
            tracing::info!(call.id = %self.id, ?refusal, "calls not joined");
            told.of(NOT_JOINED);
        }
    }

    /// Another call that is answered, by the id that a page knows it by.
    pub(super) fn connected_call(
        &self,
        other: CallId,
    ) -> Option<crate::gateway::registry::LiveCall> {
        let live = self.gateway.registry.call_of_page(other)?;
        let connected = live.look(|own| own.state == State::Connected && own.record.id != self.id);
        connected.then_some(live)
    }

    /// Carries the end of a session that has gone into another call there.
    pub(super) fn ended_elsewhere(&self, event: &sip::Event) -> bool {
        let sip::Event::Ended { session, .. } = event else { return false };
        let owner = self.gateway.registry.call_of_sip(*session);
        let Some(owner) = owner.filter(|owner| owner.look(|own| own.record.id != self.id)) else {
            return false;
        };
        owner.tell(CallInput::Sip(Box::new(event.clone())));
        true
    }

    /// A session of no leg is over: that of a phone on its way here.
    pub(super) fn hung_up_on_its_way(&mut self, session: Session) {
        if let Some(joining) = &mut self.joining {
            joining.hung_up = Some(session);
            self.gateway.registry.remove_sip(session);
        }
    }

    /// What came for this call after its end.
    pub(super) async fn came_too_late(&mut self, input: CallInput) {
        match input {
            CallInput::Given(Ok(given)) => given.send_away(&self.gateway, self.id).await,
            CallInput::Sip(event) => {
                self.ended_elsewhere(&event);
            }
            _ => {}
        }
    }

    /// Gives the far side of this call to the one that asks for it, and ends for its own page.
    pub(super) fn give(&mut self, asking: SessionId, to: CallId) -> Result<Box<Given>, Refusal> {
        let wrong_state = || Refusal::new(ErrorCode::SignalWrongState);
        let pair = self.engine.talking().filter(|_| self.engine.state() == State::Connected);
        let (caller, callee) = pair.ok_or_else(wrong_state)?;
        let busy = self.handing.is_some() || self.transfer.is_some() || self.joining.is_some();
        if busy || self.arriving.is_some() || self.holding.is_unsettled() {
            return Err(wrong_state());
        }
        let of_page = |leg: &Leg| self.session_of(*leg) == Some(asking);
        let leaves = [caller, callee].into_iter().find(of_page).ok_or_else(wrong_state)?;
        let far = if leaves == caller { callee } else { caller };
        let taker = self.gateway.registry.call(to).ok_or_else(wrong_state)?;
        let joiner = match self.session_of(far) {
            Some(_) => self.page_away(far, to, &taker.inbox),
            None => self.trunk_away(far, to),
        };
        let joiner = joiner.ok_or_else(wrong_state)?;
        tracing::info!(call.id = %self.id, %to, "its far side goes into another call");
        let counted = self.counted.take().into_iter().chain(self.more_counted.drain(..)).collect();
        let until = self.engine.ends_by();
        self.feed(Input::Leg(leaves, LegEvent::Ended(Cause::Hangup)));
        Ok(Box::new(Given { joiner, counted, until }))
    }

    fn trunk_away(&mut self, leg: Leg, to: CallId) -> Option<Joiner> {
        let joiner = match (leg, &mut self.caller) {
            (Leg::Caller, Caller::Trunk(own)) if own.alive && own.answered => {
                own.alive = false;
                own.given = true;
                let channel = own.channel.clone();
                let trunk = channel.trunk.clone();
                let settings = TrunkMedia { info: own.info, ..trunk.media.clone() };
                let settings = Box::new(settings);
                Joiner::Trunk { sip: own.sip, trunk, channel: Some(channel), settings }
            }
            (Leg::Callee(n), _) => {
                let callee = self.callees.get_mut(usize::from(n))?;
                let Callee::Trunk(own) = callee else { return None };
                if !own.alive || !own.described {
                    return None;
                }
                let (sip, trunk, channel) = (own.sip, own.trunk.clone(), own.channel.take());
                let settings = Box::new(trunk.media.clone());
                *callee = Callee::Nothing;
                Joiner::Trunk { sip, trunk, channel, settings }
            }
            _ => return None,
        };
        if let Joiner::Trunk { sip, .. } = &joiner {
            self.gateway.registry.move_sip(*sip, to);
        }
        Some(joiner)
    }

    /// Its page goes on to know the call by the id that it has for it.
    fn page_away(
        &mut self,
        leg: Leg,
        to: CallId,
        inbox: &mpsc::Sender<CallInput>,
    ) -> Option<Joiner> {
        let user = self.user_of(leg)?;
        let (of, session, mut page, media) = match (leg, &mut self.caller) {
            (Leg::Caller, Caller::Page(own)) => {
                let media = self.media.take()?;
                own.told_end = true;
                self.caller_left = true;
                (MediaOf::Caller, own.session, own.page.clone(), media)
            }
            (Leg::Callee(n), _) => {
                let callee = self.callees.get_mut(usize::from(n))?;
                let Callee::Page(own) = std::mem::replace(callee, Callee::Nothing) else {
                    return None;
                };
                (MediaOf::Callee(n), own.session, own.page, own.media)
            }
            _ => return None,
        };
        // What was recorded was this call.
        self.media_command(media.stop_recording());
        let known = *page.known.get_or_insert(self.id);
        self.gateway.registry.go_by(known, to);
        let at = self.routes.iter().position(|(own, _)| *own == of);
        let route = at.map(|at| self.routes.swap_remove(at).1);
        if let Some(route) = &route {
            // No leg yet: what is said meanwhile means nothing to the other call.
            route.lead(inbox.clone(), MediaOf::Callee(u8::MAX));
        }
        Some(Joiner::Page { session, user, page, media, route })
    }

    /// The far side of the other call has come, or does not come.
    pub(super) async fn given(&mut self, given: Result<Box<Given>, Refusal>) {
        let joining = self.joining.take();
        let given = match given {
            Ok(given) => *given,
            Err(refusal) => {
                tracing::info!(call.id = %self.id, ?refusal, "calls not joined");
                return joining.iter().for_each(|joining| joining.told.of(NOT_JOINED));
            }
        };
        let pair = self.pages_that_talk().filter(|_| self.handing.is_none());
        let (Some(Joining { asking, told, hung_up }), Some((caller, callee))) = (joining, pair)
        else {
            return given.send_away(&self.gateway, self.id).await;
        };
        if matches!(given.joiner, Joiner::Trunk { sip, .. } if hung_up == Some(sip)) {
            tracing::info!(call.id = %self.id, "a phone hung up on its way here");
            return told.of(NOT_JOINED);
        }
        let stays = if asking == caller { callee } else { caller };
        let input = Input::Replaced(asking, given.target(), given.until);
        if self.engine.handle_input(Instant::now(), input).is_err() {
            told.of(NOT_JOINED);
            return given.send_away(&self.gateway, self.id).await;
        }
        tracing::info!(call.id = %self.id, "the far side of another call takes a place");
        told.of(200);
        let n = u8::try_from(self.callees.len()).unwrap_or(u8::MAX);
        let new = Leg::Callee(n);
        self.stays = Some(stays);
        self.far = Some(new);
        self.holding = Holding::default();
        self.forget_digit_way();
        self.more_counted.extend(given.counted);
        if let Some(media) = self.page_media() {
            self.media_command(media.park_trunk());
        }
        match given.joiner {
            Joiner::Trunk { sip, trunk, channel, settings } => {
                self.callees.push(Callee::Trunk(CalleeTrunk {
                    sip,
                    trunk,
                    channel,
                    alive: true,
                    given_up: false,
                    described: true,
                }));
                self.page_leaves(asking);
                self.arriving = Some(Arriving { leg: new, session: sip, settings });
                self.offer_to_arriving().await;
            }
            Joiner::Page { session, user, page, media, route } => {
                self.media_command(media.park_trunk());
                if let Some(route) = route {
                    route.lead(self.inbox.clone(), MediaOf::Callee(n));
                    self.routes.push((MediaOf::Callee(n), route));
                }
                self.talking.push(self.gateway.idle.talks(user.clone()));
                let told_end = false;
                let (answered, warm) = (true, true);
                let page = CalleePage { session, user, page, media, answered, warm, told_end };
                self.callees.push(Callee::Page(page));
                self.page_leaves(asking);
                self.join_new_page(new).await;
                self.settle_new_party(new);
                if let Some(media) = self.media_of_page(new) {
                    self.media_command(media.forget_parked_trunk());
                }
                if let Some(page) = self.page_of(new) {
                    page.event(Event::CallHeld { call: self.id, by: None });
                }
                self.record_on(new);
            }
        }
    }

    /// Asks the phone that has come to speak to the page that stays.
    pub(super) async fn offer_to_arriving(&mut self) {
        let (Some(arriving), Some(media)) = (&self.arriving, self.page_media()) else { return };
        match media.trunk_offer((*arriving.settings).clone()).await {
            Ok(sdp) => {
                let (session, body) = (arriving.session, Some(Body::sdp(sdp)));
                self.gateway.sip(Command::Reinvite { session, body }).await;
            }
            Err(error) => {
                tracing::warn!(call.id = %self.id, %error, "no offer for a phone of another call");
                self.feed(Input::End(Cause::MediaFailed));
            }
        }
    }

    /// Whether this session is that of a phone that has come and has not answered.
    pub(super) fn is_arriving(&self, session: Session) -> bool {
        self.arriving.as_ref().is_some_and(|arriving| arriving.session == session)
    }

    /// What the phone says to it.
    pub(super) async fn arrived(&mut self, answer: &Answer, offer: OfferIn) {
        if answer.status == 491 {
            // `Reoffer` follows.
            return self.arriving.iter().for_each(|arriving| self.withdraw(arriving.leg));
        }
        let Some(Arriving { leg, .. }) = self.arriving.take() else { return };
        self.hear_allow(leg, &answer.allow);
        let taken = match (answer.status, offer, sdp_of(answer.body.as_ref())) {
            (200..=299, OfferIn::Invite, Some(sdp)) => {
                self.take_trunk_sdp(leg, sdp, Phase::Final).await
            }
            (status, ..) => Err(media::Error::BadSdp(format!("no answer in a {status}"))),
        };
        match taken {
            Ok(()) => {
                self.settle_new_party(leg);
                self.record_on(leg);
            }
            Err(error) => {
                tracing::warn!(call.id = %self.id, %error, "a phone of another call is not heard here");
                self.feed(Input::End(Cause::MediaFailed));
            }
        }
    }
}

/// What a page is told where its two calls cannot be joined: 480, as of a party that is not there.
const NOT_JOINED: u16 = 480;
