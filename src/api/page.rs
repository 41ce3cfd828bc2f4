//! Lists page by cursor: which page is asked for, and how it is cut out. One way for all lists: what a
//! handler fetches is one more than the page, so that `next` is there where there is more, and only there.

use std::fmt::Display;
use std::str::FromStr;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::Problem;
use super::body::bad;
use super::calls::List;

/// The query of a list.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "the names and their meaning; `Page` takes them apart")]
pub(super) struct Which {
    /// From the last page's `next`.
    cursor: Option<String>,
    /// How many, 1 to 1000.
    #[param(minimum = 1, maximum = 1000, default = 50)]
    limit: Option<usize>,
}

/// The page that is asked for. `P` is the place of an item in its list, as cursors say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Page<P> {
    /// The last item of the page before; `None` where this is the first page.
    pub(super) after: Option<P>,
    /// Its items at most, 1 to 1000.
    pub(super) limit: usize,
}

impl<P: Ord + FromStr + Display> Page<P> {
    /// From a query's values.
    pub(super) fn new(cursor: Option<&str>, limit: Option<usize>) -> Result<Page<P>, Problem> {
        let limit = limit.unwrap_or(DEFAULT);
        if !(1..=MOST).contains(&limit) {
            return Err(bad(format!("limit is 1 to {MOST}")));
        }
        let after = cursor.map(str::parse).transpose();
        let after = after.map_err(|_| bad("the cursor is not one that this list gave"))?;
        Ok(Page { after, limit })
    }

    /// How many items to fetch: one more than the page, which tells whether another page follows.
    pub(super) fn fetch(&self) -> usize {
        self.limit + 1
    }

    /// The page of what was fetched behind the place.
    pub(super) fn cut<T>(
        &self,
        fetched: impl IntoIterator<Item = T>,
        place: impl Fn(&T) -> P,
    ) -> List<T> {
        let mut items: Vec<T> = fetched.into_iter().take(self.fetch()).collect();
        let more = items.len() > self.limit;
        items.truncate(self.limit);
        let next = items.last().filter(|_| more).map(|last| place(last).to_string());
        List { items, next }
    }

    /// The page of a list that is in memory as a whole, the lowest place first.
    pub(super) fn rising<T>(&self, all: Vec<T>, place: impl Fn(&T) -> P) -> Json<List<T>> {
        let behind = |item: &T| self.after.as_ref().is_none_or(|after| place(item) > *after);
        Json(self.cut(all.into_iter().filter(behind), &place))
    }

    /// The same of one with the highest place first.
    pub(super) fn falling<T>(&self, all: Vec<T>, place: impl Fn(&T) -> P) -> Json<List<T>> {
        let behind = |item: &T| self.after.as_ref().is_none_or(|after| place(item) < *after);
        Json(self.cut(all.into_iter().filter(behind), &place))
    }
}

impl Page<u64> {
    /// The page of a list that only grows at its end, whose first item is the `first`th there ever was.
    pub(super) fn numbered<T>(&self, all: Vec<T>, first: u64) -> Json<List<T>> {
        let numbered = self.rising((first..).zip(all).collect(), |(n, _)| *n).0;
        let items = numbered.items.into_iter().map(|(_, item)| item).collect();
        Json(List { items, next: numbered.next })
    }
}

impl<S: Send + Sync, P: Ord + FromStr + Display> FromRequestParts<S> for Page<P> {
    type Rejection = Problem;

    /// Unknown parameters are refused, so that a misspelt one is not silently everything.
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Page<P>, Problem> {
        let which: Result<Query<Which>, QueryRejection> =
            Query::from_request_parts(parts, state).await;
        let Query(which) = which.map_err(|error| bad(error.body_text()))?;
        Page::new(which.cursor.as_deref(), which.limit)
    }
}

/// A place that is a text of any kind; a cursor of it is opaque.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Text(pub(super) String);

impl Text {
    /// By a time, then by a name.
    pub(super) fn of(at: jiff::Timestamp, name: &str) -> Text {
        // Wide enough for the order of texts to be that of times.
        Text(format!("{:020} {name}", at.as_nanosecond()))
    }
}

impl Display for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(&self.0))
    }
}

impl FromStr for Text {
    type Err = NoPlace;

    fn from_str(cursor: &str) -> Result<Text, NoPlace> {
        let octets = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| NoPlace)?;
        String::from_utf8(octets).ok().filter(|text| !text.is_empty()).map(Text).ok_or(NoPlace)
    }
}

/// No list gives such a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoPlace;

const DEFAULT: usize = 50;
const MOST: usize = 1000;
