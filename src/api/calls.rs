//! `/v1/calls`: what is on now, and what is done to it.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::backend::DigitsToSend;
use super::body::{self, OfCall, bad};
use super::page::{Page, Which};
use super::{Api, HoldWish, LiveCall, Problem};
use crate::base::{CallId, DialString, E164, UserId};
use crate::call::Quality;
use crate::gateway::{CallOrder, NotPlayed, NotStarted};
use crate::signaling::{ErrorCode, Tones, TransferTo, Words};
use crate::store::Cursor;

/// A page of a list.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct List<T> {
    /// What is in it.
    pub(super) items: Vec<T>,
    /// The `cursor` of the next page; `null` where there is none.
    #[schema(required)]
    pub(super) next: Option<String>,
}

/// The calls in progress, oldest first, each without its `trace`.
#[utoipa::path(get, path = "/v1/calls", tag = "calls", params(Which),
    responses((status = 200, description = "The calls in progress", body = List<LiveCall>)))]
pub(super) async fn list(State(api): State<Api>, page: Page<Cursor>) -> Json<List<LiveCall>> {
    let (items, next) = api.backend.calls(page.after, page.limit);
    Json(List { items, next: next.map(|place| place.to_string()) })
}

/// A call to start.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StartCall {
    /// Whose pages ring first; the call is this user's, by the user's rules in the plan. Either this or
    /// `from`.
    #[serde(default)]
    user: Option<UserId>,
    /// The number that is called first, by the rules of the plan's owner; it is connected when it
    /// answers.
    #[serde(default)]
    from: Option<String>,
    /// What follows: for a user a number or an extension; for a number `user:NAME`, `menu:NAME`,
    /// `ring:NAME`, `voicemail:NAME`, `app:NAME` or `number:+49…`.
    #[schema(min_length = 1)]
    to: String,
    /// The number to show; one of the user's own, and only for a user's call.
    #[serde(default)]
    caller_id: Option<E164>,
}

/// A call that was started.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Started {
    /// The call.
    id: CallId,
}

/// Starts a call: of a user, whose pages ring before the number is called, or of a number, which is called
/// before a user, a menu or another number.
#[utoipa::path(post, path = "/v1/calls", tag = "calls", request_body = StartCall,
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 characters")),
    responses((status = 202, description = "The first of them is called", body = Started)))]
pub(super) async fn start(State(api): State<Api>, body: Body) -> Result<Response, Problem> {
    let StartCall { user, from, to, caller_id } = body::json(body).await?;
    let number = |text: &str, name: &str| {
        let text = text.strip_prefix("number:").unwrap_or(text);
        let words =
            || Problem::saying(ErrorCode::CallInvalidNumber, format!("`{name}` is no number"));
        text.parse::<DialString>().map_err(|_| words())
    };
    let order = match (user, from) {
        (Some(user), None) => {
            if !api.backend.knows_user(&user) {
                return Err(bad(format!("there is no user {user:?}")));
            }
            CallOrder::User { user, to: number(&to, "to")?, caller_id }
        }
        (None, Some(_)) if caller_id.is_some() => {
            return Err(bad("`caller_id` is for the call of a `user`; a number's is the plan's"));
        }
        (None, Some(from)) => {
            let from = number(&from, "from")?;
            let to = match to.contains(':') {
                true => to,
                false => format!("number:{}", number(&to, "to")?.as_str()),
            };
            CallOrder::Number { from, to }
        }
        _ => return Err(bad("either `user` or `from`")),
    };
    let id = api.backend.start_call(order).map_err(|why| match why {
        NotStarted::NoDestination => bad("`to` is nothing that the plan in force has"),
        NotStarted::Refused(cause, words) => Problem::saying(cause.into(), words),
        NotStarted::Draining => Problem::new(ErrorCode::ServerDraining).after(DRAINED_AFTER),
        NotStarted::Overloaded => Problem::new(ErrorCode::ServerOverloaded).after(BUSY_AFTER),
        NotStarted::NobodyThere => {
            let words = "No page of this user is signed in.";
            Problem::saying(ErrorCode::CallUnreachable, words)
        }
    })?;
    let location = [(header::LOCATION, format!("/v1/calls/{id}"))];
    Ok((StatusCode::ACCEPTED, location, Json(Started { id })).into_response())
}

/// Seconds: as long as a gateway drains by default; another one, or the next run of this one, answers then.
const DRAINED_AFTER: u32 = 20;
const BUSY_AFTER: u32 = 5;

/// One call in progress.
#[utoipa::path(get, path = "/v1/calls/{id}", tag = "calls", params(("id" = CallId, Path)),
    responses((status = 200, description = "The call", body = LiveCall)))]
pub(super) async fn show(
    State(api): State<Api>,
    OfCall(id): OfCall,
) -> Result<Json<LiveCall>, Problem> {
    api.backend.call(id).map(Json).ok_or_else(no_call)
}

/// How the plan decided about a call, then each attempt and what became of it.
#[utoipa::path(get, path = "/v1/calls/{id}/trace", tag = "calls",
    params(("id" = CallId, Path), Which),
    responses((status = 200, description = "One line a step", body = List<String>)))]
pub(super) async fn trace(
    State(api): State<Api>,
    OfCall(id): OfCall,
    page: Page<u64>,
) -> Result<Json<List<String>>, Problem> {
    let call = api.backend.call(id).ok_or_else(no_call)?;
    Ok(page.numbered(call.record.trace, 0))
}

/// How both sides of a call sound, and sounded.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Heard {
    /// The newest measures.
    #[serde(flatten)]
    now: Quality,
    /// All that are kept, oldest first.
    series: Vec<Measure>,
}

/// How both sides sounded at one time.
#[derive(Serialize, utoipa::ToSchema)]
struct Measure {
    /// Since the call began.
    at_ms: u64,
    #[serde(flatten)]
    quality: Quality,
}

/// How both sides of a call sound, and how they sounded; kept for a while after its end.
#[utoipa::path(get, path = "/v1/calls/{id}/quality", tag = "calls", params(("id" = CallId, Path)),
    responses((status = 200, description = "Both sides", body = Heard)))]
pub(super) async fn quality(
    State(api): State<Api>,
    OfCall(id): OfCall,
) -> Result<Json<Heard>, Problem> {
    let timeline = api.backend.timeline(id).ok_or_else(no_call)?;
    let measure = |(at, quality): &(Duration, Quality)| Measure {
        at_ms: u64::try_from(at.as_millis()).unwrap_or(u64::MAX),
        quality: *quality,
    };
    let series: Vec<Measure> = timeline.quality().iter().map(measure).collect();
    let live = api.backend.call(id).map(|call| call.record.quality);
    let now = live.or(series.last().map(|last| last.quality)).unwrap_or_default();
    Ok(Json(Heard { now, series }))
}

/// Ends a call. Doing it twice is the same as once while the call ends.
#[utoipa::path(post, path = "/v1/calls/{id}/actions/hangup", tag = "calls",
    params(("id" = CallId, Path)), responses((status = 202, description = "It ends")))]
pub(super) async fn hang_up(
    State(api): State<Api>,
    OfCall(id): OfCall,
) -> Result<StatusCode, Problem> {
    api.backend.hang_up(id).map_err(|_| no_call())?;
    tracing::info!(call.id = %id, "a call is hung up over HTTP");
    Ok(StatusCode::ACCEPTED)
}

/// Holds a call for its page.
#[utoipa::path(post, path = "/v1/calls/{id}/actions/hold", tag = "calls",
    params(("id" = CallId, Path)), responses((status = 202, description = "It is asked for")))]
pub(super) async fn hold(
    State(api): State<Api>,
    OfCall(id): OfCall,
) -> Result<StatusCode, Problem> {
    api.backend.hold(id, HoldWish::Hold).map_err(|_| no_call())?;
    Ok(StatusCode::ACCEPTED)
}

/// Lets a held call go on.
#[utoipa::path(post, path = "/v1/calls/{id}/actions/unhold", tag = "calls",
    params(("id" = CallId, Path)), responses((status = 202, description = "It is asked for")))]
pub(super) async fn unhold(
    State(api): State<Api>,
    OfCall(id): OfCall,
) -> Result<StatusCode, Problem> {
    api.backend.hold(id, HoldWish::Unhold).map_err(|_| no_call())?;
    Ok(StatusCode::ACCEPTED)
}

/// Digits for the far side of a call.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SendDigits {
    /// Keys `0-9 * # A-D`, `,` for a pause of 2 s, `w` for one of 0.5 s; never logged.
    #[schema(value_type = String, pattern = "^[0-9*#A-Da-d,w]{1,256}$")]
    tones: Tones,
    /// How long each tone is, 40 to 6000 ms; others are brought into these limits.
    #[serde(default = "tone_ms")]
    #[schema(default = 100)]
    tone_ms: u32,
    /// The silence after each, at least 30 ms.
    #[serde(default = "gap_ms")]
    #[schema(default = 70)]
    gap_ms: u32,
}

fn tone_ms() -> u32 {
    100
}

fn gap_ms() -> u32 {
    70
}

/// Sends digits to the far side of a call, as its page would.
#[utoipa::path(post, path = "/v1/calls/{id}/actions/dtmf", tag = "calls", request_body = SendDigits,
    params(("id" = CallId, Path)),
    responses((status = 202, description = "They are on their way; `/dtmf` tells how they went")))]
pub(super) async fn dtmf(
    State(api): State<Api>,
    OfCall(id): OfCall,
    body: Body,
) -> Result<StatusCode, Problem> {
    let SendDigits { tones, tone_ms, gap_ms } = body::json(body).await?;
    let [tone, gap] = [tone_ms, gap_ms].map(|ms| Duration::from_millis(ms.into()));
    let digits = DigitsToSend { tones, tone, gap };
    api.backend.send_digits(id, &digits).map_err(|_| no_call())?;
    Ok(StatusCode::ACCEPTED)
}

/// What everybody in a call is to hear.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PlayBody {
    /// A WAV file below the dial plan's folder, as `prompts/closed.wav`; left out: what plays ends.
    #[serde(default)]
    file: Option<String>,
}

/// Plays a sound to both sides of an answered call, in the place of each other, until it is over.
#[utoipa::path(post, path = "/v1/calls/{id}/actions/play", tag = "calls", request_body = PlayBody,
    params(("id" = CallId, Path)),
    responses((status = 202, description = "It is on its way")))]
pub(super) async fn play(
    State(api): State<Api>,
    OfCall(id): OfCall,
    body: Body,
) -> Result<StatusCode, Problem> {
    let PlayBody { file } = body::json(body).await?;
    let backend = Arc::clone(&api.backend);
    let played = tokio::task::spawn_blocking(move || backend.play(id, file.as_deref())).await;
    match played.map_err(|_| Problem::new(ErrorCode::ServerInternal))? {
        Ok(()) => Ok(StatusCode::ACCEPTED),
        Err(NotPlayed::NoCall) => Err(no_call()),
        Err(NotPlayed::Unusable(words)) => Err(bad(words)),
    }
}

/// Where a call's far side is handed to: either `to` or `other_call`.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TransferBody {
    /// A number.
    #[serde(default)]
    to: Option<String>,
    /// Another call of the same page.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    other_call: Option<String>,
}

/// Hands a call's far side over. What becomes of it is told to the call's page.
#[utoipa::path(post, path = "/v1/calls/{id}/actions/transfer", tag = "calls",
    request_body = TransferBody, params(("id" = CallId, Path)),
    responses((status = 202, description = "It is asked for")))]
pub(super) async fn transfer(
    State(api): State<Api>,
    OfCall(id): OfCall,
    body: Body,
) -> Result<StatusCode, Problem> {
    let body: TransferBody = body::json(body).await?;
    let to = match (body.to, body.other_call) {
        (Some(to), None) => TransferTo::Number(to.parse().map_err(|_| {
            Problem::saying(ErrorCode::CallInvalidNumber, "`to` is no number".to_owned())
        })?),
        (None, Some(other)) => {
            let other = other.parse().map_err(|error| bad(format!("other_call: {error}")));
            TransferTo::Call(other?)
        }
        _ => return Err(bad("either `to` or `other_call`")),
    };
    api.backend.transfer(id, to).map_err(|_| no_call())?;
    tracing::info!(call.id = %id, "a call is handed over by HTTP");
    Ok(StatusCode::ACCEPTED)
}

/// What an application's server says to the pages of a call.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MessageBody {
    /// Any JSON of at most 4,096 bytes; the page gets it as the event `message` of its call.
    #[schema(value_type = serde_json::Value)]
    data: Words,
}

/// Says something to the pages of a call. What they say to the server is the event `call.message`.
#[utoipa::path(post, path = "/v1/calls/{id}/actions/message", tag = "calls",
    request_body = MessageBody, params(("id" = CallId, Path)),
    responses((status = 202, description = "It is on its way")))]
pub(super) async fn message(
    State(api): State<Api>,
    OfCall(id): OfCall,
    body: Body,
) -> Result<StatusCode, Problem> {
    let MessageBody { data } = body::json(body).await?;
    api.backend.message(id, data).map_err(|_| no_call())?;
    Ok(StatusCode::ACCEPTED)
}

pub(super) fn no_call() -> Problem {
    Problem::saying(ErrorCode::RequestNotFound, "There is no such call in progress.")
}
