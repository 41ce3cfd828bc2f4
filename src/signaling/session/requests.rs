//! What a page asks, once it has said who it is: what is answered here and what goes to the gateway.

use std::time::Instant;

use super::calls::Phase;
use super::{Error, Identity, Line, Output, Session, WORDS_COST};
use crate::base::{CallId, E164};
use crate::signaling::{
    CallStart, Claims, ErrorCode, MediaMode, Refusal, Reply, Request, RequestId, Scope, TransferTo,
};

impl Session {
    pub(super) fn request(
        &mut self,
        now: Instant,
        id: RequestId,
        request: Request,
        claims: Claims,
    ) -> Result<(), Refusal> {
        match request {
            Request::Ping(ping) => {
                if let Some(seq) = ping.last_seq {
                    self.log.acknowledge(seq);
                }
                self.answer(id, Ok(Reply::Done {}));
            }
            Request::Hello(_) => return Err(ErrorCode::SignalWrongState.into()),
            Request::Token(fresh) => {
                let (fresh, token) = self.check_token(now, fresh.token.expose())?;
                if fresh.sub != claims.sub {
                    return Err(ErrorCode::AuthForbidden.into());
                }
                self.identity = Some(Identity { claims: fresh.clone(), token, told: false });
                self.out.push_back(Output::Renewed(fresh));
                self.answer(id, Ok(Reply::Done {}));
            }
            Request::CallStart(start) => self.call_start(now, id, start, &claims)?,
            Request::Ice(ice) => {
                // Late candidates of an ended call are no fault of the page.
                if self.calls.find(ice.call)?.phase != Phase::Ended {
                    self.out.push_back(Output::Request(self.own(id), Request::Ice(ice)));
                }
                self.answer(id, Ok(Reply::Done {}));
            }
            Request::CallHangup(body) => {
                if self.calls.find(body.call)?.phase == Phase::Ended {
                    self.answer(id, Ok(Reply::Done {}));
                } else {
                    self.ask(id, Request::CallHangup(body), None)?;
                }
            }
            Request::CallAnswer(_) | Request::CallReject(_) => {
                let call = request.call().ok_or(ErrorCode::SignalUnknownCall)?;
                let known = self.calls.find(call)?;
                let to_renewal = matches!(request, Request::CallAnswer(_)) && known.offered;
                match known.phase {
                    Phase::Incoming => self.ask(id, request, None)?,
                    Phase::Live if to_renewal => self.ask(id, request, None)?,
                    Phase::Ended => return Err(ErrorCode::CallEnded.into()),
                    Phase::Starting | Phase::Live => {
                        return Err(ErrorCode::SignalWrongState.into());
                    }
                }
                self.set_offered(call, false);
            }
            Request::CallMedia(ref body) => {
                let (call, mode) = (body.call, body.mode);
                match self.calls.find(call)?.phase {
                    Phase::Ended => return Err(ErrorCode::CallEnded.into()),
                    Phase::Incoming if mode == MediaMode::Warm => self.ask(id, request, None)?,
                    Phase::Incoming => return Err(ErrorCode::SignalWrongState.into()),
                    _ if mode == MediaMode::Warm => {
                        return Err(ErrorCode::SignalWrongState.into());
                    }
                    // A page that was loaded again may do so while its call is on its way.
                    Phase::Starting if mode == MediaMode::Restart => {
                        return Err(ErrorCode::MediaRestart.into());
                    }
                    Phase::Starting | Phase::Live => self.ask(id, request, None)?,
                }
                // The page's offer goes before one of ours that crosses it.
                self.set_offered(call, false);
            }
            // Also of a call that is over.
            Request::CallStats(_) | Request::CallReport(_) => {
                let call = request.call().ok_or(ErrorCode::SignalUnknownCall)?;
                self.calls.find(call)?;
                self.ask(id, request, None)?;
            }
            Request::CallMessage(ref body) => {
                if self.calls.find(body.call)?.phase == Phase::Ended {
                    return Err(ErrorCode::CallEnded.into());
                }
                if !self.words.take(now, WORDS_COST) {
                    return Err(Refusal::new(ErrorCode::ProtocolRate)
                        .saying("More than 5 messages a second to the application's server."));
                }
                self.ask(id, request, None)?;
            }
            Request::CallMute(body) => {
                if self.calls.find(body.call)?.phase == Phase::Ended {
                    return Err(ErrorCode::CallEnded.into());
                }
                if let Some(call) = self.calls.find_mut(body.call) {
                    call.muted = body.muted;
                }
                self.answer(id, Ok(Reply::Done {}));
            }
            Request::CallTransfer(ref body) => {
                match &body.to {
                    TransferTo::Call(other) => self.may_serve(*other)?,
                    TransferTo::Number(to) => self.may_dial(&claims, to.as_str())?,
                }
                self.may_serve(body.call)?;
                self.ask(id, request, None)?;
            }
            Request::CallHold(_)
            | Request::CallUnhold(_)
            | Request::DtmfSend(_)
            | Request::DtmfPress(_)
            | Request::DtmfRelease(_)
            | Request::DtmfCancel(_) => {
                let call = request.call().ok_or(ErrorCode::SignalUnknownCall)?;
                match self.calls.find(call)?.phase {
                    Phase::Ended => return Err(ErrorCode::CallEnded.into()),
                    Phase::Incoming => return Err(ErrorCode::SignalWrongState.into()),
                    Phase::Starting | Phase::Live => self.ask(id, request, None)?,
                }
            }
        }
        Ok(())
    }

    /// Whether the token lets the page call this. Emergency calls pass caps and rules, not what a
    /// token was made for (docs/decisions); the page is told in words, and before that by `features`.
    pub(super) fn may_dial(&self, claims: &Claims, dialled: &str) -> Result<(), Refusal> {
        let (dialling, user) = (&self.config.dialling, &claims.sub);
        let allowed = claims.allows(Scope::CallOut)
            && claims.may_dial(dialled, |value| dialling.meant(user, value));
        if allowed {
            return Ok(());
        }
        Err(Refusal::new(ErrorCode::AuthForbidden).saying(
            match dialling.is_emergency(user, dialled) {
                true => "This page cannot call for help. Use another telephone.",
                false => "The token does not allow a call to this number.",
            },
        ))
    }

    /// Whether a call is answered and on.
    fn may_serve(&self, call: CallId) -> Result<(), Refusal> {
        match self.calls.find(call)?.phase {
            Phase::Ended => Err(ErrorCode::CallEnded.into()),
            Phase::Incoming => Err(ErrorCode::SignalWrongState.into()),
            Phase::Starting | Phase::Live => Ok(()),
        }
    }

    fn call_start(
        &mut self,
        now: Instant,
        id: RequestId,
        mut start: CallStart,
        claims: &Claims,
    ) -> Result<(), Refusal> {
        let dialled = (start.to.clone(), start.from.clone());
        if let Some(known) = self.calls.find_mut(start.call) {
            if known.dialled.as_ref() != Some(&dialled) {
                return Err(ErrorCode::SignalCallIdTaken.into());
            }
            // The page asks again: the same answer, now or when it is there.
            match &known.outcome {
                Some(outcome) => {
                    let outcome = outcome.clone();
                    self.answer(id, outcome);
                }
                None if known.waiting.len() < MAX_WAITING => known.waiting.push(id),
                None => return Err(ErrorCode::ServerOverloaded.into()),
            }
            return Ok(());
        }
        if claims.exp <= self.unix(now) {
            return Err(ErrorCode::AuthExpired.into());
        }
        self.may_dial(claims, start.to.as_str())?;
        if start.from.is_none() && !claims.callers.is_empty() {
            start.from = claims.callers.iter().find_map(|number| number.parse::<E164>().ok());
        }
        let from = start.from.as_ref().map_or("", E164::as_str);
        if !claims.may_call_from(from) {
            return Err(ErrorCode::CallCallerId.into());
        }
        if self.calls.live() >= MAX_LIVE_CALLS {
            return Err(ErrorCode::CallLimit.into());
        }
        let call = start.call;
        self.check_room(id)?;
        self.calls.start(&start, dialled);
        self.ask(id, Request::CallStart(start), Some(call))
    }

    /// Hands a request to the gateway.
    fn ask(
        &mut self,
        id: RequestId,
        request: Request,
        start: Option<CallId>,
    ) -> Result<(), Refusal> {
        self.check_room(id)?;
        let own = self.own(id);
        self.pending.insert(own, start);
        self.out.push_back(Output::Request(own, request));
        Ok(())
    }

    fn check_room(&self, id: RequestId) -> Result<(), Refusal> {
        if self.pending.contains_key(&self.own(id)) {
            return Err(Refusal::new(ErrorCode::ProtocolBadMessage)
                .saying("A request of this id still waits for its reply."));
        }
        if self.pending.len() >= MAX_PENDING {
            return Err(ErrorCode::ServerOverloaded.into());
        }
        Ok(())
    }

    /// A page's number as the gateway gets it: those of different sockets never meet.
    fn own(&self, id: RequestId) -> RequestId {
        RequestId(id.0 | (self.epoch % MAX_EPOCH) << PAGE_BITS)
    }

    pub(super) fn reply(
        &mut self,
        own: RequestId,
        outcome: Result<Reply, Refusal>,
    ) -> Result<(), Error> {
        let start = self.pending.remove(&own).ok_or(Error::NotAsked(own))?;
        let waiting = start.map(|call| self.calls.started(call, &outcome));
        if self.line != Line::Open {
            return Ok(());
        }
        for id in waiting.into_iter().flatten() {
            self.answer(id, outcome.clone());
        }
        let page = RequestId(own.0 & ((1 << PAGE_BITS) - 1));
        if self.own(page) == own {
            self.answer(page, outcome);
        }
        Ok(())
    }

    fn set_offered(&mut self, call: CallId, offered: bool) {
        if let Some(call) = self.calls.find_mut(call) {
            call.offered = offered;
        }
    }
}

/// Bits of a page's request number (`frame`: at most 2^53).
const PAGE_BITS: u32 = 54;
/// As many sockets later nothing of the first one waits.
const MAX_EPOCH: u64 = 1 << 10;
const MAX_LIVE_CALLS: usize = 16;
const MAX_PENDING: usize = 64;
const MAX_WAITING: usize = 8;
