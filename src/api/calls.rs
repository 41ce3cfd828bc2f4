//! `/v1/calls` and `/v1/trunks`: what is on now.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Serialize;

use super::{Api, LiveCall, Problem, TrunkView};
use crate::base::CallId;
use crate::signaling::ErrorCode;

/// A whole list; live things are few enough for one page.
#[derive(Serialize)]
pub(super) struct List<T> {
    items: Vec<T>,
    next: Option<String>,
}

/// The calls in progress, oldest first.
pub(super) async fn list(State(api): State<Api>) -> Json<List<LiveCall>> {
    let mut items = api.backend.calls();
    items.sort_by_key(|call| (call.record.started_at, call.record.id));
    Json(List { items, next: None })
}

/// One call in progress.
pub(super) async fn show(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Json<LiveCall>, Problem> {
    api.backend.call(call_id(&id)?).map(Json).ok_or_else(no_call)
}

/// How the plan decided about a call in progress, then each attempt and what became of it.
pub(super) async fn trace(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Json<List<String>>, Problem> {
    let call = api.backend.call(call_id(&id)?).ok_or_else(no_call)?;
    Ok(Json(List { items: call.record.trace, next: None }))
}

/// Ends a call. Doing it twice is the same as once while the call ends.
pub(super) async fn hang_up(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let id = call_id(&id)?;
    api.backend.hang_up(id).map_err(|_| no_call())?;
    tracing::info!(call.id = %id, "a call is hung up over HTTP");
    Ok(StatusCode::ACCEPTED)
}

/// The trunks.
pub(super) async fn trunks(State(api): State<Api>) -> Json<List<TrunkView>> {
    Json(List { items: api.backend.trunks(), next: None })
}

fn call_id(text: &str) -> Result<CallId, Problem> {
    text.parse()
        .map_err(|error| Problem::saying(ErrorCode::RequestBadValue, format!("call id: {error}")))
}

fn no_call() -> Problem {
    Problem::saying(ErrorCode::RequestNotFound, "There is no such call in progress.")
}
