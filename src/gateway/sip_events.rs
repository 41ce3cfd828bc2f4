//! SIP events, carried to the calls they belong to; new INVITEs become calls.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::call_task::{self, CallInput};
use super::requests::Done;
use super::{Inner, sip_words};
use crate::base::Cause;
use crate::media;
use crate::sip::{Command, Event, ExtraHeader, Incoming, Session};
use crate::trunk::Urgency;

/// Reads the endpoint's events until it stops.
pub(super) async fn run(gateway: Arc<Inner>, mut events: mpsc::Receiver<Event>) {
    // Cancellation safe: `recv` loses nothing.
    while let Some(event) = events.recv().await {
        match event {
            Event::Incoming(incoming) => {
                let session = incoming.session;
                if let Err(refused) = incoming_call(&gateway, *incoming) {
                    refuse(&gateway, session, refused).await;
                }
            }
            Event::RequestDone { session: None, request, answer, origin } => {
                gateway.requests.done(request, Done { answer, origin });
            }
            Event::FlowLost { remote } => gateway.flow_lost(remote),
            event => {
                let Some(session) = session_of(&event) else { continue };
                match gateway.registry.call_of_sip(session) {
                    Some(call) => call.tell(CallInput::Sip(Box::new(event))),
                    None => gateway.probes.tell(session, event),
                }
            }
        }
    }
}

/// Why an INVITE starts no call.
enum Refused {
    /// As the cause says.
    For(Cause),
    /// The same, and when to come back.
    Later(Cause),
    /// Its body is of a kind that is not spoken here.
    BodyType,
    /// Its offer cannot be answered.
    Media(media::Error),
}

/// Starts the call, or says why not.
fn incoming_call(gateway: &Arc<Inner>, mut incoming: Incoming) -> Result<(), Refused> {
    if gateway.is_draining() {
        return Err(Refused::Later(Cause::ServerShutdown));
    }
    let Some(trunk) = gateway.trunks.of_incoming(&incoming) else {
        // The endpoint accepts the trunks' networks only; one that was just taken away ends here.
        return Err(Refused::For(Cause::Unallocated));
    };
    // Before a page rings: a call that cannot be heard is none.
    let offer = match incoming.body.take() {
        Some(body) if !body.is(SDP) => return Err(Refused::BodyType),
        Some(body) => {
            let at = gateway.pool.own_address();
            let offer = String::from_utf8(body.bytes).ok();
            let offer = offer.ok_or(media::Error::BadSdp("not UTF-8".to_owned()));
            let taken = offer.and_then(|offer| trunk.media.takes(&offer, at).map(|()| offer));
            Some(taken.map_err(|error| {
                tracing::info!(trunk.id = %trunk.definition.id, %error, "incoming call refused");
                Refused::Media(error)
            })?)
        }
        None => None,
    };
    let replaces = incoming.replaces;
    let place = trunk.take_channel(Urgency::Normal).map_err(|busy| {
        tracing::warn!(trunk.id = %trunk.definition.id, ?busy, "incoming call refused");
        Refused::Later(Cause::LimitReached)
    })?;
    if let Some(old) = replaces {
        // RFC 3891 3: the endpoint has seen that the dialog is there and this peer's.
        let call = gateway.registry.call_of_sip(old).ok_or(Refused::For(Cause::Cancelled))?;
        gateway.registry.add_sip(incoming.session, call.view().record.id);
        call.tell(CallInput::TakeOver(Box::new(incoming), old, place, offer));
        return Ok(());
    }
    call_task::spawn_from_trunk(gateway, place, incoming, offer)
        .map_err(|_| Refused::Later(Cause::LimitReached))
}

async fn refuse(gateway: &Inner, session: Session, refused: Refused) {
    let (cause, retry_after) = match refused {
        Refused::For(cause) => (cause, None),
        Refused::Later(cause) => (cause, Some(super::retry_after())),
        Refused::BodyType | Refused::Media(_) => (Cause::MediaFailed, None),
    };
    let status = cause.sip();
    let mut headers = match &refused {
        Refused::Media(error) => sip_words::media_refusal_headers(cause, error),
        _ => sip_words::refusal_headers(cause, retry_after),
    };
    let (status, phrase) = match refused {
        Refused::BodyType => {
            // RFC 3261 21.4.13.
            headers.extend(ExtraHeader::new("Accept", SDP));
            (415, None)
        }
        _ => (status.status, Some(status.reason)),
    };
    gateway.sip(Command::Reject { session, status, phrase, headers }).await;
}

fn session_of(event: &Event) -> Option<Session> {
    match event {
        Event::Provisional { session, .. }
        | Event::Answered { session, .. }
        | Event::NextDestination { session, .. }
        | Event::Rejected { session, .. }
        | Event::Acked { session, .. }
        | Event::Cancelled { session, .. }
        | Event::Reinvite { session, .. }
        | Event::ReinviteDone { session, .. }
        | Event::Reoffer { session }
        | Event::Update { session, .. }
        | Event::UpdateDone { session, .. }
        | Event::Refer { session, .. }
        | Event::ReferProgress { session, .. }
        | Event::Ended { session, .. }
        | Event::Info { session, .. } => Some(*session),
        Event::RequestDone { session, .. } => *session,
        Event::Incoming(_) | Event::FlowLost { .. } => None,
    }
}

/// What a body has to be.
const SDP: &str = "application/sdp";
