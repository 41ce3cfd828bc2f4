//! `/v1/ivr-runs`: what came of tests of voice menus, as `crosspoint ivr run --report-to` tells it. The
//! gateway keeps the newest 200 in its database; sound stays with whoever ran them.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::body::{Name, bad, bytes_up_to};
use super::calls::List;
use super::page::{Page, Which};
use super::{Api, Problem};
use crate::base::RunId;
use crate::signaling::ErrorCode;

/// A run as it is reported: the JSON of `crosspoint ivr run`. What is not named here is not kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub(super) struct IvrRun {
    /// Every scenario by variant, in order; 1 to 1,000.
    #[schema(min_items = 1, max_items = 1000)]
    cases: Vec<IvrCase>,
}

/// A scenario's variant that ran.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub(super) struct IvrCase {
    /// The scenario's file.
    file: String,
    /// Its name.
    name: String,
    /// The variant's name.
    #[serde(default)]
    variant: Option<String>,
    /// How the call was made: `loopback`, `trunk` or `browser`.
    via: String,
    /// What was dialled.
    target: String,
    /// How it ended.
    outcome: IvrOutcome,
    /// What was expected and what was seen instead, where it did not pass.
    #[serde(default)]
    message: Option<String>,
    /// The call's length, by its own clock.
    call_ms: u64,
    /// How often it was tried again.
    #[serde(default)]
    retries: u32,
    /// Its steps, as far as it came.
    #[serde(default)]
    steps: Vec<IvrStep>,
    /// Recordings that were recognised.
    #[serde(default)]
    prompts: Vec<IvrPrompt>,
    /// SIP or signalling messages.
    #[serde(default)]
    messages: Vec<IvrMessage>,
}

/// How a case ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
enum IvrOutcome {
    /// Every step passed.
    Passed,
    /// A step failed.
    Failed,
    /// The call could not be made.
    Error,
}

/// A step; times are from dialling.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
struct IvrStep {
    /// Its name.
    name: String,
    /// The line of the file.
    line: u32,
    /// When it began.
    start_ms: u64,
    /// When it was over.
    end_ms: u64,
    /// What failed.
    #[serde(default)]
    failure: Option<String>,
    /// What was measured.
    #[serde(default)]
    notes: Vec<String>,
}

/// A recording that was recognised; times are from dialling.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
struct IvrPrompt {
    /// Its name.
    file: String,
    /// When it began.
    start_ms: u64,
    /// When it was over.
    end_ms: u64,
    /// Likeness of the whole, 0 to 1.
    r#match: f64,
    /// Likeness of its worst 0.6 s.
    window: f64,
    /// Whether it was what was expected.
    expected: bool,
}

/// A message of the call's signalling.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
struct IvrMessage {
    /// From dialling.
    at_ms: u64,
    /// Whether the test sent it.
    sent: bool,
    /// The method or status.
    text: String,
}

/// A run in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub(super) struct IvrRunSummary {
    /// `run_…`
    id: RunId,
    /// When it was reported (RFC 3339 UTC).
    #[schema(value_type = String, format = DateTime)]
    received_at: Timestamp,
    /// Cases that passed.
    passed: usize,
    /// Cases that did not.
    failed: usize,
    /// The length of all their calls.
    call_ms: u64,
    /// The scenarios' files, the first ten.
    files: Vec<String>,
    /// What the first that did not pass says.
    #[schema(required)]
    failure: Option<String>,
}

/// A run as a whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub(super) struct IvrRunView {
    /// In short.
    #[serde(flatten)]
    summary: IvrRunSummary,
    /// Every scenario by variant, in order.
    cases: Vec<IvrCase>,
}

/// Keeps a run: at most 2 MiB, 64 KiB with an `Idempotency-Key`.
#[utoipa::path(post, path = "/v1/ivr-runs", tag = "tests of menus", request_body = IvrRun,
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 characters")),
    responses((status = 201, description = "It is kept", body = IvrRunSummary)))]
pub(super) async fn keep(State(api): State<Api>, body: Body) -> Result<Response, Problem> {
    let bytes = bytes_up_to(body, MAX_RUN).await?;
    let run: IvrRun = serde_json::from_slice(&bytes).map_err(|error| bad(error.to_string()))?;
    if !(1..=MOST_CASES).contains(&run.cases.len()) {
        return Err(bad(format!("cases are 1 to {MOST_CASES}")));
    }
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|_| Problem::new(ErrorCode::ServerInternal))?;
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let id = RunId::from_parts(since.as_millis() as u64, u128::from_be_bytes(random) >> 48);
    let summary = IvrRunSummary::of(&run, id);
    let short = serde_json::to_string(&summary);
    let view = IvrRunView { summary: summary.clone(), cases: run.cases };
    let (Ok(short), Ok(whole)) = (short, serde_json::to_string(&view)) else {
        return Err(Problem::new(ErrorCode::ServerInternal));
    };
    api.store.keep_run(id, &short, &whole).await.map_err(|error| {
        tracing::warn!(%error, "a run of tests of menus is not kept");
        Problem::new(ErrorCode::ServerRecords)
    })?;
    let location = [(header::LOCATION, format!("/v1/ivr-runs/{id}"))];
    Ok((StatusCode::CREATED, location, Json(summary)).into_response())
}

/// Runs, the newest first.
#[utoipa::path(get, path = "/v1/ivr-runs", tag = "tests of menus", params(Which),
    responses((status = 200, description = "Runs", body = List<IvrRunSummary>)))]
pub(super) async fn list(
    State(api): State<Api>,
    page: Page<RunId>,
) -> Result<Json<List<IvrRunSummary>>, Problem> {
    let fetch = u32::try_from(page.fetch()).unwrap_or(u32::MAX);
    let runs = api.store.runs(page.after, fetch).await.map_err(unreadable)?;
    let fetched = runs.iter().map(|run| read(run)).collect::<Result<Vec<IvrRunSummary>, _>>()?;
    Ok(Json(page.cut(fetched, |run| run.id)))
}

/// One run with its steps, what was heard and the messages that went by.
#[utoipa::path(get, path = "/v1/ivr-runs/{id}", tag = "tests of menus",
    params(("id" = RunId, Path)),
    responses((status = 200, description = "The run", body = IvrRunView)))]
pub(super) async fn show(
    State(api): State<Api>,
    Name(id): Name,
) -> Result<Json<IvrRunView>, Problem> {
    let id: RunId = id.parse().map_err(|_| no_run())?;
    let run = api.store.run(id).await.map_err(unreadable)?.ok_or_else(no_run)?;
    read(&run).map(Json)
}

impl IvrRunSummary {
    fn of(run: &IvrRun, id: RunId) -> IvrRunSummary {
        let ms = i64::try_from(id.unix_ms()).unwrap_or(i64::MAX);
        let wrong = |case: &&IvrCase| case.outcome != IvrOutcome::Passed;
        let failed = run.cases.iter().filter(wrong).count();
        let mut files: Vec<String> = Vec::new();
        for case in &run.cases {
            if files.len() < 10 && !files.contains(&case.file) {
                files.push(case.file.clone());
            }
        }
        IvrRunSummary {
            id,
            received_at: Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX),
            passed: run.cases.len() - failed,
            failed,
            call_ms: run.cases.iter().fold(0, |sum, case| sum.saturating_add(case.call_ms)),
            files,
            failure: run.cases.iter().find(wrong).and_then(|case| case.message.clone()),
        }
    }
}

/// What this gateway, or an older one, has written.
fn read<T: serde::de::DeserializeOwned>(json: &str) -> Result<T, Problem> {
    serde_json::from_str(json).map_err(|error| {
        tracing::error!(%error, "a run of tests of menus cannot be read");
        Problem::new(ErrorCode::ServerInternal)
    })
}

fn unreadable(error: crate::store::ReadError) -> Problem {
    tracing::warn!(%error, "runs of tests of menus were asked for and cannot be read");
    Problem::new(ErrorCode::ServerRecords)
}

fn no_run() -> Problem {
    Problem::saying(ErrorCode::RequestNotFound, "There is no such run.")
}

const MAX_RUN: usize = 2 * 1024 * 1024;
const MOST_CASES: usize = 1000;
