//! `/v1/cdrs`: records by cursor-paged JSON, or all of them streamed as CSV or NDJSON.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::body::{OfCall, bad};
use super::calls::List;
use super::page::Page;
use super::{Api, Problem};
use crate::base::{CallId, Cause, Party};
use crate::call::{Direction, Record};
use crate::signaling::ErrorCode;
use crate::store::{Cursor, Filter, Store};

/// One record.
#[utoipa::path(get, path = "/v1/cdrs/{id}", tag = "records", params(("id" = CallId, Path)),
    responses((status = 200, description = "The record", body = Record)))]
pub(super) async fn show(
    State(api): State<Api>,
    OfCall(id): OfCall,
) -> Result<Json<Record>, Problem> {
    let no_record = || Problem::saying(ErrorCode::RequestNotFound, "There is no such record.");
    api.store.record(id).await.map_err(unreadable)?.map(Json).ok_or_else(no_record)
}

/// Records, newest first; `Accept: text/csv` or `application/x-ndjson` streams all of them.
///
/// `limit` 1 to 1000 (default 50), `cursor` from the last page's `next`.
#[utoipa::path(get, path = "/v1/cdrs", tag = "records", params(Query),
    responses((status = 200, description = "Records", content(
        (List<Record> = "application/json"), (String = "text/csv"),
        (String = "application/x-ndjson")))))]
pub(super) async fn list(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let page = Asked::parse(query.as_deref().unwrap_or_default())?;
    match Form::wanted(&headers) {
        Form::Json => {
            let (items, next) = api
                .store
                .search(&page.filter, page.cursor, page.limit)
                .await
                .map_err(unreadable)?;
            let next = next.map(|cursor| cursor.to_string());
            Ok(Json(List { items, next }).into_response())
        }
        form => export(Arc::clone(&api.store), page.filter, page.cursor, form).await,
    }
}

/// Streams every record after the cursor; memory holds one page of them.
async fn export(
    store: Arc<Store>,
    filter: Filter,
    cursor: Option<Cursor>,
    form: Form,
) -> Result<Response, Problem> {
    // The first page is read before the answer starts, so that a database that is away is told.
    let first = store.search(&filter, cursor, EXPORT_PAGE).await.map_err(unreadable)?;
    let head = match form {
        Form::Csv => COLUMNS.join(",") + "\r\n",
        Form::Json | Form::Lines => String::new(),
    };
    enum Step {
        Page(Vec<Record>, Option<Cursor>),
        Read(Cursor),
        End,
    }
    let start = ((store, filter), Step::Page(first.0, first.1), head);
    let body = stream::unfold(start, move |(store, step, mut text)| async move {
        let (records, next) = match step {
            Step::End => return None,
            Step::Page(records, next) => (records, next),
            Step::Read(cursor) => match store.0.search(&store.1, Some(cursor), EXPORT_PAGE).await {
                Ok(page) => page,
                // The stream breaks off, which a client sees as an incomplete answer.
                Err(error) => return Some((Err(error), (store, Step::End, String::new()))),
            },
        };
        records.iter().for_each(|record| form.write(record, &mut text));
        let step = next.map_or(Step::End, Step::Read);
        Some((Ok(text), (store, step, String::new())))
    });
    let kind = [(header::CONTENT_TYPE, form.media_type())];
    Ok((kind, Body::from_stream(body)).into_response())
}

/// What is looked for; everything that is said must hold.
#[derive(Deserialize, Default, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "the names and their meaning; `Asked` takes them apart")]
pub(super) struct Query {
    /// From the last page's `next`.
    cursor: Option<String>,
    /// How many, 1 to 1000.
    #[param(minimum = 1, maximum = 1000, default = 50)]
    limit: Option<usize>,
    /// A user on either side.
    user: Option<String>,
    /// A number or an extension on either side: its beginning, with `+` as `%2B` and `#` as `%23`.
    number: Option<String>,
    /// The trunk.
    trunk: Option<String>,
    /// `outbound`, `inbound`, `internal` or `transit`.
    direction: Option<String>,
    /// Why it ended: `hangup`, `busy` and so on.
    cause: Option<String>,
    /// Started at this time or later (RFC 3339).
    since: Option<String>,
    /// Started before this time (RFC 3339).
    until: Option<String>,
}

struct Asked {
    cursor: Option<Cursor>,
    limit: u32,
    filter: Filter,
}

impl Asked {
    /// Unknown parameters are refused, so that a misspelt one is not silently everything.
    fn parse(query: &str) -> Result<Asked, Problem> {
        let query: Query = axum::extract::Query::try_from_uri(
            &format!("/?{query}").parse().map_err(|_| bad("the query cannot be read"))?,
        )
        .map_err(|error| bad(error.body_text()))?
        .0;
        let page: Page<Cursor> = Page::new(query.cursor.as_deref(), query.limit)?;
        let time = |name: &str, text: Option<String>| {
            let at = text.map(|text| text.parse::<jiff::Timestamp>()).transpose();
            at.map_err(|_| bad(format!("{name} is no time like 2026-11-22T10:00:00Z")))
        };
        let number = query.number.filter(|number| !number.is_empty());
        let is_key = |b: u8| b.is_ascii_digit() || b"+*#".contains(&b);
        if number.as_ref().is_some_and(|n| !n.bytes().all(is_key)) {
            return Err(bad("number is + and digits, * or #, or their beginning"));
        }
        let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
        // No name has one, and PostgreSQL takes none.
        if [&query.user, &query.trunk].into_iter().flatten().any(|text| text.contains('\0')) {
            return Err(bad("user and trunk are names"));
        }
        let filter = Filter {
            user: filled(query.user),
            number,
            trunk: filled(query.trunk),
            direction: one_of::<Direction>("direction", filled(query.direction))?,
            cause: one_of::<Cause>("cause", filled(query.cause))?,
            since: time("since", filled(query.since))?,
            until: time("until", filled(query.until))?,
        };
        let limit = u32::try_from(page.limit).unwrap_or(u32::MAX);
        Ok(Asked { cursor: page.after, limit, filter })
    }
}

/// A filter's word is one that there is: an unknown one would find nothing, which looks like an answer.
fn one_of<T: DeserializeOwned>(
    name: &str,
    text: Option<String>,
) -> Result<Option<String>, Problem> {
    if let Some(text) = &text {
        let word = serde::de::value::StrDeserializer::<serde::de::value::Error>::new(text);
        T::deserialize(word).map_err(|error| bad(format!("{name}: {error}")))?;
    }
    Ok(text)
}

/// A quality (RFC 9110 12.4.2); what is none is the best.
fn thousandths(text: &str) -> u32 {
    match text.parse::<f32>() {
        Ok(quality) if (0.0..=1.0).contains(&quality) => (quality * 1000.0).round() as u32,
        _ => 1000,
    }
}

/// How a client names a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Named {
    /// With others, as `*/*`.
    Any,
    Itself,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Csv,
    Lines,
}

impl Form {
    /// The one that is liked best (RFC 9110 12.5.1); of two that are liked as much, one that is named before
    /// any other, then the first.
    fn wanted(headers: &HeaderMap) -> Form {
        let all = headers.get_all(header::ACCEPT).into_iter();
        let all = all.filter_map(|text| text.to_str().ok()).flat_map(|text| text.split(','));
        let mut best = (Form::Json, (0, Named::Any));
        for range in all {
            let mut parts = range.split(';').map(|part| part.trim().to_ascii_lowercase());
            let (form, named) = match parts.next().as_deref() {
                Some("text/csv") => (Form::Csv, Named::Itself),
                Some("application/x-ndjson") => (Form::Lines, Named::Itself),
                Some("application/json") => (Form::Json, Named::Itself),
                Some("*/*" | "application/*") => (Form::Json, Named::Any),
                Some("text/*") => (Form::Csv, Named::Any),
                _ => continue,
            };
            let quality = parts.find_map(|part| part.strip_prefix("q=").map(str::to_owned));
            let rank = (quality.map_or(1000, |text| thousandths(&text)), named);
            if rank.0 > 0 && rank > best.1 {
                best = (form, rank);
            }
        }
        best.0
    }

    fn media_type(self) -> &'static str {
        match self {
            Form::Json => "application/json",
            Form::Csv => "text/csv; charset=utf-8; header=present",
            Form::Lines => "application/x-ndjson",
        }
    }

    fn write(self, record: &Record, out: &mut String) {
        match self {
            Form::Csv => csv(record, out),
            Form::Json | Form::Lines => {
                *out += &serde_json::to_string(record).unwrap_or_default();
                out.push('\n');
            }
        }
    }
}

/// One line of RFC 4180.
fn csv(record: &Record, out: &mut String) {
    let word = |value: serde_json::Result<serde_json::Value>| {
        value.ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
    };
    let time = |at: &Option<jiff::Timestamp>| at.map_or(String::new(), |at| at.to_string());
    let number = |p: &Party| p.number.as_ref().map_or(String::new(), |n| n.as_str().to_owned());
    let user = |p: &Party| p.user.as_ref().map_or(String::new(), |u| u.to_string());
    let cells: [String; COLUMNS.len()] = [
        record.id.to_string(),
        record.direction.as_str().to_owned(),
        user(&record.from),
        number(&record.from),
        harmless(&record.from.uri),
        user(&record.to),
        number(&record.to),
        harmless(&record.to.uri),
        record.trunk.as_ref().map_or(String::new(), |trunk| trunk.to_string()),
        harmless(record.rule.as_deref().unwrap_or_default()),
        record.started_at.to_string(),
        time(&record.answered_at),
        time(&record.ended_at),
        record.duration_ms.to_string(),
        record.cause.map_or(String::new(), |cause| word(serde_json::to_value(cause))),
        record.sip.as_ref().map_or(String::new(), |sip| sip.status.to_string()),
        record.q850.map_or(String::new(), |q850| q850.to_string()),
        record.ended_by.map_or(String::new(), |who| word(serde_json::to_value(who))),
        record.attempts.to_string(),
        record.digits.to_string(),
        record.codec.clone().unwrap_or_default(),
    ];
    for (at, cell) in cells.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        if cell.contains([',', '"', '\r', '\n']) {
            *out += &format!("\"{}\"", cell.replace('"', "\"\""));
        } else {
            *out += cell;
        }
    }
    *out += "\r\n";
}

/// A stranger's text must not be a formula when a spreadsheet opens the file.
fn harmless(text: &str) -> String {
    let formula = text.starts_with(['=', '-', '@', '\t', '\r'])
        || (text.starts_with('+') && !text[1..].bytes().all(|b| b.is_ascii_digit()));
    if formula { format!("'{text}") } else { text.to_owned() }
}

fn unreadable(error: crate::store::ReadError) -> Problem {
    tracing::warn!(%error, "records were asked for and cannot be read");
    Problem::new(ErrorCode::ServerRecords)
}

const COLUMNS: [&str; 21] = [
    "id",
    "direction",
    "from_user",
    "from_number",
    "from_uri",
    "to_user",
    "to_number",
    "to_uri",
    "trunk",
    "rule",
    "started_at",
    "answered_at",
    "ended_at",
    "duration_ms",
    "cause",
    "sip",
    "q850",
    "ended_by",
    "attempts",
    "digits",
    "codec",
];

const EXPORT_PAGE: u32 = 500;
