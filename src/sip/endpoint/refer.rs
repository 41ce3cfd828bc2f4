//! REFER and the subscription that comes with it (RFC 3515), both ways, one of each a session.
//!
//! ```text
//! REFER of the peer -> Refer -> AcceptRefer -> 202, NOTIFY 100 -> TellRefer(180) -> NOTIFY
//!                            -> RejectRefer -> 4xx                TellRefer(200) -> NOTIFY, over
//! refer -> 2xx -> RequestDone(202) -> NOTIFY of the peer -> ReferProgress(180) ... (200), over
//! ```
//!
//! NOTIFY is taken only while a REFER of ours is out: nobody is told of what nobody asked for.

use std::time::{Duration, Instant};

use super::client::User;
use super::receive::Received;
use super::session::{Deadline, Phase};
use super::{Endpoint, Error};
use crate::sip::command::{Body, ExtraHeader, ReferTarget, RequestKey, Session};
use crate::sip::event::{Event, Refer};
use crate::sip::header::{
    EventPackage, ReferTo, ReferredBy, Replaces, SubscriptionState, TypedHeader,
};
use crate::sip::make::{self, Arrived, Reply, WithContact};
use crate::sip::status::phrase;
use crate::sip::{MessageExt, Method};

/// A REFER of the peer.
#[derive(Debug)]
pub(super) struct ReferIn {
    /// Its transaction, while the owner owes the answer.
    pub(super) transaction: Option<u64>,
    /// Its CSeq number, which names the subscription.
    id: u32,
    /// Whether the peer wants to hear of it (RFC 4488).
    subscribed: bool,
}

impl Endpoint {
    pub(super) fn receive_refer(&mut self, now: Instant, key: Session, received: Received) {
        let request = &received.request;
        let mut targets = request.list(ReferTo::NAME);
        let target = targets.next().map(ReferTo::parse);
        let one = targets.next().is_none();
        drop(targets);
        let parsed = match target {
            // RFC 3515 2.4.2: exactly one.
            Some(Ok(refer_to)) if one => {
                refer_to.replaces().ok().map(|replaces| (refer_to, replaces))
            }
            _ => None,
        };
        let referred_by = request.header_ok::<ReferredBy>();
        let subscribed = !request
            .get("Refer-Sub")
            .is_some_and(|value| value.trim().eq_ignore_ascii_case("false"));
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let refusal = match session.phase {
            Phase::Confirmed if parsed.is_none() => Some(Reply::status(400)),
            Phase::Confirmed if session.refer_in.is_some() => Some(Reply::status(491)),
            Phase::Confirmed if !session.offers.take(now) => Some(Reply::status(503)),
            Phase::Confirmed => None,
            _ => Some(Reply::status(481)),
        };
        let (refer_to, replaces) = match (parsed, refusal) {
            (Some(parsed), None) => parsed,
            (_, refusal) => {
                let reply = refusal.unwrap_or_else(|| Reply::status(400));
                return self.reply_in_session(now, key, received, reply);
            }
        };
        let replaces = replaces.and_then(|replaces| self.session_of(&replaces));
        let id = received.facts.cseq;
        let Received { echo, reply, .. } = received;
        let transaction = self.open_server(now, Method::Refer, reply, echo, Some(key), "");
        if let Some(session) = self.sessions.get_mut(&key) {
            session.refer_in = Some(ReferIn { transaction: Some(transaction), id, subscribed });
            // The peer gives its REFER up then.
            session.set_deadline(Deadline::ReferOver, now + self.config.timing.give_up());
        }
        self.schedule_session(key);
        let refer = Box::new(Refer { refer_to, referred_by, replaces });
        self.emit(Event::Refer { session: key, refer });
    }

    /// The answered session that a `Replaces` names, from the side that gets it.
    pub(super) fn session_of(&self, replaces: &Replaces) -> Option<Session> {
        let name = (replaces.call_id.clone(), replaces.to_tag.clone());
        let key = self.dialogs.get(&name).copied()?;
        let session = self.sessions.get(&key)?;
        let fork = session.fork(&replaces.from_tag)?;
        let early = fork.state == super::session::ForkState::Early;
        let fits = match session.phase {
            Phase::Confirmed => !early && !replaces.early_only,
            // RFC 3891 3: an early dialog that the getter of the INVITE did not make is left alone.
            _ => false,
        };
        fits.then_some(key)
    }

    pub(super) fn accept_refer(&mut self, now: Instant, key: Session) -> Result<(), Error> {
        let session = self.sessions.get_mut(&key).ok_or(Error::NoSession(key))?;
        let refer = session.refer_in.as_mut().ok_or(Error::WrongState(key))?;
        let id = refer.transaction.take().ok_or(Error::WrongState(key))?;
        let subscribed = refer.subscribed;
        session.set_deadline(Deadline::ReferOver, now + SUBSCRIBED);
        let headers =
            if subscribed { Vec::new() } else { vec![ExtraHeader::own("Refer-Sub", "false")] };
        self.respond(now, id, Reply { headers, ..Reply::status(202) });
        self.tell_refer(now, key, 100, None)
    }

    pub(super) fn reject_refer(
        &mut self,
        now: Instant,
        key: Session,
        status: u16,
        headers: Vec<ExtraHeader>,
    ) -> Result<(), Error> {
        let session = self.sessions.get_mut(&key).ok_or(Error::NoSession(key))?;
        let id = session.refer_in.take().and_then(|own| own.transaction);
        session.stop_deadline(Deadline::ReferOver);
        self.respond(
            now,
            id.ok_or(Error::WrongState(key))?,
            Reply { headers, ..Reply::status(status) },
        );
        Ok(())
    }

    /// NOTIFY with the state of the call (RFC 3515 2.4.5, RFC 3420).
    pub(super) fn tell_refer(
        &mut self,
        now: Instant,
        key: Session,
        status: u16,
        words: Option<String>,
    ) -> Result<(), Error> {
        let session = self.sessions.get_mut(&key).ok_or(Error::NoSession(key))?;
        let refer = session.refer_in.as_ref().ok_or(Error::WrongState(key))?;
        let (id, subscribed) = (refer.id, refer.subscribed);
        let state = if status >= 200 {
            session.refer_in = None;
            session.stop_deadline(Deadline::ReferOver);
            SubscriptionState::Terminated("noresource".to_owned())
        } else {
            SubscriptionState::Active(u32::try_from(SUBSCRIBED.as_secs()).unwrap_or(u32::MAX))
        };
        if !subscribed || session.phase != Phase::Confirmed {
            return Ok(());
        }
        let words = match words {
            Some(words) if !words.chars().any(char::is_control) => words,
            _ => phrase(status).to_owned(),
        };
        let tag = session.main_fork().map(|fork| fork.dialog.remote_tag.clone());
        let sending = tag.and_then(|tag| self.within(key, &tag, Method::Notify));
        let mut sending = sending.ok_or(Error::WrongState(key))?;
        let event = EventPackage { package: PACKAGE.to_owned(), id: Some(id) };
        sending.draft.contact = WithContact::Yes;
        sending.draft.extra = vec![
            ExtraHeader::own(EventPackage::NAME, &event.to_string()),
            ExtraHeader::own(SubscriptionState::NAME, &state.to_string()),
        ];
        sending.draft.body = Some(Body {
            content_type: "message/sipfrag;version=2.0".to_owned(),
            bytes: format!("SIP/2.0 {status} {words}\r\n").into_bytes(),
        });
        sending.user = User::Notify(key);
        self.start(now, sending);
        self.schedule_session(key);
        Ok(())
    }

    pub(super) fn refer(
        &mut self,
        now: Instant,
        key: Session,
        request: RequestKey,
        target: ReferTarget,
        referred_by: Option<Box<ReferredBy>>,
    ) -> Result<(), Error> {
        let refer_to = match target {
            ReferTarget::Uri(refer_to) => refer_to,
            ReferTarget::Session(other) => self.replacing(other).ok_or(Error::WrongState(other))?,
        };
        let session = self.sessions.get_mut(&key).ok_or(Error::NoSession(key))?;
        if session.phase != Phase::Confirmed || session.refer_out {
            return Err(Error::WrongState(key));
        }
        session.refer_out = true;
        let due = now + SUBSCRIBED;
        session.set_deadline(Deadline::ReferSilent, due);
        let tag = session.main_fork().map(|fork| fork.dialog.remote_tag.clone());
        let sending = tag.and_then(|tag| self.within(key, &tag, Method::Refer));
        let mut sending = sending.ok_or(Error::WrongState(key))?;
        sending.draft.contact = WithContact::Yes;
        sending.draft.extra = vec![
            ExtraHeader::own("Supported", super::SUPPORTED),
            ExtraHeader::own(ReferTo::NAME, &refer_to.to_string()),
        ];
        if let Some(by) = referred_by {
            sending.draft.extra.push(ExtraHeader::own(ReferredBy::NAME, &by.to_string()));
        }
        sending.user = User::Refer(key, request);
        self.start(now, sending);
        self.schedule_session(key);
        Ok(())
    }

    /// The far side of an answered session, and the dialog with it as it sees it.
    fn replacing(&mut self, key: Session) -> Option<ReferTo> {
        let session = self.sessions.get_mut(&key).filter(|s| s.phase == Phase::Confirmed)?;
        let from_tag = session.local_tag.clone();
        let dialog = &session.main_fork()?.dialog;
        let replaces = Replaces {
            call_id: dialog.call_id.clone(),
            to_tag: dialog.remote_tag.clone(),
            from_tag,
            early_only: false,
        };
        ReferTo::replacing(&dialog.target, &replaces).ok()
    }

    /// Our REFER got its final response: a refusal has no subscription.
    pub(super) fn refer_answered(&mut self, key: Session, status: u16) {
        if let Some(session) = self.sessions.get_mut(&key)
            && status >= 300
        {
            session.refer_out = false;
            session.stop_deadline(Deadline::ReferSilent);
            self.schedule_session(key);
        }
    }

    pub(super) fn receive_notify(&mut self, now: Instant, key: Session, mut received: Received) {
        let package = received.request.header_ok::<EventPackage>();
        let of_refer = package.is_some_and(|own| own.package.eq_ignore_ascii_case(PACKAGE));
        let state = received.request.header_ok::<SubscriptionState>();
        let asked = self.sessions.get(&key).is_some_and(|session| session.refer_out);
        let reply = match (of_refer, asked, &state) {
            (false, ..) => Reply::status(489),
            (_, false, _) => Reply::status(481),
            (_, _, None) => Reply::status(400),
            _ => Reply::status(200),
        };
        let taken = reply.status == 200;
        let body = make::take_body(&mut received.request);
        self.reply_in_session(now, key, received, reply);
        if !taken {
            return;
        }
        let status = body.and_then(|body| status_of(&body));
        let over = matches!(state, Some(SubscriptionState::Terminated(_)));
        let status = match (status, over) {
            (Some(status), _) => status,
            // It ends without a word.
            (None, true) => 408,
            (None, false) => return,
        };
        if over || status >= 200 {
            self.refer_over(key);
        }
        self.emit(Event::ReferProgress { session: key, status });
    }

    fn refer_over(&mut self, key: Session) {
        if let Some(session) = self.sessions.get_mut(&key) {
            session.refer_out = false;
            session.stop_deadline(Deadline::ReferSilent);
        }
        self.schedule_session(key);
    }

    /// A peer that knows nothing of the subscription any more hears no more of it (RFC 6665 4.2.2).
    pub(super) fn notify_done(&mut self, now: Instant, key: Session, answer: &Arrived) {
        let refused = answer.status >= 300;
        let confirmed =
            self.sessions.get(&key).is_some_and(|session| session.phase == Phase::Confirmed);
        if refused && confirmed {
            if let Some(session) = self.sessions.get_mut(&key) {
                session.refer_in = None;
                session.stop_deadline(Deadline::ReferOver);
            }
            self.schedule_session(key);
        }
        // 408: nobody is there any more; 481 may only mean the subscription.
        if answer.status == 408 && confirmed {
            self.lost(now, key);
        }
    }

    /// Nothing final came of our REFER.
    pub(super) fn refer_silent(&mut self, key: Session) {
        self.refer_over(key);
        self.emit(Event::ReferProgress { session: key, status: 408 });
    }

    /// The owner said nothing final of the peer's REFER.
    pub(super) fn refer_unanswered(&mut self, now: Instant, key: Session) {
        let open = self.sessions.get_mut(&key).and_then(|session| session.refer_in.as_mut());
        let Some(refer) = open else { return };
        if let Some(id) = refer.transaction.take() {
            self.respond(now, id, Reply::status(500));
            if let Some(session) = self.sessions.get_mut(&key) {
                session.refer_in = None;
            }
        } else {
            // There is no error: the session lives.
            let _ = self.tell_refer(now, key, 408, None);
        }
    }
}

/// The status line of a `message/sipfrag` body (RFC 3420).
fn status_of(body: &Body) -> Option<u16> {
    if !body.is("message/sipfrag") {
        return None;
    }
    let text = std::str::from_utf8(&body.bytes).ok()?;
    let status = text.strip_prefix("SIP/2.0 ")?.split([' ', '\r', '\n']).next()?;
    status.parse().ok().filter(|status| (100..700).contains(status))
}

/// The one package.
const PACKAGE: &str = "refer";

/// A callee rings no longer than this: timer C (RFC 3261 16.6) and a margin.
const SUBSCRIBED: Duration = Duration::from_secs(200);
