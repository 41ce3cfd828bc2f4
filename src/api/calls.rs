//! `/v1/calls` and `/v1/trunks`: what is on now.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::{Api, HoldWish, LiveCall, Problem, TrunkReport, TrunkView};
use crate::base::{CallId, E164, TrunkId};
use crate::call::Quality;
use crate::signaling::{ErrorCode, TransferTo};

/// A whole list; live things are few enough for one page.
#[derive(Serialize)]
pub(super) struct List<T> {
    pub(super) items: Vec<T>,
    pub(super) next: Option<String>,
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

/// How both sides of a call in progress sound: the newest measures.
pub(super) async fn quality(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Json<Quality>, Problem> {
    let call = api.backend.call(call_id(&id)?).ok_or_else(no_call)?;
    Ok(Json(call.record.quality))
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

/// Holds a call for its page.
pub(super) async fn hold(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    api.backend.hold(call_id(&id)?, HoldWish::Hold).map_err(|_| no_call())?;
    Ok(StatusCode::ACCEPTED)
}

/// Lets a held call go on.
pub(super) async fn unhold(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    api.backend.hold(call_id(&id)?, HoldWish::Unhold).map_err(|_| no_call())?;
    Ok(StatusCode::ACCEPTED)
}

/// `{"to": "+49 30 1234567"}` or `{"other_call": "call_…"}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TransferBody {
    #[serde(default)]
    to: Option<String>,
    #[serde(default)]
    other_call: Option<String>,
}

/// Hands a call's far side over. What becomes of it is told to the call's page.
pub(super) async fn transfer(
    State(api): State<Api>,
    Path(id): Path<String>,
    Json(body): Json<TransferBody>,
) -> Result<StatusCode, Problem> {
    let id = call_id(&id)?;
    let to = match (body.to, body.other_call) {
        (Some(to), None) => TransferTo::Number(to.parse().map_err(|_| {
            Problem::saying(ErrorCode::CallInvalidNumber, "`to` is no number".to_owned())
        })?),
        (None, Some(other)) => TransferTo::Call(call_id(&other)?),
        _ => {
            let words = "either `to` or `other_call`".to_owned();
            return Err(Problem::saying(ErrorCode::RequestBadValue, words));
        }
    };
    api.backend.transfer(id, to).map_err(|_| no_call())?;
    tracing::info!(call.id = %id, "a call is handed over by HTTP");
    Ok(StatusCode::ACCEPTED)
}

/// The trunks.
pub(super) async fn trunks(State(api): State<Api>) -> Json<List<TrunkView>> {
    Json(List { items: api.backend.trunks(), next: None })
}

/// `POST /v1/trunks/{id}/actions/test`, with `{"call": "+49…"}` or nothing: what the trunk says.
pub(super) async fn test_trunk(
    State(api): State<Api>,
    Path(id): Path<String>,
    body: String,
) -> Result<Json<TrunkReport>, Problem> {
    #[derive(Default, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Test {
        call: Option<String>,
    }
    let bad = |words: String| Problem::saying(ErrorCode::RequestBadValue, words);
    let test: Test = match body.trim() {
        "" => Test::default(),
        text => serde_json::from_str(text).map_err(|error| bad(error.to_string()))?,
    };
    let number = test.call.map(|number| number.parse::<E164>());
    let number = number.transpose().map_err(|error| bad(format!("call: {error}")))?;
    let no_trunk = || Problem::saying(ErrorCode::RequestNotFound, "There is no such trunk.");
    let id: TrunkId = id.parse().map_err(|_| no_trunk())?;
    api.backend.test_trunk(&id, number).await.map(Json).ok_or_else(no_trunk)
}

pub(super) fn call_id(text: &str) -> Result<CallId, Problem> {
    text.parse()
        .map_err(|error| Problem::saying(ErrorCode::RequestBadValue, format!("call id: {error}")))
}

fn no_call() -> Problem {
    Problem::saying(ErrorCode::RequestNotFound, "There is no such call in progress.")
}
