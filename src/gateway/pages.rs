//! What pages ask, carried to the calls they mean.

use std::sync::Arc;

use serde::Serialize;
use tokio::sync::mpsc;

use super::Inner;
use super::call_task::{self, CallInput, PageAsk};
use super::registry::LivePage;
use crate::base::{CallId, SessionId, UserId, mask_numbers};
use crate::media::Hold;
use crate::signaling::socket::FromPage;
use crate::signaling::{
    CallStart, CloseCode, ErrorCode, PageStats, Refusal, Reply, Request, RequestId, Words,
};

/// Reads the pages' channel until the gateway stops.
pub(super) async fn run(gateway: Arc<Inner>, mut pages: mpsc::Receiver<FromPage>) {
    // Cancellation safe: `recv` loses nothing.
    while let Some(message) = pages.recv().await {
        match message {
            FromPage::Opened { session, claims, page } => {
                if gateway.is_draining() {
                    page.close(CloseCode::Draining);
                }
                let user = claims.sub.clone();
                gateway.registry.add_page(session, LivePage { claims, page, there: true });
                // Whoever reads this may call the page.
                tracing::info!(session.id = %session, user.id = %user, "page signed in");
            }
            FromPage::Copy { session, call, text } => {
                if let Some(call) = gateway.registry.call_of_page(call) {
                    call.tell(CallInput::Say(session, text));
                }
            }
            FromPage::Away { session } => {
                gateway.registry.set_away(session);
                tracing::info!(session.id = %session, "page away");
            }
            FromPage::Back { session, claims } => {
                gateway.registry.set_back(session, claims);
                tracing::info!(session.id = %session, "page back");
            }
            FromPage::Renewed { session, claims } => gateway.registry.renew_page(session, claims),
            FromPage::Asked { session, request, body } => asked(&gateway, session, request, body),
            FromPage::Closed { session } => {
                gateway.registry.remove_page(session);
                for call in gateway.registry.calls() {
                    call.tell(CallInput::PageGone(session));
                }
                tracing::info!(session.id = %session, "page gone");
            }
        }
    }
}

fn asked(gateway: &Arc<Inner>, session: SessionId, request: RequestId, body: Request) {
    let Some(live) = gateway.registry.page(session) else { return };
    let refuse = |code| live.page.reply(request, Err(Refusal::new(code)));
    let call = match body {
        Request::CallStart(start) => return start_call(gateway, session, &live, request, start),
        Request::CallStats(PageStats { call, stats }) => {
            let loss = stats.inbound.loss_ratio;
            tracing::debug!(call.id = %call, rtt_ms = stats.rtt, mos = stats.mos, loss, "the page's view");
            return live.page.reply(request, Ok(Reply::Done {}));
        }
        Request::CallReport(report) => {
            let note = report.note.as_deref().map(mask_numbers);
            tracing::info!(call.id = %report.call, rating = report.rating, problem = ?report.problem, note, "rated by its user");
            return live.page.reply(request, Ok(Reply::Done {}));
        }
        Request::CallMessage(message) => {
            if gateway.registry.call_of_page(message.call).is_none() {
                return refuse(ErrorCode::SignalUnknownCall);
            }
            let (id, user, data) = (message.call, &live.claims.sub, message.data);
            gateway.events.tell("call.message", &WordsOfPage { id, user, data });
            return live.page.reply(request, Ok(Reply::Done {}));
        }
        ref other => match other.call() {
            Some(call) => call,
            None => return refuse(ErrorCode::ProtocolUnknown),
        },
    };
    let wants_reply = !matches!(body, Request::Ice(_));
    let Some(call) = gateway.registry.call_of_page(call) else {
        if wants_reply {
            // Hanging up a call that has just ended is what was wanted.
            let outcome = match body {
                Request::CallHangup(_) => Ok(Reply::Done {}),
                _ => Err(Refusal::new(ErrorCode::SignalUnknownCall)),
            };
            live.page.reply(request, outcome);
        }
        return;
    };
    let ask = match body {
        Request::CallAnswer(answer) => PageAsk::Answer { sdp: answer.sdp },
        Request::CallReject(reject) => PageAsk::Reject { cause: reject.reason.cause() },
        Request::CallHangup(_) => PageAsk::HangUp,
        Request::CallMedia(media) => PageAsk::Media { mode: media.mode, sdp: media.sdp },
        Request::CallHold(_) => PageAsk::Hold(Hold::On),
        Request::CallUnhold(_) => PageAsk::Hold(Hold::Off),
        Request::CallTransfer(transfer) => PageAsk::Transfer(transfer.to),
        Request::Ice(ice) => PageAsk::Candidate(ice.candidate.map(|c| c.candidate)),
        Request::DtmfSend(send) => PageAsk::SendTones(send),
        Request::DtmfPress(press) => PageAsk::Press(press.tone),
        Request::DtmfRelease(_) => PageAsk::Release,
        Request::DtmfCancel(_) => PageAsk::CancelTones,
        _ => return refuse(ErrorCode::ProtocolUnknown),
    };
    let reply = wants_reply.then(|| (live.page.clone(), request));
    call.tell(CallInput::Page { session, ask, reply });
}

/// What a page says to its application's server.
#[derive(Serialize)]
struct WordsOfPage<'a> {
    id: CallId,
    user: &'a UserId,
    data: Words,
}

fn start_call(
    gateway: &Arc<Inner>,
    session: SessionId,
    live: &LivePage,
    request: RequestId,
    start: CallStart,
) {
    let refuse = |refusal: Refusal| live.page.reply(request, Err(refusal));
    if gateway.is_draining() {
        return refuse(Refusal::new(ErrorCode::ServerDraining));
    }
    let origin = call_task::PageOrigin { session, live: live.clone(), request, start };
    if let Err(refusal) = call_task::spawn_from_page(gateway, origin) {
        refuse(refusal);
    }
}
