//! Where a call begins: from a page's `call.start`, or from a trunk's INVITE. Each call gets a task
//! and a supervisor that cleans up after it, also after a panic.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use jiff::Timestamp;
use tokio::sync::{Notify, mpsc};

use super::legs::{Began, Caller, CallerLine, CallerPage, CallerTrunk};
use super::machine::CallTask;
use super::media_side::{Dropped, Followed, Silent, follow};
use super::page_leg::media_refusal;
use super::recording::Taped;
use super::renegotiate::Holding;
use super::{CallInput, MediaOf, PageOrigin};
use crate::base::{CallId, Cause, EndedBy, Party};
use crate::call::{Call, Input, LegKind, Limits, Setup, Who};
use crate::dialplan::Law;
use crate::gateway::registry::LiveCall;
use crate::gateway::surface::{CallNews, CallView};
use crate::gateway::timeline::Timeline;
use crate::gateway::trunks::Channel;
use crate::gateway::{Inner, identity, routing, sip_words, spawn};
use crate::media;
use crate::signaling::socket::Page;
use crate::signaling::{ErrorCode, Event, LossWatch, Refusal, RequestId};
use crate::sip::{Command, Incoming};
use crate::store::Cursor;

/// Starts the call of a page. The reply to `call.start` comes from the call.
pub(in crate::gateway) fn spawn_from_page(
    gateway: &Arc<Inner>,
    origin: PageOrigin,
) -> Result<(), Refusal> {
    let PageOrigin { session, live, request, start } = origin;
    let id = start.call;
    let user = live.claims.sub.clone();
    let (media, events) = gateway.pool.open(id).map_err(media_refusal)?;
    let from = Party {
        user: Some(user.clone()),
        number: start.from.clone(),
        uri: format!("user:{user}"),
        display: None,
    };
    let to = Party { uri: start.to.as_str().to_owned(), ..Party::default() };
    let setup =
        Setup { id, caller: LegKind::Page, trunk: None, from, to, started_at: Timestamp::now() };
    let mut born =
        Born::new(gateway, setup).ok_or_else(|| Refusal::new(ErrorCode::SignalCallIdTaken))?;
    born.followed = Some(follow(born.live.inbox.clone(), MediaOf::Caller, events));
    let gateway = gateway.clone();
    let page = live.page.clone();
    let law = routing::wanted_codec(&gateway, &user, &start);
    spawn("call", async move {
        // The offer is answered once, at once; the plan is asked for the route right after.
        if let Some(law) = law
            && let Err(error) = media.prefer(page_codec(law))
        {
            tracing::warn!(call.id = %id, %error, "the page's codec cannot be chosen");
        }
        let answer = media.browser_offer(start.sdp).await.map_err(|error| {
            tracing::info!(call.id = %id, %error, "the page's offer cannot be answered");
            media_refusal(error)
        });
        if answer.is_err() {
            // Before anything is dialled; the call is refused and recorded like any other.
            let _ = born.engine.handle_input(Instant::now(), Input::End(Cause::MediaFailed));
        }
        let caller = Caller::Page(CallerPage {
            session,
            page: page.clone(),
            start: Some(request),
            began: Began::ByPage,
            answer,
            told_end: false,
        });
        born.supervise(gateway, caller, Some(media), Some((page, request))).await;
    });
    Ok(())
}

fn page_codec(law: Law) -> media::BrowserCodec {
    match law {
        Law::Pcmu => media::BrowserCodec::Pcmu,
        Law::Pcma => media::BrowserCodec::Pcma,
    }
}

/// Starts the call of a trunk whose offer, if there is one, can be answered; the INVITE is refused by the caller where this fails.
pub(in crate::gateway) fn spawn_from_trunk(
    gateway: &Arc<Inner>,
    channel: Channel,
    incoming: Incoming,
    offer: Option<String>,
) -> Result<(), media::Error> {
    let id = gateway.new_call_id();
    let trunk = &channel.trunk.definition;
    let setup = Setup {
        id,
        caller: LegKind::Trunk,
        trunk: Some(trunk.id.clone()),
        from: sip_words::caller_of(trunk, &incoming),
        to: sip_words::called_of(trunk, &incoming),
        started_at: Timestamp::now(),
    };
    let Some(born) = Born::new(gateway, setup) else {
        return Err(media::Error::Internal);
    };
    gateway.registry.add_sip(incoming.session, id);
    gateway.sip_trace.belongs(&incoming.call_id, id);
    tracing::info!(call.id = %id, trunk.id = %trunk.id, "incoming call");
    let mut metadata = identity::diverted(&incoming);
    metadata.extend(identity::page_headers(trunk, &incoming));
    let caller = Caller::Trunk(CallerTrunk {
        sip: incoming.session,
        channel,
        max_forwards: incoming.max_forwards,
        info: sip_words::info_support(&incoming.allow),
        verified: identity::verified(&incoming),
        offer,
        metadata,
        answered: false,
        alive: true,
        given: false,
    });
    let gateway = gateway.clone();
    spawn("call", async move { born.supervise(gateway, caller, None, None).await });
    Ok(())
}

/// Starts the call that a line sends its caller on with; `None` where no more calls are taken.
pub(super) fn spawn_onward(
    gateway: &Arc<Inner>,
    caller: CallerLine,
    from: Party,
) -> Option<(CallId, mpsc::Sender<CallInput>)> {
    let id = gateway.new_call_id();
    let number = caller.called.clone();
    let to = Party { number, uri: caller.to.to_string(), ..Party::default() };
    let started_at = Timestamp::now();
    let setup = Setup { id, caller: LegKind::Line, trunk: None, from, to, started_at };
    let born = Born::new(gateway, setup)?;
    let inbox = born.live.inbox.clone();
    let gateway = gateway.clone();
    let caller = Caller::Line(caller);
    spawn("call", async move { born.supervise(gateway, caller, None, None).await });
    Some((id, inbox))
}

/// A call that is in the registry and has no task yet.
pub(super) struct Born {
    pub engine: Call,
    id: CallId,
    pub started: Instant,
    pub live: LiveCall,
    pub inbox: mpsc::Receiver<CallInput>,
    /// Where the events of the caller's media go, where it has media.
    pub followed: Option<Followed>,
}

impl Born {
    pub fn new(gateway: &Arc<Inner>, setup: Setup) -> Option<Born> {
        let (sender, inbox) = mpsc::channel(INBOX);
        let id = setup.id;
        let started = Instant::now();
        let engine = Call::new(started, setup, Limits::default());
        let view = CallView { state: engine.state(), record: engine.record().clone() };
        let live = LiveCall {
            inbox: sender,
            overrun: Arc::new(Notify::new()),
            view: Arc::new(Mutex::new(view)),
            timeline: Arc::new(Mutex::new(Timeline::new(engine.record().started_at))),
            place: Cursor::of(engine.record()),
        };
        if !gateway.registry.add_call(id, live.clone()) {
            return None;
        }
        gateway.metrics.call_started(engine.record().direction.as_str());
        gateway.events.tell("call.started", &CallNews::of(&engine));
        Some(Born { engine, id, started, live, inbox, followed: None })
    }

    /// Runs the call and cleans up after it. A panic in the task ends this call and no other.
    pub async fn supervise(
        self,
        gateway: Arc<Inner>,
        caller: Caller,
        media: Option<media::Session>,
        asked: Option<(Page, RequestId)>,
    ) {
        let id = self.id;
        let view = self.live.view.clone();
        let pauses = match &caller {
            Caller::Line(line) => line.pauses.clone(),
            Caller::Page(_) | Caller::Trunk(_) => Arc::default(),
        };
        let task = CallTask {
            gateway: gateway.clone(),
            id,
            engine: self.engine,
            view: self.live.view,
            timeline: self.live.timeline,
            inbox: self.live.inbox,
            started: self.started,
            caller,
            callees: Vec::new(),
            media,
            dial: None,
            counted: None,
            talking: Vec::new(),
            logged: 0,
            last_write: None,
            digit_way: None,
            digits_dropped: 0,
            silent: Silent::default(),
            infos: 0,
            holding: Holding::default(),
            far: None,
            stays: None,
            joining: None,
            arriving: None,
            routes: self.followed.into_iter().map(|own| (MediaOf::Caller, own)).collect(),
            caller_left: false,
            handing: None,
            refer_waits: None,
            more_counted: Vec::new(),
            transfer: None,
            trunk_loss: LossWatch::default(),
            dropped: Dropped::default(),
            recording: Taped::pausing(pauses),
            over: false,
        };
        let run = spawn("call machine", task.run(self.inbox, self.live.overrun));
        let panicked = run.await.is_err();
        let ended = view.lock().unwrap_or_else(PoisonError::into_inner).record.clone();
        let left = gateway.registry.remove_call(id);
        if panicked {
            gateway.metrics.panic_caught();
            tracing::error!(call.id = %id, "a fault of the gateway ended the call");
            let mut record = view.lock().unwrap_or_else(PoisonError::into_inner).record.clone();
            gateway
                .metrics
                .call_ended(record.direction.as_str(), Cause::Internal.end_code().as_str());
            record.ended_at = Some(Timestamp::now());
            record.cause = Some(Cause::Internal);
            record.q850 = Some(Cause::Internal.q850());
            record.ended_by = Some(Who::Gateway);
            if let Err(error) = gateway.store.append(&record).await {
                tracing::error!(call.id = %id, %error, "the record could not be kept");
            }
            gateway.events.tell("call.ended", &record);
            if let Some(traces) = &gateway.traces {
                traces.ended(&record);
            }
            if let Some((page, request)) = asked {
                // Whichever of the two the page waits for; the other one changes nothing.
                page.reply(request, Err(Refusal::new(ErrorCode::ServerInternal)));
                page.event(Event::ended(id, Cause::Internal, EndedBy::Gateway, None, None));
            }
        }
        if !panicked {
            gateway.events.tell("call.ended", &ended);
            if let Some(traces) = &gateway.traces {
                traces.ended(&ended);
            }
        }
        for session in left {
            let reasons = sip_words::reasons(Cause::Internal, Cause::Internal.q850());
            gateway.sip(Command::HangUp { session, reasons }).await;
        }
    }
}

/// Inputs that wait for a call: seconds of the liveliest one.
const INBOX: usize = 256;
