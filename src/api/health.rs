//! `/healthz`, `/readyz`, `/metrics`.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::{Api, Readiness, TrunkState};
use crate::telemetry::Metrics;

/// Whether the process lives, or takes calls.
#[derive(serde::Serialize, utoipa::ToSchema)]
#[allow(dead_code, reason = "the form of what the handlers answer")]
pub(super) struct Health {
    /// `ok`, `ready`, `draining` or `not-ready`.
    status: String,
    /// Why not.
    reason: Option<String>,
    /// What somebody should look at in the dial plan.
    dialplan: Option<String>,
    /// What somebody should look at in the trunks.
    trunks: Option<String>,
}

/// The process lives.
#[utoipa::path(get, path = "/healthz", tag = "operations", security(()),
    responses((status = 200, description = "It lives", body = Health)))]
pub(super) async fn healthz() -> Response {
    Json(json!({"status": "ok"})).into_response()
}

/// Whether new calls are taken. A database that is away does not make a gateway unready: records wait.
#[utoipa::path(get, path = "/readyz", tag = "operations", security(()),
    responses((status = 200, description = "They are", body = Health),
        (status = 503, description = "They are not", body = Health)))]
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
    // Calls go on by the old plan: ready, but somebody must look. The findings are not for strangers.
    let plan = api.backend.plan();
    if let Some(refused) = plan.refused {
        let words = format!(
            "the dial plan of {} was not taken ({}); the one of {} is in force",
            refused.at,
            match refused.findings.len() {
                1 => "1 finding".to_owned(),
                several => format!("{several} findings"),
            },
            plan.loaded_at
        );
        body["dialplan"] = words.into();
    }
    // Calls go by the others: ready, but somebody must look. Their names are not for strangers.
    let trunks = api.backend.trunks();
    let down = trunks.iter().filter(|trunk| trunk.state == TrunkState::Down).count();
    if down > 0 {
        body["trunks"] = format!("{down} of {} are down", trunks.len()).into();
    }
    (status, Json(body)).into_response()
}

/// The metrics as OpenMetrics text.
#[utoipa::path(get, path = "/metrics", tag = "operations",
    responses((status = 200, description = "OpenMetrics 1.0",
        content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8", body = String)))]
pub(super) async fn metrics(State(api): State<Api>) -> Response {
    api.backend.refresh_metrics();
    ([(header::CONTENT_TYPE, Metrics::CONTENT_TYPE)], api.metrics.render()).into_response()
}
