//! `/v1/dialplan`: the plan in force, another one, a check, an explanation.
//!
//! Bodies of plans are the TOML text itself. Whatever loads a plan runs beside the runtime: a big
//! one takes as long as it takes, and calls go on.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use super::body::{self, MAX_ANY_BODY, Name, bad, bytes_up_to};
use super::calls::List;
use super::config::no_user;
use super::page::{Page, Text, Which};
use super::{Api, Backend, PlanVersionView, PlanView, Problem, PutRefused};
use crate::base::{Finding, Severity, TrunkId, UserId};
use crate::dialplan::{Region, decision_json};
use crate::gateway::{NotExplained, PlanQuestion};
use crate::signaling::ErrorCode;

/// The plan in force: text, hash (also as `ETag`), since when, warnings, and what was refused since.
#[utoipa::path(get, path = "/v1/dialplan", tag = "configuration",
    responses((status = 200, description = "The plan in force", body = PlanView)))]
pub(super) async fn show(State(api): State<Api>) -> Response {
    shown(api.backend.as_ref())
}

/// The plans that were in force, those before this start too, as many as are kept, the newest first.
#[utoipa::path(get, path = "/v1/dialplan/versions", tag = "configuration", params(Which),
    responses((status = 200, description = "The plans", body = List<PlanVersionView>)))]
pub(super) async fn versions(
    State(api): State<Api>,
    page: Page<Text>,
) -> Json<List<PlanVersionView>> {
    page.falling(api.backend.plan_versions(), |plan| Text::of(plan.loaded_at, &plan.hash))
}

/// Another plan: `If-Match` holds the hash of the one it was made from, or `*`.
#[utoipa::path(put, path = "/v1/dialplan", tag = "configuration",
    request_body(content = String, content_type = "application/toml"),
    params(("If-Match" = Option<String>, Header, description = "The hash it was made from, or `*`")),
    responses((status = 200, description = "In force", body = PlanView)))]
pub(super) async fn put(
    State(api): State<Api>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let made_from = match headers.get(header::IF_MATCH).map(HeaderValue::to_str) {
        Some(Ok("*")) => None,
        Some(Ok(tag)) => Some(tag.trim_matches('"').to_owned()),
        Some(Err(_)) | None => return Err(Problem::new(ErrorCode::RequestPrecondition)),
    };
    let text = text(body).await?;
    let outcome = beside(&api, move |backend| backend.put_plan(&text, made_from.as_deref()));
    match outcome.await? {
        Ok(()) => {
            tracing::info!("the dial plan was changed over HTTP");
            Ok(shown(api.backend.as_ref()))
        }
        Err(PutRefused::Changed(words)) => Err(Problem::saying(ErrorCode::RequestConflict, words)),
        Err(PutRefused::Findings(findings)) => {
            Err(Problem::new(ErrorCode::RequestBadPlan).with("findings", json!(findings)))
        }
        Err(PutRefused::Unwritable(words)) => {
            tracing::error!(error = %words, "the dial plan's file cannot be written");
            Err(Problem::saying(ErrorCode::ServerInternal, words))
        }
    }
}

/// What is wrong with a plan.
#[derive(serde::Serialize, utoipa::ToSchema)]
pub(super) struct Checked {
    /// No finding is an error.
    ok: bool,
    /// Errors and warnings.
    findings: Vec<Finding>,
}

/// The findings of a text; nothing changes.
#[utoipa::path(post, path = "/v1/dialplan/check", tag = "configuration",
    request_body(content = String, content_type = "application/toml"),
    responses((status = 200, description = "What is wrong with it", body = Checked)))]
pub(super) async fn check(State(api): State<Api>, body: Body) -> Result<Json<Checked>, Problem> {
    let text = text(body).await?;
    let findings: Vec<Finding> = beside(&api, move |backend| backend.check_plan(&text)).await?;
    let ok = findings.iter().all(|finding| finding.severity != Severity::Error);
    Ok(Json(Checked { ok, findings }))
}

/// `{"from": USER, "dial": NUMBER}` or `{"did": NUMBER, "from": NUMBER}`, each with `"at"` and `"plan"`.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    from: Option<String>,
    dial: Option<String>,
    caller_id: Option<String>,
    did: Option<String>,
    trunk: Option<TrunkId>,
    at: Option<String>,
    /// The text of another plan than the one in force.
    plan: Option<String>,
}

/// What a plan says to a call, and why: the one in force, or that of a text, which changes nothing.
#[utoipa::path(post, path = "/v1/dialplan/explain", tag = "configuration", request_body = Question,
    responses((status = 200, description = "The decision and its trace", body = Object)))]
pub(super) async fn explain(State(api): State<Api>, body: Body) -> Result<Response, Problem> {
    let mut question: Question = body::json_up_to(body, MAX_PLAN).await?;
    let text = question.plan.take();
    let question = match question {
        Question {
            from: Some(from),
            dial: Some(dialled),
            caller_id,
            did: None,
            trunk: None,
            at,
            plan: _,
        } => {
            let user: UserId = from.parse().map_err(|error| bad(format!("from: {error}")))?;
            PlanQuestion::Outbound { user, dialled, caller_id, at }
        }
        Question { from, dial: None, caller_id: None, did: Some(did), trunk, at, plan: _ } => {
            if let Some(trunk) = &trunk
                && !api.backend.trunks().iter().any(|known| known.id == *trunk)
            {
                return Err(bad(format!("trunk: there is no trunk {:?}", trunk.as_str())));
            }
            PlanQuestion::Inbound { did, from, trunk, at }
        }
        _ => {
            let words = "either from and dial (and caller_id), or did (and from, trunk); and at";
            return Err(bad(words.to_owned()));
        }
    };
    let explained = match text {
        None => api.backend.explain(&question, None),
        Some(text) => beside(&api, move |backend| backend.explain(&question, Some(&text))).await?,
    };
    let (decision, trace) = explained.map_err(|why| match why {
        NotExplained::Time => bad("at is no time like 2026-11-22T10:00 or 2026-11-22T10:00:00Z"),
        NotExplained::Plan(findings) => {
            Problem::new(ErrorCode::RequestBadPlan).with("findings", json!(findings))
        }
    })?;
    Ok(Json(decision_json(&decision, &trace)).into_response())
}

/// Which country is let go.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Release {
    /// ISO 3166: `LV`.
    region: String,
}

/// The fraud brake lets a user call a country again.
#[utoipa::path(post, path = "/v1/users/{user}/actions/release", tag = "configuration",
    request_body = Release, params(("user" = UserId, Path)),
    responses((status = 204, description = "Let go")))]
pub(super) async fn release(
    State(api): State<Api>,
    Name(user): Name,
    body: Body,
) -> Result<StatusCode, Problem> {
    let user: UserId = user.parse().map_err(|_| no_user())?;
    if !api.backend.knows_user(&user) {
        return Err(no_user());
    }
    let release: Release = body::json(body).await?;
    let region: Region = release.region.parse().map_err(|error| bad(format!("region: {error}")))?;
    api.backend.release(&user, region);
    Ok(StatusCode::NO_CONTENT)
}

fn shown(backend: &dyn Backend) -> Response {
    let plan = backend.plan();
    let tag = HeaderValue::from_str(&format!("\"{}\"", plan.hash));
    let mut response = Json(plan).into_response();
    if let Ok(tag) = tag {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// Runs what loads a plan on a thread that may wait.
async fn beside<T: Send + 'static>(
    api: &Api,
    work: impl FnOnce(&dyn Backend) -> T + Send + 'static,
) -> Result<T, Problem> {
    let backend = Arc::clone(&api.backend);
    tokio::task::spawn_blocking(move || work(backend.as_ref()))
        .await
        .map_err(|_| Problem::new(ErrorCode::ServerInternal))
}

/// The whole body as text, within its bounds of size and time.
async fn text(body: Body) -> Result<String, Problem> {
    let bytes = bytes_up_to(body, MAX_PLAN).await?;
    if bytes.is_empty() {
        return Err(bad("The body is the text of a plan, and there is none."));
    }
    String::from_utf8(bytes).map_err(|_| bad("The body is not UTF-8."))
}

/// A plan of 10,000 rules is 1 MB. Other bodies are bounded by 64 KiB; these come only from the
/// gateway's own machine, or with a key.
const MAX_PLAN: usize = MAX_ANY_BODY;
