//! `/v1/recordings`: what was recorded: list, one, its sound, deleting it; and whether a call is recorded.

use std::io;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Deserialize;

use super::body::{self, Name, OfCall};
use super::calls::{List, no_call};
use super::page::{Page, Which};
use super::{Api, Problem};
use crate::base::{CallId, RecordingId};
use crate::gateway::RecordingWish;
use crate::recording::{Opened, RecordingView};
use crate::signaling::ErrorCode;

/// Recordings, the newest first.
#[utoipa::path(get, path = "/v1/recordings", tag = "recordings", params(Which),
    responses((status = 200, description = "Recordings", body = List<RecordingView>)))]
pub(super) async fn list(
    State(api): State<Api>,
    page: Page<RecordingId>,
) -> Result<Json<List<RecordingView>>, Problem> {
    let folder = api.backend.recordings();
    let fetched = on_disk(move || folder.list(page.after, page.fetch())).await?;
    Ok(Json(page.cut(fetched, |recording| recording.id)))
}

/// One recording.
#[utoipa::path(get, path = "/v1/recordings/{id}", tag = "recordings",
    params(("id" = RecordingId, Path)),
    responses((status = 200, description = "The recording", body = RecordingView)))]
pub(super) async fn show(
    State(api): State<Api>,
    Name(id): Name,
) -> Result<Json<RecordingView>, Problem> {
    let (id, folder) = (read(&id)?, api.backend.recordings());
    on_disk(move || folder.find(id)).await?.map(Json).ok_or_else(no_recording)
}

/// A recording's sound, decrypted: the caller left, the callee right. One that is on goes as far as it is.
#[utoipa::path(get, path = "/v1/recordings/{id}/audio", tag = "recordings",
    params(("id" = RecordingId, Path)),
    responses((status = 200, description = "WAV or Ogg Opus", content(
        (Vec<u8> = "audio/wav"), (Vec<u8> = "audio/ogg")))))]
pub(super) async fn audio(State(api): State<Api>, Name(id): Name) -> Result<Response, Problem> {
    let (id, folder) = (read(&id)?, api.backend.recordings());
    let opened = on_disk(move || {
        let Some(mut opened) = folder.open(id)? else { return Ok(None) };
        // Whether the key opens it is known before the answer starts.
        let first = opened.next_bytes()?.unwrap_or_default();
        Ok::<_, io::Error>(Some((opened, first)))
    });
    let (opened, first) = opened.await?.map_err(unreadable)?.ok_or_else(no_recording)?;
    let format = opened.view.format;
    let headers = [
        (header::CONTENT_TYPE, format.media_type().to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{id}.{}\"", format.word())),
    ];
    let rest = stream::unfold(Step::First(opened, first), |step| async move {
        match step {
            Step::First(opened, first) => Some((Ok(first), Step::Next(opened))),
            Step::Next(opened) => match tokio::task::spawn_blocking(move || next(opened)).await {
                Ok(Ok(None)) => None,
                Ok(Ok(Some((bytes, opened)))) => Some((Ok(bytes), Step::Next(opened))),
                // The stream breaks off, which a client sees as an incomplete answer.
                Ok(Err(error)) => Some((Err(error), Step::End)),
                Err(fault) => Some((Err(io::Error::other(fault)), Step::End)),
            },
            Step::End => None,
        }
    });
    Ok((headers, Body::from_stream(rest)).into_response())
}

/// Deletes a recording.
#[utoipa::path(delete, path = "/v1/recordings/{id}", tag = "recordings",
    params(("id" = RecordingId, Path)),
    responses((status = 204, description = "It is gone")))]
pub(super) async fn remove(State(api): State<Api>, Name(id): Name) -> Result<StatusCode, Problem> {
    let (id, folder) = (read(&id)?, api.backend.recordings());
    match on_disk(move || folder.remove(id)).await? {
        Ok(true) => {
            tracing::info!(recording.id = %id, "a recording was deleted by HTTP");
            Ok(StatusCode::NO_CONTENT)
        }
        Ok(false) => Err(no_recording()),
        Err(error) => {
            tracing::error!(recording.id = %id, %error, "a recording could not be deleted");
            Err(Problem::new(ErrorCode::ServerInternal))
        }
    }
}

/// What is wanted of a call's recording.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordBody {
    /// `start`, `pause` (silence stands for what is said), `resume` or `stop`.
    action: RecordAction,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
enum RecordAction {
    Start,
    Pause,
    Resume,
    Stop,
}

/// Records a call from now on, pauses that, goes on, or stops. Nothing is announced to its parties.
#[utoipa::path(post, path = "/v1/calls/{id}/actions/record", tag = "recordings",
    request_body = RecordBody, params(("id" = CallId, Path)),
    responses((status = 202, description = "It is asked for; the call's record names its recording")))]
pub(super) async fn record(
    State(api): State<Api>,
    OfCall(id): OfCall,
    body: Body,
) -> Result<StatusCode, Problem> {
    let RecordBody { action } = body::json(body).await?;
    let wish = match action {
        RecordAction::Start => RecordingWish::Start,
        RecordAction::Pause => RecordingWish::Pause,
        RecordAction::Resume => RecordingWish::Resume,
        RecordAction::Stop => RecordingWish::Stop,
    };
    api.backend.record(id, wish).map_err(|_| no_call())?;
    Ok(StatusCode::ACCEPTED)
}

/// Where the sound is.
enum Step {
    First(Opened, Vec<u8>),
    Next(Opened),
    End,
}

fn next(mut opened: Opened) -> io::Result<Option<(Vec<u8>, Opened)>> {
    Ok(opened.next_bytes()?.map(|bytes| (bytes, opened)))
}

async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| Problem::new(ErrorCode::ServerInternal))
}

fn read(id: &str) -> Result<RecordingId, Problem> {
    id.parse().map_err(|_| no_recording())
}

fn unreadable(error: io::Error) -> Problem {
    tracing::error!(%error, "a recording cannot be read");
    match error.kind() {
        io::ErrorKind::InvalidData => Problem::saying(
            ErrorCode::ServerInternal,
            "The key of this gateway does not open the recording: it was made with another one, or \
             changed.",
        ),
        _ => Problem::new(ErrorCode::ServerInternal),
    }
}

fn no_recording() -> Problem {
    Problem::saying(ErrorCode::RequestNotFound, "There is no such recording.")
}
