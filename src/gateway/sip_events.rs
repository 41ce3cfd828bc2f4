//! SIP events, carried to the calls they belong to; new INVITEs become calls.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::Inner;
use super::call_task::{self, CallInput};
use super::health::OptionsDone;
use crate::base::Cause;
use crate::sip::{Command, Event, Incoming, Session};
use crate::trunk::Urgency;

/// Reads the endpoint's events until it stops.
pub(super) async fn run(
    gateway: Arc<Inner>,
    mut events: mpsc::Receiver<Event>,
    options: mpsc::Sender<OptionsDone>,
) {
    // Cancellation safe: `recv` loses nothing.
    while let Some(event) = events.recv().await {
        match event {
            Event::Incoming(incoming) => {
                let session = incoming.session;
                if let Err((cause, retry_after)) = incoming_call(&gateway, *incoming) {
                    refuse(&gateway, session, cause, retry_after).await;
                }
            }
            Event::RequestDone { session: None, request, answer, origin } => {
                let done = OptionsDone { request, status: answer.status, origin };
                // A monitor that does not keep up asks again by itself.
                let _ = options.try_send(done);
            }
            event => {
                let Some(session) = session_of(&event) else { continue };
                match gateway.registry.call_of_sip(session) {
                    Some(call) => call.tell(CallInput::Sip(Box::new(event))),
                    None => tracing::debug!(?session, "SIP event for a call that is gone"),
                }
            }
        }
    }
}

/// Starts the call, or says why not and when to come back.
fn incoming_call(gateway: &Arc<Inner>, incoming: Incoming) -> Result<(), (Cause, Option<u32>)> {
    let later = Some(super::retry_after());
    if gateway.is_draining() {
        return Err((Cause::ServerShutdown, later));
    }
    let Some(trunk) = gateway.trunks.of_source(incoming.source.ip()) else {
        // The endpoint accepts the trunks' networks only; one that was just taken away ends here.
        return Err((Cause::Unallocated, None));
    };
    let place = trunk.take_channel(Urgency::Normal).map_err(|busy| {
        tracing::warn!(trunk.id = %trunk.definition.id, ?busy, "incoming call refused");
        (Cause::LimitReached, later)
    })?;
    call_task::spawn_from_trunk(gateway, place, incoming).map_err(|_| (Cause::LimitReached, later))
}

async fn refuse(gateway: &Inner, session: Session, cause: Cause, retry_after: Option<u32>) {
    let status = cause.sip();
    let refusal = Command::Reject {
        session,
        status: status.status,
        phrase: Some(status.reason),
        headers: super::sip_words::refusal_headers(cause, retry_after),
    };
    gateway.sip(refusal).await;
}

fn session_of(event: &Event) -> Option<Session> {
    match event {
        Event::Provisional { session, .. }
        | Event::Answered { session, .. }
        | Event::Rejected { session, .. }
        | Event::Acked { session, .. }
        | Event::Cancelled { session, .. }
        | Event::Reinvite { session, .. }
        | Event::ReinviteDone { session, .. }
        | Event::Ended { session, .. }
        | Event::Info { session, .. } => Some(*session),
        Event::RequestDone { session, .. } => *session,
        Event::Incoming(_) => None,
    }
}
