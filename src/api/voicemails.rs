//! `/v1/voicemails`: messages that callers left: list, one, its sound, taking it away.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::body::Name;
use super::calls::List;
use super::page::{Page, Text, Which};
use super::{Api, Problem};
use crate::gateway::VoicemailView;
use crate::signaling::ErrorCode;

/// Messages that callers left, the newest first.
#[utoipa::path(get, path = "/v1/voicemails", tag = "records", params(Which),
    responses((status = 200, description = "Messages", body = List<VoicemailView>)))]
pub(super) async fn list(
    State(api): State<Api>,
    page: Page<Text>,
) -> Result<Json<List<VoicemailView>>, Problem> {
    let backend = api.backend.clone();
    let all = tokio::task::spawn_blocking(move || backend.voicemails()).await;
    let all = all.map_err(|_| Problem::new(ErrorCode::ServerInternal))?;
    Ok(page.falling(all, |message| Text::of(message.at, &message.id)))
}

/// One message.
#[utoipa::path(get, path = "/v1/voicemails/{id}", tag = "records", params(("id" = String, Path)),
    responses((status = 200, description = "The message", body = VoicemailView)))]
pub(super) async fn show(State(api): State<Api>, Name(id): Name) -> Response {
    let backend = api.backend.clone();
    let listed = tokio::task::spawn_blocking(move || backend.voicemails()).await;
    match listed.ok().and_then(|all| all.into_iter().find(|message| message.id == id)) {
        Some(message) => Json(message).into_response(),
        None => no_message(),
    }
}

/// A message's sound: a WAV file of 8 kHz, 16 bits, mono.
#[utoipa::path(get, path = "/v1/voicemails/{id}/audio", tag = "records",
    params(("id" = String, Path)),
    responses((status = 200, description = "WAV", body = Vec<u8>, content_type = "audio/wav")))]
pub(super) async fn audio(State(api): State<Api>, Name(id): Name) -> Response {
    let backend = api.backend.clone();
    let read = tokio::task::spawn_blocking(move || backend.voicemail_sound(&id)).await;
    match read.ok().flatten() {
        Some(wav) => {
            let headers = [
                (header::CONTENT_TYPE, "audio/wav"),
                (header::CONTENT_DISPOSITION, "attachment; filename=\"message.wav\""),
            ];
            (headers, wav).into_response()
        }
        None => no_message(),
    }
}

/// Takes a message away.
#[utoipa::path(delete, path = "/v1/voicemails/{id}", tag = "records", params(("id" = String, Path)),
    responses((status = 204, description = "It is gone")))]
pub(super) async fn remove(State(api): State<Api>, Name(id): Name) -> Response {
    let backend = api.backend.clone();
    match tokio::task::spawn_blocking(move || backend.remove_voicemail(&id)).await {
        Ok(Ok(true)) => StatusCode::NO_CONTENT.into_response(),
        Ok(Ok(false)) => no_message(),
        Ok(Err(error)) => {
            tracing::error!(%error, "a message could not be taken away");
            Problem::new(ErrorCode::ServerInternal).into_response()
        }
        Err(_) => Problem::new(ErrorCode::ServerInternal).into_response(),
    }
}

fn no_message() -> Response {
    Problem::saying(ErrorCode::RequestNotFound, "There is no such message.").into_response()
}
