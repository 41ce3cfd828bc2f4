//! `Idempotency-Key`: a POST that is sent again does nothing again and gets the first answer again.
//!
//! Answers are kept in memory for a day, 4,096 of them and 64 MiB at most; a key belongs to who sent it and to the
//! address it was sent to. After a restart of the gateway a key is new.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, Response as HttpResponse, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::Problem;
use super::body::{MAX_ANY_BODY, bad, bytes_up_to};
use super::keys::Who;
use crate::signaling::ErrorCode;

/// What was answered to which key.
#[derive(Debug, Default)]
pub(super) struct Answers(Mutex<HashMap<Key, Entry>>);

/// Who, what, and the client's own key.
type Key = (String, String, String);

#[derive(Debug)]
struct Entry {
    at: Instant,
    request: [u8; 32],
    /// `None` while the first request is on its way.
    answer: Option<Kept>,
}

#[derive(Debug, Clone)]
struct Kept {
    status: StatusCode,
    kind: Option<HeaderValue>,
    location: Option<HeaderValue>,
    body: Vec<u8>,
}

/// Answers a POST with a key that was used before; others pass.
pub(super) async fn layer(
    State(answers): State<Arc<Answers>>,
    request: Request,
    next: Next,
) -> Response {
    if request.method() != Method::POST || !request.headers().contains_key(HEADER) {
        return next.run(request).await;
    }
    match once(&answers, request, next).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

async fn once(answers: &Arc<Answers>, request: Request, next: Next) -> Result<Response, Problem> {
    let own = request.headers().get(HEADER).and_then(|value| value.to_str().ok());
    let own = own.filter(|key| (1..=255).contains(&key.len()));
    let own = own.ok_or_else(|| bad("Idempotency-Key is 1 to 255 characters of ASCII"))?;
    let who = request.extensions().get::<Who>().map_or("", |who| who.name.as_str());
    let key = (who.to_owned(), request.uri().path().to_owned(), own.to_owned());
    let (parts, body) = request.into_parts();
    // How large it may be is the handler's to say.
    let body = bytes_up_to(body, MAX_ANY_BODY).await?;
    let digest: [u8; 32] = Sha256::digest(&body).into();
    if let Some(kept) = answers.claim(Instant::now(), &key, digest)? {
        return Ok(again(kept));
    }
    // Whatever becomes of the handler, the key is not held for ever.
    let claim = Claim { answers: answers.clone(), key: Some(key) };
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    let (parts, body) = response.into_parts();
    // What is answered to a POST is in memory as a whole, and the deed is done by now.
    let body = axum::body::to_bytes(body, usize::MAX).await;
    let body = body.map_err(|_| Problem::new(ErrorCode::ServerInternal))?.to_vec();
    let kept = Kept {
        status: parts.status,
        kind: parts.headers.get(header::CONTENT_TYPE).cloned(),
        location: parts.headers.get(header::LOCATION).cloned(),
        body: body.clone(),
    };
    claim.answered(kept);
    Ok(Response::from_parts(parts, Body::from(body)))
}

impl Answers {
    /// The answer that was given before; `None` gives the key to the caller.
    fn claim(&self, now: Instant, key: &Key, request: [u8; 32]) -> Result<Option<Kept>, Problem> {
        let mut entries = self.entries();
        entries.retain(|_, entry| now.saturating_duration_since(entry.at) < KEEP);
        if let Some(entry) = entries.get(key) {
            return match &entry.answer {
                _ if entry.request != request => Err(Problem::new(ErrorCode::RequestKeyReused)),
                None => Err(Problem::new(ErrorCode::RequestInProgress)),
                Some(kept) => Ok(Some(kept.clone())),
            };
        }
        if entries.len() >= MOST {
            let done = entries.iter().filter(|(_, entry)| entry.answer.is_some());
            let oldest = done.min_by_key(|(_, entry)| entry.at).map(|(key, _)| key.clone());
            match oldest {
                Some(oldest) => entries.remove(&oldest),
                None => return Err(Problem::new(ErrorCode::ServerOverloaded)),
            };
        }
        entries.insert(key.clone(), Entry { at: now, request, answer: None });
        Ok(None)
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<Key, Entry>> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets the oldest answers until the others have so many bytes at most.
fn shrink(entries: &mut HashMap<Key, Entry>, most: usize) {
    let length = |entry: &Entry| entry.answer.as_ref().map_or(0, |kept| kept.body.len());
    let mut bytes: usize = entries.values().map(length).sum();
    while bytes > most {
        let done = entries.iter().filter(|(_, entry)| entry.answer.is_some());
        let oldest = done.min_by_key(|(_, entry)| entry.at).map(|(key, _)| key.clone());
        let Some(entry) = oldest.and_then(|oldest| entries.remove(&oldest)) else { return };
        bytes -= length(&entry);
    }
}

/// A key whose request is on its way. Dropped without an answer, it is free again.
struct Claim {
    answers: Arc<Answers>,
    key: Option<Key>,
}

impl Claim {
    /// Keeps an answer; faults of the gateway and refusals that may pass are not kept.
    fn answered(mut self, kept: Kept) {
        if kept.status.is_server_error() || kept.status == StatusCode::TOO_MANY_REQUESTS {
            return;
        }
        let Some(key) = self.key.take() else { return };
        let mut entries = self.answers.entries();
        if let Some(entry) = entries.get_mut(&key) {
            entry.answer = Some(kept);
        }
        shrink(&mut entries, MOST_BYTES);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.answers.entries().remove(&key);
        }
    }
}

fn again(kept: Kept) -> Response {
    let mut response = HttpResponse::new(Body::from(kept.body));
    *response.status_mut() = kept.status;
    let headers = response.headers_mut();
    headers.insert("idempotent-replayed", HeaderValue::from_static("true"));
    for (name, value) in [(header::CONTENT_TYPE, kept.kind), (header::LOCATION, kept.location)] {
        if let Some(value) = value {
            headers.insert(name, value);
        }
    }
    response
}

const HEADER: &str = "idempotency-key";
const KEEP: Duration = Duration::from_secs(24 * 3600);
const MOST: usize = 4096;
const MOST_BYTES: usize = 64 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_of_any_length_is_given_again_and_the_oldest_are_forgotten() {
        let answers = Arc::new(Answers::default());
        let deeds = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let router = {
            let deeds = Arc::clone(&deeds);
            let handler = async move |body: axum::body::Bytes| {
                deeds.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                body.repeat(8)
            };
            let layer = axum::middleware::from_fn_with_state(Arc::clone(&answers), layer);
            let limit = axum::extract::DefaultBodyLimit::disable();
            axum::Router::new().route("/", axum::routing::post(handler)).layer(limit).layer(layer)
        };
        let ask = async |key: &str| {
            let request = Request::post("/").header(HEADER, key);
            let request = request.body(Body::from(vec![b'x'; 2 << 20])).unwrap();
            let response = tower::ServiceExt::oneshot(router.clone(), request).await.unwrap();
            assert_eq!(response.status(), StatusCode::OK);
            axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap().len()
        };
        for key in ["1", "2", "1", "2", "3", "4", "5", "2", "5"] {
            assert_eq!(ask(key).await, 16 << 20, "{key}");
        }
        // Four of them fit: the first is forgotten, the others are not.
        assert_eq!(deeds.load(std::sync::atomic::Ordering::Relaxed), 5);
        ask("1").await;
        assert_eq!(deeds.load(std::sync::atomic::Ordering::Relaxed), 6);
    }
}
