//! `/v1/calls/{id}/dtmf` and `/v1/calls/{id}/events`: what became of a call's digits, in order. Keys are
//! secrets: how long each was and how it went is shown, which it was is not.

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;

use super::calls::{List, call_id};
use super::{Api, Problem};
use crate::gateway::{Timeline, TimelineRow};
use crate::signaling::ErrorCode;

/// The digits of a call.
#[derive(Serialize)]
pub(super) struct Digits {
    /// How digits go to the trunk at the moment; `null` where they go no way, or nothing is known.
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
pub(super) async fn digits(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Json<Digits>, Problem> {
    let timeline = timeline(&api, &id)?;
    let items = timeline.rows();
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
pub(super) async fn events(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Json<List<TimelineRow>>, Problem> {
    Ok(Json(List { items: timeline(&api, &id)?.rows(), next: None }))
}

fn timeline(api: &Api, id: &str) -> Result<Timeline, Problem> {
    let words = "There is no such call in progress, nor one that ended not long ago.";
    let unknown = || Problem::saying(ErrorCode::RequestNotFound, words);
    api.backend.timeline(call_id(id)?).ok_or_else(unknown)
}
