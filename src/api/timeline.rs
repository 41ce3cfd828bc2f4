//! `/v1/calls/{id}/dtmf` and `/v1/calls/{id}/events`: what became of a call's digits, in order. Keys are
//! secrets: how long each was and how it went is shown, which it was is not.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::body::OfCall;
use super::calls::List;
use super::{Api, Problem};
use crate::base::CallId;
use crate::gateway::{Timeline, TimelineRow};
use crate::signaling::ErrorCode;

/// The digits of a call.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Digits {
    /// How digits go to the trunk at the moment; `null` where they go no way, or nothing is known.
    #[schema(required)]
    mode: Option<&'static str>,
    /// Digits that the legs sent, whatever way.
    heard: usize,
    /// Digits that went out to the trunk.
    sent: usize,
    /// Older entries that are kept no more.
    forgotten: u64,
    /// What happened, oldest first.
    items: Vec<TimelineRow>,
}

/// What became of a call's digits.
#[utoipa::path(get, path = "/v1/calls/{id}/dtmf", tag = "calls", params(("id" = CallId, Path)),
    responses((status = 200, description = "How each went, never which it was", body = Digits)))]
pub(super) async fn digits(
    State(api): State<Api>,
    OfCall(id): OfCall,
) -> Result<Json<Digits>, Problem> {
    let timeline = timeline(&api, id)?;
    let mut items = timeline.rows();
    items.retain(|row| row.kind().starts_with("dtmf."));
    let count = |kind| items.iter().filter(|row| row.kind() == kind).count();
    Ok(Json(Digits {
        mode: timeline.mode(),
        heard: count("dtmf.heard"),
        sent: count("dtmf.sent"),
        forgotten: timeline.forgotten(),
        items,
    }))
}

/// What happened in a call.
#[utoipa::path(get, path = "/v1/calls/{id}/events", tag = "calls", params(("id" = CallId, Path)),
    responses((status = 200, description = "Oldest first", body = List<TimelineRow>)))]
pub(super) async fn events(
    State(api): State<Api>,
    OfCall(id): OfCall,
) -> Result<Json<List<TimelineRow>>, Problem> {
    Ok(List::whole(timeline(&api, id)?.rows()))
}

fn timeline(api: &Api, id: CallId) -> Result<Timeline, Problem> {
    let words = "There is no such call in progress, nor one that ended not long ago.";
    let unknown = || Problem::saying(ErrorCode::RequestNotFound, words);
    api.backend.timeline(id).ok_or_else(unknown)
}
