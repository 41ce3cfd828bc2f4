//! What a request brings, read within its bounds; whatever is wrong with it is a problem in words.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::Problem;
use crate::base::CallId;
use crate::signaling::ErrorCode;

/// The one name in a path, whatever bytes a client put there.
pub(super) struct Name(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Name {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Name, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        path.map(|Path(name)| Name(name)).map_err(|_| bad("the address is not UTF-8"))
    }
}

/// The call that a path names.
pub(super) struct OfCall(pub(super) CallId);

impl<S: Send + Sync> FromRequestParts<S> for OfCall {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<OfCall, Problem> {
        let Name(name) = Name::from_request_parts(parts, state).await?;
        let id = name.parse().map_err(|error| bad(format!("call id: {error}")));
        id.map(OfCall)
    }
}

/// A body of JSON.
pub(super) async fn json<T: DeserializeOwned>(body: Body) -> Result<T, Problem> {
    json_up_to(body, MAX_BODY).await
}

/// The same with another bound.
pub(super) async fn json_up_to<T: DeserializeOwned>(body: Body, most: usize) -> Result<T, Problem> {
    let bytes = bytes_up_to(body, most).await?;
    serde_json::from_slice(&bytes).map_err(|error| bad(error.to_string()))
}

/// A body of JSON, or none.
pub(super) async fn json_or_nothing<T: DeserializeOwned + Default>(
    body: Body,
) -> Result<T, Problem> {
    let bytes = bytes(body).await?;
    if bytes.trim_ascii().is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(&bytes).map_err(|error| bad(error.to_string()))
}

/// The whole body, within its bounds of size and time.
pub(super) async fn bytes(body: Body) -> Result<Vec<u8>, Problem> {
    bytes_up_to(body, MAX_BODY).await
}

/// The same with another bound.
pub(super) async fn bytes_up_to(body: Body, most: usize) -> Result<Vec<u8>, Problem> {
    match tokio::time::timeout(PATIENCE, axum::body::to_bytes(body, most)).await {
        Ok(Ok(bytes)) => Ok(bytes.into()),
        Ok(Err(_)) => {
            let words = format!("A body is at most {} KiB here.", most / 1024);
            Err(Problem::saying(ErrorCode::RequestTooLarge, words))
        }
        Err(_) => Err(Problem::new(ErrorCode::RequestTimeout)),
    }
}

pub(super) fn bad(words: impl Into<String>) -> Problem {
    Problem::saying(ErrorCode::RequestBadValue, words)
}

/// Security defaults: bodies of 64 KiB. A dial plan may be larger.
pub(super) const MAX_BODY: usize = 64 * 1024;
/// The largest that any handler takes.
pub(super) const MAX_ANY_BODY: usize = 4 * 1024 * 1024;
/// A peer that sends one byte a second is let go.
const PATIENCE: Duration = Duration::from_secs(10);
