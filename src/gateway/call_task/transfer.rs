//! Handing a trunk's party over, as its page wants it: the dial plan is asked as for a call of the
//! page's user, then the trunk's side is asked by REFER to call the new party (RFC 3515), or to take
//! the place of the page in another call (RFC 3891, RFC 5589).
//!
//! ```text
//! transfer -> refused by the plan                       the call goes on
//! transfer -> accepted .. ringing .. answered           this leg and the page's part end
//!                      .. failed                        the call goes on
//! ```
//!
//! In a call between pages nobody else can be asked: the gateway calls the new party itself
//! ([`super::page_handover`]), or takes it out of the other call ([`super::joining`]).

use super::joining::Told;
use super::legs::Caller;
use super::machine::CallTask;
use crate::base::{CallId, Cause, UserId};
use crate::call::{Input, Leg, LegEvent, State};
use crate::gateway::{routing, sip_words};
use crate::signaling::{ErrorCode, Event, Refusal, Reply, TransferStatus, TransferTo};
use crate::sip::header::{ReferTo, ReferredBy};
use crate::sip::{Command, NameAddr, ReferTarget, RequestKey, Session};

/// A transfer under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Transfer {
    session: Session,
}

/// The key of REFER: those of INFO count from 0.
pub(super) const REFER: RequestKey = RequestKey(u64::MAX);

impl CallTask {
    /// Hands the far side over.
    pub(super) async fn transfer(&mut self, asking: Leg, to: TransferTo) -> Result<Reply, Refusal> {
        let wrong_state = || Refusal::new(ErrorCode::SignalWrongState);
        if self.is_between_pages() {
            return match to {
                TransferTo::Number(number) => self.hand_page_over(asking, number.as_str()),
                TransferTo::Call(other) => {
                    let page = self.page_of(asking).ok_or_else(wrong_state)?;
                    self.join_call(asking, other, Told(page, self.id))
                }
            };
        }
        let leg = self.talking_trunk().ok_or_else(wrong_state)?;
        let session = self.sip_of(leg).ok_or_else(wrong_state)?;
        if self.engine.state() != State::Connected
            || self.transfer.is_some()
            || self.handing.is_some()
            || self.arriving.is_some()
        {
            return Err(wrong_state());
        }
        let (target, referred_by) = match to {
            TransferTo::Number(number) => {
                let (target, by) = self.planned(leg, number.as_str())?;
                (ReferTarget::Uri(target), Some(by))
            }
            TransferTo::Call(other) => match self.far_side_of(other) {
                Some(far) => (ReferTarget::Session(far), None),
                // The other one is between pages.
                None => return self.join_into(asking, other),
            },
        };
        tracing::info!(call.id = %self.id, attended = referred_by.is_none(), "transfer");
        self.transfer = Some(Transfer { session });
        let refer = Command::Refer {
            session,
            request: REFER,
            target: Box::new(target),
            referred_by: referred_by.map(Box::new),
        };
        self.gateway.sip(refer).await;
        Ok(Reply::Transfer { status: TransferStatus::Accepted })
    }

    /// Whom the plan lets the page's user call, as the trunk of `leg` writes it.
    fn planned(&self, leg: Leg, number: &str) -> Result<(ReferTo, ReferredBy), Refusal> {
        let user = self.page_user().ok_or_else(|| Refusal::new(ErrorCode::SignalWrongState))?;
        let dial = routing::transfer(&self.gateway, &user, number).map_err(|own| refusal(*own))?;
        let trunk = self.trunk_of(leg).ok_or_else(|| Refusal::new(ErrorCode::ServerInternal))?;
        let local = self.gateway.sip_addresses.first().map(|(_, address)| *address);
        let local = local.unwrap_or_else(|| std::net::SocketAddr::from(([127, 0, 0, 1], 5060)));
        let words = sip_words::invite(&trunk, &dial, local).map_err(|error| {
            tracing::error!(call.id = %self.id, %error, "REFER not made");
            Refusal::new(ErrorCode::ServerInternal)
        })?;
        // What names the user is its number, shown or not: the trunk is who pays attention to it.
        let by = words.asserted_identity.unwrap_or(words.from);
        Ok((ReferTo(NameAddr::new(words.target)), ReferredBy(by)))
    }

    /// The trunk's session of another call of the same gateway that is answered.
    fn far_side_of(&self, other: CallId) -> Option<Session> {
        let id = self.connected_call(other)?.look(|own| own.record.id);
        self.gateway.registry.sips_of(id).into_iter().next()
    }

    /// The user of the page that talks.
    pub(super) fn page_user(&self) -> Option<UserId> {
        if let Some(stays) = self.stays {
            return self.user_of(stays);
        }
        match &self.caller {
            Caller::Page(_) => self.user_of(Leg::Caller),
            Caller::Trunk(_) | Caller::Line(_) => {
                self.callees.iter().find_map(|callee| match callee {
                    super::legs::Callee::Page(page) if page.answered => Some(page.user.clone()),
                    _ => None,
                })
            }
        }
    }

    /// The answer to our REFER.
    pub(super) fn refer_answered(&mut self, status: u16) {
        if self.transfer.is_none() {
            return;
        }
        if status >= 300 {
            self.transfer = None;
            tracing::info!(call.id = %self.id, status, "REFER refused by the trunk");
            self.tell_transfer(TransferStatus::Failed, status);
        } else {
            self.tell_transfer(TransferStatus::Accepted, status);
        }
    }

    /// What the far side says of its call to the new party.
    pub(super) fn refer_progress(&mut self, session: Session, status: u16) {
        if self.transfer.is_none_or(|transfer| transfer.session != session) {
            return;
        }
        match status {
            100..=179 => {}
            180..=199 => self.tell_transfer(TransferStatus::Ringing, status),
            200..=299 => {
                self.transfer = None;
                tracing::info!(call.id = %self.id, "transferred");
                self.tell_transfer(TransferStatus::Answered, status);
                let page = match (self.stays, &self.caller) {
                    (Some(stays), _) => Some(stays),
                    (None, Caller::Page(_)) => Some(Leg::Caller),
                    (None, Caller::Trunk(_) | Caller::Line(_)) => self.answered_page_leg(),
                };
                if let Some(leg) = page {
                    self.feed(Input::Leg(leg, LegEvent::Ended(Cause::Hangup)));
                }
            }
            _ => {
                self.transfer = None;
                tracing::info!(call.id = %self.id, status, "transfer failed");
                self.tell_transfer(TransferStatus::Failed, status);
            }
        }
    }

    /// The user whose page a leg is.
    pub(super) fn user_of(&self, leg: Leg) -> Option<UserId> {
        match leg {
            Leg::Caller => {
                let session = self.caller.page()?.session;
                self.gateway.registry.page(session).map(|live| live.claims.sub)
            }
            Leg::Callee(n) => match self.callees.get(usize::from(n)) {
                Some(super::legs::Callee::Page(page)) => Some(page.user.clone()),
                _ => None,
            },
        }
    }

    fn tell_transfer(&self, status: TransferStatus, sip: u16) {
        if let Some(page) = self.talking_page() {
            page.event(Event::CallTransfer { call: self.id, status, sip: Some(sip) });
        }
    }
}

/// What a page hears of a plan that does not let it.
pub(super) fn refusal(refused: routing::NoTransfer) -> Refusal {
    let details = serde_json::json!({
        "code": refused.cause.end_code(),
        "rule": refused.rule,
        "trace": refused.trace,
    });
    Refusal::new(ErrorCode::from(refused.cause)).saying(refused.words).with_details(details)
}
