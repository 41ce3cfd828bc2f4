//! `/v1/webhooks`: where happenings are sent to, how it went, and once more.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;

use super::body::{Name, bad};
use super::calls::List;
use super::page::{Page, Text, Which};
use super::{Api, Problem};
use crate::gateway::{Delivery, WebhookView};
use crate::signaling::ErrorCode;

/// The webhooks of the configuration.
#[utoipa::path(get, path = "/v1/webhooks", tag = "configuration", params(Which),
    responses((status = 200, description = "By name", body = List<WebhookView>)))]
pub(super) async fn list(State(api): State<Api>, page: Page<Text>) -> Json<List<WebhookView>> {
    page.rising(api.backend.webhooks(), |hook| Text(hook.name.clone()))
}

/// What was sent to a webhook and how it went, newest first; the last 2,000.
#[utoipa::path(get, path = "/v1/webhooks/{name}/deliveries", tag = "configuration",
    params(("name" = String, Path), Which),
    responses((status = 200, description = "Newest first", body = List<Delivery>)))]
pub(super) async fn deliveries(
    State(api): State<Api>,
    Name(name): Name,
    page: Page<u64>,
) -> Result<Json<List<Delivery>>, Problem> {
    let no_hook = || Problem::saying(ErrorCode::RequestNotFound, "There is no such webhook.");
    let all = api.backend.deliveries(&name).ok_or_else(no_hook)?;
    Ok(page.falling(all, Delivery::number))
}

/// Sends a delivery again, with the same id, whatever became of it.
#[utoipa::path(post, path = "/v1/webhooks/{name}/deliveries/{delivery}/actions/redeliver",
    tag = "configuration", params(("name" = String, Path), ("delivery" = String, Path)),
    responses((status = 202, description = "It is on its way")))]
pub(super) async fn redeliver(
    State(api): State<Api>,
    path: Result<Path<(String, String)>, axum::extract::rejection::PathRejection>,
) -> Result<StatusCode, Problem> {
    let Path((name, delivery)) = path.map_err(|_| bad("the address is not UTF-8"))?;
    if api.backend.redeliver(&name, &delivery) {
        return Ok(StatusCode::ACCEPTED);
    }
    Err(Problem::saying(ErrorCode::RequestNotFound, "There is no such delivery in the log."))
}
