//! `/v1/calls/{id}/dtmf` and `/v1/calls/{id}/events`: what became of a call's digits, in order. Keys are
//! secrets: how long each was and how it went is shown, which it was is not.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::body::OfCall;
use super::calls::List;
use super::page::{Page, Which};
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
    /// The `cursor` of the next page; `null` where there is none.
    #[schema(required)]
    next: Option<String>,
}

/// What became of a call's digits.
#[utoipa::path(get, path = "/v1/calls/{id}/dtmf", tag = "calls",
    params(("id" = CallId, Path), Which),
    responses((status = 200, description = "How each went, never which it was", body = Digits)))]
pub(super) async fn digits(
    State(api): State<Api>,
    OfCall(id): OfCall,
    page: Page<u64>,
) -> Result<Json<Digits>, Problem> {
    let timeline = timeline(&api, id)?;
    let rows: Vec<(u64, TimelineRow)> = (timeline.forgotten()..).zip(timeline.rows()).collect();
    let count = |kind| rows.iter().filter(|(_, row)| row.kind() == kind).count();
    let (heard, sent) = (count("dtmf.heard"), count("dtmf.sent"));
    let digits = rows.into_iter().filter(|(_, row)| row.kind().starts_with("dtmf."));
    let Json(page) = page.rising(digits.collect(), |(n, _)| *n);
    Ok(Json(Digits {
        mode: timeline.mode(),
        heard,
        sent,
        forgotten: timeline.forgotten(),
        items: page.items.into_iter().map(|(_, row)| row).collect(),
        next: page.next,
    }))
}

/// What happened in a call.
#[utoipa::path(get, path = "/v1/calls/{id}/events", tag = "calls",
    params(("id" = CallId, Path), Which),
    responses((status = 200, description = "Oldest first", body = List<TimelineRow>)))]
pub(super) async fn events(
    State(api): State<Api>,
    OfCall(id): OfCall,
    page: Page<u64>,
) -> Result<Json<List<TimelineRow>>, Problem> {
    let timeline = timeline(&api, id)?;
    Ok(page.numbered(timeline.rows(), timeline.forgotten()))
}

fn timeline(api: &Api, id: CallId) -> Result<Timeline, Problem> {
    let words = "There is no such call in progress, nor one that ended not long ago.";
    let unknown = || Problem::saying(ErrorCode::RequestNotFound, words);
    api.backend.timeline(id).ok_or_else(unknown)
}
