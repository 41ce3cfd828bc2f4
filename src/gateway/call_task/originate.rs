//! A call that a program starts: the user's pages ring; the one that takes it calls the number, by the
//! user's own rules in the plan.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::mpsc;

use super::legs::{Began, Caller, CallerPage};
use super::media_side::follow;
use super::page_leg::media_refusal;
use super::spawn::Born;
use super::{CallInput, MediaOf, PageAsk};
use crate::base::{CallId, Cause, DialString, E164, Party, SessionId, UserId};
use crate::call::{Call, Input, LegKind, Limits, Setup};
use crate::gateway::registry::LivePage;
use crate::gateway::{Inner, spawn};
use crate::media::{self, MediaEvent};
use crate::signaling::{CallIncoming, ErrorCode, Event, MediaMode, Refusal, Reply};

/// A call to start.
#[derive(Debug, Clone)]
pub enum CallOrder {
    /// A user's pages ring; the one that takes the call calls, by the user's own rules.
    User {
        /// Who is rung first.
        user: UserId,
        /// What is called then.
        to: DialString,
        /// The number to show, where it is not the plan's choice.
        caller_id: Option<E164>,
    },
    /// A number is called, by the rules of the plan's owner, and connected when it answers.
    Number {
        /// The number.
        from: DialString,
        /// With what: `user:alice`, `menu:night`, `number:+49…`, as a plan writes it.
        to: String,
    },
}

/// Why a program's call does not start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotStarted {
    /// The plan has no such destination.
    NoDestination,
    /// The plan refuses it, in its words.
    Refused(Cause, String),
    /// The gateway is being stopped.
    Draining,
    /// No page of the user is signed in.
    NobodyThere,
    /// Too many calls.
    Overloaded,
}

/// A page that rings.
struct Rung {
    session: SessionId,
    live: LivePage,
    media: media::Session,
    events: mpsc::Receiver<MediaEvent>,
    warm: bool,
}

/// Rings the user's pages; the call goes on from there.
pub(super) fn ring_user(
    gateway: &Arc<Inner>,
    (user, to, caller_id): (UserId, DialString, Option<E164>),
) -> Result<CallId, NotStarted> {
    let id = gateway.new_call_id();
    let mut rung = Vec::new();
    for session in gateway.registry.pages_of(&user).into_iter().take(MOST_RUNG) {
        let Some(live) = gateway.registry.page(session) else { continue };
        let opened = gateway.pool.open(id).map_err(|_| NotStarted::Overloaded)?;
        rung.push(Rung { session, live, media: opened.0, events: opened.1, warm: false });
    }
    if rung.is_empty() {
        return Err(NotStarted::NobodyThere);
    }
    let from = Party {
        user: Some(user.clone()),
        number: caller_id,
        uri: format!("user:{user}"),
        display: None,
    };
    let to = Party { uri: to.as_str().to_owned(), ..Party::default() };
    let started_at = Timestamp::now();
    let setup = Setup { id, caller: LegKind::Page, trunk: None, from, to, started_at };
    let born = Born::new(gateway, setup.clone()).ok_or(NotStarted::Overloaded)?;
    tracing::info!(call.id = %id, user.id = %user, pages = rung.len(), "a program's call");
    let gateway = gateway.clone();
    spawn("call order", async move { ring(gateway, born, setup, rung).await });
    Ok(id)
}

async fn ring(gateway: Arc<Inner>, mut born: Born, setup: Setup, mut rung: Vec<Rung>) {
    let shown = |party: &Party| Party { user: None, ..party.clone() };
    let Some((session, page)) = rung.first().map(|own| (own.session, own.live.page.clone())) else {
        return;
    };
    let mut offered = Vec::new();
    for page in rung.drain(..) {
        let Ok(sdp) = page.media.offer_browser().await else { continue };
        page.live.page.event(Event::CallIncoming(Box::new(CallIncoming {
            call: setup.id,
            from: shown(&setup.to),
            to: setup.from.clone(),
            metadata: Default::default(),
            sdp,
            verified: None,
        })));
        offered.push(page);
    }
    match taken(&mut born, &mut offered).await {
        Ok(taken) => {
            let page = offered.swap_remove(taken);
            tell_others(&setup, offered, Cause::AnsweredElsewhere);
            born.followed = Some(follow(born.live.inbox.clone(), MediaOf::Caller, page.events));
            // Its clock starts now: how long a user looks for the page is no part of a set-up.
            born.engine = Call::new(Instant::now(), setup, Limits::default());
            born.started = Instant::now();
            let caller = Caller::Page(CallerPage {
                session: page.session,
                page: page.live.page,
                start: None,
                began: Began::ByProgram,
                answer: Ok(String::new()),
                told_end: false,
            });
            born.supervise(gateway, caller, Some(page.media), None).await;
        }
        Err(cause) => {
            tell_others(&setup, offered, cause);
            let caller = Caller::Page(CallerPage {
                session,
                page,
                start: None,
                began: Began::ByProgram,
                answer: Ok(String::new()),
                told_end: true,
            });
            let _ = born.engine.handle_input(Instant::now(), Input::End(cause));
            born.supervise(gateway, caller, None, None).await;
        }
    }
}

/// The page that took the call, or why none did.
async fn taken(born: &mut Born, rung: &mut Vec<Rung>) -> Result<usize, Cause> {
    let end = tokio::time::sleep(RING);
    tokio::pin!(end);
    loop {
        if rung.is_empty() {
            return Err(Cause::Declined);
        }
        // Cancellation safe: a channel and a timer lose nothing.
        let input = tokio::select! {
            input = born.inbox.recv() => input,
            () = &mut end => return Err(Cause::NoAnswer),
        };
        match input {
            Some(CallInput::Page { session, ask, reply }) => {
                let Some(at) = rung.iter().position(|page| page.session == session) else {
                    continue;
                };
                let outcome = asked(&mut rung[at], ask).await;
                let then = outcome.as_ref().map_or(Then::Wait, |then| *then);
                if let Some((page, request)) = reply {
                    page.reply(request, outcome.map(|_| Reply::Done {}));
                }
                match then {
                    Then::Wait => {}
                    Then::Take => return Ok(at),
                    Then::Refuse => {
                        if rung.len() == 1 {
                            return Err(Cause::Declined);
                        }
                        rung.swap_remove(at).media.close();
                    }
                }
            }
            Some(CallInput::PageGone(session)) => {
                if rung.len() == 1 && rung[0].session == session {
                    return Err(Cause::Unreachable);
                }
                rung.retain(|page| page.session != session);
            }
            Some(CallInput::End(cause)) => return Err(cause),
            Some(CallInput::Message(data)) => {
                for page in rung.iter() {
                    let data = data.clone();
                    page.live
                        .page
                        .event(Event::CallMessage { call: born.engine.record().id, data });
                }
            }
            Some(_) => {}
            None => return Err(Cause::Internal),
        }
    }
}

#[derive(Clone, Copy)]
enum Then {
    Wait,
    Take,
    Refuse,
}

async fn asked(page: &mut Rung, ask: PageAsk) -> Result<Then, Refusal> {
    match ask {
        PageAsk::Answer { sdp } => {
            if !(page.warm && sdp.is_empty()) {
                page.media.browser_answer(sdp).await.map_err(media_refusal)?;
            }
            Ok(Then::Take)
        }
        PageAsk::Media { mode: MediaMode::Warm, sdp } if !page.warm => {
            page.media.browser_answer(sdp).await.map_err(media_refusal)?;
            page.warm = true;
            Ok(Then::Wait)
        }
        PageAsk::Candidate(candidate) => {
            // One that cannot be used is no loss: the checks of the page find us.
            let _ = page.media.browser_candidate(candidate);
            Ok(Then::Wait)
        }
        PageAsk::Reject { .. } | PageAsk::HangUp => Ok(Then::Refuse),
        _ => Err(Refusal::new(ErrorCode::SignalWrongState)),
    }
}

fn tell_others(setup: &Setup, others: Vec<Rung>, cause: Cause) {
    for page in others {
        page.media.close();
        page.live.page.event(Event::CallCancelled { call: setup.id, code: cause.end_code() });
    }
}

const RING: Duration = Duration::from_secs(30);
const MOST_RUNG: usize = 8;
