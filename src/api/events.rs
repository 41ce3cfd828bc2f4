//! `/v1/events`: what happens, as server-sent events. A client that comes back with `Last-Event-ID` goes
//! on where it was; where that is too long ago, or of an earlier run, the first event is `reset`: read
//! everything again.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::{Api, Problem};
use crate::gateway::{Events, Happening};
use crate::signaling::ErrorCode;

/// Those who may follow at once.
pub(super) fn places() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(MOST_FOLLOWERS))
}

/// What happens from now on, or from `Last-Event-ID` on: `call.started`, `call.state`, `call.ended`
/// (with the record), `trunk.up`, `trunk.down`, `reset`. Each event's data is one JSON object with
/// `type`, `at` and `data`.
#[utoipa::path(get, path = "/v1/events", tag = "calls",
    params(("Last-Event-ID" = Option<String>, Header, description = "The `id` of the last event seen")),
    responses((status = 200, description = "A stream that does not end",
        content_type = "text/event-stream", body = String)))]
pub(super) async fn follow(
    State(api): State<Api>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let place = Arc::clone(&api.followers).try_acquire_owned();
    let place = place.map_err(|_| Problem::new(ErrorCode::ServerOverloaded))?;
    let events = api.backend.events();
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let (position, first) = match last.filter(|id| !id.is_empty()) {
        None => (events.now(), ": crosspoint\n\n".to_owned()),
        Some(id) => match number_of(&events, id) {
            Some(number) => (number, ": crosspoint\n\n".to_owned()),
            None => (events.now(), reset(&events, events.now())),
        },
    };
    let newest = events.follow();
    let follower = Follower { events, newest, position, text: Some(first), _place: place };
    let body = stream::unfold(follower, |mut follower| async move {
        let text = follower.next().await?;
        Some((Ok::<_, std::convert::Infallible>(text), follower))
    });
    let headers =
        [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, Body::from_stream(body)).into_response())
}

struct Follower {
    events: Arc<Events>,
    newest: watch::Receiver<u64>,
    /// The last that was written.
    position: u64,
    /// What is written first.
    text: Option<String>,
    _place: OwnedSemaphorePermit,
}

impl Follower {
    /// The next piece of the stream: as slow as its reader, who never holds up the gateway.
    async fn next(&mut self) -> Option<String> {
        if let Some(text) = self.text.take() {
            return Some(text);
        }
        loop {
            self.newest.mark_unchanged();
            let since = self.events.since(self.position, AT_ONCE);
            if since.missed {
                self.position = self.events.now();
                return Some(reset(&self.events, self.position));
            }
            self.position = since.place;
            if !since.happenings.is_empty() {
                return Some(since.happenings.iter().map(|own| write(&self.events, own)).collect());
            }
            // Cancellation safe: waiting loses nothing.
            match tokio::time::timeout(STILL_HERE, self.newest.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return None,
                Err(_) => return Some(": still here\n\n".to_owned()),
            }
        }
    }
}

/// One event (HTML Living Standard 9.2.5): the data is one line.
fn write(events: &Events, own: &Happening) -> String {
    let data = serde_json::to_string(own).unwrap_or_default();
    format!("id: {}-{}\nevent: {}\ndata: {data}\n\n", events.run(), own.number, own.r#type)
}

fn reset(events: &Events, now: u64) -> String {
    format!("id: {}-{now}\nevent: reset\ndata: {{\"type\":\"reset\"}}\n\n", events.run())
}

fn number_of(events: &Events, id: &str) -> Option<u64> {
    let (run, number) = id.split_once('-')?;
    let number = number.parse().ok()?;
    (run == events.run() && !events.since(number, 0).missed).then_some(number)
}

const MOST_FOLLOWERS: usize = 256;
const AT_ONCE: usize = 256;
/// Proxies and browsers give a silent stream up after half a minute.
const STILL_HERE: Duration = Duration::from_secs(15);
