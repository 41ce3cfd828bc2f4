//! `/healthz`, `/readyz`, `/metrics`.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::{Api, Readiness};
use crate::telemetry::Metrics;

/// The process lives.
pub(super) async fn healthz() -> Response {
    Json(json!({"status": "ok"})).into_response()
}

/// New calls are taken. A database that is away does not make a gateway unready: records wait.
pub(super) async fn readyz(State(api): State<Api>) -> Response {
    let (status, state, reason) = match api.backend.readiness() {
        Readiness::Ready => (StatusCode::OK, "ready", None),
        Readiness::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining", None),
        Readiness::NotReady(reason) => (StatusCode::SERVICE_UNAVAILABLE, "not-ready", Some(reason)),
    };
    let mut body = json!({"status": state});
    if let Some(reason) = reason {
        body["reason"] = reason.into();
    }
    (status, Json(body)).into_response()
}

/// The metrics as OpenMetrics text.
pub(super) async fn metrics(State(api): State<Api>) -> Response {
    api.backend.refresh_metrics();
    ([(header::CONTENT_TYPE, Metrics::CONTENT_TYPE)], api.metrics.render()).into_response()
}
